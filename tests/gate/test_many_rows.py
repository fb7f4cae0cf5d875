"""A gate that meets thousands of rows with a thousand limits looks limits up: the work grows with either, not with both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import evidence

from tfx_privacy.gate.decide import decide
from tfx_privacy.gate.policy import GatePolicy, SliceLimit


class Counting(list[Any]):
    """A list that counts how often it is walked through or searched."""

    walks = 0

    def __iter__(self) -> Iterator[Any]:
        self.walks += 1
        return super().__iter__()

    def __contains__(self, item: object) -> bool:
        self.walks += 1
        return super().__contains__(item)


def walks(num_slices: int) -> tuple[int, int, int]:
    """How often rows, limits and sliced features are walked through by one decision."""
    names = [str(index) for index in range(num_slices)]
    shops = [
        evidence.row(attack, "shop", name, members=400, auc=(0.5, 0.45, 0.55)) for attack in "abc" for name in names
    ]
    rows = Counting([*evidence.rows(), *shops, *(evidence.row(attack) for attack in ("a", "b", "c", *names))])
    limits = Counting([SliceLimit(feature="shop", value=name, max_attack_auc=0.7) for name in names])
    features = Counting(["class", "payment"])
    record = evidence.make_evaluation().model_copy(update={"results": rows, "slice_features": features})
    policy = GatePolicy(max_epsilon=3.0, max_delta=1e-5, max_attack_auc=0.6, required_attacks=names).model_copy(
        update={"slice_limits": limits}
    )
    assert decide(evidence.make_evidence(evaluation=record), policy, now=evidence.NOW).blessed
    return rows.walks, limits.walks, features.walks


def test_rows_and_limits_are_walked_through_as_often_for_many_as_for_few() -> None:
    few = walks(5)
    assert walks(200) == few
    assert max(few) < 40
