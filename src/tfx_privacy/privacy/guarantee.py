"""The privacy guarantee of one trained model: what was executed, and what follows from it.

The file is the only source of truth. ML Metadata rounds doubles to six decimals (a delta of
1e-7 becomes 0) and refuses infinity; what stands there is for display.
"""

from __future__ import annotations

import functools
import math
from typing import Annotated, Literal, NamedTuple

import pydantic
from typing_extensions import Self

from tfx_privacy.privacy import accounting, digest, strict_json
from tfx_privacy.privacy._records import (
    Digest,
    OpenProbability,
    PositiveCount,
    PositiveFloat,
    Record,
    Text,
)
from tfx_privacy.privacy.errors import EvidenceError
from tfx_privacy.privacy.ledger_record import Identifier, LedgerPosition
from tfx_privacy.privacy.parameters import RELATION_OF_SAMPLING, composition

SCHEMA_VERSION: Literal[2] = 2
FILE_NAME = "privacy_guarantee.json"

Epsilon = Annotated[float, pydantic.Field(ge=0.0, allow_inf_nan=False)] | Literal["inf"]
# What only tests may use; whoever knows the seed can subtract the noise.
TEST_NOISE = "deterministic_test"
MAX_REFERENCE_MODELS = 128


class AdaptiveClipping(Record):
    """A clip that followed a quantile of the gradients' norms: Andrew et al. (2021), https://arxiv.org/abs/1905.03871."""

    target_quantile: OpenProbability
    learning_rate: PositiveFloat
    sum_noise_multiplier: PositiveFloat
    """Noise standard deviation / clip of the gradients' sum alone."""
    count_standard_deviation: PositiveFloat
    """Noise on the number of units within the clip, of which each unit moves one half."""
    final_l2_norm_clip: PositiveFloat

    @property
    def noise_multiplier(self) -> float:
        """Noise multiplier of both releases together (Theorem 1)."""
        return float((self.sum_noise_multiplier**-2 + (2.0 * self.count_standard_deviation) ** -2) ** -0.5)


class DPMechanism(Record):
    """Private training as it was executed: every step of every batch that was drawn, those of lost attempts included.

    "dp_sgd" adds independent noise at every step; "dp_ftrl" adds the noise of a binary tree over each pass.
    """

    kind: Literal["dp_sgd", "dp_ftrl"] = "dp_sgd"
    sampling: Literal["poisson", "shuffled"] = "poisson"
    """"poisson": every unit entered every batch independently; "shuffled": once in every pass, and no amplification is claimed."""
    sampling_probability: Annotated[float, pydantic.Field(gt=0.0, le=1.0, allow_inf_nan=False)]
    """Of each unit to enter a batch; with "shuffled" the share of the units in one."""
    steps: PositiveCount
    passes: list[PositiveCount] | None = None
    """With "shuffled": steps of each pass over the data, also of one that was broken off."""
    lost_steps: Annotated[int, pydantic.Field(ge=0)] = 0
    """Of `steps`, those whose result was lost when a run was killed; they are charged all the same."""
    noise_multiplier: PositiveFloat
    """Noise standard deviation / clip; with an adaptive clip that of its two releases together."""
    l2_norm_clip: PositiveFloat
    """The clip; the first one where it is adaptive."""
    adaptive_clipping: AdaptiveClipping | None = None
    expected_batch_size: PositiveFloat
    """The public constant that noisy gradient sums were divided by."""
    noise_source: Literal["os_entropy", "os_entropy_secure", "deterministic_test"]
    """How the noise was keyed; "deterministic_test" gives no privacy."""

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.sampling == "shuffled") != (self.passes is not None):
            raise ValueError("passes belong to sampling='shuffled', and only there")
        if self.passes is not None and sum(self.passes) != self.steps:
            raise ValueError(f"passes add up to {sum(self.passes)}, not to steps={self.steps}")
        if self.kind == "dp_ftrl" and self.sampling != "shuffled":
            raise ValueError("dp_ftrl reads the data in passes")
        if self.lost_steps > self.steps:
            raise ValueError(f"lost_steps={self.lost_steps} is more than steps={self.steps}")
        adaptive = self.adaptive_clipping
        if adaptive is not None and not self.noise_multiplier <= adaptive.noise_multiplier * (1 + 1e-9):
            raise ValueError("noise_multiplier is more than the adaptive clip's two releases come to")
        return self

    @property
    def is_private(self) -> bool:
        """Whether nobody can know the noise."""
        return self.noise_source != TEST_NOISE

    @property
    def composition(self) -> dict[str, float | int]:
        """What it comes to for the accountants: `noise_multiplier`, `sampling_probability` and `steps` of `epsilon_bounds`."""
        run = composition(self.sampling_probability, steps=self.steps, passes=self.passes, tree=self.kind == "dp_ftrl")
        return {"noise_multiplier": self.noise_multiplier, **run}


