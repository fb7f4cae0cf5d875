"""What a DP-SGD step costs: our engine next to the non-private step and other libraries, on five small models.

Not part of the installed package. `python -m benchmarks.step --help`, from the root of the repository.
"""
