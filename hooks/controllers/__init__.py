"""Controllers of the residual stream: low rank, full, a vector; banks of them."""
