"""What the pipeline is made of."""
