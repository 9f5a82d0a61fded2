"""Variants of a model: the plan of their trainings and tests, and the figures."""
