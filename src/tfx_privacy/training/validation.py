"""Refuses models whose guarantee would not be true; every problem names its layer and a way out."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_privacy import _validate
from tfx_privacy.errors import ModelError
from tfx_privacy.training import keras_api, loss_checks, made_up, state, trial_records, without_values
from tfx_privacy.training.data import ColumnarDataset
from tfx_privacy.training.gradients import known_layers, losses, plan
from tfx_privacy.training.variable_length import Ragged, Sparse

_OPTIMIZERS = ("SGD", "Adam", "AdamW", "Adagrad", "RMSprop")
_NEAREST = {"Nadam": "Adam", "Adamax": "Adam", "Adadelta": "RMSprop", "Ftrl": "Adagrad"}
# Their output for one record depends on the other records of the batch.
_MIXING = ("MixUp", "CutMix", "RandomErasing")
# Called by Keras' own `fit`, and not by DPTrainer.
_TRAINING_METHODS = ("train_step", "compute_loss", "compute_gradients")
_NOT_FINITE = (
    "Its outputs for made-up records (small random numbers, then positive ones) are not finite, so nothing shows "
    "whether it mixes records. Make them finite for every input, e.g. by tf.maximum before a logarithm or a root."
)
_PROBE_SIZE = 4
_WHERE = re.compile(
    r"Exception encountered when calling [^\n]*|in user code:|\{\{[^}]*\}\}|File \"[^\"]*\", line \d+, in \S+[^\n]*\n[^\n]*"
)
# Kinds of made-up values that a model is tried with.
_ATTEMPTS = 60
_TOLERANCE = 1e-4
# Differences below this are none, whatever the numbers.
_SMALLEST = 1e-6


def check_model(model: Any, data: ColumnarDataset) -> ColumnarDataset:
    """Checks a compiled model before it sees a record.

    Args:
      model: What `model_fn` returned, of Keras 2 or Keras 3.
      data: The training data; only its names, shapes and types are used.

    Returns:
      The data, for which `synthetic` makes up values that the model takes.

    Raises:
      ModelError: With every problem that was found.
    """
    _require_model(model)
    _refuse([*_structural_problems(model)])
    data = taken(model, data)
    try:
        problems = [*_behavioural_problems(model, data)]
    except tf.errors.OpError as error:
        # No record was used, so the text may be quoted.
        raise ModelError(
            "The model or its loss cannot be computed for made-up records (small numbers, labels of 0 and 1), by which models "
            f"are looked at: {type(error).__name__}: {_validate.short(error.message)}. Let both take any values."
        ) from error
    _refuse(problems)
    return data


def taken(model: Any, data: ColumnarDataset) -> ColumnarDataset:
    """The same records, for which `synthetic` makes up values that a model takes.

    A model may decode its texts as pictures, or look up numbers from one on. Only made-up records are used.

    Raises:
      ModelError: If it takes none of those that are tried; with TensorFlow's text of why it did not take the first.
    """
    refusal = _refusal(model, data)
    if refusal is None:
        return data
    kinds = {name: column.dtype.kind for name, column in data.columns.items()}
    others = made_up.attempts(
        [name for name in kinds if kinds[name] not in "fiub"], whole_numbers="i" in kinds.values()
    )
    waiting: list[made_up.MadeUp] = []
    tried = {data.made_up}
    for attempt in itertools.islice(_until_empty(waiting, others), _ATTEMPTS):
        if attempt in tried:
            continue
        tried.add(attempt)
        changed = dataclasses.replace(data, made_up=attempt)
        found = _refusal(model, changed)
        if found is None:
            return changed
        waiting.extend(made_up.hinted(str(found), attempt, _PROBE_SIZE))
    # No record was used, so the text may be quoted.
    raise ModelError(
        "The model cannot be called with made-up records (small numbers, the texts 'a' and 'b', numbers, dates and pictures "
        f"as texts), by which models are looked at: {type(refusal).__name__}: {_reason(refusal)}. Let it take any "
        "values, and do what needs others in preprocessing_fn or input_fn."
    ) from refusal


def _refusal(model: Any, data: ColumnarDataset) -> Exception | None:
    """TensorFlow's error where it cannot compute with made-up records."""
    try:
        keras_api.called(model, _tensors(data.synthetic(_PROBE_SIZE).features), training=False)
    except without_values.ERRORS as error:
        return error
    return None


