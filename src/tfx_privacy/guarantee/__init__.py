"""The record of what one training run guarantees, and epsilon recomputed from it."""
