"""Whose budget a component's run is charged to: three arguments that mean the same in every component."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tfx_privacy.budget.runs import check_identifier
from tfx_privacy.components import keys
from tfx_privacy.errors import ParameterError
from tfx_privacy.ledger import source
from tfx_privacy.records import strict_json

DATASET_ID_KEY = "dataset_id"
DATASET_BLOCKS_KEY = "dataset_blocks"


@dataclasses.dataclass(frozen=True)
class Account:
    """Whose budget a run is charged to."""

    source: str
    """`env:VARIABLE`, which holds the ledger's address."""
    dataset_id: str
    blocks: list[str]


def read(exec_properties: Mapping[str, Any]) -> Account | None:
    """The account of execution properties; None without a ledger.

    Raises:
      ParameterError: As `check`.
    """
    blocks = exec_properties.get(DATASET_BLOCKS_KEY)
    return check(
        exec_properties.get(keys.LEDGER) or None,
        exec_properties.get(DATASET_ID_KEY) or None,
        strict_json.parameter(dataset_blocks=blocks) if blocks else [],
    )


def check(ledger: str | None, dataset_id: str | None, dataset_blocks: Sequence[str]) -> Account | None:
    """Checks the arguments that name a budget.

    Args:
      ledger: `env:VARIABLE`; None for no ledger.
      dataset_id: The dataset's name in the ledger.
      dataset_blocks: The blocks that are read; none where the dataset has none.

    Raises:
      ParameterError: If the ledger's address itself is given, the ledger or the dataset is missing, or a name is not
        valid.
    """
    if ledger is None:
        if dataset_id is not None or dataset_blocks:
            raise ParameterError(
                f"dataset_id={dataset_id!r} and dataset_blocks={list(dataset_blocks)!r} name a budget, but there is no "
                f"ledger that keeps it. Set ledger={source.DEFAULT_SOURCE!r}, or leave them out."
            )
        return None
    source.check_name(ledger)
    if dataset_id is None:
        raise ParameterError(
            "A ledger charges datasets by name, and dataset_id is not set. Give the one it was registered by."
        )
    check_identifier(dataset_id=dataset_id)
    for block in dataset_blocks:
        check_identifier(dataset_blocks=block)
    return Account(ledger, dataset_id, sorted(dataset_blocks))
