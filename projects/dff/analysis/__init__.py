"""Cost models (paper Eq. 5-7), timing and atomic result files."""
