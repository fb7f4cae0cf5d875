"""What differs between Keras 2 (tf_keras, or Keras inside TensorFlow) and Keras 3, in one place.

The engine asks the model for its generation and never names `tf.keras`: both generations can be trained in one process.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from tfx_privacy import compat
from tfx_privacy.errors import ModelError
from tfx_privacy.training.variable_length import Ragged, Sparse

# Module prefixes of Keras' own classes: Keras 3, tf_keras, and Keras 2 inside TensorFlow 2.15.
OWN_MODULES = ("keras.", "tf_keras.", "tensorflow.python.keras.")
# Where Keras keeps compile's loss_weights, under one name in both generations.
_WEIGHTS = "_user_loss_weights"
# Attributes of layers that draw random numbers where they are above zero.
_RATES = ("rate", "dropout", "recurrent_dropout", "stddev")


def is_keras_3(instance: Any) -> bool:
    """Whether a model, layer or optimizer is of Keras 3."""
    return any(base.__module__.startswith("keras.src.backend") for base in type(instance).__mro__)


def is_model(candidate: Any) -> bool:
    """Whether something is a Keras model of either generation."""
    return any(base.__name__ == "Model" and is_own(base) for base in type(candidate).__mro__)


def is_own(kind: Any) -> bool:
    """Whether a class, or a function, is Keras' own, not a user's."""
    return f"{kind.__module__}.".startswith(OWN_MODULES)


def is_exactly(layer: Any, *names: str) -> bool:
    """Whether a layer is of one of Keras' own classes of these names, and no subclass of it."""
    return type(layer).__name__ in names and is_own(type(layer))


def is_kind_of(layer: Any, *names: str) -> bool:
    """Whether a layer is of a class of one of these names, or a subclass."""
    return any(base.__name__ in names for base in type(layer).__mro__)


def layers(model: Any, *, include_self: bool = False) -> list[Any]:
    """All layers at every depth, each once."""
    found = model._flatten_layers(include_self=include_self)
    return list({id(layer): layer for layer in found}.values())


def weights_of(layer: Any) -> list[Any]:
    """The trainable variables that a layer holds itself, not through a layer inside it."""
    if not layer.trainable:
        return []
    own = layer._trainable_variables if is_keras_3(layer) else layer._trainable_weights
    return [raw(variable) for variable in own if variable.trainable]


def raw(variable: Any) -> Any:
    """The TensorFlow variable behind a Keras variable."""
    return variable if isinstance(variable, tf.Variable) else variable._value


def trainable_variables(model: Any) -> list[Any]:
    """The model's trainable variables as TensorFlow variables."""
    return [raw(variable) for variable in model.trainable_variables]


def all_variables(model: Any) -> list[Any]:
    """Every variable of the model, without the state of its random generators."""
    return [
        raw(variable)
        for variable in model.variables
        if variable.dtype != "uint32" and "seed_generator" not in variable.name and "StateVar" not in variable.name
    ]


def seed_variables(model: Any) -> list[Any]:
    """The variables of Keras 3's seed generators that are attributes of a model's layers, and of the one for all."""
    if not is_keras_3(model):
        return []
    found = [generator for layer in layers(model, include_self=True) for generator in layer._seed_generators]
    found.append(compat.global_seed_generator())
    states = [raw(generator.state) for generator in found if generator is not None and is_own(type(generator))]
    # Under a tf.distribute strategy each device has a copy.
    return [copy for state in states for copy in getattr(state, "values", (state,))]


def random_states(model: Any) -> list[Any]:
    """The variables of all random generators that a model's layers hold, which may be saved with it."""
    known = {id(variable) for variable in all_variables(model)}
    found = [raw(variable) for variable in model.variables if id(raw(variable)) not in known]
    for layer in layers(model, include_self=True):
        for part in tf.train.TrackableView(layer).descendants():
            if isinstance(part, tf.random.Generator):
                found.append(part.state)
    return list({id(variable): variable for variable in found}.values())


@contextlib.contextmanager
def random_states_restored(model: Any) -> Iterator[None]:
    """Afterwards a model's random generators are as before: how often they drew depends on the batches, and those on records."""
    states = random_states(model)
    before = [tf.identity(state) for state in states]
    try:
        yield
    finally:
        for state, value in zip(states, before, strict=True):
            state.assign(value)