def _reason(refusal: Exception) -> str:
    """TensorFlow's text without where it was raised, which Keras says at length."""
    text = _WHERE.sub("", str(refusal).split("Call arguments received")[0])
    return _validate.short(" ".join(text.split()))


def _until_empty(waiting: list[made_up.MadeUp], others: Iterator[made_up.MadeUp]) -> Iterator[made_up.MadeUp]:
    """First what is waiting, then one of the others at a time."""
    while True:
        following = waiting.pop(0) if waiting else next(others, None)
        if following is None:
            return
        yield following


def check_structure(model: Any) -> None:
    """Checks what can be seen of a model without calling it.

    Raises:
      ModelError: With every problem that was found.
    """
    _require_model(model)
    # Whether one that is not frozen is called with training=False cannot be seen.
    normalizing = [
        layer for layer in _batch_normalizations(model) if not known_layers.by_moving_statistics(layer, None)
    ]
    _refuse([*_structural_problems(model), *_named_normalizations(normalizing)])


def _require_model(model: Any) -> None:
    if not keras_api.is_model(model):
        raise ModelError(f"model_fn returned a {type(model).__name__}; expected a compiled tf.keras.Model.")


def _refuse(problems: list[str]) -> None:
    if problems:
        raise ModelError("This model cannot be trained with a true guarantee. " + " ".join(problems))


def finite_records(model: Any, data: ColumnarDataset, size: int) -> ColumnarDataset | None:
    """Made-up records whose outputs are finite, so comparing outputs shows something; None where there are none."""
    for positive in (False, True):
        made = data.synthetic(size, positive=positive)
        if _finite(keras_api.called(model, _tensors(made.features), training=False)):
            return made
    return None


def relevant_features(model: Any, data: ColumnarDataset) -> ColumnarDataset:
    """Leaves out features that a functional model has no input for.

    Raises:
      ModelError: If the model has an input that the data lacks, or a dense one for a feature of variable length.
    """
    names = keras_api.input_names(model) if keras_api.is_model(model) else []
    for name in names:
        if isinstance(data.features, dict) and isinstance(data.features.get(name), Ragged | Sparse):
            check_variable_length(model, name)
    if not names or not isinstance(data.features, dict):
        return data
    missing = sorted(set(names) - set(data.columns))
    if missing:
        raise ModelError(
            f"The model has an input {missing[0]!r}, but the features are: {', '.join(sorted(data.columns))}."
        )
    return data.only(set(names))


def check_variable_length(model: Any, name: str) -> None:
    """Checks a model's input for a feature of which records hold different numbers of values.

    Raises:
      ModelError: If it is dense.
    """
    if not keras_api.takes_variable_length(model, name):
        raise ModelError(
            f"Feature {name!r} has a variable number of values in each record, and the model's input of that name is "
            "dense. Declare the input as Input(shape=(None,), sparse=True) or, in Keras 2, ragged=True; or make the "
            "feature dense in preprocessing_fn or input_fn."
        )


def _structural_problems(model: Any) -> Iterator[str]:
    for method in _TRAINING_METHODS:
        if not keras_api.is_own(_defining_class(type(model), method)):
            yield f"It has its own {method}, which would not be run: move what it does into the loss."
    if not getattr(model, "optimizer", None) or not getattr(model, "loss", None):
        yield "It is not compiled with an optimizer and a loss: call model.compile(optimizer=..., loss=...)."
    else:
        yield from _optimizer_problems(model.optimizer)
    for layer in keras_api.layers(model):
        yield from _layer_problems(layer)
    yield from _precision_problems(model)


def _defining_class(kind: type, attribute: str) -> type:
    """The class of the hierarchy that an attribute comes from; `object` of Keras' own where it is new in one generation."""
    found = next((base for base in kind.__mro__ if attribute in vars(base)), None)
    return found or next(base for base in kind.__mro__ if keras_api.is_own(base))


def _optimizer_problems(optimizer: Any) -> Iterator[str]:
    kind = type(optimizer)
    if not keras_api.is_exactly(optimizer, *_OPTIMIZERS) or ".legacy." in f"{kind.__module__}.":
        yield (
            f"Its optimizer is {kind.__module__}.{kind.__name__}; allowed are Keras' {', '.join(_OPTIMIZERS)}. "
            f"DPTrainer clips and adds the noise itself. {_optimizer_remedy(optimizer)}"
        )


