"""The privacy guarantee of one trained model: what was executed, and what follows from it.

The file is the only source of truth. ML Metadata rounds doubles to six decimals (a delta of
1e-7 becomes 0) and refuses infinity; what stands there is for display.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, NamedTuple

import pydantic

from tfx_privacy.privacy import accounting
from tfx_privacy.privacy._records import (
    Digest,
    OpenProbability,
    PositiveCount,
    PositiveFloat,
    Record,
    Text,
)
from tfx_privacy.privacy.errors import EvidenceError

SCHEMA_VERSION: Literal[1] = 1
FILE_NAME = "privacy_guarantee.json"

Epsilon = Annotated[float, pydantic.Field(ge=0.0, allow_inf_nan=False)] | Literal["inf"]


class DPSGDMechanism(Record):
    """DP-SGD as it was executed: every step of every batch that was drawn."""

    kind: Literal["dp_sgd"] = "dp_sgd"
    sampling: Literal["poisson"] = "poisson"
    sampling_probability: Annotated[float, pydantic.Field(gt=0.0, le=1.0, allow_inf_nan=False)]
    steps: PositiveCount
    noise_multiplier: PositiveFloat
    l2_norm_clip: PositiveFloat
    expected_batch_size: PositiveFloat
    """The public constant that noisy gradient sums were divided by."""
    noise_source: Literal["os_entropy", "deterministic_test"]
    """Where the noise's seed came from; "deterministic_test" gives no privacy."""


class NoMechanism(Record):
    """Training without differential privacy, asked for explicitly."""

    kind: Literal["none"] = "none"
    steps: PositiveCount


class Population(Record):
    """The number of records that the sampling probability was derived from."""

    records: PositiveCount
    source: Literal["declared", "counted"]
    """"counted": the number is a function of the data and is treated as public."""


class ScopeItem(Record):
    """One upstream artifact, and whether the guarantee covers what it took from the data."""

    artifact: Literal["transform_graph", "schema", "base_model", "hyperparameters"]
    covered: bool
    detail: Text


class Accountant(Record):
    """Who computed epsilon."""

    library: Literal["dp-accounting"] = "dp-accounting"
    version: Text


class PrivacyGuarantee(Record):
    """What one training run guarantees, and for which model.

    `epsilon_pld` and `epsilon_rdp` are upper bounds at `target_delta`; "inf" without a
    mechanism. Readers that decide must recompute them from `mechanism`: `recomputed_epsilon`.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    run_id: Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{32}$")]
    issued_at: Text
    mechanism: Annotated[DPSGDMechanism | NoMechanism, pydantic.Field(discriminator="kind")]
    target_delta: OpenProbability
    epsilon_pld: Epsilon | None
    epsilon_rdp: Epsilon
    neighboring_relation: Literal["ADD_OR_REMOVE_ONE"]
    privacy_unit: Literal["example"]
    population: Population
    accountant: Accountant
    engine: Text
    """Software that trained: this package's, TensorFlow's and Keras' versions."""
    train_splits: Annotated[list[Text], pydantic.Field(min_length=1)]
    scope: list[ScopeItem]
    model_digest: Digest
    dataset_id: Text | None = None
    ledger: None = None
    """No budget ledger was used: the guarantee is of this run alone."""
    statement: Annotated[str, pydantic.Field(max_length=16384)]

    @property
    def stated_epsilon(self) -> float:
        """The epsilon that the file states, as a number (`inf` without a mechanism)."""
        stated = self.epsilon_rdp if self.epsilon_pld is None else self.epsilon_pld
        return math.inf if stated == "inf" else float(stated)


def recomputed_epsilon(guarantee: PrivacyGuarantee) -> float:
    """Epsilon of the guarantee's mechanism at its delta, computed afresh; `inf` if it gives none.

    Raises:
      EvidenceError: If the file states less than its own mechanism comes to.
    """
    mechanism = guarantee.mechanism
    if isinstance(mechanism, NoMechanism) or mechanism.noise_source != "os_entropy":
        return math.inf
    bounds = _account(mechanism, guarantee.target_delta)
    if not guarantee.stated_epsilon >= bounds.best * (1 - 1e-6):
        raise EvidenceError(
            f"The guarantee states epsilon={guarantee.stated_epsilon!r}, but its mechanism comes to {bounds.best!r} "
            f"at delta={guarantee.target_delta:g}."
        )
    return max(bounds.best, guarantee.stated_epsilon)


