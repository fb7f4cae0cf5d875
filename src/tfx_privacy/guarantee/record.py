"""The privacy guarantee of one trained model: what was executed, and what follows from it.

The file is the only source of truth. ML Metadata rounds doubles to six decimals (a delta of
1e-7 becomes 0) and refuses infinity; custom properties are for display.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

import pydantic
from typing_extensions import Self

from tfx_privacy.accounting.composition import RELATION_OF_SAMPLING
from tfx_privacy.budget.runs import Identifier, LedgerPosition, RunId
from tfx_privacy.guarantee.covered_release import CoveredRelease as CoveredRelease  # noqa: PLC0414 - part of this record
from tfx_privacy.guarantee.mechanism import DPMechanism, NoMechanism, same_noise
from tfx_privacy.records import digest, statement, strict_json
from tfx_privacy.records.base import (
    Count,
    Digest,
    GrownRecord,
    OpenProbability,
    PositiveCount,
    Record,
    Text,
)
from tfx_privacy.records.statement import ModelRecord
from tfx_privacy.releases.record import Component, ExamplesRead, check_user_id_key

FILE_NAME = "privacy_guarantee.json"

Epsilon = Annotated[float, pydantic.Field(ge=0.0, allow_inf_nan=False)] | Literal["inf"]

MAX_REFERENCE_MODELS = 128
MAX_RELEASES = 64
"""Of one guarantee."""
MAX_STATEMENT = 16384
"""Characters of the prose."""
# One of batch and share is computed from the other in double precision.
_BATCH_ROUNDING = 1e-9


class Population(Record):
    """The number of privacy units that the sampling probability was derived from."""

    records: PositiveCount
    """Records, or users where they are the privacy unit."""
    source: Literal["declared", "counted"]
    """"counted": the number is a function of the data and is treated as public."""


_RELEASED_BY: dict[str, Component] = {"transform_graph": "transform", "schema": "statistics"}
"""Whose release an upstream artifact may come from."""


class ScopeItem(Record):
    """One upstream artifact, and whether the guarantee covers what it took from the data."""

    artifact: Literal["transform_graph", "schema", "base_model", "hyperparameters", "examples"]
    """"examples": only of those with canaries, which are never covered."""
    covered: bool
    detail: Text
    vocabularies: list[Text] = pydantic.Field(default_factory=list)
    """In a transform graph: names of the vocabulary files, one for each."""
    num_constants: Count = 0
    """In a transform graph: constants that an analyzer may have computed."""
    covered_by: list[RunId] = pydantic.Field(default_factory=list)
    """Run ids of the releases that all of it came from; none where nothing was taken from the data, or not by a release."""

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.covered_by and not (self.covered and self.artifact in _RELEASED_BY):
            raise ValueError(f"what a release covers is a transform graph or a schema, not this {self.artifact}")
        if self.artifact == "examples" and self.covered:
            raise ValueError("the examples are named only where canaries are among them, which nothing covers")
        if (self.vocabularies or self.num_constants) and (self.covered or self.artifact != "transform_graph"):
            raise ValueError("vocabularies and constants are of a transform graph that is not covered")
        return self

    @property
    def held(self) -> str:
        """What the graph holds of the data, such as "2 vocabularies and 1 constant"; empty where nothing was counted."""
        files, constants = len(self.vocabularies), self.num_constants
        counted = [
            f"{files} vocabular{'y' if files == 1 else 'ies'}" if files else "",
            f"{constants} constant{'' if constants == 1 else 's'}" if constants else "",
        ]
        return " and ".join(filter(None, counted))


FeatureKind = Literal["examples", "transformed"]
"""Whether a feature is as it stands in the examples, or as the transform graph gives it."""


class LabelFeature(Record):
    """A feature with the labels that an output was trained on."""

    name: Annotated[Text, pydantic.Field(min_length=1)]
    features: FeatureKind


class TrainedLabel(Record):
    """What one output of the model was trained on: an attack shows a leak only where it compares the same."""

    output: Text
    """Its name in the model; empty for an only one."""
    features: list[LabelFeature]
    """Each of them has the labels; none where no feature is known to have them."""
    source: Literal["read", "compared", "declared"]
    """"read": DPTrainer took the labels from the feature. Else the module's input_fn gave them: "compared": the feature has
    their values; "declared": the author says so, and the values may be others, such as a label on another scale."""
    loss: Literal["classes", "keras", "own", "without_label"]
    """"classes": Keras' own, of labels that are class numbers; "keras": another of Keras' own; "own": one that reads the
    label; "without_label": one that does not, so an output may be a loss itself."""
    texts_digest: Digest | None = None
    """Of the texts, in the order of the classes, that stand in the examples; None where the labels are numbers there."""

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.source != "compared" and not self.features:
            raise ValueError(f"a label that was {self.source} has a name")
        return self


class BaseModel(GrownRecord):
    """The model whose weights training began from."""

    added: ClassVar[frozenset[str]] = frozenset({"user_id_key"})

    model_digest: Digest
    source: Literal["public", "private"]
    """"public": the pipeline's author declared it so, and nothing checked that; "private": it carries a guarantee."""
    run_id: Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    guarantee_digest: Digest | None = None
    """Of what its guarantee states, as a ledger keeps it."""
    epsilon: Epsilon | None = None
    """That its own guarantee states, at its own delta."""
    target_delta: OpenProbability | None = None
    trainings: list[Annotated[DPMechanism | NoMechanism, pydantic.Field(discriminator="kind")]] = pydantic.Field(
        default_factory=list
    )
    """All private trainings that are in its weights, its own base models' first."""
    releases: Annotated[list[CoveredRelease], pydantic.Field(max_length=MAX_RELEASES)] = pydantic.Field(
        default_factory=list
    )
    """Of preprocessing and statistics, that these trainings were made with."""
    neighboring_relation: Literal["ADD_OR_REMOVE_ONE", "REPLACE_SPECIAL"] | None = None
    privacy_unit: Literal["example", "user"] | None = None
    user_id_key: Annotated[Text, pydantic.Field(min_length=1)] | None = None
    """Of its own guarantee."""
    ledger_id: str | None = None
    """The ledger that its training was charged in; None without one."""
    signed_by: str | None = None
    """Key of its guarantee's signature; None without one."""

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        of_guarantee = (
            self.run_id, self.guarantee_digest, self.epsilon, self.target_delta, self.neighboring_relation, self.privacy_unit,
        )  # fmt: skip
        if self.source == "private" and (None in of_guarantee or not self.trainings):
            raise ValueError("a private base model states its guarantee and its trainings")
        if self.source == "public" and (
            set(of_guarantee) != {None} or self.trainings or self.releases or self.ledger_id or self.signed_by
        ):
            raise ValueError("a base model that was declared public has no guarantee")
        check_user_id_key(self.privacy_unit, self.user_id_key)
        _check_apart(self.releases, self.run_id)
        return self

    @property
    def is_private(self) -> bool:
        """Whether it was trained on private records, so its training counts."""
        return self.source == "private"


