"""The admission rule, on numbers that can be added in one's head."""

from __future__ import annotations

import pytest

from tfx_privacy.ledger import admission, entries
from tfx_privacy.ledger.state import BlockRow, DatasetRow

CHARGED = {"a": 60, "b": 90, "lowered": 120}


def dataset(**charged: int) -> DatasetRow:
    """A dataset with a budget of 100 units."""
    facts = entries.Registered(
        privacy_unit="example",
        neighboring_relation="ADD_OR_REMOVE_ONE",
        epsilon=(8.0).hex(),
        delta=(1e-6).hex(),
        order=(2.0).hex(),
        budget=100,
        blocks=[name for name in charged if name != entries.WHOLE],
        approver="Dana",
    )
    blocks = {name: BlockRow(units, max(100, units)) for name, units in charged.items()}
    return DatasetRow("0" * 32, "trips", facts, 8.0, 100, 1, "", blocks)


@pytest.mark.parametrize(
    ("blocks", "left"),
    [(["a"], 40), (["b"], 10), (["a", "b"], 10), (["b", "a"], 10), (["lowered"], 0), (["a", "lowered"], 0)],
)
def test_the_fullest_block_decides_and_its_last_unit_may_be_spent(blocks: list[str], left: int) -> None:
    found = dataset(**CHARGED)
    assert admission.left(found, blocks) == left
    assert left == 0 or admission.fits(found, blocks, left)
    assert not admission.fits(found, blocks, left + 1)


def test_a_dataset_without_blocks_is_one_block() -> None:
    found = dataset(**{entries.WHOLE: 99})
    assert admission.fits(found, [], 1)
    assert not admission.fits(found, [], 2)
