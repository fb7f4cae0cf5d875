"""The admission rule, on numbers that can be added in one's head."""

from __future__ import annotations

import pytest

from tfx_privacy.ledger import admission, entries
from tfx_privacy.ledger.state import BlockRow, DatasetRow

CHARGED = {"a": 60, "b": 90, "lowered": 120}
DELTA_CHARGED = {"a": 7, "b": 2, "lowered": 10}


def dataset(**charged: int) -> DatasetRow:
    """A dataset with a budget of 100 units, and 10 units of delta for thresholds."""
    facts = entries.Registered(
        privacy_unit="example",
        neighboring_relation="ADD_OR_REMOVE_ONE",
        epsilon=(8.0).hex(),
        delta=(1e-6).hex(),
        order=(2.0).hex(),
        budget=100,
        threshold_delta=10,
        blocks=[name for name in charged if name != entries.WHOLE],
        approver="Dana",
    )
    blocks = {name: BlockRow(units, max(100, units), DELTA_CHARGED.get(name, 0), 10) for name, units in charged.items()}
    return DatasetRow("0" * 32, "trips", facts, 8.0, 100, 10, 1, "", blocks)


@pytest.mark.parametrize(
    ("blocks", "left"),
    [(["a"], 40), (["b"], 10), (["a", "b"], 10), (["b", "a"], 10), (["lowered"], 0), (["a", "lowered"], 0)],
)
def test_the_fullest_block_decides_and_its_last_unit_may_be_spent(blocks: list[str], left: int) -> None:
    found = dataset(**CHARGED)
    assert admission.left(found, blocks) == left
    assert left == 0 or admission.fits(found, blocks, left, 0)
    assert not admission.fits(found, blocks, left + 1, 0)


@pytest.mark.parametrize(
    ("blocks", "left"), [(["a"], 3), (["b"], 8), (["a", "b"], 3), (["b", "a"], 3), (["b", "lowered"], 0)]
)
def test_thresholds_have_a_bound_of_their_own(blocks: list[str], left: int) -> None:
    """Whatever is left of the other kind."""
    found = dataset(**CHARGED)
    assert admission.left_for_thresholds(found, blocks) == left
    cost = admission.left(found, blocks)
    assert admission.fits(found, blocks, cost, left)
    assert not admission.fits(found, blocks, 0, left + 1)
    assert not admission.fits(found, blocks, cost + 1, 0)


def test_a_dataset_without_blocks_is_one_block() -> None:
    found = dataset(**{entries.WHOLE: 99})
    assert admission.fits(found, [], 1, 10)
    assert not admission.fits(found, [], 2, 10)
    assert not admission.fits(found, [], 1, 11)