def input_names(model: Any) -> list[str]:
    """Names of a functional model's inputs; empty where the model does not say."""
    if isinstance(nested := getattr(model, "_nested_inputs", None), Mapping):
        return list(nested)  # Keras 2 takes inputs by these names, whatever its Input layers are called
    names = getattr(model, "input_names", None)
    if names:
        return list(names)
    if not is_keras_3(model):
        return []
    structure = getattr(model, "_inputs_struct", None)
    if isinstance(structure, dict):
        return list(structure)
    return [tensor.name for tensor in tf.nest.flatten(structure)] if structure is not None else []


def called(model: Any, features: Any, *, training: bool) -> Any:
    """Calls a model on columns of features: those of variable length become sparse or ragged tensors, as its inputs ask for."""
    if isinstance(features, Mapping):
        inputs = _symbolic_inputs(model)
        return model({name: _tensor(column, inputs.get(name)) for name, column in features.items()}, training=training)
    return model(_tensor(features, None), training=training)


def takes_variable_length(model: Any, name: str) -> bool:
    """Whether a model takes a sparse or ragged tensor by this name; a model that does not say may."""
    inputs = _symbolic_inputs(model)
    return name not in inputs or _is_sparse(inputs[name]) or _is_ragged(inputs[name])


def _symbolic_inputs(model: Any) -> dict[str, Any]:
    """A functional model's symbolic inputs by name."""
    if is_keras_3(model) and isinstance(getattr(model, "_inputs_struct", None), dict):
        return dict(model._inputs_struct)
    if isinstance(nested := getattr(model, "_nested_inputs", None), Mapping):
        return dict(nested)
    names = input_names(model)
    return dict(zip(names, tf.nest.flatten(model.inputs), strict=True)) if names and model.inputs is not None else {}


def _is_sparse(symbolic: Any) -> bool:
    return getattr(symbolic, "sparse", False) is True or isinstance(
        getattr(symbolic, "type_spec", None), tf.SparseTensorSpec
    )


def _is_ragged(symbolic: Any) -> bool:
    return getattr(symbolic, "ragged", False) is True or isinstance(
        getattr(symbolic, "type_spec", None), tf.RaggedTensorSpec
    )


def _tensor(column: Any, symbolic: Any) -> Any:
    if not isinstance(column, Ragged | Sparse):
        return column
    if _is_ragged(symbolic) or (symbolic is None and isinstance(column, Ragged)):
        return tf.RaggedTensor.from_tensor(column.values, column.lengths)
    values = tf.convert_to_tensor(column.values)
    width = int(values.shape[1])
    filled = tf.where(tf.sequence_mask(column.lengths, width))
    places = tf.gather_nd(column.places, filled) if isinstance(column, Sparse) else filled[:, 1]
    size = None if symbolic is None else symbolic.shape[-1]
    return tf.SparseTensor(
        tf.stack([filled[:, 0], tf.cast(places, tf.int64)], axis=1),
        tf.gather_nd(values, filled),
        (int(values.shape[0]), width if size is None else int(size)),
    )


class Head(NamedTuple):
    """One output of a model with its loss."""

    name: str
    """Empty for an only output."""
    loss: Any
    """A function or an object of (labels, outputs)."""
    weight: float
    labels: Any
    outputs: Any

    @property
    def both(self) -> tuple[Any, Any]:
        """What the loss takes."""
        return self.labels, self.outputs


def heads(model: Any, labels: Any, outputs: Any) -> list[Head]:
    """Pairs a model's outputs with their labels and compiled losses.

    Args:
      model: A compiled model.
      labels: A tensor, or tensors by the outputs' names.
      outputs: What the model gave.

    Raises:
      ModelError: If an output with a loss has no labels, or a name is unknown.
    """
    by_name = outputs_by_name(model, outputs)
    weights = getattr(getattr(model, "_compile_loss", None) or getattr(model, "compiled_loss", None), _WEIGHTS, None)
    losses = _by_name(model.loss, by_name, "loss")
    weight_of = _by_name(weights, by_name, "loss_weights")
    labelled = dict(labels) if isinstance(labels, Mapping) else {"": labels}
    if set(by_name) == {""} and len(labelled) == 1:
        labelled = {"": next(iter(labelled.values()))}
    trained = [name for name in by_name if losses.get(name) is not None]
    if set(labelled) == {""} and len(trained) == 1:
        labelled = {trained[0]: labelled[""]}
    missing = [name for name in trained if name not in labelled]
    if missing or not trained:
        named = ", ".join(repr(name) for name in by_name)
        have = ", ".join(repr(name) for name in labelled if name) or "one array"
        raise ModelError(
            f"The model has outputs {named}, and the labels are {have}: every output with a loss needs labels of its "
            "name. Give an input_fn whose labels are a dict by output name, or a model with one output."
        )
    return [
        Head(
            name,
            _loss(model, losses[name]),
            float(1.0 if weight_of.get(name) is None else weight_of[name]),
            labelled[name],
            by_name[name],
        )
        for name in trained
    ]


