"""Rule of the gate that an attack compares each output with what it was trained on.

Against another label a model that gives away its members looks like guessing. The same goes for an output that is taken
for a loss and is none. So the guarantee states the labels of every output, and the attacked heads are held against that.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from tfx_privacy.attacks.evaluation import Head
from tfx_privacy.attacks.membership.heads import OF_CLASSES
from tfx_privacy.gate.evidence import Evidence, Finding
from tfx_privacy.gate.policy import GatePolicy
from tfx_privacy.guarantee.record import TrainedLabel


def check_labels(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """Every attacked output was compared with a label that it was trained on."""
    labels, heads = evidence.known_guarantee.labels, evidence.known_evaluation.heads
    value = ", ".join(_shown(head) for head in heads)
    if not labels:
        return Finding(
            False,
            value,
            "The guarantee does not say with which labels the model was trained, so nobody can show that the attack "
            "compares with them. Train with this version of DPTrainer.",
        )
    problems = [*_of_heads(heads, labels, policy), *_not_compared(heads, labels, policy)]
    if problems:
        return Finding(False, value, " ".join(problems))
    return Finding(True, value, _passed(heads, labels))


def allows_losses(policy: GatePolicy) -> bool:
    """Whether the policy says that the outputs are losses, which the guarantee cannot show."""
    return "loss" in policy.required_tasks


def _of_heads(heads: list[Head], labels: list[TrainedLabel], policy: GatePolicy) -> Iterator[str]:
    for head in heads:
        found = _labels_of(head, labels)
        if any(_is_compared(head, label, policy) for label in found):
            continue
        output = f"Output {head.output_key!r}"
        if head.task == "loss":
            yield (
                f"{output} was attacked as a loss by itself, but the model's loss reads a label: {_named(found)}. Give "
                "PrivacyEvaluator the label and leave out task='loss'; or, if the output is each record's loss, name "
                "'loss' in the policy's required_tasks."
            )
        elif not any(label.features for label in found):
            yield (
                f"{output} was compared with {_shown(head)}, but no feature is known to have the labels that it was "
                "trained on, which input_fn made. Make them in preprocessing_fn, or give DPTrainer the label_key."
            )
        elif any(_is_of_other_texts(label, head) for label in found):
            yield (
                f"{output} was compared with {_shown(head)} as classes in another order than the model was trained with. Wire "
                "to PrivacyEvaluator the schema that DPTrainer had."
            )
        elif any(_has(label, head) for label in found):
            yield (
                f"{output} was attacked with task={head.task!r}, but its loss is of class numbers. Leave out "
                "PrivacyEvaluator's task."
            )
        else:
            yield (
                f"{output} was compared with {_shown(head)}, but the model was trained on {_named(found)}: an attack with "
                "another label finds nothing. Leave out PrivacyEvaluator's label_key, or set it to that label; wire the "
                "transform_graph if DPTrainer had it, and only then."
            )


def _labels_of(head: Head, labels: list[TrainedLabel]) -> list[TrainedLabel]:
    """The label of the output of this name; all of them where the signature has names of its own."""
    return [label for label in labels if label.output == head.output_key] or labels


def _is_compared(head: Head, label: TrainedLabel, policy: GatePolicy) -> bool:
    if head.task == "loss":
        return label.loss == "without_label" or allows_losses(policy)
    if label.loss == "classes" and head.task not in (*OF_CLASSES, "unsupported"):
        return False
    return _has(label, head)


def _has(label: TrainedLabel, head: Head) -> bool:
    # The same texts in another order are other labels.
    return label.texts_digest == head.label_texts_digest and any(
        (each.name, each.features) == (head.label_key, head.label_features) for each in label.features
    )


def _is_of_other_texts(label: TrainedLabel, head: Head) -> bool:
    return label.texts_digest != head.label_texts_digest and any(each.name == head.label_key for each in label.features)


def _not_compared(heads: list[Head], labels: list[TrainedLabel], policy: GatePolicy) -> Iterator[str]:
    """Labels that no head has. Where all outputs have the model's names, those that are not attacked are not served.

    Else two outputs might have been compared with the label of one of them.
    """
    names = {label.output for label in labels}
    if len(labels) == 1 or all(head.output_key in names for head in heads):
        return
    for label in labels:
        if not any(_is_compared(head, label, policy) for head in heads):
            yield (
                f"No output was compared with {_named([label])}, and the signature's outputs "
                f"{', '.join(head.output_key for head in heads)} are not all named as the model's. Serve them under the "
                f"model's names: {', '.join(sorted(names))}."
            )


def _passed(heads: list[Head], labels: list[TrainedLabel]) -> str:
    text = "The attack compared outputs with what they were trained on."
    declared = sorted({_named([label]) for label in labels if label.source == "declared"})
    if declared:
        text += f" By the word of the module's author, whose input_fn made the labels: {', '.join(declared)}."
    return text


def _named(labels: list[TrainedLabel]) -> str:
    return ", ".join(
        (
            " or ".join(f"{each.name!r} of the {_KINDS[each.features]}" for each in label.features)
            or "a label without a name"
        )
        + (f" for output {label.output!r}" if label.output else "")
        for label in labels
    )


_KINDS = {"examples": "examples", "transformed": "transformed features"}


def _shown(head: Head) -> str:
    if not head.label_key:
        return f"{head.output_key} as a loss" if head.task == "loss" else f"{head.output_key} with no label"
    of = f" of the {_KINDS[head.label_features]}" if head.label_features else ""
    return f"{head.label_key!r}{of}"
