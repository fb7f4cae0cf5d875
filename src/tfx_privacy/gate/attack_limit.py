"""The rows of an evaluation against the limit on the attacks' AUC, the small ones together."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import special, stats

from tfx_privacy.attacks.evaluation import (
    CONTROL,
    WHOLE_SET,
    AttackResult,
    PrivacyEvaluation,
)

FALSE_REFUSALS = 0.04
"""Probability that any slice's row, or small slices together, of a model that leaks nothing make the gate refuse; the
control adds its own 0.01, and the whole set what its number of records brings (`false_refusals`)."""


class Standing(enum.Enum):
    """How a row compares with the limit."""

    WITHIN = "the upper bound keeps the limit"
    ABOVE = (
        "it does not, on enough records for a harmless model to have kept it, or the lower bound is above the limit too"
    )
    INCONCLUSIVE = "it does not, but neither would a harmless model have done, on so few records"


def attacked(record: PrivacyEvaluation) -> list[AttackResult]:
    """The rows that say something of the model."""
    return [row for row in record.results if row.status == "OK" and row.attack != CONTROL]


def upper_bound(row: AttackResult) -> float:
    """The row's upper bound; what is no number counts as certainty, whichever of its numbers that is."""
    upper = row.attack_auc_upper
    return upper if is_known(row) else 1.0


def is_known(row: AttackResult) -> bool:
    """Whether the row's AUC and both bounds are numbers; each is looked at: max() of a number and NaN may be either."""
    assert row.auc is not None
    return all(math.isfinite(value) for value in (row.auc.low, row.auc.estimate, row.auc.high))


def quantile_of(confidence_level: float) -> float:
    """How many standard deviations the ends of an interval are away."""
    return float(stats.norm.isf((1.0 - confidence_level) / 2))


def deviation(row: AttackResult, quantile: float) -> float:
    """Of the row's AUC, by its interval."""
    assert row.auc is not None
    return (row.auc.high - row.auc.low) / (2 * quantile)


