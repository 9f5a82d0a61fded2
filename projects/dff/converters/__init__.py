"""Converters of other projects' data and weights; only tools import them."""
