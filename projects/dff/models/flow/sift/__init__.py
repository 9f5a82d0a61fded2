"""SIFT flow."""
