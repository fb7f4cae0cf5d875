"""What an author declares record-wise: this class or function, and nothing that is derived from it."""

import functools
from typing import Any

import evidence
import pytest

import tfx_privacy
from tfx_privacy.errors import ParameterError
from tfx_privacy.gate.decide import decide
from tfx_privacy.guarantee.declarations import is_declared, name_of
from tfx_privacy.guarantee.statement import write_statement


def double(x: int) -> int:
    return 2 * x


def test_a_declaration_is_of_the_very_object() -> None:
    @tfx_privacy.record_wise
    class Layer:
        pass

    class Child(Layer):
        pass

    declared = tfx_privacy.record_wise(lambda x: double(x))

    @functools.wraps(declared)
    def wrapper(x: int) -> int:
        return declared(x)

    assert is_declared(Layer)
    assert is_declared(declared)
    assert not any(map(is_declared, (Child, Layer(), wrapper, double, None)))
    assert name_of(Layer).endswith("test_a_declaration_is_of_the_very_object.<locals>.Layer")


@pytest.mark.parametrize(
    "target", [3, "relu", [].append, len, functools.partial(double, 1)], ids=lambda target: type(target).__name__
)
def test_what_cannot_be_declared(target: Any) -> None:
    with pytest.raises(ParameterError, match="target="):
        tfx_privacy.record_wise(target)


def test_the_statement_names_what_was_declared() -> None:
    assert "the word of the model's author" not in write_statement(evidence.make_guarantee())
    stated = write_statement(evidence.make_guarantee(declared_record_wise=["model.Gate"]))
    assert "rests" not in stated
    assert "relies on the word of the model's author that these treat each record by itself" in stated
    assert "model.Gate" in stated


@pytest.mark.parametrize(("allowed", "blessed"), [(False, False), (True, True)])
def test_the_gate_takes_nobody_s_word_unless_the_policy_does(allowed: bool, blessed: bool) -> None:
    declared = evidence.make_evidence(guarantee=evidence.make_guarantee(declared_record_wise=["model.Gate"]))
    policy = evidence.POLICY.model_copy(update={"allow_declared_record_wise": allowed})
    verdict = decide(declared, policy, now=evidence.NOW)
    assert verdict.blessed is blessed
    (rule,) = (rule for rule in verdict.rules if rule.rule == "declared_record_wise")
    assert "model.Gate" in rule.explanation
    assert [rule.rule for rule in verdict.failures] == ([] if blessed else ["declared_record_wise"])
