"""Pictures of features, flow and results (paper Fig. 1, 4, 5)."""
