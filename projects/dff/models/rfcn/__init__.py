"""R-FCN as the paper uses it."""