def outputs_by_name(model: Any, outputs: Any) -> dict[str, Any]:
    """What a model gave, by the outputs' names; the name of an only output is empty."""
    if isinstance(outputs, Mapping):
        return dict(outputs)
    if isinstance(outputs, (list, tuple)):
        names = getattr(model, "output_names", None) or [str(place) for place in range(len(outputs))]
        return dict(zip(names, outputs, strict=True))
    return {"": outputs}


def _by_name(given: Any, by_name: Mapping[str, Any], argument: str) -> dict[str, Any]:
    """What `compile` was given for each output: by name, in their order, or one for all."""
    if isinstance(given, Mapping):
        if set(by_name) == {""} and len(given) == 1:
            return {"": next(iter(given.values()))}
        unknown = sorted(set(given) - set(by_name))
        if unknown:
            raise ModelError(f"{argument} names {unknown[0]!r}, but the model's outputs are: {', '.join(by_name)}.")
        return dict(given)
    if isinstance(given, (list, tuple)):
        if len(given) != len(by_name):
            raise ModelError(f"{argument} has {len(given)} entries for {len(by_name)} outputs. Give one for each.")
        return dict(zip(by_name, given, strict=True))
    return dict.fromkeys(by_name, given)


def prepare(optimizer: Any, model: Any) -> None:
    """Creates the optimizer's variables before anything is traced."""
    optimizer.build(model.trainable_variables)


def apply_gradients(optimizer: Any, gradients: list[Any], model: Any) -> None:
    """One update; the gradients are the same in every replica, and must not be summed over replicas."""
    pairs = list(zip(gradients, model.trainable_variables, strict=True))
    if is_keras_3(optimizer):
        optimizer.apply_gradients(pairs)
    else:
        optimizer.apply_gradients(pairs, skip_gradients_aggregation=True)


def check_averages(model: Any) -> None:
    """Refuses what Keras 3 cannot do under a tf.distribute strategy: overwrite weights with their averages now and then.

    Raises:
      ModelError: If the optimizer would.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and is_keras_3(optimizer) and optimizer.use_ema and optimizer.ema_overwrite_frequency:
        raise ModelError(
            f"Its optimizer has ema_overwrite_frequency={optimizer.ema_overwrite_frequency!r}, which Keras 3 cannot do "
            "on several devices. Leave it out, so the weights become their averages at the end; or set "
            "distribution='none'."
        )


def finish(model: Any, strategy: Any = None) -> None:
    """What Keras' `fit` does at its end: with `use_ema` the weights become their moving averages.

    A function of the noisy weights alone; doing it again changes nothing.
    """
    with strategy.scope() if strategy else contextlib.nullcontext():
        model.optimizer.finalize_variable_values(model.trainable_variables)


@contextlib.contextmanager
def without_aggregation(optimizer: Any) -> Iterator[None]:
    """Surrounds `apply_gradients` in all replicas: Keras 3 has no switch, and would sum one noisy gradient once per replica."""
    if not is_keras_3(optimizer):
        yield
        return
    with replaced(optimizer, "_all_reduce_sum_gradients", lambda pairs: pairs):
        yield


def optimizer_variables(optimizer: Any) -> list[Any]:
    """The optimizer's variables as TensorFlow variables, the learning rate and counters among them."""
    found = optimizer.variables() if callable(optimizer.variables) else optimizer.variables
    return [raw(variable) for variable in found]


def compiled_loss(model: Any) -> Any:
    """The one loss a model was compiled with: a function or an object of (labels, outputs)."""
    return _loss(model, model.loss)


