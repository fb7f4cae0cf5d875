"""Bugs in what a model is looked at for before it is trained."""

from __future__ import annotations

from mutants.mutant import Mutant

VALIDATION = [
    Mutant(
        "layers that mix images are fine", "_layer_problems",
        "keras_api.is_kind_of(layer, *_MIXING)", "False", "test_validation::test_layers_that_mix_images",
    ),
    Mutant(
        "a thawed batch normalisation keeps records apart", "by_moving_statistics",
        "frozen = layer.trainable is False and getattr(layer, \"_USE_V2_BEHAVIOR\", True) is True", "frozen = True",
        "test_batch_normalization::test_the_engine_looks_at_every_call_by_itself",
    ),
    Mutant(
        "TensorFlow 1's batch normalisation minds that it is frozen", "by_moving_statistics",
        "frozen = layer.trainable is False and getattr(layer, \"_USE_V2_BEHAVIOR\", True) is True",
        "frozen = layer.trainable is False", "test_batch_normalization::test_layers_that_only_look_frozen_see_no_whole_batch",
    ),
    Mutant(
        "virtual batches keep records apart", "by_moving_statistics",
        "any(getattr(layer, name, None) for name in _OF_SUB_BATCHES)", "False",
        "test_batch_normalization::test_layers_that_only_look_frozen_see_no_whole_batch",
    ),
    Mutant(
        "batch normalisation is called for training", "by_moving_statistics",
        "return frozen or training is False", "return True",
        "test_batch_normalization::test_the_engine_looks_at_every_call_by_itself",
    ),
    Mutant(
        "batch normalisation along the records", "_batch_normalization",
        "return by_moving_statistics(layer, ranks.training) and _by_axis(layer, ranks)",
        "return by_moving_statistics(layer, ranks.training)",
        "test_batch_normalization::test_layers_that_only_look_frozen_see_no_whole_batch",
    ),
    Mutant(
        "batch normalisation is not named", "_behavioural_problems",
        "normalizing = [*_normalization_problems(model, made)]", "normalizing = []",
        "test_batch_normalization::test_statistics_of_a_batch_are_refused_with_a_remedy",
    ),
    Mutant(
        "any loss is a weighted mean", "_is_weighted_mean",
        "return False", "return True", "test_loss_checks::test_losses_that_compare_records_are_refused",
    ),
    Mutant(
        "weights may follow the batch", "_is_weighted_mean",
        "return bool(np.all(np.abs(first - part * first.sum()) <= _TOLERANCE))", "return True",
        "test_loss_checks::test_losses_that_compare_records_are_refused",
    ),
    Mutant(
        "a training of noise alone", "examine",
        "require_gradients(model, data, fast, found)", "", "test_loss_checks::test_losses_without_a_gradient_are_refused",
    ),
    Mutant(
        "what is not finite trains", "probe:_is_of_use",
        "return bool(np.any(np.all(np.isfinite(rows), axis=1) & np.any(rows != 0.0, axis=1)))",
        "return bool(np.any(rows != 0.0))", "test_loss_checks::test_losses_without_a_gradient_are_refused",
    ),
    Mutant(
        "weights that were tried stay", "_weights_restored",
        "for variable, value in zip(variables, before, strict=True): ...", "pass",
        "test_loss_checks::test_a_model_that_is_dead_for_made_up_records_is_not_refused",
    ),
    Mutant(
        "a module's precision outlives it", "precision:restored",
        "if now != (policy, floatx): ...", "pass",
        "test_validation::test_half_precision_has_one_remedy_for_all_layers_and_ends_with_the_run",
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
        "made_up = validation.check_model(model, made_up)", "pass",
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
    Mutant(
        "a model's own noise is replaced by the argument's", "stated_privacy:merged",
        "ours is not None and not math.isclose(ours, theirs, rel_tol=_ROUNDING)", "False",
        "test_stated_privacy::test_two_sources_that_differ_are_an_error",
    ),
    Mutant(
        "a model's own noise is replaced by a calibrated one", "stated_privacy:merged",
        "not privacy.enabled or privacy.target_epsilon is not None", "False",
        "test_stated_privacy::test_two_sources_that_differ_are_an_error",
    ),
    Mutant(
        "a model's clip is left out for the default", "stated_privacy:merged",
        "clip if privacy.leaves_out_clip else privacy.l2_norm_clip", "privacy.l2_norm_clip",
        "test_stated_privacy::test_what_was_left_out_is_the_models",
    ),
    Mutant(
        "microbatches of several records count as records", "stated_privacy:check_microbatches",
        "expected_batch_size is not None and math.isclose(number, expected_batch_size, rel_tol=_ROUNDING)", "True",
        "test_stated_privacy::test_microbatches_of_several_records_are_another_unit",
    ),
    Mutant(
        "one microbatch counts as one for each record", "stated_privacy:check_microbatches",
        "stated is None or number is None", "stated is None or number in (None, 1)",
        "test_stated_privacy::test_microbatches_of_several_records_are_another_unit",
    ),
    Mutant(
        "the standard deviation is taken for the noise multiplier", "stated_privacy:_clip_and_noise",
        "return clip, noise if clip * noise == deviation else deviation / clip", "return clip, deviation",
        "test_stated_privacy::test_an_optimizer_is_read_and_becomes_keras_own_with_its_hyperparameters",
    ),
    Mutant(
        "any query is read as the Gaussian one", "stated_privacy:_clip_and_noise",
        "type(query).__name__ != _QUERY or not _is_theirs(type(query))", "False",
        "test_stated_privacy::test_what_cannot_be_taken_for_what_it_says",
    ),
    Mutant(
        "accumulated gradients are read as steps", "stated_privacy:_check_optimizer",
        "accumulated != 1", "False",
        "test_stated_privacy::test_what_cannot_be_taken_for_what_it_says",
    ),
    Mutant(
        "a model that states its privacy twice", "stated_privacy:take",
        "by_model is not None and by_optimizer is not None", "False",
        "test_stated_privacy::test_what_cannot_be_taken_for_what_it_says",
    ),
    Mutant(
        "a run without any noise stated", "stated_privacy:merged",
        "privacy.check_noise_is_known()", "pass",
        "test_stated_privacy::test_without_a_class_of_theirs_the_argument_says_it_all",
    ),
]  # fmt: skip