class StatedBounds(NamedTuple):
    """The two epsilon fields of a guarantee."""

    pld: Epsilon | None
    rdp: Epsilon


def stated_bounds(mechanism: DPSGDMechanism | NoMechanism, target_delta: float) -> StatedBounds:
    """What a guarantee states for a mechanism that was executed."""
    if isinstance(mechanism, NoMechanism) or mechanism.noise_source != "os_entropy":
        return StatedBounds(None, "inf")
    bounds = _account(mechanism, target_delta)
    return StatedBounds(bounds.pld, bounds.rdp)


def _account(mechanism: DPSGDMechanism, target_delta: float) -> accounting.EpsilonBounds:
    return accounting.epsilon_bounds(
        noise_multiplier=mechanism.noise_multiplier,
        sampling_probability=mechanism.sampling_probability,
        steps=mechanism.steps,
        target_delta=target_delta,
    )


def write_statement(guarantee: PrivacyGuarantee) -> str:
    """The guarantee in prose: what is protected, how it was computed, and what is not covered."""
    mechanism = guarantee.mechanism
    if isinstance(mechanism, NoMechanism):
        return (
            f"This model was trained for {mechanism.steps} steps WITHOUT differential privacy, as its parameters ask "
            "(enabled=False). Epsilon is infinite: nothing limits what the model reveals about its training records."
        )
    if mechanism.noise_source != "os_entropy":
        return (
            "NOT PRIVATE: this model was trained with a deterministic noise stream, which exists for tests only. "
            "Whoever knows the seed can subtract the noise. Epsilon is infinite."
        )
    return " ".join([*_guarantee_sentences(guarantee, mechanism), *_limits(guarantee)])


def _guarantee_sentences(guarantee: PrivacyGuarantee, mechanism: DPSGDMechanism) -> list[str]:
    other = "" if guarantee.epsilon_pld is None else f" (by Renyi DP: {_shown(guarantee.epsilon_rdp)})"
    records = guarantee.population
    count = (
        f"The number of records, {records.records}, was declared before training."
        if records.source == "declared"
        else f"The number of records, {records.records}, was counted from the data and is treated as public."
    )
    return [
        f"The release of this model's weights, and of every intermediate one, is differentially private with "
        f"epsilon={_shown(guarantee.epsilon_rdp if guarantee.epsilon_pld is None else guarantee.epsilon_pld)} at "
        f"delta={guarantee.target_delta:g}{other}, with one example (one record) as privacy unit, under the add-or-remove-one "
        "neighbouring relation: whether any one record was in the training data changes the probability of any outcome by at "
        "most a factor exp(epsilon), except with probability delta.",
        f"The mechanism that was executed: {mechanism.steps} steps of DP-SGD, each on a batch into which every record entered "
        f"independently with probability {mechanism.sampling_probability:.6g} (Poisson sampling); each record's gradient was "
        f"clipped to L2 norm {mechanism.l2_norm_clip:g}, Gaussian noise of standard deviation "
        f"{mechanism.noise_multiplier:.6g} times that was added to the sum, and the sum divided by the constant "
        f"{mechanism.expected_batch_size:g}.",
        count,
        f"Epsilon was computed by dp-accounting {guarantee.accountant.version}. The noise was seeded from the operating "
        "system and the seed was not kept.",
    ]


def _limits(guarantee: PrivacyGuarantee) -> list[str]:
    sentences = [
        "Somebody with several records has weaker protection than this.",
        "No budget ledger was used: other runs on the same data, tuning included, add to what is spent.",
    ]
    uncovered = [f"{item.artifact} ({item.detail})" for item in guarantee.scope if not item.covered]
    if uncovered:
        sentences.append(f"NOT covered, because it read the data without differential privacy: {'; '.join(uncovered)}.")
    sentences.append(
        "Data statistics, the schema and evaluation results of the same pipeline are not covered either; they are not part of the model."
    )
    return sentences


def _shown(epsilon: Epsilon | None) -> str:
    """Rounded up, so that the prose never states less than the number."""
    return "infinite" if epsilon in (None, "inf") else f"{math.ceil(float(epsilon) * 1e4) / 1e4:.4f}"
