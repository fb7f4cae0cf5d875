"""Per-unit gradient norms and clipped sums without a gradient per record where a layer allows it."""
