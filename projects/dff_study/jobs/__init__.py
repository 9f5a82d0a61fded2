"""Resumable jobs that train, test and time models."""
