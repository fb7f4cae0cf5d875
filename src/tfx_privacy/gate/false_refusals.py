"""How often the rule on the attacks' AUC refuses a model that leaks nothing, and how many records keep that rare.

The rule compares an upper bound with a limit. Of an attack that finds nothing the AUC is one half but for chance: on the logit
scale it is normal with standard deviation 4 s, where s^2 = (n + m + 1) / (12 n m) for n members and m non-members (Mann and
Whitney 1947), and the interval's half width is a quantile of that. So a row refuses with the probability

    2 Phi(q - logit(limit) / (4 s)),   q = 1.96 at 95 % confidence,

the two for the attack and its mirror image. A classifier that is cross-fitted on two folds has s^2 twice as large: each fold
holds half of the records, and one accidental pattern may show in both. Rows of one model are correlated; Sidak's inequality
(1967) bounds the probability that any refuses by that of independent ones. On slices the gate itself keeps the chance
of a false refusal within `FALSE_REFUSALS`, shared by all rows, and the control within its own level.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from scipy import special, stats

from tfx_privacy import _validate
from tfx_privacy.attacks import consistency
from tfx_privacy.attacks.evaluation import WHOLE_SET, AttackResult, PrivacyEvaluation
from tfx_privacy.attacks.membership import learned
from tfx_privacy.gate import attack_limit

MOST = 0.05
"""Share of harmless models that may be refused."""
PLAIN_ATTACKS, CROSS_FITTED_ATTACKS = 5, 2
"""On a classifier without reference models: loss, modified entropy, label only, two within classes; two that learn."""
_CROSS_FITTED = (learned.LOGISTIC, learned.BOOSTING)
_LARGEST_FACTOR = 1e12
_HARMLESS = 0.1


@dataclasses.dataclass(frozen=True)
class Design:
    """How many records are attacked, and how.

    Attributes:
      num_members: Members attacked.
      num_nonmembers: Non-members.
      deviations: What each row that can refuse is uncertain by, as a standard deviation of its AUC: those of the whole
        set, and for each sliced feature that of its small slices together.
      slice_share: Share of the rows that are of slices.
      confidence_level: Of the intervals.
    """

    num_members: int
    num_nonmembers: int
    deviations: tuple[float, ...]
    slice_share: float = 0.0
    confidence_level: float = 0.95

    @classmethod
    def planned(
        cls,
        num_members: int,
        num_nonmembers: int,
        *,
        num_plain: int = PLAIN_ATTACKS,
        num_cross_fitted: int = CROSS_FITTED_ATTACKS,
        num_features: int = 1,
        num_slices: int = 4,
    ) -> Design:
        """What an evaluation will be, before there is one.

        Args:
          num_members: Members, at least 1.
          num_nonmembers: Non-members, at least 1.
          num_plain: Attacks on the whole set whose score is fixed.
          num_cross_fitted: Those that learn.
          num_features: Features that are sliced by, the class among them.
          num_slices: Slices of all features together, those by class and by correctness among them.

        Raises:
          ParameterError: If a number is out of its range.
        """
        _validate.positive_integer(num_members=num_members)
        _validate.positive_integer(num_nonmembers=num_nonmembers)
        plain = _deviation(num_members, num_nonmembers, cross_fitted=False)
        fitted = _deviation(num_members, num_nonmembers, cross_fitted=True)
        return cls(
            num_members,
            num_nonmembers,
            (plain,) * (num_plain + num_features) + (fitted,) * num_cross_fitted,
            num_slices / (num_slices + 1),
        )

    @classmethod
    def of(cls, record: PrivacyEvaluation) -> Design | None:
        """What an evaluation was; rows' own intervals count where they are wider, as those of records in groups.

        Returns:
          The design; None where no attack was judged on the whole set.
        """
        rows = attack_limit.attacked(record)
        quantile = attack_limit.quantile_of(record.confidence_level)
        whole = [row for row in rows if row.slice_feature == WHOLE_SET]
        if not whole:
            return None
        deviations = [
            max(
                _deviation(row.num_members, row.num_nonmembers, cross_fitted=row.attack in _CROSS_FITTED),
                _own_deviation(row, quantile),
            )
            for row in whole
        ]
        joint = _deviation(max(1, record.num_members), max(1, record.num_nonmembers), cross_fitted=False)
        return cls(
            record.num_members,
            record.num_nonmembers,
            (*deviations, *[joint] * len(record.slice_features)),
            1.0 - len(whole) / len(rows),
            record.confidence_level,
        )

    def probability(self, limit: float, *, factor: float = 1.0) -> float:
        """A bound on the probability that a model that leaks nothing is refused.

        Args:
          limit: `max_attack_auc`.
          factor: How many times as many records there are on both sides.

        Returns:
          In [0, 1]; 1.0 for a limit that is no AUC above one half.
        """
        if not 0.5 < limit <= 1.0:
            return 1.0
        if limit == 1.0:
            return 0.0
        quantile = attack_limit.quantile_of(self.confidence_level)
        scaled = np.array(self.deviations) / math.sqrt(factor)
        each = np.minimum(1.0, 2.0 * stats.norm.sf(special.logit(limit) / (4.0 * scaled) - quantile))
        of_rows = 1.0 - float(np.prod(1.0 - each))
        allowed = attack_limit.FALSE_REFUSALS * self.slice_share + consistency.CONTROL_SIGNIFICANCE
        return min(1.0, of_rows + allowed)

    def smallest_limit(self) -> float:
        """The smallest limit that refuses at most 5 % of harmless models, rounded up to three decimals."""
        low, high = 0.5, 1.0
        while high - low > 1e-6:
            middle = (low + high) / 2
            low, high = (low, middle) if self.probability(middle) <= MOST else (middle, high)
        return min(1.0, math.ceil(high * 1000) / 1000)

    def enough(self, limit: float) -> tuple[int, int] | None:
        """Members and non-members, in today's proportion, from which on at most 5 % of harmless models are refused.

        Returns:
          Both, rounded up; None if no number is enough, as for a limit of one half.
        """
        low, high = 0.0, 1.0
        while not self.probability(limit, factor=high) <= MOST:
            low, high = high, 2.0 * high
            if high > _LARGEST_FACTOR:
                return None
        while high - low > 1e-4 * high:
            middle = (low + high) / 2
            low, high = (low, middle) if self.probability(limit, factor=middle) <= MOST else (middle, high)
        return math.ceil(high * self.num_members), math.ceil(high * self.num_nonmembers)

    def advice(self, limit: float) -> str:
        """A sentence on what so many records can support; empty if they are enough for the limit."""
        probability = self.probability(limit)
        if probability <= MOST:
            return ""
        needed = self.enough(limit)
        records = (
            ""
            if needed is None
            else f"{needed[0]} members and {needed[1]} non-members would be enough for this limit, "
        )
        return (
            f"With {self.num_members} members and {self.num_nonmembers} non-members, up to {probability:.0%} of models that "
            f"leak nothing are refused at max_attack_auc={limit:g}; {records}and {self.smallest_limit():g} is the "
            f"smallest limit for these records (at most {MOST:.0%})."
        )


def _own_deviation(row: AttackResult, quantile: float) -> float:
    """From a row's interval, where the model may be harmless: an attack that finds much has an interval of its own kind."""
    if row.auc is None or not abs(row.auc.estimate - 0.5) <= _HARMLESS:
        return 0.0
    return attack_limit.deviation(row, quantile)


def _deviation(num_members: int, num_nonmembers: int, *, cross_fitted: bool) -> float:
    variance = (num_members + num_nonmembers + 1) / (12.0 * num_members * num_nonmembers)
    return math.sqrt(2.0 * variance if cross_fitted else variance)