class NoMechanism(Record):
    """Training without differential privacy, asked for explicitly."""

    kind: Literal["none"] = "none"
    steps: PositiveCount


class Population(Record):
    """The number of privacy units that the sampling probability was derived from."""

    records: PositiveCount
    """Records, or users where they are the privacy unit."""
    source: Literal["declared", "counted"]
    """"counted": the number is a function of the data and is treated as public."""


class ScopeItem(Record):
    """One upstream artifact, and whether the guarantee covers what it took from the data."""

    artifact: Literal["transform_graph", "schema", "base_model", "hyperparameters"]
    covered: bool
    detail: Text


class BaseModel(Record):
    """The model whose weights training began from."""

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
    neighboring_relation: Literal["ADD_OR_REMOVE_ONE", "REPLACE_SPECIAL"] | None = None
    privacy_unit: Literal["example", "user"] | None = None
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
            set(of_guarantee) != {None} or self.trainings or self.ledger_id or self.signed_by
        ):
            raise ValueError("a base model that was declared public has no guarantee")
        return self

    @property
    def is_private(self) -> bool:
        """Whether it was trained on private records, so that its training counts."""
        return self.source == "private"


class Accountant(Record):
    """Who computed epsilon."""

    library: Literal["dp-accounting"] = "dp-accounting"
    version: Text


class Audit(Record):
    """What canaries showed of the noise and the clipping of this very run.

    A lower bound on epsilon; above the stated epsilon it proves a defect, below it proves nothing. Canaries are gradients on a vector
    beside the model: they show the mechanism at work, and nothing of what the model memorised.
    """

    num_canaries: PositiveCount
    num_members: Annotated[int, pydantic.Field(ge=0)]
    confidence: OpenProbability
    epsilon_lower_bound: Annotated[float, pydantic.Field(ge=0.0, allow_inf_nan=False)]
    """By the one-run f-DP test of Mahloujifar et al. (2024), https://arxiv.org/abs/2410.22235."""
    epsilon_lower_bound_one_run: Annotated[float, pydantic.Field(ge=0.0, allow_inf_nan=False)]
    """By the one-run test of Steinke et al. (2023), https://arxiv.org/abs/2305.08846."""
    epsilon_lower_bound_gaussian: Annotated[float, pydantic.Field(ge=0.0, allow_inf_nan=False)]
    """Assuming that scores are normal: sharper, and no proof."""


class ReferenceTrainings(Record):
    """Reference models: trained on the same records for attacks to compare with, and no part of what is released.

    Models come in pairs on disjoint halves of the records, so that one record is in the training data of one of each pair.
    """

    num_models: Annotated[int, pydantic.Field(ge=2, le=MAX_REFERENCE_MODELS)]
    trainings_per_record: PositiveCount
    """One of each pair, because its halves are disjoint; and every training that was lost."""
    lost_trainings: Annotated[int, pydantic.Field(ge=0)] = 0
    """Begun by attempts that were killed; each is charged to every record, whichever half it was on."""
    mechanism: Annotated[DPMechanism | NoMechanism, pydantic.Field(discriminator="kind")]
    """One reference training as it was executed; all come to the same composition."""
    epsilon_all: Epsilon
    """Of the model and all its reference models together, for one record, at the guarantee's delta; "inf" without privacy."""

    @pydantic.model_validator(mode="after")
    def _in_pairs(self) -> Self:
        if self.num_models % 2 or self.trainings_per_record != self.num_models // 2 + self.lost_trainings:
            raise ValueError(
                f"num_models={self.num_models} in pairs and lost_trainings={self.lost_trainings} are not "
                f"trainings_per_record={self.trainings_per_record}"
            )
        return self


