"""Bugs in what binds an attack to the labels that were trained on."""

from __future__ import annotations

from mutants.mutant import Mutant

_GATE, _VALUES, _LOSSES = "test_trained_labels", "test_label_values", "test_losses_and_labels"

TRAINED_LABELS = [
    Mutant("any label will do", "rules.trained_labels:_is_compared", "_has(label, head)", "True", _GATE),
    Mutant(
        "features of one name are one label", "rules.trained_labels:_has",
        "(each.name, each.features) == (head.label_key, head.label_features)", "each.name == head.label_key", _GATE,
    ),
    Mutant(
        "an output is a loss by the pipeline's word", "rules.trained_labels:_is_compared",
        'label.loss == "without_label" or allows_losses(policy)', "True", _GATE,
    ),
    Mutant(
        "a loss of one's own reads no label", "rules.trained_labels:_is_compared",
        'label.loss == "without_label"', 'label.loss in ("without_label", "own")', _GATE,
    ),
    Mutant(
        "class numbers are numbers", "rules.trained_labels:_is_compared",
        'label.loss == "classes" and head.task not in (*OF_CLASSES, "unsupported")', "False", _GATE,
    ),
    Mutant(
        "labels of any output", "rules.trained_labels:_labels_of",
        "[label for label in labels if label.output == head.output_key] or labels", "labels", _GATE,
    ),
    Mutant(
        "one label for all outputs", "rules.trained_labels:_not_compared",
        "len(labels) == 1 or all(head.output_key in names for head in heads)", "True", _GATE,
    ),
    Mutant("a guarantee that names no label", "check_labels", "not labels", "False", _GATE),
    Mutant(
        "any feature as long has the labels", "has_values",
        "common + allowed >= len(labels)", "True", _VALUES,
    ),
    Mutant(
        "a feature that has each value once", "has_values",
        "np.minimum(counts, others[places])", "counts", _VALUES,
    ),
    Mutant(
        "any word is believed", "may_be_made_of",
        "int(np.abs(more - most).sum()) <= dropped", "True", _VALUES,
    ),
    Mutant(
        "few values are measurements", "label_values:_is_measured",
        "len(values) > _MEASURED * len(keys)", "True", _VALUES,
    ),
    Mutant(
        "no loss reads its label", "reads_label",
        "has_effect or any(output.op.name in reached for output in graph.outputs)", "False", _LOSSES,
    ),
    Mutant(
        "a label that goes unseen is not read", "reads_label",
        "has_effect or any(output.op.name in reached for output in graph.outputs)",
        "any(output.op.name in reached for output in graph.outputs)", _LOSSES,
    ),
]  # fmt: skip
