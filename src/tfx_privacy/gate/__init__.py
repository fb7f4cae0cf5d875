"""The gate: `decide.decide` is the only function that decides whether a model is blessed."""
