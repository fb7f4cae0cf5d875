"""Which limit on the attacks' AUC a slice is held against: the most specific one of the policy."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from tfx_privacy.attacks.evaluation import (
    CONTROL,
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
    by them, and a looser one would hide in their mean. Limits are looked up, never searched: thousands of rows may meet a
    thousand limits.
    """

    def __init__(self, record: PrivacyEvaluation, policy: GatePolicy) -> None:
        self._record = record
        self._policy = policy
        self._by_slice = {(limit.feature, limit.value): limit for limit in policy.slice_limits}
        self._general = AttackLimit.of(record, policy.max_attack_auc)
        self._by_limit = {policy.max_attack_auc: self._general}

    def limit(self, row: AttackResult) -> float:
        """Largest upper bound on the AUC of any attack on the row's slice."""
        own = self._own(row)
        return self._policy.max_attack_auc if own is None else own.max_attack_auc

    def has_own(self, row: AttackResult) -> bool:
        """Whether the policy has another limit for the row's slice than for all others."""
        return self.limit(row) != self._policy.max_attack_auc

    def attack_limit(self, row: AttackResult) -> AttackLimit:
        """What the row is held against."""
        limit = self.limit(row)
        if limit not in self._by_limit:
            self._by_limit[limit] = dataclasses.replace(self._general, limit=limit)
        return self._by_limit[limit]

    def stands_alone(self, row: AttackResult) -> bool:
        """Whether the policy names this very slice, which then must keep its limit by itself."""
        own = self._own(row)
        return own is not None and own.value is not None

    def standing(self, row: AttackResult) -> Standing:
        """How a row compares with its limit."""
        found = self.attack_limit(row).standing(row)
        return Standing.ABOVE if found is Standing.INCONCLUSIVE and self.stands_alone(row) else found

    def strongest(self) -> AttackResult | None:
        """The attack nearest to its limit, or furthest beyond it; it refuses wherever any single row does."""
        return attack_limit.strongest(
            self._record, limit=self.limit, is_above=lambda row: self.standing(row) is Standing.ABOVE
        )

    def small(self, rows: Sequence[AttackResult]) -> list[AttackResult]:
        """Those of the rows of one attack by one feature that are judged together, against the feature's one limit."""
        return [row for row in rows if self.attack_limit(row).is_small(row) and not self.stands_alone(row)]

    def jointly_above(self, rows: Mapping[tuple[str, str], Sequence[AttackResult]]) -> list[list[AttackResult]]:
        """Small slices that exceed their limit together, of each attack and feature.

        Args:
          rows: Of the evaluation, by attack and feature.
        """
        found = []
        for (attack, feature), of_feature in rows.items():
            if attack == CONTROL or feature == WHOLE_SET:
                continue
            small = self.small([row for row in of_feature if row.status == "OK"])
            whole = sum(row.num_members for row in rows.get((attack, WHOLE_SET), [])) or self._record.num_members
            per_record = sum(row.num_members for row in of_feature) / max(whole, 1)
            if small and self.attack_limit(small[0]).jointly_above(small, slices_per_record=per_record):
                found.append(small)
        return found

    def unjudged(self) -> list[str]:
        """Limits that are stricter than what holds without them, and that no slice was judged by."""
        judged = {
            (row.slice_feature, row.slice_value) for row in attack_limit.attacked(self._record) if row.attack == "loss"
        }
        sliced = {*self._record.slice_features, CORRECTNESS_FEATURE} & {feature for feature, _ in judged}
        return [
            limit.slice_name
            for limit in self._policy.slice_limits
            if not self._is_judged(limit, judged, sliced) and self._is_stricter(limit)
        ]

    def _own(self, row: AttackResult) -> SliceLimit | None:
        if row.slice_feature == WHOLE_SET:
            return None
        of_value = self._by_slice.get((row.slice_feature, row.slice_value))
        return of_value or self._by_slice.get((row.slice_feature, None))

    def _is_judged(self, limit: SliceLimit, judged: set[tuple[str, str]], sliced: set[str]) -> bool:
        if limit.value is not None:
            return (limit.feature, limit.value) in judged
        return limit.feature in sliced

    def _is_stricter(self, limit: SliceLimit) -> bool:
        """Than what the slice's records are held against without it."""
        of_feature = None if limit.value is None else self._by_slice.get((limit.feature, None))
        without = self._policy.max_attack_auc if of_feature is None else of_feature.max_attack_auc
        return not limit.max_attack_auc >= without
