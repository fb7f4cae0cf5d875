"""The result of attacking one model: the record that PrivacyEvaluator writes and the gate reads."""

from __future__ import annotations

import collections
import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, NamedTuple

import pydantic

from tfx_privacy.attacks import consistency, served
from tfx_privacy.attacks.result import (
    CLASS_FEATURE,
    CONTROL,
    CORRECTNESS_FEATURE,
    POOLED,
    UNJUDGED,
    WHOLE_SET,
    AttackResult,
    Interval,
    Status,
    Task,
    TprAtFpr,
)
from tfx_privacy.attacks.served import ServedSignature
from tfx_privacy.attacks.trained_records import TrainedRecordsFound
from tfx_privacy.guarantee.record import FeatureKind
from tfx_privacy.records import statement
from tfx_privacy.records.base import (
    Count,
    Digest,
    OpenProbability,
    PositiveCount,
    Probability,
    Record,
    Text,
)
from tfx_privacy.records.statement import ModelRecord

__all__ = [
    "BOUND_IF_GAUSSIAN",
    "CLASS_FEATURE",
    "CONTROL",
    "CORRECTNESS_FEATURE",
    "EXPOSURE_METRICS",
    "FILE_NAME",
    "MAX_OVERLAP",
    "POOLED",
    "UNJUDGED",
    "WHOLE_SET",
    "AttackResult",
    "Checkpoint",
    "Curve",
    "EpsilonBound",
    "Family",
    "Finding",
    "Head",
    "Interval",
    "PrivacyEvaluation",
    "References",
    "Status",
    "Task",
    "TprAtFpr",
    "epsilon_metric",
]

FILE_NAME = "privacy_evaluation.json"
MAX_OVERLAP = 0.05
"""Share of the non-members that may equal a member and be left out. Those that are left out may be unlike the others, so the
AUC of a model that leaks nothing moves, by half of this share at most."""

Family = Literal["attribute_inference", "canary_exposure", "model_inversion", "property_inference"]


class EpsilonBound(NamedTuple):
    """A formal lower bound on epsilon, as a finding states it."""

    epsilon: float
    """Nats; the largest that the finding's numbers prove."""
    delta: float
    records: int
    """Of so many records together."""


BOUND_IF_GAUSSIAN = "bound if the mechanism is Gaussian (nats)"
"""Name of the detail with the sharper bound for mechanisms whose trade-off curve is at least as private as a Gaussian one."""
_EPSILON_METRIC = re.compile(r"lower bound on epsilon \(nats\) at delta=(\S+?)(?:, of ([1-9]\d{0,5}) records)?")


EXPOSURE_METRICS = ("mean exposure (bits)", "exposure (bits)")
"""Metrics of findings on how well canaries are remembered: no bounds on epsilon."""
# In any letters: compatibility forms and case are folded before.
_OF_EPSILON = re.compile(r"epsilon|\u03b5|\beps\b|\bnats?\b")


def epsilon_metric(delta: float, *, records: int = 1) -> str:
    """The metric of a finding that bounds epsilon from below; `Finding.epsilon_bound` reads it.

    >>> epsilon_metric(1e-5), epsilon_metric(1e-6, records=4)
    ('lower bound on epsilon (nats) at delta=1e-05', 'lower bound on epsilon (nats) at delta=1e-06, of 4 records')
    """
    return f"lower bound on epsilon (nats) at delta={delta!r}" + (f", of {records} records" if records != 1 else "")


class Finding(Record):
    """What an attack other than membership inference found: one row, or the reason why there is none."""

    family: Family
    subject: Text
    """What was attacked: a sensitive feature, a number of repetitions of a canary, a class, a property."""
    status: Status
    reason: Text = ""
    metric: Text = ""
    """What the numbers are, with their unit."""
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    """Confidence interval of the estimate, at the evaluation's confidence level."""
    harmless: float | None = None
    """What the metric is for a model that leaks nothing; a leak is shown where it lies outside the interval."""
    p_value: Probability | None = None
    """Of the estimate under no leak."""
    num_records: Count = 0
    details: dict[Text, float] = {}
    """Further numbers, each named with its unit: baselines, counts."""

    @pydantic.model_validator(mode="after")
    def _complete(self) -> Finding:
        if self.status == "OK":
            if self.estimate is None or self.low is None or self.high is None or self.harmless is None:
                raise ValueError("a finding of status OK needs estimate, low, high and harmless")
            if not self.low <= self.estimate <= self.high:
                raise ValueError(f"expected low={self.low} <= estimate={self.estimate} <= high={self.high}")
        elif not self.reason:
            raise ValueError(f"a finding of status {self.status} needs a reason")
        return self

    @property
    def epsilon_bound(self) -> EpsilonBound | None:
        """The lower bound on epsilon that it states; None if it is about something else, or has no number.

        Raises:
          ValueError: If it speaks of epsilon, or is of canaries, in words that nothing can be compared with; or if it
            has numbers, and none of them is the bound.
        """
        numbers = [number for number in (self.low, self.estimate) if number is not None]
        proved = self.details.get(BOUND_IF_GAUSSIAN)
        others = [number for number in (self.high, self.harmless, self.p_value, proved) if number is not None]
        if not (numbers or others) or not (self._speaks_of_epsilon or proved is not None):
            return None
        match = _EPSILON_METRIC.fullmatch(self.metric)
        try:
            delta = float(match[1]) if match else math.nan
        except ValueError:
            delta = math.nan
        if match is None or not 0.0 < delta < 1.0:
            raise ValueError(f"metric={self.metric[:200]!r} speaks of epsilon, and states no bound at a delta")
        records = int(match[2] or 1)
        # The sharper bound is of the canaries one by one.
        numbers += [proved] if records == 1 and proved is not None else []
        if not numbers or not all(math.isfinite(number) for number in numbers):
            raise ValueError(f"metric={self.metric[:200]!r} is a bound, but estimate and low state none")
        return EpsilonBound(max(numbers), delta, records)

    @property
    def _speaks_of_epsilon(self) -> bool:
        """Of canaries everything does that is not their exposure in bits, so a bound by another name is none of nothing."""
        if self.family == "canary_exposure":
            return self.metric not in EXPOSURE_METRICS
        words = unicodedata.normalize("NFKC", self.metric).casefold()
        return _OF_EPSILON.search(words) is not None


