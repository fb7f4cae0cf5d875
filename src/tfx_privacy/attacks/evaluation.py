"""The result of attacking one model: the record that PrivacyEvaluator writes and the gate reads."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import pydantic

from tfx_privacy.attacks import served
from tfx_privacy.attacks.served import ServedSignature
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

FILE_NAME = "privacy_evaluation.json"
WHOLE_SET = "all"
CLASS_FEATURE = "class"
CORRECTNESS_FEATURE = "correct"
POOLED = "<other>"
CONTROL = "blind"
"""The control: a classifier that sees features and label, and no model."""

Status = Literal["OK", "INSUFFICIENT", "CONFOUNDED", "UNSUPPORTED"]
Task = Literal["binary", "multiclass", "multilabel", "regression", "sequence", "loss", "unsupported"]
Family = Literal["attribute_inference", "canary_exposure", "model_inversion", "property_inference"]


class Interval(Record):
    """A two-sided confidence interval with its point estimate, -1 <= low <= estimate <= high <= 1."""

    estimate: float
    low: float
    high: float

    @pydantic.model_validator(mode="after")
    def _ordered(self) -> Interval:
        if not (-1.0 <= self.low <= self.estimate <= self.high <= 1.0):
            raise ValueError(f"expected -1 <= low={self.low} <= estimate={self.estimate} <= high={self.high} <= 1")
        return self


class TprAtFpr(Record):
    """True-positive rate of an attack at one false-positive rate."""

    false_positive_rate: OpenProbability
    tpr: Interval


class AttackResult(Record):
    """One attack on one slice.

    Members are the positive class: AUC is the probability that a random member scores higher
    than a random non-member. Without numbers if `status` is INSUFFICIENT or UNSUPPORTED; with
    numbers that must not be trusted if it is CONFOUNDED.
    """

    attack: Text
    slice_feature: Text
    """"all" for the whole set, "class" for the label, "correct" for whether the model is right,
    else the feature's name."""
    slice_value: Text
    """"" for the whole set; "<other>" pools values that are too rare to judge alone."""
    num_members: Count
    """Members whose scores were compared."""
    num_nonmembers: Count
    num_member_groups: Count | None = None
    """Effective number of groups of the members, at most their number: n^2 / (sum of squares of their sizes)."""
    num_nonmember_groups: Count | None = None
    status: Status
    reason: Text = ""
    auc: Interval | None = None
    advantage: Interval | None = None
    tpr_at_fpr: list[TprAtFpr] = []
    """Only for rates with at least 10 non-members above the threshold."""
    adjusted_p_value: Probability | None = None
    """Of AUC = 1/2, two-sided, adjusted over all attacks and slices (Holm 1979)."""

    @pydantic.model_validator(mode="after")
    def _complete(self) -> AttackResult:
        if self.status == "OK" and self.auc is None:
            raise ValueError("a row of status OK needs an auc")
        if self.status in ("INSUFFICIENT", "UNSUPPORTED") and self.auc is not None:
            raise ValueError(f"a row of status {self.status} has no auc")
        if self.status != "OK" and not self.reason:
            raise ValueError(f"a row of status {self.status} needs a reason")
        if self.auc is not None and not self.auc.low >= 0.0:
            raise ValueError("an AUC is not negative")
        for groups, records in zip(self.independent_sizes, (self.num_members, self.num_nonmembers), strict=True):
            if not groups <= records:
                raise ValueError(f"expected num_groups={groups} <= num_records={records}")
        return self

    @property
    def attack_auc_upper(self) -> float:
        """Upper confidence bound on the AUC of the better of the attack and its mirror image.

        An AUC of 0.2 is an attack of 0.8 with the sign turned.
        """
        assert self.auc is not None
        return max(self.auc.high, 1.0 - self.auc.low)

    @property
    def independent_sizes(self) -> tuple[int, int]:
        """How many members and non-members are independent of each other: groups, or records that stand for themselves."""
        members, others = self.num_member_groups, self.num_nonmember_groups
        return (
            self.num_members if members is None else members,
            self.num_nonmembers if others is None else others,
        )

    @property
    def slice_name(self) -> str:
        """The slice as people read it."""
        return "all records" if self.slice_feature == WHOLE_SET else f"{self.slice_feature}={self.slice_value}"


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
    from_logits: bool | None = None
    """Whether outputs were taken as logits (else as probabilities); None where they are neither."""


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
    num_unusable_members: Count = 0
    """Without a finite score: a NaN or infinite output, or a label outside the task's."""
    num_unusable_nonmembers: Count = 0
    num_overlapping: Count
    """Records that stand, feature by feature, on both sides."""
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
    def _each_once(self) -> PrivacyEvaluation:
        keys = [(row.attack, row.slice_feature, row.slice_value) for row in self.results]
        if len(set(keys)) != len(keys):
            raise ValueError("an attack on one slice has several rows")
        names = [name for name, _ in served.outputs_of(self.served)]
        if len(set(names)) != len(names):
            raise ValueError("an output is served under one name twice")
        return self

    @property
    def attacked_outputs(self) -> list[str]:
        """Full names of the heads' outputs."""
        return [served.full_name(self.signature_name, head.output_key) for head in self.heads]

    @property
    def task(self) -> Task:
        """Of the first head; "unsupported" if any head is."""
        return "unsupported" if any(head.task == "unsupported" for head in self.heads) else self.heads[0].task

    def rows(self, *, attack: str, feature: str) -> list[AttackResult]:
        """The rows of one attack on the slices of one feature."""
        return [row for row in self.results if row.attack == attack and row.slice_feature == feature]
