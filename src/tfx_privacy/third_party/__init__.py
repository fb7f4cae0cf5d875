"""Other people's code, copied unchanged, with its licence beside it. Each folder's README says from where, and why."""
