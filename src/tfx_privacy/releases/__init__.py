"""What preprocessing and statistics let out of the records: sums with noise, how much of it, and the record of it."""
