"""Bugs in what a model is looked at for before it is trained."""

from __future__ import annotations

from mutants.mutant import Mutant

VALIDATION = [
    Mutant(
        "batch normalisation is fine", "_layer_problems",
        'keras_api.is_kind_of(layer, *_MIXING) or "BatchNorm" in type(layer).__name__', "False", "test_validation",
    ),
    Mutant("records may mix in training", "_mixing_problems", "(False, True)", "(False,)", "test_validation"),
    Mutant(
        "records may mix", "_behavioural_problems",
        "yield from _mixing_problems(model, finite)", "", "test_validation",
    ),
    Mutant(
        "what is not finite is the same", "validation:_finite",
        "return all(bool(np.all(np.isfinite(output))) for output in tf.nest.flatten(outputs))", "return True",
        "test_validation",
    ),
    Mutant("gradients that are not finite agree", "_agree", "return shows_nothing", "return True", "test_validation"),
    Mutant(
        "statistics may be kept", "_behavioural_problems",
        "yield from _state_problems(model, _tensors(finite.features))", "", "test_validation",
    ),
    Mutant(
        "layers may be shown data", "_layer_problems",
        "keras_api.takes_from_data(layer)", "False", "test_validation",
    ),
    Mutant(
        "a train_step of one's own is ignored", "_structural_problems",
        "not keras_api.is_own(_defining_class(type(model), method))", "False", "test_validation",
    ),
    Mutant(
        "any optimizer will do", "_optimizer_problems",
        'not keras_api.is_exactly(optimizer, *_OPTIMIZERS) or ".legacy." in f"{kind.__module__}."', "False",
        "test_validation",
    ),
]  # fmt: skip
