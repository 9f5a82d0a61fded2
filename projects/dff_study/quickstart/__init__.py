"""The quick start."""
