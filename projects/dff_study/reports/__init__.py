"""Tables, plots and documentation pages of measured figures."""