def compiled_losses(model: Any) -> list[Any]:
    """All losses that a model was compiled with."""
    return [_loss(model, loss) for loss in tf.nest.flatten(model.loss) if loss is not None]


def _loss(model: Any, loss: Any) -> Any:
    if not isinstance(loss, str):
        return loss
    if is_keras_3(model):
        import keras

        return keras.losses.get(loss)
    import tf_keras

    return tf_keras.losses.get(loss)


def mask_of(tensor: Any) -> Any:
    """The mask that Keras carries along with a tensor, or None."""
    return getattr(tensor, "_keras_mask", None)


def is_random(layer: Any) -> bool:
    """Whether a layer, or one inside it, draws random numbers in training."""
    parts = [*layers(layer, include_self=True)]
    parts += [part.cell for part in parts if hasattr(part, "cell")]
    return any(_positive(getattr(part, name, 0)) for part in parts for name in _RATES)


@contextlib.contextmanager
def without_randomness(model: Any) -> Iterator[None]:
    """Keras' own layers that draw random numbers in training do what they do in inference, while this lasts."""
    with contextlib.ExitStack() as stack:
        for layer in layers(model):
            draws = is_own(type(layer)) and (is_random(layer) or type(layer).__name__.startswith("Random"))
            if draws and "training" in inspect.signature(layer.call).parameters:
                stack.enter_context(replaced(layer, "call", _calmed(layer.call)))
        yield


def _calmed(call: Callable[..., Any]) -> Callable[..., Any]:
    @tf.autograph.experimental.do_not_convert
    def calm(*args: Any, **kwargs: Any) -> Any:
        bound = inspect.signature(call).bind(*args, **kwargs)
        bound.arguments["training"] = False
        return call(*bound.args, **bound.kwargs)

    calm.__signature__ = inspect.signature(call)  # Keras looks whether `training` is taken
    return ours(calm)


def takes_from_data(layer: Any) -> bool:
    """Whether a preprocessing layer was given no constants, so what it knows comes from `adapt` on data."""
    if getattr(layer, "_is_adapted", False):
        return True
    if is_kind_of(layer, "Normalization"):
        return layer.input_mean is None
    if is_kind_of(layer, "Discretization"):
        given = layer.num_bins is None if is_keras_3(layer) else layer.input_bin_boundaries is not None
        return not given
    if is_kind_of(layer, "IndexLookup", "StringLookup", "IntegerLookup", "TextVectorization"):
        return not getattr(layer, "_has_input_vocabulary", False)
    return False


def has_data_losses(model: Any) -> bool:
    """Whether the last call added losses that depend on its input; weight regularizers do not."""
    if is_keras_3(model):
        return any(layer._losses for layer in layers(model, include_self=True))
    of_weights = sum(len(layer._callable_losses) for layer in layers(model, include_self=True))
    return len(model.losses) > of_weights


def user_code() -> Any:
    """A context in which Python conditions and loops on tensors, in layers of the user's own, become those of the graph.

    As in Keras' own `fit`; the engine's and Keras' code has none, and converting it would take seconds.
    """
    return compat.autograph_enabled()


def call_as_keras_does(layer: Any, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Calls a layer's `call`, which AutoGraph converts where it is a user's."""
    with user_code():
        if not tf.executing_eagerly() and not is_own(type(layer)):
            autograph = tf.__internal__.autograph
            function = autograph.tf_convert(function, autograph.control_status_ctx())
        return function(*args, **kwargs)


def ours(function: Callable[..., Any]) -> Callable[..., Any]:
    """Marks what the engine puts over a method of a layer for a while."""
    function._tfx_privacy_engine = True  # type: ignore[attr-defined]
    return function


def is_ours(value: Any) -> bool:
    """Whether the engine put this over a method."""
    return getattr(value, "_tfx_privacy_engine", False) is True


@contextlib.contextmanager
def replaced(target: Any, name: str, value: Any) -> Iterator[None]:
    """Puts an attribute on an instance, past Keras' tracking of attributes, and takes it off again."""
    before = target.__dict__.get(name, _ABSENT)
    object.__setattr__(target, name, value)
    try:
        yield
    finally:
        if before is _ABSENT:
            object.__delattr__(target, name)
        else:
            object.__setattr__(target, name, before)


_ABSENT = object()


def _positive(rate: Any) -> bool:
    return isinstance(rate, (int, float)) and rate > 0
