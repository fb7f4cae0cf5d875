"""The result of attacking one model: the record that PrivacyEvaluator writes and the gate reads."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic

from tfx_privacy.privacy._records import Count, Digest, OpenProbability, PositiveCount, Probability, Record, Text

SCHEMA_VERSION: Literal[1] = 1
FILE_NAME = "privacy_evaluation.json"
WHOLE_SET = "all"
CLASS_FEATURE = "class"
POOLED = "<other>"

Status = Literal["OK", "INSUFFICIENT", "CONFOUNDED", "UNSUPPORTED"]
Task = Literal["binary", "multiclass", "unsupported"]


class Interval(Record):
    """A two-sided confidence interval with its point estimate, low <= estimate <= high."""

    estimate: float
    low: float
    high: float

    @pydantic.model_validator(mode="after")
    def _ordered(self) -> Interval:
        if not (-1.0 <= self.low <= self.estimate <= self.high <= 1.0):
            raise ValueError(f"expected -1 <= low={self.low} <= estimate={self.estimate} <= high={self.high} <= 1")
        return self


class AttackResult(Record):
    """One attack on one slice.

    Members are the positive class: AUC is the probability that a random member scores higher
    than a random non-member. `auc`, `advantage` and `tpr_at_fpr` are None unless `status` is OK.
    """

    attack: Text
    slice_feature: Text
    """"all" for the whole set, "class" for the label, else the name of the feature."""
    slice_value: Text
    """"" for the whole set; "<other>" pools values that are too rare to judge alone."""
    num_members: Count
    num_nonmembers: Count
    status: Status
    reason: Text = ""
    auc: Interval | None = None
    advantage: Interval | None = None
    tpr_at_fpr: Interval | None = None
    """TPR at `false_positive_rate`; None where there are too few non-members for that rate."""

    @pydantic.model_validator(mode="after")
    def _complete(self) -> AttackResult:
        if self.status == "OK" and self.auc is None:
            raise ValueError("a row of status OK needs an auc")
        if self.status != "OK" and not self.reason:
            raise ValueError(f"a row of status {self.status} needs a reason")
        if self.auc is not None and not self.auc.low >= 0.0:
            raise ValueError("an AUC is not negative")
        return self

    @property
    def attack_auc_upper(self) -> float:
        """Upper confidence bound on the AUC of the better of the attack and its mirror image.

        An AUC of 0.2 is an attack of 0.8 with the sign turned.
        """
        assert self.auc is not None
        return max(self.auc.high, 1.0 - self.auc.low)

    @property
    def slice_name(self) -> str:
        """The slice as people read it."""
        return "all records" if self.slice_feature == WHOLE_SET else f"{self.slice_feature}={self.slice_value}"


class PrivacyEvaluation(Record):
    """All attacks on one model, bound to it by digest."""

    schema_version: Literal[1] = SCHEMA_VERSION
    issued_at: Text
    model_digest: Digest
    member_splits: Annotated[list[Text], pydantic.Field(min_length=1)]
    nonmember_splits: Annotated[list[Text], pydantic.Field(min_length=1)]
    num_members: Count
    num_nonmembers: Count
    num_overlapping: Count
    """Records that stand, byte for byte, on both sides."""
    task: Task
    from_logits: bool
    """Whether the model's outputs were taken as logits (else as probabilities)."""
    slice_features: list[Text]
    """Features that were sliced by, the label's "class" included."""
    confidence_level: OpenProbability
    false_positive_rate: OpenProbability
    min_slice_size: PositiveCount
    results: Annotated[list[AttackResult], pydantic.Field(min_length=1)]
    engine: Text

    def slice_coverage(self, feature: str, attack: str) -> Probability:
        """Share of the members that lie in slices of `feature` which `attack` could judge."""
        rows = [r for r in self.results if r.slice_feature == feature and r.attack == attack]
        if not rows or self.num_members == 0:
            return 0.0
        return min(1.0, sum(r.num_members for r in rows if r.status == "OK") / self.num_members)
