"""What is asked of the ledger: arguments are checked, and made into the bodies of entries."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from typing import Any, TypeVar

import pydantic

from tfx_privacy import _validate
from tfx_privacy.accounting.epsilon import dp_accounting_version
from tfx_privacy.budget import renyi_filter, thresholds
from tfx_privacy.errors import LedgerError, ParameterError
from tfx_privacy.ledger import admission
from tfx_privacy.ledger.entries import BudgetChanged, Registered, Reserved
from tfx_privacy.ledger.state import DatasetRow
from tfx_privacy.records.base import Record

_Body = TypeVar("_Body", bound=Record)
_LARGEST_EPSILON = renyi_filter.MAX_UNITS * renyi_filter.UNIT


class RefusedError(Exception):
    """A run does not fit into what is left. It ends the transaction; the refusal is worded afterwards."""

    def __init__(self, dataset: DatasetRow) -> None:
        """Keeps the dataset as it was in the transaction."""
        super().__init__()
        self.dataset = dataset


def body(kind: type[_Body], **fields: Any) -> _Body:
    """A body whose problems are named as those of arguments.

    Raises:
      ParameterError: If a field breaks its rule.
    """
    try:
        return kind(**fields)
    except pydantic.ValidationError as error:
        problem = error.errors(include_url=False)[0]
        name = str(problem["loc"][0]) if problem["loc"] else kind.__name__
        raise ParameterError(f"Expected {name}={fields.get(name)!r} to be valid: {problem['msg']}.") from None


def registration(
    *,
    epsilon: float,
    delta: float,
    threshold_delta: float | None,
    population: int | None,
    blocks: Sequence[str],
    **facts: Any,
) -> Registered:
    """The body that registers a dataset, with the Renyi order at which its budget allows most.

    Args:
      epsilon: The budget, in nats.
      delta: The budget's; also below 1 / population where that is given.
      threshold_delta: What of delta is set aside for thresholds; None for nothing.
      population: Declared number of units.
      blocks: Parts that are charged separately.
      **facts: The body's other fields.

    Raises:
      ParameterError: If an argument breaks its rule.
    """
    epsilon, delta = checked_epsilon(epsilon), _validate.open_interval(0.0, 1.0, delta=delta)
    if population is not None and not delta < 1.0 / _validate.positive_integer(population=population):
        raise ParameterError(
            f"Expected delta={delta:g} < 1 / population = {1.0 / population:.3g}. A delta of that size allows "
            "publishing a whole record."
        )
    set_aside = 0 if threshold_delta is None else _set_aside(threshold_delta, delta)
    rest = thresholds.left(delta, set_aside)
    order = renyi_filter.best_order(epsilon=epsilon, delta=rest)
    return body(
        Registered,
        epsilon=epsilon.hex(),
        delta=delta.hex(),
        order=order.hex(),
        budget=renyi_filter.budget(order, epsilon=epsilon, delta=rest),
        threshold_delta=set_aside or None,
        population=population,
        blocks=checked_blocks(blocks),
        **facts,
    )


def budget_change(
    dataset: DatasetRow, *, epsilon: float, threshold_delta: float | None, approver: str, reason: str
) -> BudgetChanged:
    """The body that sets another budget, at the delta and the order of the registration.

    Args:
      dataset: As it is now, locked.
      epsilon: The new budget.
      threshold_delta: What of delta is set aside for thresholds from now on; None for what was before.
      approver: Who decided it.
      reason: Why.

    Raises:
      ParameterError: If an argument breaks its rule.
    """
    new = None if threshold_delta is None else _set_aside(threshold_delta, dataset.delta)
    rest = thresholds.left(dataset.delta, dataset.threshold_delta if new is None else new)
    units = renyi_filter.budget(dataset.order, epsilon=epsilon, delta=rest)
    return body(
        BudgetChanged, epsilon=epsilon.hex(), budget=units, threshold_delta=new, approver=approver, reason=reason
    )


def reservation(
    dataset: DatasetRow,
    *,
    privacy_unit: str,
    neighboring_relation: str,
    blocks: list[str],
    cost: int,
    delta_spent: int,
    **fields: Any,
) -> Reserved:
    """The body that charges a run.

    Args:
      dataset: As it is now, locked.
      privacy_unit: The run's.
      neighboring_relation: The run's.
      blocks: The blocks that the run reads.
      cost: The run's, in units.
      delta_spent: Of its thresholds, in units.
      **fields: The body's other fields.

    Raises:
      LedgerError: If the run is of another kind than the dataset, or its blocks are not the dataset's.
      ParameterError: If a field breaks its rule.
      RefusedError: If the cost does not fit, or what its thresholds spend.
    """
    _check_kind(dataset, privacy_unit=privacy_unit, neighboring_relation=neighboring_relation)
    _check_blocks(dataset, blocks)
    if not admission.fits(dataset, blocks, cost, delta_spent):
        raise RefusedError(dataset)
    spent = delta_spent or None
    return body(Reserved, blocks=blocks, cost=cost, delta_spent=spent, accountant=_accountant(), **fields)


def checked_epsilon(epsilon: float) -> float:
    """The epsilon of a budget.

    Raises:
      ParameterError: If it is no positive number, or larger than what is counted.
    """
    number = _validate.positive(epsilon=epsilon)
    if not number < _LARGEST_EPSILON:
        raise ParameterError(
            f"Expected epsilon={epsilon!r} < {_LARGEST_EPSILON:g}. Such a budget limits nothing; register a smaller "
            "one."
        )
    return number


def checked_blocks(blocks: Sequence[str]) -> list[str]:
    """Names of blocks, sorted.

    Raises:
      ParameterError: If they are not a list of names.
    """
    if isinstance(blocks, str) or not isinstance(blocks, Collection) or not all(isinstance(x, str) for x in blocks):
        raise ParameterError(f"Expected blocks={blocks!r} to be a list of names.")
    return sorted(blocks)


def _set_aside(threshold_delta: float, delta: float) -> int:
    units = thresholds.set_aside(threshold_delta)
    if not threshold_delta < delta:
        raise ParameterError(
            f"Expected threshold_delta={threshold_delta!r} < delta={delta:g}. Divergence is converted to epsilon at what is "
            "left of delta; a tenth of it is enough for many releases, and costs about a hundredth of the budget."
        )
    return units


def _check_kind(dataset: DatasetRow, **kind: str) -> None:
    for name, value in kind.items():
        registered = getattr(dataset.facts, name)
        if value != registered:
            raise LedgerError(
                f"This run has {name}={value!r}, but dataset {dataset.dataset_id!r} is registered with "
                f"{name}={registered!r}: what they spend does not add up. A dataset has one unit and one relation for "
                "its whole life: change the run."
            )


def _check_blocks(dataset: DatasetRow, blocks: Sequence[str]) -> None:
    declared = dataset.declared_blocks
    unknown = sorted(set(blocks) - set(declared))
    if unknown:
        raise LedgerError(
            f"Dataset {dataset.dataset_id!r} has no block {unknown[0]!r}. Its blocks: {', '.join(declared) or 'none'}."
        )
    if declared and not blocks:
        raise LedgerError(
            f"Dataset {dataset.dataset_id!r} is charged by block, and the run names none. Set dataset_blocks to those "
            f"that it reads: {', '.join(declared)}."
        )
    if len(set(blocks)) != len(blocks):
        raise LedgerError(f"A block is named twice in {list(blocks)}.")


@functools.cache
def _accountant() -> str:
    return f"dp-accounting {dp_accounting_version()}"
