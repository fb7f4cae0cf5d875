"""What could not be stated of a run is refused before it is begun."""

from typing import Any

import evidence
import pytest

from tfx_privacy.accounting.composition import dp_sgd_event
from tfx_privacy.accounting.epsilon import rdp_epsilon
from tfx_privacy.errors import AccountingError, ParameterError
from tfx_privacy.guarantee import planned
from tfx_privacy.guarantee.mechanism import NoMechanism
from tfx_privacy.guarantee.record import MAX_STATEMENT, ScopeItem
from tfx_privacy.guarantee.statement import write_statement


@pytest.mark.parametrize(
    "record",
    [
        evidence.make_guarantee(),
        evidence.make_guarantee(NoMechanism(steps=3)),
        evidence.charged_guarantee(),
    ],
    ids=["private", "without privacy", "charged"],
)
def test_what_can_be_stated_is_begun(record: Any) -> None:
    planned.check(record)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scope": [ScopeItem.model_construct(artifact="schema", covered=True, detail="x" * 5000)]}, "scope.0.detail"),
        ({"train_splits": ["x" * 5000]}, "train_splits.0"),
        ({"epsilon_pld": 0.9}, "states epsilon=0.9"),
        ({"statement": "x" * (MAX_STATEMENT - 10)}, "longer than a guarantee may be"),
    ],
    ids=["scope", "split", "epsilon", "length"],
)
def test_what_no_reader_would_take_is_not_begun(change: dict[str, Any], message: str) -> None:
    record = evidence.make_guarantee().model_copy(update=change)
    with pytest.raises(ParameterError, match=message):
        planned.check(record)


def test_an_epsilon_that_cannot_be_true_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both accountants fooled in the same way agree with each other, and with nothing else."""
    from tfx_privacy.accounting import epsilon as accounting

    record = evidence.make_guarantee()
    smaller = dp_sgd_event(noise_multiplier=50.0, sampling_probability=0.001, steps=1)
    rdp = rdp_epsilon(smaller, target_delta=record.target_delta)
    small = record.model_copy(update={"epsilon_pld": None, "epsilon_rdp": rdp})

    class Fooled:
        def compose(self, event: Any) -> Any:
            return self

        def get_epsilon(self, delta: float) -> float:
            return rdp

    monkeypatch.setattr(accounting, "_rdp_accountant", Fooled)
    monkeypatch.setattr(accounting, "_pld_accountant", lambda interval: Fooled())
    accounting.epsilon_bounds.cache_clear()
    try:
        with pytest.raises(AccountingError, match="an attack shows at least"):
            planned.check(small)
    finally:
        accounting.epsilon_bounds.cache_clear()


def test_many_blocks_are_named_in_the_record_and_counted_in_the_prose() -> None:
    """A block for each day of a year has a guarantee as well."""
    record = evidence.charged_guarantee()
    assert record.ledger is not None
    days = [f"day-{number:03d}-of-a-dataset-whose-blocks-have-long-names-{'x' * 60}" for number in range(365)]
    placed = record.model_copy(update={"ledger": record.ledger.model_copy(update={"blocks": days})})
    placed = placed.model_copy(update={"statement": write_statement(placed)})
    planned.check(placed)
    assert days[19] in placed.statement
    assert days[20] not in placed.statement
    assert "and 345 more" in placed.statement
