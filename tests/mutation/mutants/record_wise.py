"""Bugs in what keeps the records of a batch apart."""

from __future__ import annotations

from mutants.mutant import Mutant

RECORD_WISE = [
    Mutant(
        "unknown layers see whole batches", "plan_of",
        "plan.separate.append(part)", "", "test_record_wise::test_only_the_unknown_call_is_slow",
    ),
    Mutant(
        "a quantized layer is known by its call", "_require_own_call",
        'getattr(part, "quantization_mode", None) is not None', "False", "test_own_call",
    ),
    Mutant(
        "what is computed again is not looked at", "_require_own_call",
        'getattr(part, "_remat_mode", None) is not None', "False", "test_own_call",
    ),
    Mutant(
        "a dtype policy of one's own computes nothing", "_require_own_call",
        "not known_layers.is_genuine(type(policy))", "False", "test_own_call",
    ),
    Mutant(
        "an attribute over a policy's method is nothing", "_require_own_call",
        "known_layers.is_altered(policy)", "False", "test_own_call",
    ),
    Mutant(
        "what a known layer holds is not looked at", "_held",
        "[] if _operation_check(part) is not None else keras_api.layers(part)", "[]", "test_own_call",
    ),
    Mutant(
        "operations that join records of a loop are without state", "_Search._is_allowed",
        "node.op in _HAND_ON", 'node.op == "PyFuncStateless"', "test_state::test_layers_that_keep_what_they_see",
    ),
    Mutant(
        "a subclass is taken for Keras' own", "is_genuine",
        "not keras_api.is_own(kind) or getattr(home, getattr(kind, \"__name__\", \"\"), None) is not kind", "False",
        "test_record_wise::test_a_function_put_over_one_of_keras_own",
    ),
    Mutant(
        "a class that was patched is Keras' own", "is_genuine",
        "return not patched_methods(kind) if inspect.isclass(kind) else _is_of_keras(kind)", "return True",
        "test_record_wise::test_a_patch_of_what_is_outside_a_call_takes_the_model_along",
    ),
    Mutant(
        "a patch of what is outside a call is not looked at", "_require_separable",
        "overridden |= known_layers.patched_methods(type(part)) - _FREE_METHODS", "",
        "test_record_wise::test_a_patch_of_what_is_outside_a_call_takes_the_model_along",
    ),
    Mutant(
        "an operation is taken for a layer of its name", "is_genuine_layer",
        "return is_genuine(kind) and (\".layers.\" in kind.__module__ or kind.__module__.endswith(\".input_layer\"))",
        "return is_genuine(kind)", "test_record_wise::test_operations_are_not_taken_for_layers_of_their_names",
    ),
    Mutant(
        "a call put over Keras' own is Keras'", "is_altered", "not keras_api.is_ours(value)", "False",
        "test_record_wise::test_a_method_put_over_that_of_one_layer",
    ),
    Mutant(
        "any activation is known", "is_known_activation",
        "return is_genuine(function) and function.__name__ in _OF_KERAS and \".activations\" in function.__module__",
        "return True", "test_record_wise::test_only_the_unknown_call_is_slow",
    ),
    Mutant(
        "axes are not looked at", "keeps_first", "each != 0", "True",
        "test_record_wise::test_axes_and_arguments_and_models_are_looked_at_before_any_record_is",
    ),
    Mutant(
        "arguments are not looked at", "Recorder._together",
        "require_records_apart(layer, args, kwargs, self._num_records)", "",
        "test_record_wise::test_axes_and_arguments_and_models_are_looked_at_before_any_record_is",
    ),
    Mutant(
        "ranks are not looked at", "known_operations:_elementwise", "len(ranks) != 1 or None in ranks", "False",
        "test_record_wise::test_one_record_moves_the_sum_by_at_most_the_clip",
    ),
    Mutant(
        "any call of a model is known", "_require_separable",
        "raise UnsupportedCallError(f\"The model is a {kind}, whose own call is not known to leave records apart.\")",
        "return", "test_record_wise::test_axes_and_arguments_and_models_are_looked_at_before_any_record_is",
    ),
    Mutant(
        "what is outside a call is not looked at", "_require_separable",
        'overridden or put_over or callable(getattr(part, "mask", None))', "False",
        "test_record_wise::test_a_patch_of_what_is_outside_a_call_takes_the_model_along",
    ),
    Mutant(
        "segments of all records are numbered as one", "_is_kept_apart",
        "operation.type in _VECTORIZED", 'operation.type in (*_VECTORIZED, "UnsortedSegmentSum")', "test_vectorization",
    ),
    Mutant(
        "a gradient of one's own is lost", "_is_kept_apart",
        '"_gradient_op_type" in operation.node_def.attr', "False",
        "test_vectorization::test_anything_else_goes_one_after_the_other",
    ),
    Mutant(
        "matrices of any ranks are multiplied at once", "_is_safe_product",
        "return right.shape.rank == 2 and not operation.get_attr(\"adj_x\")", "return True", "test_vectorization",
    ),
    Mutant(
        "constants are cut by rows", "is_of_records",
        "return tf.executing_eagerly() or tf.get_static_value(part) is None", "return True",
        "test_record_wise::test_a_constant_of_as_many_rows_as_records_is_not_cut",
    ),
    Mutant(
        "losses of Keras with any axis", "losses:_fits",
        "not known_layers.keeps_first(given.get(\"axis\", -1), rank)", "False",
        "test_record_wise::test_losses_along_records_and_of_outputs_without_an_axis_get_one_at_a_time",
    ),
    Mutant("any loss sees whole batches", "is_known_loss",
        "return kind.__name__ in (*_POINTWISE, *_OF_CLASS_NUMBERS)", "return True",
        "test_record_wise::test_keras_own_losses_with_arguments_that_mix"),
    Mutant(
        "records of one size", "of_several_sizes",
        "yield made", "yield made\nreturn",
        "test_record_wise::test_thresholds_within_reach_of_the_made_up_records_are_refused",
    ),
    Mutant(
        "a loss may compare records", "_behavioural_problems",
        "yield from loss_checks.problems(model, finite, _traced(model, training=False))", "",
        "test_record_wise::test_a_loss_that_compares_records_is_refused",
    ),
    Mutant(
        "a subclass inherits a declaration", "is_declared",
        "return _MARK in getattr(target, \"__dict__\", {}) and vars(target)[_MARK] is target",
        "return hasattr(target, _MARK)", "test_declarations",
    ),
    Mutant(
        "what is declared is not told", "examine",
        "sorted(batched.plan.declared | losses.declared_of(model))", "[]",
        "test_record_wise::test_a_declared_layer_gets_whole_batches_and_the_outcome_says_so",
    ),
    Mutant(
        "a resumed run forgets what was declared", "checkpoint:_identity",
        "sorted(declared_record_wise)", "[]",
        "test_checkpoint::test_what_is_declared_record_wise_is_declared_of_every_step",
    ),
    Mutant(
        "anybody's word is enough", "check_record_wise", "policy.allow_declared_record_wise is True", "True", "test_declarations",
    ),
    Mutant("the statement keeps quiet", "_declared_sentences", "not guarantee.declared_record_wise", "True", "test_declarations"),
]  # fmt: skip