class Accountant(Record):
    """Who computed epsilon."""

    library: Literal["dp-accounting"] = "dp-accounting"
    version: Text


class Audit(Record):
    """What canaries showed of the noise and the clipping of this very run.

    A lower bound on epsilon; above the stated epsilon it proves a defect, below it proves nothing. Canaries are
    gradients on a vector next to the model: they show the mechanism at work, and nothing of what the model memorised.
    """

    num_canaries: PositiveCount
    num_members: Count
    confidence: OpenProbability
    epsilon_lower_bound: Annotated[float, pydantic.Field(ge=0.0, allow_inf_nan=False)]
    """By the one-run f-DP test of Mahloujifar et al. (2024), https://arxiv.org/abs/2410.22235."""
    epsilon_lower_bound_one_run: Annotated[float, pydantic.Field(ge=0.0, allow_inf_nan=False)]
    """By the one-run test of Steinke et al. (2023), https://arxiv.org/abs/2305.08846."""
    epsilon_lower_bound_gaussian: Annotated[float, pydantic.Field(ge=0.0, allow_inf_nan=False)]
    """Assuming that scores are normal: sharper, and no proof."""

    @pydantic.model_validator(mode="after")
    def _adds_up(self) -> Self:
        if not self.num_members <= self.num_canaries:
            raise ValueError(f"num_members={self.num_members} of num_canaries={self.num_canaries} took part")
        return self


class ParameterSource(Record):
    """Where a number of the mechanism comes from."""

    parameter: Literal["noise_multiplier", "l2_norm_clip"]
    source: Literal["privacy", "calibrated", "default", "model"]
    """"privacy": the argument; "calibrated": to its target_epsilon; "default": of the argument, which left it out; "model":
    a class of tensorflow-privacy that the user's model has."""
    model_class: Annotated[Text, pydantic.Field(min_length=1)] | None = None
    """That class, also where the argument says the same; None for a model without one."""

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.model_class is None and self.source == "model":
            raise ValueError(f"{self.parameter} comes from the model, which has no class that states it")
        if self.model_class is not None and self.source in ("calibrated", "default"):
            raise ValueError(f"{self.parameter} is {self.source}, and the model's {self.model_class} states it too")
        return self


