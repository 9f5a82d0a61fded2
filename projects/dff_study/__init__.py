"""Studies with dff: the tables and figures of the paper, the quick start, reports."""
