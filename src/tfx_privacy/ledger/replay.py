"""The state that a dataset's entries lead to: every rule of the ledger once more, from the log alone.

The same function checks a database, an export, and (in tests) every prefix of random histories.
"""

from __future__ import annotations

from collections.abc import Iterable

from tfx_privacy.budget import renyi_filter, thresholds
from tfx_privacy.budget.runs import RunState
from tfx_privacy.errors import LedgerError, ParameterError
from tfx_privacy.ledger import admission, entries
from tfx_privacy.ledger.entries import (
    Aborted,
    BlocksAdded,
    BudgetChanged,
    Committed,
    Entry,
    Registered,
    Reserved,
    Settled,
    Started,
)
from tfx_privacy.ledger.state import BlockRow, DatasetRow, RunRow

# What another version of a library, or another machine's rounding, may compute for the same run or budget; more is a
# defect or an edit.
_TOLERANCE = 1e-9
_TOLERATED_UNITS = 2


class RuleError(LedgerError):
    """An entry does not follow from those before it."""

    def __init__(self, entry: Entry, reason: str) -> None:
        super().__init__(
            f"Entry {entry.sequence} ({entry.body.kind}) of dataset {entry.dataset_id!r} is not valid: {reason}."
        )
        self.reason = reason


def replay(log: Iterable[Entry]) -> dict[str, DatasetRow]:
    """Follows a log, and checks every link and every rule.

    Args:
      log: Entries of any number of datasets, those of each in their order.

    Returns:
      The datasets by id.

    Raises:
      LedgerError: At the first entry that does not follow from those before it; the message names it.
    """
    datasets: dict[str, DatasetRow] = {}
    owners: dict[str, str] = {}
    ledgers: set[str] = set()
    for entry in log:
        _check_link(entry, datasets.get(entry.dataset_id))
        ledgers.add(entry.ledger_id)
        if len(ledgers) > 1:
            raise _broken(entry, "it is of another ledger than the entries before it")
        apply(entry, datasets)
        if (
            isinstance(entry.body, Reserved)
            and owners.setdefault(entry.body.run_id, entry.dataset_id) != entry.dataset_id
        ):
            raise _broken(entry, f"run {entry.body.run_id} was reserved by another dataset")
    return datasets


def apply(entry: Entry, datasets: dict[str, DatasetRow]) -> DatasetRow:
    """Carries out one entry on what the earlier ones came to; its hash is checked by `replay`.

    Raises:
      LedgerError: If the entry breaks a rule.
    """
    body = entry.body
    dataset = datasets.get(entry.dataset_id)
    if isinstance(body, Registered):
        if dataset is not None:
            raise _broken(entry, "the dataset is registered already")
        dataset = datasets[entry.dataset_id] = _register(entry, body)
    elif dataset is None:
        raise _broken(entry, "the dataset is not registered")
    elif isinstance(body, BlocksAdded):
        _add_blocks(entry, body, dataset)
    elif isinstance(body, BudgetChanged):
        _change_budget(entry, body, dataset)
    elif isinstance(body, Reserved):
        _reserve(entry, body, dataset)
    else:
        _advance(entry, body, dataset)
    if entry.request_id in dataset.requests:
        raise _broken(entry, f"request {entry.request_id!r} was carried out before")
    dataset.requests.add(entry.request_id)
    dataset.head_sequence, dataset.head_hash = entry.sequence, entry.hash
    return dataset


def _check_link(entry: Entry, dataset: DatasetRow | None) -> None:
    expected = 1 if dataset is None else dataset.head_sequence + 1
    if entry.sequence != expected:
        raise _broken(entry, f"entry {expected} should be here: entries are missing, or out of order")
    previous = entries.genesis_hash(entry.ledger_id, entry.dataset_id) if dataset is None else dataset.head_hash
    if entry.previous_hash != previous:
        raise _broken(entry, "it does not follow from the entry before it")
    if entry.hash != entry.expected_hash:
        raise _broken(entry, "its hash is not that of its content")


def _register(entry: Entry, body: Registered) -> DatasetRow:
    epsilon, delta, order = (float.fromhex(text) for text in (body.epsilon, body.delta, body.order))
    set_aside = body.threshold_delta or 0
    _check_budget(entry, body, order, delta, set_aside)
    names = entries.block_names(body.blocks)
    if len(set(names)) != len(names):
        raise _broken(entry, "a block is named twice")
    blocks = {name: BlockRow(ceiling=body.budget, delta_ceiling=set_aside) for name in names}
    return DatasetRow(entry.ledger_id, entry.dataset_id, body, epsilon, body.budget, set_aside, 0, "", blocks)


def _add_blocks(entry: Entry, body: BlocksAdded, dataset: DatasetRow) -> None:
    if not dataset.declared_blocks:
        raise _broken(entry, "the dataset was registered without blocks")
    if len(set(body.blocks)) != len(body.blocks) or set(body.blocks) & set(dataset.blocks):
        raise _broken(entry, "a block is named twice")
    new = {name: BlockRow(ceiling=dataset.budget, delta_ceiling=dataset.threshold_delta) for name in body.blocks}
    dataset.blocks.update(new)


