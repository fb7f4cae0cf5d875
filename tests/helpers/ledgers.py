"""Ledgers for tests: a SQLite file, or a database of a real PostgreSQL server."""

from __future__ import annotations

import secrets
from typing import Any

from tfx_privacy.budget.runs import PlannedRun
from tfx_privacy.ledger import DEFAULT_SOURCE, Ledger

DATASET = "trips"
DIGEST, OTHER_DIGEST = "sha256:" + "a" * 64, "sha256:" + "b" * 64
KIND: dict[str, Any] = {"privacy_unit": "example", "neighboring_relation": "ADD_OR_REMOVE_ONE"}
# Eleven such runs fit into epsilon=8 at delta=1e-6.
RUN = PlannedRun.of(noise_multiplier=1.0, sampling_probability=0.01, steps=1000)
# A release of preprocessing: less than a thousandth of the same budget.
RELEASE = PlannedRun.of(noise_multiplier=40.0, sampling_probability=1.0, steps=1)
BUDGET: dict[str, Any] = {"epsilon": 8.0, "delta": 1e-6, "approver": "Dana"}


def attempt_id() -> str:
    return secrets.token_hex(16)


def open_ledger(address: str, **environ: str) -> Ledger:
    return Ledger(DEFAULT_SOURCE, {"TFX_PRIVACY_LEDGER": address, **environ})


def new_ledger(address: str, **facts: Any) -> Ledger:
    """A ledger with one dataset."""
    ledger = open_ledger(address)
    ledger.initialise()
    ledger.register(DATASET, **{**BUDGET, **facts})
    return ledger