class PrivacyGuarantee(Record):
    """What one training run guarantees, and for which model.

    `epsilon_pld` and `epsilon_rdp` are upper bounds at `target_delta`; "inf" without a
    mechanism. With a private `base_model` they are of both trainings together.
    Readers that decide must recompute them from `mechanism` and `base_model`: `recomputed_epsilon`.
    """

    schema_version: Literal[2] = SCHEMA_VERSION
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
    population: Population
    accountant: Accountant
    engine: Text
    """Software that trained: this package's, TensorFlow's and Keras' versions."""
    train_splits: Annotated[list[Text], pydantic.Field(min_length=1)]
    scope: list[ScopeItem]
    model_digest: Digest
    base_model: BaseModel | None = None
    """None: training began from fresh weights."""
    audit: Audit | None = None
    references: ReferenceTrainings | None = None
    dataset_id: Identifier | None = None
    """Name in the ledger of the dataset that was charged; None without a ledger."""
    ledger: LedgerPosition | None = None
    """None: no budget ledger was used, and the guarantee is of this run alone."""
    statement: Annotated[str, pydantic.Field(max_length=16384)]

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        if isinstance(self.mechanism, DPMechanism):
            relation = RELATION_OF_SAMPLING[self.mechanism.sampling]
            if self.neighboring_relation != relation:
                raise ValueError(f"sampling={self.mechanism.sampling!r} is accounted for {relation!r}")
        if (self.privacy_unit == "user") != (self.max_records_per_user is not None):
            raise ValueError("max_records_per_user belongs to privacy_unit='user', and only there")
        if self.references is not None and not _same_noise(self.mechanism, self.references.mechanism):
            raise ValueError("the reference models were not trained by the model's own mechanism")
        if self.references is not None and self.base_model is not None and self.base_model.is_private:
            raise ValueError("a private base model holds the records that reference models must not have seen")
        if (self.ledger is None) != (self.dataset_id is None):
            raise ValueError("ledger and dataset_id belong together")
        return self

    @property
    def stated_epsilon(self) -> float:
        """The epsilon that the file states, as a number (`inf` without a mechanism)."""
        stated = self.epsilon_rdp if self.epsilon_pld is None else self.epsilon_pld
        return math.inf if stated == "inf" else float(stated)


def facts_digest(guarantee: PrivacyGuarantee) -> str:
    """Digest of all that a guarantee states beside the dataset, the ledger's position and the prose: what a ledger keeps of it."""
    facts = guarantee.model_dump(mode="json") | {"dataset_id": None, "ledger": None, "statement": ""}
    if guarantee.base_model is None:
        del facts["base_model"]  # as in guarantees that were charged before there were base models
    return digest.text_digest(strict_json.canonical(facts))


