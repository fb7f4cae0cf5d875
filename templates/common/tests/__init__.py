"""`python -m unittest` finds these; RUN_SLOW_TESTS=1 adds a whole run of the pipeline."""
