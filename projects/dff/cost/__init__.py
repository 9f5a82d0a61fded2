"""What a model costs: multiply-adds (paper Eq. 5-7), frame and training times."""