def recomputed_epsilon(guarantee: PrivacyGuarantee) -> float:
    """Epsilon of the guarantee's mechanism at its delta, computed afresh; `inf` if it gives none.

    With a private base model it is that of both trainings together, and `inf` where they cannot be added up.

    Raises:
      EvidenceError: If the file states less than its own mechanism comes to, or than that and the reference trainings together.
    """
    _check_references(guarantee)
    bounds = _bounds(
        guarantee.mechanism,
        guarantee.base_model,
        target_delta=guarantee.target_delta,
        neighboring_relation=guarantee.neighboring_relation,
        privacy_unit=guarantee.privacy_unit,
    )
    if bounds is None:
        return math.inf
    if not guarantee.stated_epsilon >= bounds.best * (1 - 1e-6):
        raise EvidenceError(
            f"The guarantee states epsilon={guarantee.stated_epsilon!r}, but its mechanism comes to {bounds.best!r} "
            f"at delta={guarantee.target_delta:g}."
        )
    # The audit is of this run alone, whatever the base model cost.
    claimed = guarantee.stated_epsilon if guarantee.base_model is None else epsilon_of_this_run(guarantee)
    if guarantee.audit is not None and not guarantee.audit.epsilon_lower_bound <= claimed:
        raise EvidenceError(
            f"The audit shows epsilon >= {guarantee.audit.epsilon_lower_bound:g} with confidence {guarantee.audit.confidence:g}, but "
            f"the guarantee states epsilon={claimed:g}: the mechanism did not do what it should. Please report this."
        )
    return max(bounds.best, guarantee.stated_epsilon)


def epsilon_of_this_run(guarantee: PrivacyGuarantee) -> float:
    """Epsilon of the run's own training, its base model's left out; for information, never to be held against a limit."""
    bounds = _bounds(guarantee.mechanism, None, target_delta=guarantee.target_delta)
    return math.inf if bounds is None else bounds.best


class StatedBounds(NamedTuple):
    """The two epsilon fields of a guarantee."""

    pld: Epsilon | None
    rdp: Epsilon


def stated_bounds(
    mechanism: DPMechanism | NoMechanism,
    target_delta: float,
    *,
    base_model: BaseModel | None = None,
    neighboring_relation: str | None = None,
    privacy_unit: str | None = None,
) -> StatedBounds:
    """What a guarantee states for a mechanism that was executed.

    Args:
      mechanism: Of this run.
      target_delta: In (0, 1).
      base_model: What training began from.
      neighboring_relation: Of this run; needed with a private base model.
      privacy_unit: Of this run; needed with a private base model.
    """
    bounds = _bounds(
        mechanism,
        base_model,
        target_delta=target_delta,
        neighboring_relation=neighboring_relation,
        privacy_unit=privacy_unit,
    )
    return StatedBounds(None, "inf") if bounds is None else StatedBounds(bounds.pld, bounds.rdp)


def _bounds(
    mechanism: DPMechanism | NoMechanism,
    base_model: BaseModel | None,
    *,
    target_delta: float,
    neighboring_relation: str | None = None,
    privacy_unit: str | None = None,
) -> accounting.EpsilonBounds | None:
    """Of a run and what it began from; None where nothing bounds epsilon.

    A private base model's trainings are composed with this one, whatever data they were on: nothing shows that no unit is in both.
    Both must speak of the same neighbours and the same unit.
    """
    if base_model is None or not base_model.is_private:
        if isinstance(mechanism, NoMechanism) or not mechanism.is_private:
            return None
        return accounting.epsilon_bounds(**mechanism.composition, target_delta=target_delta)
    terms = (base_model.neighboring_relation, base_model.privacy_unit)
    if terms != (neighboring_relation, privacy_unit):
        return None
    runs = []
    for training in (*base_model.trainings, mechanism):
        if isinstance(training, NoMechanism) or not training.is_private:
            return None
        if RELATION_OF_SAMPLING[training.sampling] != neighboring_relation:
            return None
        runs.append(tuple(training.composition.items()))
    return _bounds_of_runs(tuple(runs), target_delta)


@functools.lru_cache(maxsize=256)
def _bounds_of_runs(
    runs: tuple[tuple[tuple[str, float | int], ...], ...], target_delta: float
) -> accounting.EpsilonBounds:
    return accounting.bounds_of_runs([dict(run) for run in runs], target_delta=target_delta)


