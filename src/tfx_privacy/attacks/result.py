"""One attack on one slice of the records: a row of the evaluation."""

from __future__ import annotations

from typing import Literal

import pydantic

from tfx_privacy.records.base import Count, OpenProbability, Probability, Record, Text

WHOLE_SET = "all"
CLASS_FEATURE = "class"
CORRECTNESS_FEATURE = "correct"
POOLED = "<other>"
UNJUDGED = "<not judged>"
"""Slice of the values with enough members that are too many to be judged each by itself."""
CONTROL = "blind"
"""The control: a classifier that sees features and label, and no model."""

Status = Literal["OK", "INSUFFICIENT", "CONFOUNDED", "UNSUPPORTED"]
Task = Literal["binary", "multiclass", "multilabel", "regression", "sequence", "loss", "unsupported"]


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

    @pydantic.model_validator(mode="after")
    def _a_rate(self) -> TprAtFpr:
        if not self.tpr.low >= 0.0:
            raise ValueError(f"a rate is not negative, but low={self.tpr.low}")
        return self


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
    """"" for the whole set; "<other>" pools values that are too rare to judge alone, "<not judged>" counts those that
    are too many."""
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
