"""Which limit on the attacks' AUC a slice is held against: the most specific one of the policy."""

from __future__ import annotations

import functools

from tfx_privacy.attacks.evaluation import (
    CORRECTNESS_FEATURE,
    WHOLE_SET,
    AttackResult,
    PrivacyEvaluation,
)
from tfx_privacy.gate import attack_limit
from tfx_privacy.gate.attack_limit import AttackLimit, Standing
from tfx_privacy.gate.policy import GatePolicy, SliceLimit


class SliceLimits:
    """The bars of one evaluation's rows under one policy.

    A slice that the policy names with its value is never judged together with others: a stricter limit would be diluted
    by them, and a looser one would hide in their mean.
    """

    def __init__(self, record: PrivacyEvaluation, policy: GatePolicy) -> None:
        """For an evaluation with at least one row that was judged."""
        self._record = record
        self._policy = policy
        self._attack_limit_of = functools.lru_cache(maxsize=None)(functools.partial(AttackLimit.of, record))

    def limit(self, row: AttackResult) -> float:
        """Largest upper bound on the AUC of any attack on the row's slice."""
        own = self._own(row)
        return self._policy.max_attack_auc if own is None else own.max_attack_auc

    def has_own(self, row: AttackResult) -> bool:
        """Whether the policy has another limit for the row's slice than for all others."""
        return self.limit(row) != self._policy.max_attack_auc

    def attack_limit(self, row: AttackResult) -> AttackLimit:
        """What the row is held against."""
        return self._attack_limit_of(self.limit(row))

    def stands_alone(self, row: AttackResult) -> bool:
        """Whether the policy names this very slice, which then must keep its limit by itself."""
        own = self._own(row)
        return own is not None and own.value is not None

    def standing(self, row: AttackResult) -> Standing:
        """How a row compares with its limit."""
        found = self.attack_limit(row).standing(row)
        return Standing.ABOVE if found is Standing.INCONCLUSIVE and self.stands_alone(row) else found

    def unjudged(self) -> list[str]:
        """Limits that are stricter than what holds without them, and that no slice was judged by."""
        judged = {
            (row.slice_feature, row.slice_value) for row in attack_limit.attacked(self._record) if row.attack == "loss"
        }
        return [
            limit.slice_name
            for limit in self._policy.slice_limits
            if not self._is_judged(limit, judged) and self._is_stricter(limit)
        ]

    def _own(self, row: AttackResult) -> SliceLimit | None:
        if row.slice_feature == WHOLE_SET:
            return None
        found = [limit for limit in self._policy.slice_limits if limit.feature == row.slice_feature]
        of_value = [limit for limit in found if limit.value == row.slice_value]
        of_feature = [limit for limit in found if limit.value is None]
        return next(iter([*of_value, *of_feature]), None)

    def _is_judged(self, limit: SliceLimit, judged: set[tuple[str, str]]) -> bool:
        if limit.value is not None:
            return (limit.feature, limit.value) in judged
        is_sliced = limit.feature in (*self._record.slice_features, CORRECTNESS_FEATURE)
        return is_sliced and any(feature == limit.feature for feature, _ in judged)

    def _is_stricter(self, limit: SliceLimit) -> bool:
        """Than what the slice's records are held against without it."""
        of_feature = [
            other.max_attack_auc
            for other in self._policy.slice_limits
            if limit.value is not None and other.value is None and other.feature == limit.feature
        ]
        return not limit.max_attack_auc >= next(iter(of_feature), self._policy.max_attack_auc)