def epsilon_with_references(
    mechanism: DPMechanism | NoMechanism,
    reference: DPMechanism | NoMechanism,
    *,
    trainings_per_record: int,
    target_delta: float,
) -> float:
    """Epsilon of a model and its reference models together, for one record.

    The two halves of a pair are disjoint, so that a record takes part in one training of each pair: parallel composition within a pair,
    sequential composition of the pairs and of the model (McSherry 2009, https://doi.org/10.1145/1559845.1559850). All have the same
    noise and sampling, so that it is one longer run for the accountants.

    Args:
      mechanism: Of the model.
      reference: Of each reference model.
      trainings_per_record: How many reference trainings a record may have been part of.
      target_delta: In (0, 1).

    Returns:
      Epsilon in nats; `inf` without privacy.

    Raises:
      EvidenceError: If they differ in noise or sampling.
      ParameterError: If all steps together are more than the accountants take.
    """
    if not _same_noise(mechanism, reference):
        raise EvidenceError("The reference models were not trained by the model's own mechanism.")
    if isinstance(mechanism, NoMechanism) or isinstance(reference, NoMechanism):
        return math.inf
    if not (mechanism.is_private and reference.is_private):
        return math.inf
    run = mechanism.composition
    steps = int(run["steps"]) + trainings_per_record * int(reference.composition["steps"])
    bounds = accounting.epsilon_bounds(**{**run, "steps": steps}, target_delta=target_delta)
    return bounds.best


def _same_noise(mechanism: DPMechanism | NoMechanism, reference: DPMechanism | NoMechanism) -> bool:
    """Whether both add the same noise to samples of the same kind, so that one accounting covers both."""
    if isinstance(mechanism, NoMechanism) or isinstance(reference, NoMechanism):
        return isinstance(mechanism, NoMechanism) and isinstance(reference, NoMechanism)
    own, other = mechanism.composition, reference.composition
    return all(own[name] == other[name] for name in ("noise_multiplier", "sampling_probability"))


def _check_references(guarantee: PrivacyGuarantee) -> None:
    references = guarantee.references
    if references is None:
        return
    found = epsilon_with_references(
        guarantee.mechanism,
        references.mechanism,
        trainings_per_record=references.trainings_per_record,
        target_delta=guarantee.target_delta,
    )
    stated = math.inf if references.epsilon_all == "inf" else float(references.epsilon_all)
    if not stated >= found * (1 - 1e-6):
        raise EvidenceError(
            f"The guarantee states epsilon_all={stated!r} of the model and its reference models, but together they come to {found!r} "
            f"at delta={guarantee.target_delta:g}."
        )


def write_statement(guarantee: PrivacyGuarantee) -> str:
    """The guarantee in prose: what is protected, how it was computed, and what is not covered."""
    return " ".join([*_statement(guarantee), *_reference_sentences(guarantee)])


def _statement(guarantee: PrivacyGuarantee) -> list[str]:
    mechanism = guarantee.mechanism
    if isinstance(mechanism, NoMechanism):
        return [
            f"This model was trained for {mechanism.steps} steps WITHOUT differential privacy, as its parameters ask "
            "(enabled=False). Epsilon is infinite: nothing limits what the model reveals about its training records."
        ]
    if not mechanism.is_private:
        return [
            "NOT PRIVATE: this model was trained with a deterministic noise stream, which exists for tests only. "
            "Whoever knows the seed can subtract the noise. Epsilon is infinite."
        ]
    return [*_guarantee_sentences(guarantee, mechanism), *_base_sentences(guarantee), *_limits(guarantee)]


def _guarantee_sentences(guarantee: PrivacyGuarantee, mechanism: DPMechanism) -> list[str]:
    other = "" if guarantee.epsilon_pld is None else f" (by Renyi DP: {_shown(guarantee.epsilon_rdp)})"
    return [
        f"The release of this model's weights, and of every intermediate one, is differentially private with "
        f"epsilon={_shown(guarantee.epsilon_rdp if guarantee.epsilon_pld is None else guarantee.epsilon_pld)} at "
        f"delta={guarantee.target_delta:g}{other}, with {_unit(guarantee)} as privacy unit, under {_relation(guarantee)} changes the "
        "probability of any outcome by at most a factor exp(epsilon), except with probability delta.",
        *_mechanism_sentences(guarantee, mechanism),
        _population_sentence(guarantee),
        f"Epsilon was computed by dp-accounting {guarantee.accountant.version}. The noise was keyed by the operating "
        "system and the key was not kept.",
        *_audit_sentences(guarantee.audit),
    ]


