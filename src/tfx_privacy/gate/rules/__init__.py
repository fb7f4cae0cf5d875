"""The gate's rules, by what they look at."""
