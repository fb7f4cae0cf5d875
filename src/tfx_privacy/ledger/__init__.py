"""The budget ledger: what all trainings on a dataset spend together, over its whole life.

One SQLite file on a local disk, or a PostgreSQL database; its address is in an environment variable alone.
"""

from __future__ import annotations

from tfx_privacy.ledger.ledger import Ledger, new_run_id, read_runs
from tfx_privacy.ledger.source import DEFAULT_SOURCE

__all__ = ["DEFAULT_SOURCE", "Ledger", "new_run_id", "read_runs"]