@dataclasses.dataclass(frozen=True)
class AttackLimit:
    """What every row of one evaluation is held against; NaN and whatever else cannot be compared is ABOVE.

    Attributes:
      limit: Largest upper bound on an AUC.
      quantile: How many standard deviations the ends of an interval are away.
      strict: The quantile at which each test has an equal part of the error (Bonferroni): each row is one, and the small
        slices of an attack and a feature are two together.
    """

    limit: float
    quantile: float
    strict: float

    @classmethod
    def of(cls, record: PrivacyEvaluation, limit: float) -> AttackLimit:
        """The limit for an evaluation; where no row was judged there is nothing to hold against it."""
        rows = attacked(record)
        together = {(row.attack, row.slice_feature) for row in rows if row.slice_feature != WHOLE_SET}
        num_tests = max(1, len(rows) + 2 * len(together))
        return cls(
            limit=limit,
            quantile=quantile_of(record.confidence_level),
            strict=float(stats.norm.isf(FALSE_REFUSALS / (2 * num_tests))),
        )

    def standing(self, row: AttackResult) -> Standing:
        """How one row compares with the limit."""
        if upper_bound(row) <= self.limit:
            return Standing.WITHIN
        if not self.is_small(row):
            return Standing.ABOVE
        return Standing.INCONCLUSIVE if self._strict_lower(row) <= self.limit else Standing.ABOVE

    def tells_alone(self, row: AttackResult) -> bool:
        """Whether a row says something of the model without others: it is of enough records, or exceeds the limit for certain."""
        return not self.is_small(row) or not self._strict_lower(row) <= self.limit

    def is_small(self, row: AttackResult) -> bool:
        """Whether a harmless model could exceed the limit here by more than its part of the chance of a false refusal."""
        if row.slice_feature == WHOLE_SET:
            return False
        # No interval of a harmless model is wider than this, cross-fitted classifiers' included.
        members, others = row.independent_sizes
        if not min(members, others) > 0:
            return False
        widest = math.sqrt((1.0 / members + 1.0 / others) / 6.0)
        return 0.5 + (self.strict + self.quantile) * min(self._deviation(row), widest) > self.limit

    def jointly_within(self, rows: Sequence[AttackResult]) -> bool:
        """Whether slices that are too small by themselves keep the limit together: their mean AUC, and its spread.

        An AUC below one half counts as its mirror image, so slices of 0.7 and 0.3 do not cancel out: the root mean square
        of AUC - 1/2 must keep the limit as well. What chance alone adds to a square, the variance, is taken off, and the
        upper bound is by the normal approximation of the mean of squares.
        """
        weights, excess, variances = self._parts(rows)
        mean, variance = float(weights @ excess), float(weights**2 @ variances)
        squares = excess**2 - variances
        square = float(weights @ squares)
        of_square = float(weights**2 @ (2.0 * variances**2 + 4.0 * np.maximum(squares, 0.0) * variances))
        return (
            0.5 + abs(mean) + self.quantile * math.sqrt(variance) <= self.limit
            and square + self.quantile * math.sqrt(of_square) <= (self.limit - 0.5) ** 2
        )

    def jointly_above(self, rows: Sequence[AttackResult], *, slices_per_record: float = 1.0) -> bool:
        """Whether small slices exceed the limit together, and by more than a harmless model would.

        A harmless model's mean is normal, and its mean square about a multiple of chi-squared (Satterthwaite 1946).

        Args:
          rows: Of one attack on slices of one feature.
          slices_per_record: Mean number of slices that hold a record: what the slices find then is correlated.
        """
        if self.jointly_within(rows):
            return False
        weights, excess, _ = self._parts(rows)
        variances = np.array([self._harmless_deviation(row) ** 2 for row in rows])
        # As if the numbers of slices were geometric: the sum of squares over the sum, which the variance grows by.
        shared = 2.0 * max(1.0, slices_per_record) - 1.0
        expected, of_square = float(weights @ variances), 2.0 * shared * float(weights**2 @ variances**2)
        if not (expected > 0.0 and of_square > 0.0):
            return True
        freedom = 2.0 * expected**2 / of_square
        by_chance = float(stats.chi2.sf(float(weights @ excess**2) * freedom / expected, freedom))
        mean, deviation = float(weights @ excess), math.sqrt(shared * float(weights**2 @ variances))
        return not (abs(mean) <= self.strict * deviation and by_chance >= 2.0 * float(stats.norm.sf(self.strict)))

    def _harmless_deviation(self, row: AttackResult) -> float:
        """What the AUC's deviation would be at one half: an AUC far from it has a narrower interval, by chance too."""
        assert row.auc is not None
        if not (row.auc.low > 0.0 and row.auc.high < 1.0):
            return self._deviation(row)
        on_logit_scale = float(special.logit(row.auc.high) - special.logit(row.auc.low)) / (2 * self.quantile)
        return max(self._deviation(row), on_logit_scale / 4)

    def together(self, rows: Sequence[AttackResult]) -> tuple[float, float]:
        """Mean AUC of several slices, and the root mean square of their distances from one half beyond what chance adds."""
        weights, excess, variances = self._parts(rows)
        return 0.5 + float(weights @ excess), math.sqrt(max(0.0, float(weights @ (excess**2 - variances))))

    def _parts(self, rows: Sequence[AttackResult]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each row its share of the pairs, its AUC's distance from one half, and the variance of that."""
        pairs = np.array([float(row.num_members) * row.num_nonmembers for row in rows])
        excess = np.array([row.auc.estimate - 0.5 for row in rows if row.auc is not None])
        return pairs / pairs.sum(), excess, np.array([self._deviation(row) ** 2 for row in rows])

    def _deviation(self, row: AttackResult) -> float:
        return deviation(row, self.quantile)

    def _strict_lower(self, row: AttackResult) -> float:
        """Lower bound on the AUC of the better of the attack and its mirror image, at the strict quantile on the logit scale."""
        assert row.auc is not None
        estimate, low = row.auc.estimate, row.auc.low
        if estimate < 0.5:
            estimate, low = 1.0 - estimate, 1.0 - row.auc.high
        if not (low > 0.0 and estimate < 1.0):
            return low
        factor = self.strict / self.quantile
        return float(special.expit(special.logit(estimate) - factor * (special.logit(estimate) - special.logit(low))))


REFERENCE_LIMIT = 0.6
"""On a slice on which a harmless model may exceed this upper bound by chance, a high bound says little of the model."""


def strongest(
    record: PrivacyEvaluation,
    *,
    limit: Callable[[AttackResult], float] = lambda row: REFERENCE_LIMIT,
    is_above: Callable[[AttackResult], bool] = lambda row: False,
) -> AttackResult | None:
    """The strongest attack of an evaluation: the one nearest to its limit, or furthest beyond it.

    The one choice that everybody quotes: the gate and the report with a policy's limits (`SliceLimits.strongest`), ML
    Metadata, where no policy is known, with one limit for all. It is one of those that the policy refuses; where there are
    none, of those that tell by themselves: on the whole set, on slices large enough for `REFERENCE_LIMIT`, and on smaller
    ones where the lower bound, corrected for the number of rows, is above it.

    Args:
      record: The evaluation.
      limit: Of a row's slice.
      is_above: Whether the row alone makes the policy refuse.

    Returns:
      The row; None if no attack could be judged.
    """
    rows = attacked(record)
    if not rows:
        return None
    reference = AttackLimit.of(record, REFERENCE_LIMIT)
    telling = [row for row in rows if is_above(row)] or [row for row in rows if reference.tells_alone(row)]
    return max(telling or rows, key=lambda row: (upper_bound(row) - limit(row), upper_bound(row)))


SIGNIFICANCE = 0.05
"""Of an attack's p-value, adjusted over all attacks and slices."""


class AgainstChance(NamedTuple):
    """Which attacks beat guessing, after correction for all of them (Holm 1979)."""

    num_tested: int
    beating: list[AttackResult]
    """The clearest first."""


def against_chance(record: PrivacyEvaluation) -> AgainstChance:
    """Which of the judged attacks beat chance, which a limit above one half does not say; NaN counts as beating it."""
    tested = [row for row in attacked(record) if row.adjusted_p_value is not None]
    beating = [row for row in tested if not (row.adjusted_p_value or 0.0) > SIGNIFICANCE]
    return AgainstChance(len(tested), sorted(beating, key=lambda row: row.adjusted_p_value or 0.0))
