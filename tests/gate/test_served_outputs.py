"""What the model serves is what was attacked; every other output is a refusal, or named by the policy and shown."""

from __future__ import annotations

from typing import Any

import evaluations
import evidence
import pytest

from tfx_privacy.attacks.evaluation import PrivacyEvaluation
from tfx_privacy.attacks.served import ServedOutput, ServedSignature, unattacked
from tfx_privacy.errors import EvidenceError, ParameterError
from tfx_privacy.gate import decide as gate
from tfx_privacy.gate.policy import GatePolicy
from tfx_privacy.gate.verdict import RuleResult
from tfx_privacy.reporting import pages
from tfx_privacy.reporting.build import build

HONEST = evaluations.served_signatures("outputs")
SERVING = HONEST[1]


def output(name: str, **changes: Any) -> ServedOutput:
    return ServedOutput(**{"name": name, "dtype": "float32", "shape": "(None, 8)", **changes})


def signature(name: str, *outputs: ServedOutput) -> ServedSignature:
    return ServedSignature(name=name, inputs=SERVING.inputs, outputs=list(outputs))


def rule(*accepted: str, **changes: Any) -> RuleResult:
    """What the rule says of an evaluation with changes; also such as no file could hold."""
    record = evidence.make_evaluation().model_copy(update=changes)
    policy = GatePolicy(**{**evidence.POLICY.model_dump(), "unattacked_outputs": list(accepted)})
    verdict = gate.decide(evidence.make_evidence(evaluation=record), policy, now=evidence.NOW)
    found = verdict.rule("served_outputs")
    assert found is not None
    assert verdict.blessed is found.holds, verdict.message
    return found


def test_what_dptrainer_serves_by_default_is_all_attacked() -> None:
    found = rule()
    assert found.holds
    assert found.value == "3 of 3 outputs"
    assert found.limit == "all attacked"


UNSEEN: dict[str, tuple[list[ServedSignature], str]] = {
    "an embedding beside the scores": (
        [signature("serving_default", *SERVING.outputs, output("embedding"))], "serving_default/embedding was not attacked",
    ),
    "classes beside the scores": (
        [signature("serving_default", *SERVING.outputs, output("classes", dtype="string"))], "serving_default/classes",
    ),
    "a second signature": ([SERVING, signature("embed", output("outputs"))], "embed/outputs was not attacked"),
    "another graph": ([SERVING, signature("train:serving_default", output("outputs"))], "train:serving_default/outputs"),
    "the same as an output that nobody attacked": (
        [SERVING, signature("embed", output("e"), output("f", standing="same", same_as="embed/e"))], "embed/f",
    ),
    "attacked by its own word": ([SERVING, signature("embed", output("e", standing="attacked"))], "embed/e was not"),
    "a standing that nobody knows": (
        [SERVING, signature("embed", output("e").model_copy(update={"standing": "harmless"}))], "embed/e was not attacked",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("served", "words"), UNSEEN.values(), ids=UNSEEN.keys())
def test_an_output_that_no_attack_saw_is_a_refusal(served: list[ServedSignature], words: str) -> None:
    found = rule(served=served)
    assert found.status == "failed"
    assert words in found.explanation
    assert "unattacked_outputs" in found.explanation


def test_the_policy_accepts_by_name_and_the_report_shows_it_on_its_first_screen() -> None:
    served = [signature("serving_default", *SERVING.outputs, output("embedding"), output("classes"))]
    record = evidence.make_evaluation(served=served)
    accepted = {"unattacked_outputs": ["serving_default/classes", "serving_default/embedding"]}
    policy = GatePolicy(**{**evidence.POLICY.model_dump(), **accepted})
    whole = evidence.make_evidence(evaluation=record)
    verdict = gate.decide(whole, policy, now=evidence.NOW)
    assert verdict.blessed, verdict.message
    facts = build(verdict, whole)
    (tile,) = [tile for tile in facts.summary if tile.label == "Served outputs"]
    assert tile.value == "1 of 3 outputs attacked"
    shown = "Served, not attacked, accepted by the policy: serving_default/classes, serving_default/embedding."
    assert tile.detail.startswith(shown)
    page = pages.to_html(facts)
    assert shown in page[: page.index('id="rules"')]
    assert rule("serving_default/classes", served=served).status == "failed"


@pytest.mark.parametrize(
    "near", ["serving_default/Embedding", "serving_default/embedding ", "serving/embedding", "a/embedding"]
)
def test_a_name_that_is_nearly_right_accepts_nothing(near: str) -> None:
    served = [signature("serving_default", *SERVING.outputs, output("embedding"))]
    assert rule(near, served=served).status == "failed"


def test_the_attacked_output_must_be_served() -> None:
    """The evaluation of one signature says nothing of a model that serves others, whatever the policy accepts."""
    for changes in (
        {"signature_name": "attack_me"},
        {"heads": [evidence.make_evaluation().heads[0].model_copy(update={"output_key": "logits", "from_logits": True})]},
        {"served": [signature("serving_default", SERVING.outputs[0].model_copy(update={"standing": "unattacked"}))]},
    ):  # fmt: skip
        everything = [f"{each.name}/{found.name}" for each in HONEST for found in each.outputs]
        found = rule(*everything, **changes)
        assert found.status == "failed"
        assert "not among what the model serves" in found.explanation


def test_what_is_served_must_be_said() -> None:
    assert rule(served=[]).status == "unknown"
    assert rule(served=None).status == "unknown"
    text = evidence.make_evaluation().model_dump(mode="json")
    for name in ("served", "signature_name", "num_compared"):
        with pytest.raises(EvidenceError, match=name):
            PrivacyEvaluation.from_value({key: value for key, value in text.items() if key != name})
    with pytest.raises(EvidenceError, match="served"):
        PrivacyEvaluation.from_value({**text, "served": []})
    with pytest.raises(EvidenceError, match="served under one name twice"):
        PrivacyEvaluation.from_value({**text, "served": [text["served"][1], *text["served"]]})


@pytest.mark.parametrize("count", [0, 1, 999])
def test_outputs_are_the_same_on_a_sample_that_is_large_enough(count: int) -> None:
    found = rule(num_compared=count)
    assert found.status == "failed"
    assert f"compared on {count} records alone, and 1000 are needed" in found.explanation
    assert rule(num_compared=1000).holds
    assert rule(num_compared=count, served=[SERVING]).holds  # nothing rests on a comparison


def test_one_standing_needs_the_name_of_what_is_the_same() -> None:
    for standing, same_as in (("same", ""), ("attacked", "a/b"), ("transformed", "a/b")):
        with pytest.raises(ValueError, match="is the same as"):
            output("e", standing=standing, same_as=same_as)
    assert unattacked([signature("b", output("e")), SERVING]) == ["b/e"]


@pytest.mark.parametrize("bad", [["embedding"], ["embedding/"], ["/embedding"], ["a/b", "a/b"], [""], "a/b", [7]])
def test_a_policy_names_outputs_with_their_signatures(bad: Any) -> None:
    with pytest.raises(ParameterError, match="unattacked_outputs"):
        GatePolicy(**{**evidence.POLICY.model_dump(), "unattacked_outputs": bad})