def _optimizer_remedy(optimizer: Any) -> str:
    name = type(optimizer).__name__
    if keras_api.is_kind_of(optimizer, "LossScaleOptimizer", "LossScaleOptimizerV3"):
        inner = type(optimizer.inner_optimizer).__name__
        return f"Losses are scaled for float16 alone: compute in float32, and compile with {inner} itself."
    if ".legacy." in f"{type(optimizer).__module__}." and name in _OPTIMIZERS:
        return f"Compile with tf.keras.optimizers.{name}, without legacy."
    return f"Compile with {_NEAREST.get(name, 'one of them')}."


def _layer_problems(layer: Any) -> Iterator[str]:
    name = f"Layer {layer.name!r} ({type(layer).__name__})"
    if keras_api.is_kind_of(layer, *_MIXING):
        yield f"{name} mixes the records of a batch: augment records one by one."
    elif keras_api.is_kind_of(layer, "SpectralNormalization"):
        yield f"{name} keeps a vector that follows the weights: use a kernel constraint or regularizer instead."
    elif getattr(layer, "stateful", False) and keras_api.is_kind_of(layer, "RNN"):
        yield f"{name} carries its state from batch to batch: set stateful=False."
    elif keras_api.takes_from_data(layer):
        yield (
            f"{name} takes its mean, vocabulary or boundaries from data, by adapt() without privacy: give them to it "
            "as constants."
        )


def _precision_problems(model: Any) -> Iterator[str]:
    found = {layer.name: _compute_dtype(layer) for layer in keras_api.layers(model)}
    half = {name: dtype for name, dtype in found.items() if dtype in ("float16", "bfloat16")}
    if half:
        yield (
            f"{', '.join(map(repr, half))} compute in {' and '.join(sorted(set(half.values())))}: use float32, in which "
            "gradients are clipped. Leave out the mixed-precision policy, global or as a layer's dtype."
        )


def _compute_dtype(layer: Any) -> str:
    policy = getattr(layer, "dtype_policy", None) or getattr(layer, "_dtype_policy", None)
    return str(getattr(policy, "compute_dtype", None))


def _behavioural_problems(model: Any, data: ColumnarDataset) -> Iterator[str]:
    """Runs the model on made-up records."""
    made = data.synthetic(_PROBE_SIZE)
    try:
        heads = keras_api.heads(model, made.labels, keras_api.called(model, _tensors(made.features), training=False))
    except ModelError as error:
        yield str(error)
        return
    shapes = [
        losses.problem_of_shapes(each.loss, each.labels.shape[1:], tuple(each.outputs.shape)[1:]) for each in heads
    ]
    if any(shapes):
        yield from filter(None, shapes)
        return
    if not model.trainable_variables:
        yield "It has no trainable weights."
        return
    normalizing = [*_normalization_problems(model, made)]
    if normalizing:
        yield from normalizing
        return
    # First of all: what has a state gives no two calls that could be compared.
    kept = [*_state_problems(model, made)]
    if kept:
        yield from kept
        return
    finite = finite_records(model, data, _PROBE_SIZE)
    if finite is None:
        yield _NOT_FINITE
        return
    yield from _mixing_problems(model, finite)
    yield from loss_checks.problems(model, finite, _traced(model, training=False))