class ReferenceTrainings(Record):
    """Reference models: trained on the same records for attacks to compare with, and no part of what is released.

    Models come in pairs on disjoint halves of the records, so one record is in the training
    data of one of each pair.
    """

    num_models: Annotated[int, pydantic.Field(ge=2, le=MAX_REFERENCE_MODELS)]
    trainings_per_record: PositiveCount
    """One of each pair, because its halves are disjoint; and every training that was lost."""
    lost_trainings: Count = 0
    """Begun by attempts that were killed; each is charged to every record, whichever half it was on."""
    mechanism: Annotated[DPMechanism | NoMechanism, pydantic.Field(discriminator="kind")]
    """One reference training as it was executed; all come to the same composition."""
    epsilon_all: Epsilon
    """Of the model and all its reference models together, for one record, at the guarantee's delta;
    "inf" without privacy."""

    @pydantic.model_validator(mode="after")
    def _in_pairs(self) -> Self:
        if self.num_models % 2 or self.trainings_per_record != self.num_models // 2 + self.lost_trainings:
            raise ValueError(
                f"num_models={self.num_models} in pairs and lost_trainings={self.lost_trainings} are not "
                f"trainings_per_record={self.trainings_per_record}"
            )
        return self


class PrivacyGuarantee(GrownRecord, ModelRecord):
    """What one training run guarantees, and for which model.

    `epsilon_pld` and `epsilon_rdp` are upper bounds at `target_delta`; "inf" without a
    mechanism. With a private `base_model` they are of both trainings together, and with `releases` of these as well.
    Readers that decide must recompute them from these three: `recomputed_epsilon`.
    """

    predicate_type: ClassVar[str] = f"{statement.PREDICATE_TYPES}/guarantee/v1"
    added: ClassVar[frozenset[str]] = frozenset({"releases", "examples", "splits_disjoint_for", "user_id_key"})

    run_id: Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{32}$")]
    issued_at: Text
    mechanism: Annotated[DPMechanism | NoMechanism, pydantic.Field(discriminator="kind")]
    target_delta: OpenProbability
    epsilon_pld: Epsilon | None
    epsilon_rdp: Epsilon
    neighboring_relation: Literal["ADD_OR_REMOVE_ONE", "REPLACE_SPECIAL"]
    """One unit more or less; or one unit replaced by one without any gradient."""
    privacy_unit: Literal["example", "user"]
    max_records_per_user: PositiveCount | None = None
    """With users as unit: how many of a user's records were used at most."""
    user_id_key: Annotated[Text, pydantic.Field(min_length=1)] | None = None
    """With users as unit: the feature that tells them apart, as training read it; None in a guarantee that does not say."""
    population: Population
    accountant: Accountant
    engine: Text
    """Software that trained: this package's, TensorFlow's and Keras' versions."""
    sources: list[ParameterSource] = pydantic.Field(default_factory=list)
    """Of noise and clip; none in a guarantee that does not say, or of a training without privacy."""
    train_splits: Annotated[list[Text], pydantic.Field(min_length=1)]
    examples: list[ExamplesRead] = pydantic.Field(default_factory=list)
    """Which examples were trained on; none in a guarantee that does not say."""
    splits_disjoint_for: Literal["example", "user"] | None = None
    """Unit of which nobody is in two splits of these examples, which all of `releases` are of as well; None where nothing
    shows it."""
    releases: Annotated[list[CoveredRelease], pydantic.Field(max_length=MAX_RELEASES)] = pydantic.Field(
        default_factory=list
    )
    """Of preprocessing and statistics: epsilon is of them and of the training together."""
    labels: list[TrainedLabel] = pydantic.Field(default_factory=list)
    """Of every output with a loss; none in a guarantee that does not say."""
    scope: list[ScopeItem]
    declared_record_wise: list[Text] = pydantic.Field(default_factory=list)
    """Layers, activations and losses that saw whole batches on their author's word that they leave records apart. For
    all others that is shown, or each record went through them by itself."""
    model_digest: Digest
    trained_records_digest: Digest | None = None
    """Of the private file next to the model that tells which records were read; None without one. It has a secret key in
    it, so its digest reveals nothing."""
    base_model: BaseModel | None = None
    """None: training began from fresh weights."""
    audit: Audit | None = None
    references: ReferenceTrainings | None = None
    dataset_id: Identifier | None = None
    """Name in the ledger of the dataset that was charged; None without a ledger."""
    ledger: LedgerPosition | None = None
    """None: no budget ledger was used, and the guarantee is of this run alone."""
    statement: Annotated[str, pydantic.Field(max_length=MAX_STATEMENT)]

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        if isinstance(self.mechanism, DPMechanism):
            relation = RELATION_OF_SAMPLING[self.mechanism.sampling]
            if self.neighboring_relation != relation:
                raise ValueError(f"sampling={self.mechanism.sampling!r} is accounted for {relation!r}")
            _check_batch(self.mechanism, self.population)
        if (self.privacy_unit == "user") != (self.max_records_per_user is not None):
            raise ValueError("max_records_per_user belongs to privacy_unit='user', and only there")
        check_user_id_key(self.privacy_unit, self.user_id_key)
        if self.references is not None and not same_noise(self.mechanism, self.references.mechanism):
            raise ValueError("the reference models were not trained by the model's own mechanism")
        if self.references is not None and self.base_model is not None and self.base_model.is_private:
            raise ValueError("a private base model holds the records that reference models must not have seen")
        _check_apart(self.releases, self.run_id)
        self._check_scope()
        named = [source.parameter for source in self.sources]
        if len(set(named)) != len(named) or (named and isinstance(self.mechanism, NoMechanism)):
            raise ValueError(f"sources are of {named}, of a mechanism of kind {self.mechanism.kind!r}")
        outputs = [label.output for label in self.labels]
        if len(set(outputs)) != len(outputs) or ("" in outputs and len(outputs) > 1):
            raise ValueError(f"the labels are of outputs {outputs}, which are not told apart")
        if (self.ledger is None) != (self.dataset_id is None):
            raise ValueError("ledger and dataset_id belong together")
        return self

    def _check_scope(self) -> None:
        """What a release is said to cover came from a release that is here, and from nothing beside it."""
        if has_canaries(self.examples) and not any(item.artifact == "examples" for item in self.scope):
            raise ValueError("the examples hold canaries, and the scope does not say so")
        released = {release.run_id: release for release in self.releases}
        for item in self.scope:
            for run_id in item.covered_by:
                found = released.get(run_id)
                if found is None or found.component != _RELEASED_BY[item.artifact] or not found.is_complete:
                    raise ValueError(f"no release {run_id[:8]} of this guarantee covers the {item.artifact} by itself")

    @property
    def stated_epsilon(self) -> float:
        """The epsilon that the file states, as a number (`inf` without a mechanism)."""
        stated = self.epsilon_rdp if self.epsilon_pld is None else self.epsilon_pld
        return math.inf if stated == "inf" else float(stated)


