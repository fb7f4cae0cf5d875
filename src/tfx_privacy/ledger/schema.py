"""Tables of the ledger. The log is the truth; the other tables are what it gives, kept next to it for quick answers."""

from __future__ import annotations

import sqlalchemy as sa

from tfx_privacy.budget import renyi_filter, thresholds

METADATA = sa.MetaData()
# Amounts are integers of 64 bits in both databases: SQLite keeps NaN as NULL, and PostgreSQL takes NaN for the largest
# number.
_STATES = "state IN ('RESERVED', 'STARTED', 'COMMITTED', 'ABORTED', 'SETTLED')"

LEDGER = sa.Table("ledger", METADATA, sa.Column("ledger_id", sa.Text, primary_key=True))

DATASET = sa.Table(
    "dataset", METADATA,
    sa.Column("dataset_id", sa.Text, primary_key=True),
    sa.Column("facts", sa.Text, nullable=False),
    sa.Column("epsilon", sa.Text, nullable=False),
    sa.Column("budget", sa.BigInteger, nullable=False),
    sa.Column("head_sequence", sa.BigInteger, nullable=False),
    sa.Column("head_hash", sa.Text, nullable=False),
    sa.Column("threshold_delta", sa.BigInteger, nullable=False),
    sa.CheckConstraint(f"budget > 0 AND budget < {renyi_filter.MAX_UNITS}", name="budget_in_range"),
    sa.CheckConstraint(
        f"threshold_delta >= 0 AND threshold_delta < {thresholds.MAX_UNITS}", name="threshold_delta_in_range"
    ),
)  # fmt: skip

BLOCK = sa.Table(
    "block", METADATA,
    sa.Column("dataset_id", sa.Text, sa.ForeignKey("dataset.dataset_id"), primary_key=True),
    sa.Column("block", sa.Text, primary_key=True),
    sa.Column("charged", sa.BigInteger, nullable=False),
    sa.Column("ceiling", sa.BigInteger, nullable=False),
    sa.Column("delta_charged", sa.BigInteger, nullable=False),
    sa.Column("delta_ceiling", sa.BigInteger, nullable=False),
    # The last guard: whatever a client computed, the database takes no charge beyond the ceilings.
    sa.CheckConstraint("charged >= 0 AND charged <= ceiling", name="charged_within_ceiling"),
    sa.CheckConstraint(
        "delta_charged >= 0 AND delta_charged <= delta_ceiling", name="delta_charged_within_ceiling"
    ),
)  # fmt: skip

RUN = sa.Table(
    "run", METADATA,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("dataset_id", sa.Text, sa.ForeignKey("dataset.dataset_id"), nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("planned", sa.Text, nullable=False),
    sa.Column("cost", sa.BigInteger, nullable=False),
    sa.Column("blocks", sa.Text, nullable=False),
    sa.Column("attempt", sa.BigInteger, nullable=False),
    sa.Column("attempt_id", sa.Text),
    sa.Column("model_digest", sa.Text),
    sa.Column("guarantee_digest", sa.Text),
    sa.Column("commit_sequence", sa.BigInteger),
    sa.Column("delta_spent", sa.BigInteger, nullable=False),
    sa.CheckConstraint(_STATES, name="state_known"),
    sa.CheckConstraint(f"cost > 0 AND cost < {renyi_filter.MAX_UNITS}", name="cost_in_range"),
    sa.CheckConstraint(f"delta_spent >= 0 AND delta_spent < {thresholds.MAX_UNITS}", name="delta_spent_in_range"),
    sa.Index("run_by_dataset", "dataset_id", "state"),
)  # fmt: skip

ENTRY = sa.Table(
    "entry", METADATA,
    sa.Column("dataset_id", sa.Text, sa.ForeignKey("dataset.dataset_id"), primary_key=True),
    sa.Column("sequence", sa.BigInteger, primary_key=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("previous_hash", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.UniqueConstraint("dataset_id", "request_id", name="entry_once"),
    sa.CheckConstraint("sequence > 0", name="sequence_positive"),
)  # fmt: skip
