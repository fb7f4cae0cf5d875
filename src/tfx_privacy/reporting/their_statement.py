"""tensorflow-privacy's own statement of a run, beside ours: what it is asked, and why the two differ."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tfx_privacy.accounting.rounding import rounded_up
from tfx_privacy.guarantee.mechanism import DPMechanism
from tfx_privacy.guarantee.record import PrivacyGuarantee
from tfx_privacy.reporting.facts import TheirStatement


def of(guarantee: object, say: Callable[[dict[str, Any]], tuple[str, str] | None]) -> TheirStatement | None:
    """What it says of a guarantee's run.

    Args:
      guarantee: The record, or why there is none.
      say: Gives its version and its words; None where it is not installed.

    Returns:
      The statement; None where it knows no such run, or is not there. For display alone: no rule looks at it.
    """
    asked = arguments(guarantee) if isinstance(guarantee, PrivacyGuarantee) else None
    said = None if asked is None else say(asked)
    if said is None:
        return None
    assert isinstance(guarantee, PrivacyGuarantee)
    return TheirStatement(version=said[0], text=said[1], why=why_they_differ(guarantee))


def arguments(record: PrivacyGuarantee) -> dict[str, Any] | None:
    """What `compute_dp_sgd_privacy_statement` is asked for a guarantee's run; None where it knows no such run.

    It knows DP-SGD with a fixed clip, on batches of single records, of one training. Its numbers for users are of another
    mechanism: group privacy of records. Of what was released besides it knows nothing.
    """
    mechanism = record.mechanism
    if not isinstance(mechanism, DPMechanism) or not mechanism.is_private or mechanism.kind != "dp_sgd":
        return None
    if mechanism.sampling != "poisson" or mechanism.adaptive_clipping is not None:
        return None
    if record.privacy_unit != "example" or (record.base_model is not None and record.base_model.is_private):
        return None
    if record.releases:
        return None
    batch, records = mechanism.expected_batch_size, record.population.records
    return {
        "number_of_examples": records,
        "batch_size": int(batch) if float(batch).is_integer() else batch,
        "num_epochs": _epochs(mechanism.steps, batch / records),
        # Numbers of Python alone: of others its accountants state too little.
        "noise_multiplier": float(mechanism.noise_multiplier),
        "delta": float(record.target_delta),
        "used_microbatching": False,
    }


def why_they_differ(record: PrivacyGuarantee) -> str:
    """What of tensorflow-privacy's statement is of this run, and what is not."""
    pld = "not stated" if record.epsilon_pld is None else rounded_up(float(record.epsilon_pld))
    return (
        "Its second number is of what was executed: Poisson sampling, adding or removing one record, by Renyi DP. Ours by "
        f"Renyi DP is {rounded_up(float(record.epsilon_rdp))}, which also allows for round-off and for the reach of the noise; "
        f"by privacy loss distributions, which are tighter, it is {pld}. The smaller is stated, as both are upper bounds. "
        "Its first number is of batches that go through the records in a fixed order, without amplification by sampling, which "
        "is not what was executed. It was told that no microbatches were used, because each record's gradient was clipped by "
        "itself. That training pipelines do not usually sample so, as its footnote says, is not true of this one."
    )


def _epochs(steps: int, share: float) -> float:
    """As many passes as give the steps again: it takes the whole number above `epochs / share`."""
    epochs = steps * share
    if math.isclose(epochs, round(epochs), rel_tol=1e-9):
        epochs = float(round(epochs))
    return epochs if math.ceil(epochs / share) == steps else (steps - 0.5) * share