def has_canaries(examples: Iterable[ExamplesRead]) -> bool:
    """Whether CanaryInserter added records to examples."""
    return any(each.inserted_canary_records > 0 for each in examples)


def _check_batch(mechanism: DPMechanism, population: Population) -> None:
    """A batch, the share of the units in it and their number: any two give the third."""
    drawn = mechanism.sampling_probability * population.records
    if not math.isclose(mechanism.expected_batch_size, drawn, rel_tol=_BATCH_ROUNDING):
        raise ValueError(
            f"sampling_probability={mechanism.sampling_probability:g} of population={population.records} is a batch of "
            f"{drawn:g}, not of expected_batch_size={mechanism.expected_batch_size:g}"
        )


def _check_apart(releases: list[CoveredRelease], run_id: str | None) -> None:
    run_ids = [release.run_id for release in releases]
    if len({*run_ids, run_id}) != len(run_ids) + 1:
        raise ValueError("two releases, or a release and the training, have one run_id")


def guarantee_digest(guarantee: PrivacyGuarantee) -> str:
    """Digest of what a guarantee states, without dataset, ledger position and prose: what a ledger keeps."""
    facts = guarantee.model_dump(mode="json") | {"dataset_id": None, "ledger": None, "statement": ""}
    for part in (*facts["scope"], facts["base_model"] or {}):
        _leave_out(part, "covered_by", "releases")
    return digest.text_digest(strict_json.canonical(facts))


def _leave_out(facts: dict[str, Any], *names: str) -> None:
    """Fields that are younger than ledgers: where they say nothing, a digest is what it was without them."""
    for name in names:
        if facts.get(name) in (None, []):
            facts.pop(name, None)
