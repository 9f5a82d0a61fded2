"""Frame pairs with known or estimated flow, to train flow networks."""
