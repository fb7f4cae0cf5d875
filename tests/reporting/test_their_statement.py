"""tensorflow-privacy's own statement of a run beside ours: asked for the same run, and only where it knows such runs."""

from __future__ import annotations

import importlib.util
import math
import re
import sys
from typing import Any

import evidence
import pytest

from tfx_privacy import compat
from tfx_privacy.errors import EvidenceError
from tfx_privacy.gate.decide import decide
from tfx_privacy.guarantee.mechanism import AdaptiveClipping, NoMechanism
from tfx_privacy.reporting import pages, their_statement
from tfx_privacy.reporting.build import build
from tfx_privacy.reporting.facts import TheirStatement

needs_theirs = pytest.mark.skipif(importlib.util.find_spec("tensorflow_privacy") is None, reason="needs the extra")


@needs_theirs
@pytest.mark.parametrize(("steps", "noise"), [(400, 1.8), (7, 0.9), (1001, 3.0)])
def test_their_number_for_poisson_sampling_is_ours_by_renyi_dp(steps: int, noise: float) -> None:
    record = evidence.make_guarantee(evidence.mechanism(steps=steps, noise_multiplier=noise))
    asked = their_statement.arguments(record)
    assert asked is not None
    said = compat.tensorflow_privacy_statement(asked)
    assert said is not None
    assert said[0].startswith("0.9")
    (theirs,) = re.findall(r"assuming Poisson sampling \(\*\): +([0-9.]+)", said[1])
    # Three digits of theirs; what ours allows for round-off and for the reach of the noise is far less.
    assert float(theirs) == pytest.approx(float(record.epsilon_rdp), abs=1e-3)


@pytest.mark.parametrize("steps", [1, 7, 12, 400, 4999])
@pytest.mark.parametrize("share", [0.05, 50 / 300, 0.01, 1 / 3, 257 / 10_007])
def test_it_is_asked_for_as_many_steps_as_were_executed(steps: int, share: float) -> None:
    epochs = their_statement._epochs(steps, share)
    assert math.ceil(epochs / share) == steps
    assert math.ceil(epochs) <= math.ceil(steps * share)


def adaptive() -> AdaptiveClipping:
    return AdaptiveClipping(
        target_quantile=0.5,
        learning_rate=0.2,
        sum_noise_multiplier=2.0,
        count_standard_deviation=25.0,
        final_l2_norm_clip=1.0,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"mechanism": NoMechanism(steps=3)},
        {"mechanism": evidence.mechanism(noise_source="deterministic_test")},
        {"mechanism": evidence.mechanism(adaptive_clipping=adaptive())},
        {"mechanism": evidence.mechanism(sampling="shuffled", passes=[20] * 20)},
        {"privacy_unit": "user", "max_records_per_user": 3},
    ],
)
def test_it_is_not_asked_of_runs_that_it_does_not_know(changes: dict[str, Any]) -> None:
    record = evidence.make_guarantee()
    assert their_statement.arguments(record) is not None
    assert their_statement.arguments(record.model_copy(update=changes)) is None


@needs_theirs
def test_the_report_shows_it_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = evidence.charged_evidence()
    theirs = their_statement.of(whole.guarantee, compat.tensorflow_privacy_statement)
    assert theirs is not None
    facts = build(decide(whole, evidence.CHARGED_POLICY, now=evidence.NOW), whole, theirs=theirs)
    for page in (pages.to_html(facts), pages.to_markdown(facts)):
        assert re.search(r"Epsilon assuming Poisson sampling .{3,5}: +[0-9]", page)
        assert "Its first number is of batches that go through the records in a fixed order" in page
    monkeypatch.setitem(sys.modules, "tensorflow_privacy", None)
    for name in [name for name in sys.modules if name.startswith("tensorflow_privacy.")]:
        monkeypatch.setitem(sys.modules, name, None)
    assert their_statement.of(whole.guarantee, compat.tensorflow_privacy_statement) is None
    assert their_statement.of(EvidenceError("It is not there."), compat.tensorflow_privacy_statement) is None


def test_of_a_guarantee_that_does_not_hold_nothing_is_shown() -> None:
    theirs = TheirStatement(version="0.9.0", text="Epsilon assuming Poisson sampling (*): 0.001", why="")
    forged = evidence.make_guarantee().model_copy(update={"epsilon_pld": 0.001, "epsilon_rdp": 0.001})
    for guarantee, shown in ((evidence.make_guarantee(), True), (forged, False)):
        whole = evidence.make_evidence(guarantee=guarantee)
        facts = build(decide(whole, evidence.CHARGED_POLICY, now=evidence.NOW), whole, theirs=theirs)
        assert facts.is_established is shown
        assert (facts.their_statement is not None) is shown
        assert ("tensorflow-privacy 0.9.0" in pages.to_markdown(facts)) is shown