def _unit(guarantee: PrivacyGuarantee) -> str:
    if guarantee.privacy_unit == "example":
        return "one example (one record)"
    return f"one user (of whom at most {guarantee.max_records_per_user} records were used)"


def _relation(guarantee: PrivacyGuarantee) -> str:
    one = "any one record" if guarantee.privacy_unit == "example" else "any one user's data"
    if guarantee.neighboring_relation == "ADD_OR_REMOVE_ONE":
        return f"the add-or-remove-one neighbouring relation: whether {one} was in the training data"
    return f"the zero-out neighbouring relation (REPLACE_SPECIAL): whether {one} was there or an empty one in its place"


def _mechanism_sentences(guarantee: PrivacyGuarantee, mechanism: DPMechanism) -> list[str]:
    unit = "record" if guarantee.privacy_unit == "example" else "user"
    name = "DP-SGD" if mechanism.kind == "dp_sgd" else "DP-FTRL"
    sentences = [
        f"The mechanism that was executed: {mechanism.steps} steps of {name}, {_batches(mechanism, unit)}; each {unit}'s gradient was "
        f"clipped to L2 norm {mechanism.l2_norm_clip:g}, {_noise(mechanism)} was added to the sum, and the sum divided by the constant "
        f"{mechanism.expected_batch_size:g}."
    ]
    if mechanism.adaptive_clipping is not None:
        sentences.append(_adaptive_sentence(mechanism, mechanism.adaptive_clipping, unit))
    if mechanism.lost_steps:
        sentences.append(
            f"The run was broken off and resumed: {mechanism.lost_steps} of the steps were lost, and are counted."
        )
    return sentences


def _noise(mechanism: DPMechanism) -> str:
    if mechanism.adaptive_clipping is not None:
        sum_noise = mechanism.adaptive_clipping.sum_noise_multiplier
        return f"Gaussian noise of standard deviation {sum_noise:.6g} times the clip"
    if mechanism.kind == "dp_ftrl":
        deviation = f"{mechanism.noise_multiplier:.6g} times that"
        return f"the noise of a binary tree (DP-FTRL), each of whose nodes has a standard deviation {deviation},"
    return f"Gaussian noise of standard deviation {mechanism.noise_multiplier:.6g} times that"


def _batches(mechanism: DPMechanism, unit: str) -> str:
    if mechanism.passes is None:
        return (
            f"each on a batch into which every {unit} entered independently with probability {mechanism.sampling_probability:.6g} "
            "(Poisson sampling)"
        )
    return (
        f"in {len(mechanism.passes)} passes over the data, in each of which every {unit} took part once; no amplification by the order "
        "is claimed"
    )


def _adaptive_sentence(mechanism: DPMechanism, adaptive: AdaptiveClipping, unit: str) -> str:
    return (
        f"The clip followed the {adaptive.target_quantile:g}-quantile of the gradients' norms, and ended at "
        f"{adaptive.final_l2_norm_clip:.3g}, by a count of the {unit}s within it that had noise of standard deviation "
        f"{adaptive.count_standard_deviation:g}; sum and count together have the noise multiplier {mechanism.noise_multiplier:.6g}."
    )


def _population_sentence(guarantee: PrivacyGuarantee) -> str:
    units = "records" if guarantee.privacy_unit == "example" else "users"
    number = guarantee.population.records
    if guarantee.population.source == "declared":
        return f"The number of {units}, {number}, was declared before training."
    return f"The number of {units}, {number}, was counted from the data and is treated as public."


