"""Bugs in what a model is looked at for before it is trained."""

from __future__ import annotations

from mutants.mutant import Mutant

VALIDATION = [
    Mutant(
        "batch normalisation is fine", "_layer_problems",
        'keras_api.is_kind_of(layer, *_MIXING) or "BatchNorm" in type(layer).__name__', "False", "test_validation",
    ),
    Mutant(
        "records may mix in training", "_mixing_problems", "(False, True)", "(False,)",
        "test_validation::test_models_whose_guarantee_would_not_be_true",
    ),
    Mutant(
        "records may mix", "_behavioural_problems",
        "yield from _mixing_problems(model, finite)", "",
        "test_validation::test_models_whose_guarantee_would_not_be_true",
    ),
    Mutant(
        "what is not finite is the same", "validation:_finite",
        "return all(bool(np.all(np.isfinite(output))) for output in tf.nest.flatten(outputs))", "return True",
        "test_validation::test_models_whose_guarantee_would_not_be_true",
    ),
    Mutant(
        "gradients that are not finite agree", "_agree", "return shows_nothing", "return True",
        "test_validation::test_a_gradient_that_is_not_finite_shows_nothing",
    ),
    Mutant(
        "statistics may be kept", "nothing_kept",
        "if problem is not None: ...", "", "test_state",
    ),
    Mutant(
        "what the step runs is not looked at", "PrivateStep._chunk_sum",
        "with state.nothing_kept(self._model): ...", "clipped = self._sums[size](chunk, clip, extra)", "test_state",
    ),
    Mutant(
        "functions that are called are not looked into", "_Search.problem",
        "for function, arguments in self._called(node, inputs): ...", "", "test_state",
    ),
    Mutant(
        "any variable may be a seed generator", "_Search._is_allowed",
        "is_generator = bool(inputs) and inputs[0].handle in self._generators", "is_generator = True", "test_state",
    ),
    Mutant(
        "records may be put into a seed generator", "_Search._is_allowed",
        "return is_generator and may_count and not any(value.of_records for value in inputs)", "return is_generator",
        "test_state",
    ),
    Mutant(
        "records may say how often a generator draws", "_Search._is_allowed",
        "return may_count and not any(value.of_records for value in inputs)", "return True", "test_state",
    ),
    Mutant(
        "the loss may keep what it sees", "_trace",
        "losses = [head.loss(*head.both) for head in keras_api.heads(model, labels, outputs)]", "losses = []",
        "test_state",
    ),
    Mutant(
        "errors are chained to those that quote records", "without_values:call",
        "failed = _told(error, what)", "raise DataError(_told(error, what)) from error", "test_refusals",
    ),
    Mutant(
        "a model is not looked at beforehand", "check_model_beforehand",
        "validation.check_model(model, made_up)", "pass",
        "test_refusals::test_a_model_is_refused_before_there_are_records",
    ),
    Mutant(
        "noise that protects nothing is resumed", "checkpoint:_identity",
        "if deterministic_noise: ...", "", "test_refusals",
    ),
    Mutant(
        "random generators tell how often they drew", "random_states_restored",
        "for state, value in zip(states, before, strict=True): ...", "pass",
        "test_state::test_random_generators_do_not_tell_how_often_they_drew",
    ),
    Mutant(
        "layers may be shown data", "_layer_problems",
        "keras_api.takes_from_data(layer)", "False", "test_validation::test_models_whose_guarantee_would_not_be_true",
    ),
    Mutant(
        "a train_step of one's own is ignored", "_structural_problems",
        "not keras_api.is_own(_defining_class(type(model), method))", "False",
        "test_validation::test_methods_that_fit_would_call",
    ),
    Mutant(
        "any optimizer will do", "_optimizer_problems",
        'not keras_api.is_exactly(optimizer, *_OPTIMIZERS) or ".legacy." in f"{kind.__module__}."', "False",
        "test_validation::test_optimizers",
    ),
]  # fmt: skip