class Curve(Record):
    """What a picture of one attack on the whole set needs; at most some hundred points."""

    attack: Text
    false_positive_rate: list[Probability]
    """Ascending."""
    true_positive_rate: list[Probability]
    true_positive_rate_low: list[Probability]
    true_positive_rate_high: list[Probability]
    """Pointwise confidence band."""
    score_edges: list[float]
    """Edges of the bins of scores, ascending; one more than bins."""
    member_share: list[Probability]
    """Share of the members in each bin."""
    nonmember_share: list[Probability]

    @pydantic.model_validator(mode="after")
    def _same_lengths(self) -> Curve:
        rates = {len(self.false_positive_rate), len(self.true_positive_rate)}
        rates |= {len(self.true_positive_rate_low), len(self.true_positive_rate_high)}
        bins = {len(self.score_edges) - 1, len(self.member_share), len(self.nonmember_share)}
        if len(rates) != 1 or len(bins) != 1:
            raise ValueError("the parts of a curve differ in length")
        return self


class Checkpoint(Record):
    """The attack on the model as it was during training."""

    step: PositiveCount
    attack_auc: Interval
    """Of the loss, between training and test records; not stratified, not controlled."""
    train_accuracy: Probability | None = None
    """None where the task has no classes."""
    test_accuracy: Probability | None = None
    train_loss: float
    test_loss: float


class Head(Record):
    """One output of the model, and the label it is compared with."""

    name: Text
    task: Task
    output_key: Text
    label_key: Text
    """Empty for task "loss", whose output needs no label."""
    label_features: FeatureKind | None = None
    """Whether the label was read from the examples, or from what the transform graph gives; None without one."""
    from_logits: bool | None = None
    """Whether outputs were taken as logits (else as probabilities); None where they are neither."""
    label_texts_digest: Digest | None = None
    """Of the texts whose places are the labels, in their order; None where the labels are numbers."""


class Groups(Record):
    """The groups, such as people, that intervals and folds take for independent of each other, instead of records."""

    group_key: Text
    """The feature that names them."""
    num_member_groups: PositiveCount
    num_nonmember_groups: PositiveCount
    num_on_both_sides: Count
    """Groups with members and non-members among their records."""


class SuspectedGroups(Record):
    """A feature whose equal values repeat within a side and not across sides: records were split by groups, it seems."""

    feature: Text
    """Empty for all features together: identical records."""
    num_repeated: PositiveCount
    """Values that several of the sampled records (or known groups) have."""
    num_on_both_sides: Count
    """Those of them that are on both sides."""
    notice: Text
    """What that means, and what to do."""


class References(Record):
    """The reference models that calibrated attacks compare with."""

    num_models: PositiveCount
    matched_share: Probability
    """Share of the sampled members that the reference models' record of their training data knows."""
    model_digest: Digest
    """Of all reference models together."""


