"""The uses of the records in a pipeline, and which of them epsilon covers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, get_args

from tfx_privacy.guarantee.mechanism import DPMechanism
from tfx_privacy.guarantee.record import PrivacyGuarantee, ScopeItem
from tfx_privacy.records.base import Record
from tfx_privacy.reporting import released, wording

NOT_STATED = "Not stated"
UNKNOWN = f"{NOT_STATED}: there is no readable guarantee."

BASE_MODEL = "Model that training started from"
OTHER_TRAININGS = "Other trainings on the same data"
_STATISTICS = "Statistics (StatisticsGen), validation (ExampleValidator)"
_ARTIFACTS = {
    "transform_graph": "Transform's analyzers (vocabularies, means, quantiles)",
    "schema": "Schema",
    "base_model": BASE_MODEL,
    "hyperparameters": "Hyperparameters and their tuning",
    "examples": "Canaries among the records",
}
_OTHER_STATISTICS = f"Other {_STATISTICS[0].lower()}{_STATISTICS[1:]}"
_BEFORE_TRAINING = frozenset({*_ARTIFACTS.values(), _STATISTICS, _OTHER_STATISTICS} - {BASE_MODEL})
_RELEASED_BY = "Released by "
RELEASED = (
    "The final weights, all intermediate ones, and whatever is computed from them without the records, predictions "
    "included."
)
"""What is private of a private training."""


class Coverage(Record):
    """One use of the data, and whether epsilon covers it."""

    use: str
    covered: Literal["yes", "no", "not stated"]
    detail: str

    @property
    def is_release(self) -> bool:
        """Whether it is what was released beside the training, and counts in its epsilon."""
        return self.use.startswith(_RELEASED_BY)

    @property
    def is_before_training(self) -> bool:
        """Whether it is preprocessing, statistics, or the choice of hyperparameters."""
        return self.is_release or self.use in _BEFORE_TRAINING


def coverage(record: PrivacyGuarantee | None, *, is_established: bool) -> list[Coverage]:
    """Which uses of the data epsilon covers: from the guarantee's scope, and from what no guarantee of ours ever covers.

    Args:
      record: The guarantee; None if there is no readable one.
      is_established: Whether the gate could recompute its epsilon.
    """
    if record is None:
        return [Coverage(use="Training", covered="not stated", detail=UNKNOWN)]
    return [_within_epsilon(item, record, is_established) for item in _uses(record)]


def _within_epsilon(item: Coverage, record: PrivacyGuarantee, is_established: bool) -> Coverage:
    """Where there is no epsilon, nothing is covered by it: not the number of records, and no graph without analyzers."""
    if item.covered != "yes":
        return item
    if not is_established:
        unknown = "The gate could not establish what the guarantee states."
        return item.model_copy(update={"covered": "not stated", "detail": unknown})
    if not is_private(record):
        return item.model_copy(update={"covered": "no", "detail": "Epsilon is infinite: nothing is covered by it."})
    return item


def _uses(record: PrivacyGuarantee) -> list[Coverage]:
    """Every use of the data, and whether a finite epsilon would cover it."""
    return [
        _training(record),
        *(Coverage(use=use, covered="yes", detail=detail) for use, detail in released.uses(record)),
        *_upstream(record),
        *_several_runs(record),
        Coverage(
            use=released.of_others(record, _STATISTICS),
            covered="no",
            detail=(
                "Computed from the records without differential privacy. They are no part of the model; keep them as "
                "safe as the data."
            ),
        ),
        Coverage(
            use="Metrics (Evaluator), attacks (PrivacyEvaluator), this report",
            covered="no",
            detail=(
                "Computed from the records without differential privacy, this page's numbers, slices and pictures "
                "included. For those who may see such results of the data, not for the public."
            ),
        ),
        _population(record),
        *_references(record),
    ]


def _training(record: PrivacyGuarantee) -> Coverage:
    declared = ", ".join(record.declared_record_wise)
    return Coverage(
        use="Training of this model, each of its steps",
        covered="yes",
        detail=RELEASED + (f" If, as declared, these treat each record by itself: {declared}." if declared else ""),
    )


def _upstream(record: PrivacyGuarantee) -> Iterator[Coverage]:
    for artifact in get_args(ScopeItem.model_fields["artifact"].annotation):
        use = _ARTIFACTS.get(artifact, artifact.replace("_", " "))
        # A base model brings its own, so there may be two of a kind.
        stated = [item for item in record.scope if item.artifact == artifact]
        for item in stated:
            yield Coverage(use=use, covered="yes" if item.covered else "no", detail=item.detail)
        if stated or artifact == "examples":
            continue
        if artifact == "hyperparameters":
            yield Coverage(
                use=use,
                covered="no",
                detail=(
                    "No Tuner's result was wired to the trainer. Settings that were chosen by looking at earlier runs "
                    "on the same data depend on it, and this epsilon does not count those runs."
                ),
            )
        else:
            yield Coverage(
                use=use,
                covered="not stated",
                detail="Not wired to the trainer as an input; what the module reads by itself is not seen.",
            )


def _several_runs(record: PrivacyGuarantee) -> Iterator[Coverage]:
    use = OTHER_TRAININGS
    if record.ledger is None:
        detail = "No budget ledger was used: each adds its own epsilon, and nothing counts them."
    else:
        detail = f"Not in this epsilon; those that were charged to dataset {record.dataset_id!r} share its budget."
    yield Coverage(use=use, covered="no", detail=detail)


def _population(record: PrivacyGuarantee) -> Coverage:
    units = "records" if record.privacy_unit == "example" else "users"
    if record.population.source == "declared":
        return Coverage(
            use=f"Number of {units}",
            covered="yes",
            detail="Declared before training, so it is not taken from the data.",
        )
    return Coverage(use=f"Number of {units}", covered="no", detail="Counted from the data and treated as public.")


def _references(record: PrivacyGuarantee) -> Iterator[Coverage]:
    if record.references is not None:
        together = record.references.epsilon_all
        limit = "nothing limits" if together == "inf" else f"epsilon {wording.epsilon(float(together))} limits"
        yield Coverage(
            use=f"{record.references.num_models} reference models",
            covered="no",
            detail=(
                f"Trained on the same records for attacks to compare with, and never to be released: {limit} what they "
                "and this model reveal together."
            ),
        )


def is_private(record: PrivacyGuarantee) -> bool:
    """Whether this very run is, and whatever else its epsilon is of."""
    mechanism = record.mechanism
    return isinstance(mechanism, DPMechanism) and mechanism.is_private and math.isfinite(record.stated_epsilon)
