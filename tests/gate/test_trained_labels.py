"""An attack is evidence only where it compares each output with what that output was trained on."""

from __future__ import annotations

from typing import Any, get_args

import evidence
import pytest

from tfx_privacy.attacks.evaluation import Head
from tfx_privacy.gate import decide as gate
from tfx_privacy.gate.policy import GatePolicy
from tfx_privacy.gate.verdict import RuleResult
from tfx_privacy.guarantee.record import LabelFeature, PrivacyGuarantee, TrainedLabel


def label(name: str = "label", output: str = "", **changes: Any) -> TrainedLabel:
    named = [LabelFeature(name=name, features=changes.pop("features", "examples"))] if name else []
    return TrainedLabel(**{"output": output, "features": named, "source": "read", "loss": "keras", **changes})


def head(label_key: str = "label", output_key: str = "outputs", **changes: Any) -> Head:
    values = {"name": output_key, "task": "binary", "label_features": "examples" if label_key else None, **changes}
    logits = False if values["task"] not in ("regression", "loss") else None
    return Head(**{"output_key": output_key, "label_key": label_key, "from_logits": logits, **values})


def rule(labels: list[TrainedLabel], heads: list[Head], **limits: Any) -> RuleResult:
    record = evidence.make_evaluation().model_copy(update={"heads": heads})
    policy = GatePolicy(**{**evidence.POLICY.model_dump(), **limits})
    made = evidence.make_evidence(guarantee=evidence.make_guarantee(labels=labels), evaluation=record)
    found = gate.decide(made, policy, now=evidence.NOW).rule("trained_labels")
    assert found is not None
    return found


TEXTS = [f"sha256:{digit * 64}" for digit in "12"]
TWO = [label("a", "one"), label("b", "two")]
PASSED: dict[str, tuple[list[TrainedLabel], list[Head]]] = {
    "the label": ([label()], [head()]),
    "probabilities and logits of one output": ([label()], [head(output_key="p"), head(output_key="logits")]),
    "one of several features with these values": (
        [TrainedLabel(output="", source="compared", loss="own", features=[
            LabelFeature(name="other", features="transformed"), LabelFeature(name="label", features="examples"),
        ])], [head()],
    ),
    "texts in this order": ([label(texts_digest=TEXTS[0])], [head(label_texts_digest=TEXTS[0])]),
    "class numbers": ([label(loss="classes")], [head(task="multiclass")]),
    "class numbers of tokens": ([label(loss="classes")], [head(task="sequence")]),
    "numbers, by a loss for probabilities": ([label()], [head(task="regression")]),
    "two outputs": (TWO, [head("a", "one"), head("b", "two")]),
    "two outputs under names of the signature": (TWO, [head("a", "x"), head("b", "y")]),
    "an output that is not served": (TWO, [head("a", "one")]),
    "a loss without a label": ([label("", source="compared", loss="without_label")], [head("", task="loss")]),
    "a loss that ignores the label that was read": ([label(loss="without_label")], [head("", task="loss")]),
}  # fmt: skip


@pytest.mark.parametrize(("labels", "heads"), PASSED.values(), ids=PASSED.keys())
def test_what_was_trained_on_is_attacked(labels: list[TrainedLabel], heads: list[Head]) -> None:
    found = rule(labels, heads)
    assert found.holds, found.explanation


REFUSED: dict[str, tuple[list[TrainedLabel], list[Head], str]] = {
    "another label": ([label()], [head("paid")], "'paid' of the examples, but the model was trained on 'label'"),
    "one of its name that Transform makes": (
        [label()], [head(label_features="transformed")], "'label' of the transformed features, but the model",
    ),
    "one of its name that nobody says more of": ([label()], [head(label_features=None)], "'label', but the model was trained"),
    "one of its name before Transform": ([label(features="transformed")], [head()], "wire the transform_graph if DPTrainer"),
    "texts in another order": (
        [label(texts_digest=TEXTS[0])], [head(label_texts_digest=TEXTS[1])], "classes in another order",
    ),
    "texts that nobody says more of": ([label(texts_digest=TEXTS[0])], [head()], "classes in another order"),
    "numbers that were no texts": ([label()], [head(label_texts_digest=TEXTS[0])], "classes in another order"),
    "a loss that is none": ([label()], [head("", task="loss")], "as a loss by itself, but the model's loss reads a label"),
    "a loss that is none, of the author's own": ([label(loss="own")], [head("", task="loss")], "name 'loss' in the policy's"),
    "a loss beside the label": ([label()], [head(), head("", "x", task="loss")], "Output 'x' was attacked as a loss"),
    "a second label beside it": ([label()], [head(), head("paid", "x")], "Output 'x' was compared with 'paid'"),
    "class numbers as numbers": ([label(loss="classes")], [head(task="regression")], "its loss is of class numbers"),
    "labels of two outputs the wrong way round": (TWO, [head("b", "one"), head("a", "two")], "Output 'one' was compared"),
    "one label for two outputs": (TWO, [head("a", "one"), head("a", "two")], "Output 'two' was compared with 'a'"),
    "one label for two outputs with names of the signature": (
        TWO, [head("a", "x"), head("a", "y")], "No output was compared with 'b' of the examples for output 'two'",
    ),
    "labels that no feature has": (
        [label("", source="compared")], [head()], "no feature is known to have the labels that it was trained on",
    ),
    "a loss by itself for one of two": (
        [label("a", "one"), label("b", "two", loss="without_label")], [head("", "one", task="loss"), head("b", "two")],
        "Output 'one' was attacked as a loss",
    ),
    "no statement": ([], [head()], "Train with this version of DPTrainer"),
}  # fmt: skip


@pytest.mark.parametrize(("labels", "heads", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_an_attack_on_something_else_is_a_refusal(labels: list[TrainedLabel], heads: list[Head], words: str) -> None:
    found = rule(labels, heads)
    assert (found.status, found.exception) == ("failed", None)
    assert words in found.explanation


def test_only_the_policy_can_say_that_outputs_are_losses() -> None:
    for loss in ("own", "keras"):
        assert rule([label(loss=loss)], [head("", task="loss")], required_tasks=["loss"]).holds
    assert not rule([label()], [head("paid")], required_tasks=["binary", "loss"]).holds
    assert rule([label()], [head()], required_tasks=["loss"]).limit == "the labels trained on, or a loss"


def test_the_report_says_whose_word_it_is() -> None:
    found = rule([label(source="declared")], [head()])
    assert (
        "By the word of the module's author, whose input_fn made the labels: 'label' of the examples."
        in found.explanation
    )
    assert "word" not in rule([label(source="compared")], [head()]).explanation


def test_a_statement_that_cannot_be_true_is_not_read() -> None:
    with pytest.raises(ValueError, match="a label that was read has a name"):
        label("")
    for outputs in (("one", "one"), ("", "one")):
        with pytest.raises(ValueError, match="not told apart"):
            evidence.make_guarantee(labels=[label(output=output) for output in outputs])
    assert set(get_args(PrivacyGuarantee.model_fields["labels"].annotation)) == {TrainedLabel}
