"""Cost of a model: multiply-adds (paper Eq. 5-7), times of frames and training."""
