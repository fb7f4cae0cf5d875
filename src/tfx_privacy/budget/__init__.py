"""Arithmetic of a dataset's budget, and what runs cost. Where the budget is kept: `tfx_privacy.ledger`."""