def _audit_sentences(audit: Audit | None) -> list[str]:
    if audit is None:
        return []
    return [
        f"An audit with {audit.num_canaries} canaries in this run shows epsilon >= {audit.epsilon_lower_bound:.3g} with confidence "
        f"{audit.confidence:g}. It tests the noise and the clipping; it is no evidence that epsilon is smaller than stated."
    ]


def _base_sentences(guarantee: PrivacyGuarantee) -> list[str]:
    base = guarantee.base_model
    if base is None:
        return []
    began = f"Training began from the weights of another model ({base.model_digest[:19]}...)"
    if not base.is_private:
        return [
            f"{began}, which the pipeline's author declared public: what it reveals about the people in its own training data is not "
            "covered, and nothing checked that they are not among these."
        ]
    if guarantee.epsilon_rdp == "inf":
        return [f"{began}, which was trained on private records, and nothing bounds both trainings together."]
    assert base.target_delta is not None
    own = _shown(epsilon_of_this_run(guarantee))
    return [
        f"{began}, whose guarantee states epsilon={_shown(base.epsilon)} at delta={base.target_delta:g}. Its {len(base.trainings)} "
        f"training(s) and this one are added up, as if on the same records: epsilon above is of all of them together, of this one alone "
        f"it would be {own}."
    ]


def _limits(guarantee: PrivacyGuarantee) -> list[str]:
    sentences = [_ledger_sentence(guarantee)]
    if guarantee.privacy_unit == "example":
        sentences.insert(0, "Somebody with several records has weaker protection than this.")
    uncovered = [f"{item.artifact} ({item.detail})" for item in guarantee.scope if not item.covered]
    if uncovered:
        sentences.append(f"NOT covered, because it read the data without differential privacy: {'; '.join(uncovered)}.")
    sentences.append(
        "Data statistics, the schema and evaluation results of the same pipeline are not covered either; they are not part of the model."
    )
    return sentences


def _ledger_sentence(guarantee: PrivacyGuarantee) -> str:
    if guarantee.ledger is None:
        return "No budget ledger was used: other runs on the same data, tuning included, add to what is spent."
    blocks = f", blocks {', '.join(guarantee.ledger.blocks)}" if guarantee.ledger.blocks else ""
    return (
        f"The run was charged, before it read a record, to the budget of dataset {guarantee.dataset_id!r}{blocks} in ledger "
        f"{guarantee.ledger.ledger_id[:8]}, entry {guarantee.ledger.sequence}: other runs that were charged there share this budget; "
        "what was done with the data elsewhere is not counted."
    )


def _reference_sentences(guarantee: PrivacyGuarantee) -> list[str]:
    references = guarantee.references
    if references is None:
        return []
    unit = "record" if guarantee.privacy_unit == "example" else "user"
    sentences = [
        f"{references.num_models} reference models were trained by the same mechanism on halves of the training and evaluation records, for "
        f"attacks to compare this model with; each {unit} is in the training data of {references.num_models // 2} of them. They are "
        "not part of what is released, and this guarantee's epsilon does not cover them. The sizes of the halves are treated as public."
    ]
    if references.lost_trainings:
        sentences.append(
            f"{references.lost_trainings} more such trainings were lost when a run was broken off, and are counted as if each {unit} had "
            "been in all of them."
        )
    if references.epsilon_all == "inf":
        sentences.append("Nothing limits what they reveal about these records.")
    else:
        sentences.append(
            f"Whoever can read all of them and this model learns about one {unit} at most what epsilon={_shown(references.epsilon_all)} at "
            f"delta={guarantee.target_delta:g} allows."
        )
    sentences.append(
        "Never publish them, and keep the file beside them, which names their records by hashes without any noise, as safe as the "
        "records themselves."
    )
    return sentences


def _shown(epsilon: Epsilon | None) -> str:
    """Rounded up, so that the prose never states less than the number."""
    return "infinite" if epsilon in (None, "inf") else f"{math.ceil(float(epsilon) * 1e4) / 1e4:.4f}"