def _change_budget(entry: Entry, body: BudgetChanged, dataset: DatasetRow) -> None:
    set_aside = dataset.threshold_delta if body.threshold_delta is None else body.threshold_delta
    _check_budget(entry, body, dataset.order, dataset.delta, set_aside)
    # Divergence could be lowered below what is charged, and nothing more would be admitted. Delta that was spent would be
    # used for divergence a second time.
    if not all(block.delta_charged <= set_aside for block in dataset.blocks.values()):
        raise _broken(entry, "it sets aside less for thresholds than they have spent")
    dataset.epsilon, dataset.budget, dataset.threshold_delta = float.fromhex(body.epsilon), body.budget, set_aside
    for block in dataset.blocks.values():
        block.ceiling, block.delta_ceiling = max(body.budget, block.charged), set_aside


def _check_budget(entry: Entry, body: Registered | BudgetChanged, order: float, delta: float, set_aside: int) -> None:
    epsilon = float.fromhex(body.epsilon)
    try:
        computed = renyi_filter.budget(order, epsilon=epsilon, delta=thresholds.left(delta, set_aside))
    except ParameterError as error:
        raise _broken(entry, f"there is no such budget: {error}") from None
    if not _is_near(body.budget, computed):
        raise _broken(entry, f"its budget of {body.budget} units is not that of epsilon={epsilon:g}")


def _reserve(entry: Entry, body: Reserved, dataset: DatasetRow) -> None:
    if body.run_id in dataset.runs:
        raise _broken(entry, f"run {body.run_id} was reserved before")
    computed = renyi_filter.cost(dataset.order, body.planned.event)
    if not _is_near(body.cost, computed):
        raise _broken(entry, f"its cost of {body.cost} units is not that of its run, {computed}")
    names = entries.block_names(body.blocks)
    if len(set(names)) != len(names) or not set(names) <= set(dataset.blocks):
        raise _broken(entry, f"its blocks {body.blocks} are not the dataset's")
    delta_spent = body.delta_spent or 0
    if not admission.fits(dataset, body.blocks, body.cost, delta_spent):
        raise _broken(
            entry,
            f"its cost of {body.cost} units does not fit into the budget of {dataset.budget}, or the {delta_spent} units of "
            f"its thresholds not into the {dataset.threshold_delta} that are set aside for them",
        )
    for name in names:
        dataset.blocks[name].charged += body.cost
        dataset.blocks[name].delta_charged += delta_spent
    dataset.runs[body.run_id] = RunRow(
        run_id=body.run_id,
        dataset_id=entry.dataset_id,
        purpose=body.purpose,
        state="RESERVED",
        planned=body.planned,
        cost=body.cost,
        delta_spent=delta_spent,
        blocks=list(body.blocks),
    )


def _advance(entry: Entry, body: Started | Committed | Aborted | Settled, dataset: DatasetRow) -> None:
    run = dataset.runs.get(body.run_id)
    if run is None:
        raise _broken(entry, f"run {body.run_id} was never reserved")
    _require_state(entry, run, body)
    if isinstance(body, Started):
        if not body.attempt > run.attempt:
            raise _broken(entry, f"attempt {body.attempt} does not come after attempt {run.attempt}")
        run.state, run.attempt, run.attempt_id = "STARTED", body.attempt, body.attempt_id
    elif isinstance(body, Committed):
        executed, planned = (renyi_filter.cost(dataset.order, each.event) for each in (body.executed, run.planned))
        # Compared with the plan's cost as it is computed here and now: what was charged may be a unit off on another
        # machine, and a log that was valid on one must be so on all.
        if not executed <= planned:
            raise _broken(entry, "the run executed more than was reserved")
        run.state, run.commit_sequence = "COMMITTED", entry.sequence
        run.model_digest, run.guarantee_digest = body.model_digest, body.guarantee_digest
    elif isinstance(body, Aborted):
        run.state = "ABORTED"
        for name in entries.block_names(run.blocks):
            dataset.blocks[name].charged -= run.cost
            dataset.blocks[name].delta_charged -= run.delta_spent
    else:
        run.state = "SETTLED"


_STATES_BEFORE: dict[str, tuple[RunState, ...]] = {
    "start": ("RESERVED", "STARTED"),
    "commit": ("STARTED",),
    "abort": ("RESERVED",),
    "settle": ("STARTED",),
}


def _require_state(entry: Entry, run: RunRow, body: Started | Committed | Aborted | Settled) -> None:
    allowed = _STATES_BEFORE[body.kind]
    if run.state not in allowed:
        raise _broken(entry, f"run {run.run_id} is {run.state}; {body.kind} needs {' or '.join(allowed)}")


def _is_near(stated: int, computed: int) -> bool:
    return abs(stated - computed) <= _TOLERATED_UNITS + _TOLERANCE * computed


def _broken(entry: Entry, reason: str) -> RuleError:
    return RuleError(entry, reason)