class PrivacyEvaluation(ModelRecord):
    """All attacks on one model, bound to it by digest."""

    predicate_type: ClassVar[str] = f"{statement.PREDICATE_TYPES}/evaluation/v1"

    issued_at: Text
    model_digest: Digest
    member_splits: Annotated[list[Text], pydantic.Field(min_length=1)]
    nonmember_splits: Annotated[list[Text], pydantic.Field(min_length=1)]
    num_members: Count
    """All that were read, those without a finite score included."""
    num_nonmembers: Count
    """Likewise, without those that equal a member: they are in nothing but `num_overlapping` and `trained_records`."""
    num_unusable_members: Count = 0
    """Without a finite score: a NaN or infinite output, or a label outside the task's."""
    num_unusable_nonmembers: Count = 0
    num_overlapping: Count
    """Non-members that were left out because they equal a member, feature by feature."""
    max_overlap: Probability
    """Largest share of the non-members, with those that were left out, on which attacks are judged."""
    trained_records: TrainedRecordsFound | None = None
    """How many records of both sides the model was trained on; None where no trainer's file stands next to the model."""
    heads: Annotated[list[Head], pydantic.Field(min_length=1)]
    signature_name: Annotated[Text, pydantic.Field(min_length=1)]
    """The signature whose outputs were attacked."""
    served: Annotated[list[ServedSignature], pydantic.Field(min_length=1)]
    """Every signature of the SavedModel, of every MetaGraph."""
    num_compared: Count
    """Records on which outputs were found to be the same: a random sample of all files of both sides."""
    slice_features: list[Text]
    """Features that were sliced by, the label's "class" included where there is one."""
    confidence_level: OpenProbability
    false_positive_rates: list[OpenProbability]
    min_records: PositiveCount
    min_slice_size: PositiveCount
    sample_size: PositiveCount
    """Records per side that attacks with a classifier or reference models were run on, at most; all
    others see every record."""
    results: Annotated[list[AttackResult], pydantic.Field(min_length=1)]
    findings: list[Finding] = []
    curves: list[Curve] = []
    over_training: list[Checkpoint] = []
    references: References | None = None
    groups: Groups | None = None
    """None where every record was taken for independent of all others."""
    suspected_groups: list[SuspectedGroups] = []
    """Groups that the data show and that were not reckoned with: intervals are too narrow."""
    engine: Text

    @pydantic.model_validator(mode="after")
    def _groups_are_known(self) -> PrivacyEvaluation:
        for row in self.results:
            if self.groups is None and (row.num_member_groups, row.num_nonmember_groups) != (None, None):
                raise ValueError(f"{row.attack} on {row.slice_name} counts groups, and there are none")
        return self

    @pydantic.model_validator(mode="after")
    def _consistent(self, info: pydantic.ValidationInfo) -> PrivacyEvaluation:
        keys = [(row.attack, row.slice_feature, row.slice_value) for row in self.results]
        if len(set(keys)) != len(keys):
            raise ValueError("an attack on one slice has several rows")
        names = [name for name, _ in served.outputs_of(self.served)]
        if len(set(names)) != len(names):
            raise ValueError("an output is served under one name twice")
        # What is read; the gate asks for what was made in its own process.
        if info.mode == "json" and self.contradictions:
            raise ValueError(f"it contradicts itself: {'; '.join(self.contradictions[:5])}")
        return self

    @property
    def overlap_share(self) -> float:
        """Of the non-members, those that were left out because they equal a member."""
        return self.num_overlapping / max(1, self.num_nonmembers + self.num_overlapping)

    @property
    def attacked_outputs(self) -> list[str]:
        """Full names of the heads' outputs."""
        return [served.full_name(self.signature_name, head.output_key) for head in self.heads]

    @property
    def contradictions(self) -> list[str]:
        """What in it cannot be true together (`attacks.consistency`)."""
        totals = consistency.Totals(
            members=self.num_members,
            others=self.num_nonmembers,
            unusable_members=self.num_unusable_members,
            unusable_others=self.num_unusable_nonmembers,
            overlapping=self.num_overlapping,
            max_overlap=self.max_overlap,
            min_records=self.min_records,
            min_slice_size=self.min_slice_size,
            sample_size=self.sample_size,
            confidence_level=self.confidence_level,
            false_positive_rates=tuple(self.false_positive_rates),
            heads=tuple(head.name for head in self.heads),
            is_supported=self.task != "unsupported",
            has_references=self.references is not None,
            groups=None
            if self.groups is None
            else (self.groups.num_member_groups, self.groups.num_nonmember_groups, self.groups.num_on_both_sides),
        )
        found = consistency.contradictions(self.results, totals) + consistency.of_curves(self.curves, self.results)
        found += served.contradictions(
            self.served, self.attacked_outputs, is_judged=any(row.status == "OK" for row in self.results)
        )
        if not self.num_compared <= min(self.num_members + self.num_nonmembers, 2 * self.sample_size):
            found.append(f"outputs were compared on {self.num_compared} records, more than were read or drawn")
        return found

    @property
    def task(self) -> Task:
        """Of the first head; "unsupported" if any head is."""
        return "unsupported" if any(head.task == "unsupported" for head in self.heads) else self.heads[0].task

    def rows(self, *, attack: str, feature: str) -> list[AttackResult]:
        """The rows of one attack on the slices of one feature."""
        return [row for row in self.results if row.attack == attack and row.slice_feature == feature]

    def rows_by_feature(self) -> Mapping[tuple[str, str], list[AttackResult]]:
        """All rows by attack and feature, for whoever asks for many; without rows the list is empty."""
        found: dict[tuple[str, str], list[AttackResult]] = collections.defaultdict(list)
        for row in self.results:
            found[row.attack, row.slice_feature].append(row)
        return found
