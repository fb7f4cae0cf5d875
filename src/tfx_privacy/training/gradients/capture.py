"""Records the calls of a model's layers while the model runs forward once."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from tfx_privacy.training import keras_api
from tfx_privacy.training.gradients import separation
from tfx_privacy.training.gradients.general import float_outputs
from tfx_privacy.training.gradients.layers import has_activation
from tfx_privacy.training.gradients.plan import (
    Plan,
    plan_of,
    require_records_apart,
    require_rows,
    separate_activation,
)
from tfx_privacy.training.gradients.units import Call, UnsupportedCallError, is_opaque


class Recorder:
    """Watches what layers with weights give out, so one backward pass yields the gradients of all of it.

    The weights are not watched: the backward pass goes through activations only. Each layer keeps its own forward code;
    only its `call` (and its activation, before which the gradient is taken) is wrapped while the recorder is on. A layer
    that is neither known nor declared to leave records apart is called for one record at a time.

    Attributes:
    Replicas of a tf.distribute strategy are traced in separate threads, so each thread has its own calls.
    """

    def __init__(self, model: Any, num_records: int) -> None:
        """Finds the layers that hold trainable weights themselves, and those that get one record at a time.

        Args:
          model: A compiled model.
          num_records: That it will be called with.

        Raises:
          UnsupportedCallError: If records could mix outside the calls of its layers.
        """
        self._num_records = num_records
        self.plan = plan_of(model)
        self._with_weights = _layers_with_weights(model, self.plan)
        found = [*self._with_weights, *self.plan.checked, *self.plan.separate]
        self._watched = list({id(layer): layer for layer in found}.values())
        self._of_thread = threading.local()
        self._lock = threading.Lock()
        self._on = 0
        self._stack = contextlib.ExitStack()

    @contextlib.contextmanager
    def recording(self, tape: tf.GradientTape) -> Iterator[list[Call]]:
        """Records into the list that it gives."""
        calls: list[Call] = []
        self._of_thread.current = (calls, tape, tf.compat.v1.get_default_graph())
        self._enter()
        try:
            yield calls
        finally:
            self._of_thread.current = None
            self._leave()

    def _enter(self) -> None:
        with self._lock:
            self._on += 1
            if self._on == 1:
                for layer in self._watched:
                    self._stack.enter_context(keras_api.replaced(layer, "call", self._wrapped(layer, layer.call)))

    def _leave(self) -> None:
        with self._lock:
            self._on -= 1
            if not self._on:
                self._stack.close()

    def _wrapped(self, layer: Any, function: Callable[..., Any]) -> Callable[..., Any]:
        is_recorded = any(layer is each for each in self._with_weights)
        is_separate = self.plan.is_separate(layer)
        how = self._one_by_one if is_separate else self._together

        @tf.autograph.experimental.do_not_convert
        def call(*args: Any, **kwargs: Any) -> Any:
            current = getattr(self._of_thread, "current", None)
            if current is None or (separation.is_inside() and not is_recorded):
                return keras_api.call_as_keras_does(layer, function, args, kwargs)
            calls, tape, graph = current
            if is_recorded and tf.compat.v1.get_default_graph() is not graph:
                raise UnsupportedCallError(f"Layer {layer.name!r} is called inside a loop or a condition.")
            args, kwargs = tf.nest.map_structure(self._sized, (args, kwargs))

            def record(outputs: Any) -> Any:
                if is_recorded:
                    watched = float_outputs(outputs)
                    for output in watched:
                        tape.watch(output)
                    calls.append(Call(layer, function, args, kwargs, watched, whole=is_separate))
                return outputs

            if is_recorded and _has_variable_length((args, kwargs)):
                raise UnsupportedCallError(f"Layer {layer.name!r} takes records of different lengths.")
            return how(layer, functools.partial(keras_api.call_as_keras_does, layer, function), args, kwargs, record)

        return keras_api.ours(call)

    def _one_by_one(self, layer: Any, function: Any, args: Any, kwargs: Any, record: Any) -> Any:
        """Calls a layer once for every record."""
        return record(separation.one_by_one(lambda *a, **k: function(a, k), args, kwargs, self._num_records))

    def _together(self, layer: Any, function: Any, args: Any, kwargs: Any, record: Any) -> Any:
        """Calls a layer on the batch, and makes sure that it leaves the records apart if it is not declared to."""
        is_checked = any(layer is each for each in self.plan.checked)
        if is_checked:
            require_records_apart(layer, args, kwargs, self._num_records)
        if has_activation(layer):
            with keras_api.replaced(layer, "activation", self._activation(layer, record)):
                outputs = function(args, kwargs)
        else:
            outputs = record(function(args, kwargs))
        if is_checked:
            require_rows(layer, outputs, self._num_records)
        return outputs

    def _activation(self, layer: Any, record: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Notes what goes into the layer's activation, and applies it."""
        activation, apart = layer.activation, separate_activation(layer)

        def activate(outputs: Any) -> Any:
            outputs = record(outputs)
            if activation is None:
                return outputs
            if apart:
                return separation.one_by_one(activation, (outputs,), {}, self._num_records)
            return activation(outputs)

        return activate

    def _sized(self, part: Any) -> Any:
        """A layer's argument with its number of records, which some of Keras' layers lose in graphs; checked when it runs."""
        if not isinstance(part, tf.Tensor) or not part.shape.rank or part.shape[0] is not None:
            return part
        sized = tf.ensure_shape(part, (self._num_records, *part.shape[1:]))
        mask = keras_api.mask_of(part)
        if mask is not None:
            sized._keras_mask = mask
        return sized


def _has_variable_length(parts: Any) -> bool:
    return any(isinstance(part, tf.SparseTensor | tf.RaggedTensor) for part in tf.nest.flatten(parts))


def _layers_with_weights(model: Any, plan: Plan) -> list[Any]:
    """Layers that hold trainable weights; those inside a layer that is taken as a whole belong to that one."""

    def is_whole(layer: Any) -> bool:
        return is_opaque(layer) or plan.is_separate(layer)

    inside = {id(part) for layer in keras_api.layers(model) if is_whole(layer) for part in keras_api.layers(layer)}
    return [
        layer
        for layer in keras_api.layers(model, include_self=True)
        if id(layer) not in inside
        and (keras_api.weights_of(layer) or (is_whole(layer) and keras_api.trainable_variables(layer)))
    ]