def _normalization_problems(model: Any, made: ColumnarDataset) -> Iterator[str]:
    """Names all BatchNormalization layers at once that training would call with the statistics of a batch.

    For people: what runs is searched again (`state`), and `plan` looks at each of its calls.
    """
    layers = _batch_normalizations(model)
    # Whatever else than Keras' own is not known by what it is called with.
    found = {id(layer): layer for layer in layers if known_layers.check_of(layer) is None}

    def watched(layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
        @tf.autograph.experimental.do_not_convert
        def watching(*args: Any, **kwargs: Any) -> Any:
            if not known_layers.by_moving_statistics(layer, plan.training_of(layer, args, kwargs)):
                found[id(layer)] = layer
            return call(*args, **kwargs)

        return keras_api.ours(watching)

    with contextlib.ExitStack() as stack:
        for layer in layers:
            stack.enter_context(keras_api.replaced(layer, "call", watched(layer, layer.call)))
        _graph_of(lambda features: keras_api.called(model, features, training=True), made.features)
    yield from _named_normalizations([*found.values()])


def _batch_normalizations(model: Any) -> list[Any]:
    return [layer for layer in keras_api.layers(model) if known_layers.is_batch_normalization(layer)]


def _named_normalizations(layers: list[Any]) -> Iterator[str]:
    if layers:
        named = ", ".join(f"{layer.name!r} ({type(layer).__name__})" for layer in layers)
        yield (
            f"{named} would normalise by the batch, which mixes the records of a batch and keeps their statistics. "
            "Use GroupNormalization or LayerNormalization instead, or freeze Keras' own BatchNormalization by "
            "layer.trainable = False, also of a whole backbone: it then uses the statistics that it has."
        )


def _mixing_problems(model: Any, made: ColumnarDataset) -> Iterator[str]:
    with keras_api.without_randomness(model):
        for training in (False, True):
            call = _traced(model, training=training)
            together = call(made)
            if not _finite(together):
                yield _NOT_FINITE
                return
            if not _same(together, call(made)):
                # A layer of the user's own that draws random numbers: no two calls can be compared.
                continue
            if not _same_alone(call, made, together) or not trial_records.same_among_copies(call, made, _all_close):
                yield (
                    f"An output for one record depends on the other records of its batch (training={training}). "
                    "Remove the layer that mixes records (normalisation over the batch, in-batch attention, "
                    "negatives or ranking)."
                )
                return


def _traced(model: Any, *, training: bool) -> Callable[[ColumnarDataset], Any]:
    """The model as training runs it, in a graph."""

    def call(features: Any) -> Any:
        with keras_api.user_code():
            return keras_api.called(model, features, training=training)

    traced = tf.function(call, autograph=False)
    return lambda made: traced(_tensors(made.features))


def _same_alone(call: Callable[[ColumnarDataset], Any], made: ColumnarDataset, together: Any) -> bool:
    """Whether each record gets alone what it gets in a batch."""
    return all(
        _same(
            tf.nest.map_structure(lambda column, at=index: column[at : at + 1], together),
            call(made.rows(np.array([index]))),
        )
        for index in range(_PROBE_SIZE)
    )


def _all_close(found: list[Any], own: list[Any]) -> bool:
    """Where a record's outputs are not finite even among its copies, its size shows nothing."""
    return all(_close(one, other) for one, other in zip(found, own, strict=True))


def _close(one: Any, own: Any) -> bool:
    own = np.asarray(own)
    if not np.all(np.isfinite(own)):
        return True
    return bool(np.all(np.abs(np.asarray(one) - own) <= _TOLERANCE * np.max(np.abs(own), initial=0.0) + _SMALLEST))


def _state_problems(model: Any, made: ColumnarDataset) -> Iterator[str]:
    for training in (True, False):
        try:
            _trace(model, made, training=training)
        except ModelError as error:
            yield str(error)
            return
    keras_api.called(model, _tensors(made.features), training=True)
    if keras_api.has_data_losses(model):
        yield (
            "A layer adds a loss that depends on the input (add_loss or an activity regularizer): put it into the loss."
        )


def _trace(model: Any, made: ColumnarDataset, *, training: bool) -> None:
    """Makes a graph of all of the user's code that a step runs, so that what it keeps is seen under whatever condition."""

    def call(features: Any, labels: Any) -> Any:
        with state.nothing_kept(model):
            outputs = keras_api.called(model, features, training=training)
            losses = [head.loss(*head.both) for head in keras_api.heads(model, labels, outputs)]
            return losses + list(model.losses)

    _graph_of(call, made.features, made.labels)


def _graph_of(call: Callable[..., Any], *columns: Any) -> None:
    """Traces a call and runs nothing of it."""

    def traced(*tensors: Any) -> Any:
        with keras_api.user_code():
            return call(*tensors)

    tf.function(traced, autograph=False).get_concrete_function(*[_tensors(each) for each in columns])


def _tensors(columns: Any) -> Any:
    return tf.nest.map_structure(tf.constant, columns)


def _finite(outputs: Any) -> bool:
    return all(bool(np.all(np.isfinite(output))) for output in tf.nest.flatten(outputs))


def _same(one: Any, other: Any) -> bool:
    return all(
        np.allclose(first, second, rtol=_TOLERANCE, atol=_TOLERANCE)
        for first, second in zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True)
    )
