"""Records the calls of a model's layers while the model runs forward once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from tfx_privacy.training import keras_api
from tfx_privacy.training.gradients.general import float_outputs
from tfx_privacy.training.gradients.layers import has_activation
from tfx_privacy.training.gradients.units import Call, UnsupportedCallError, is_opaque


class Recorder:
    """Watches what layers with weights give out, so one backward pass yields the gradients of all of it.

    The weights are not watched: the backward pass goes through activations only. Each layer keeps its own forward code;
    only its `call` (and its activation, before which the gradient is taken) is wrapped while the recorder is on.
    Replicas of a tf.distribute strategy are traced in separate threads, so each thread has its own calls.
    """

    def __init__(self, model: Any, num_records: int) -> None:
        """Finds the layers that hold trainable weights themselves.

        Args:
          model: A compiled model.
          num_records: That it will be called with.
        """
        self._num_records = num_records
        self._layers = _layers_with_weights(model)
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
                for layer in self._layers:
                    self._stack.enter_context(keras_api.replaced(layer, "call", self._wrapped(layer, layer.call)))

    def _leave(self) -> None:
        with self._lock:
            self._on -= 1
            if not self._on:
                self._stack.close()

    def _wrapped(self, layer: Any, function: Callable[..., Any]) -> Callable[..., Any]:
        before_activation = has_activation(layer)

        @tf.autograph.experimental.do_not_convert
        def call(*args: Any, **kwargs: Any) -> Any:
            current = getattr(self._of_thread, "current", None)
            if current is None:
                return keras_api.call_as_keras_does(layer, function, args, kwargs)
            calls, tape, graph = current
            if any(isinstance(part, tf.SparseTensor | tf.RaggedTensor) for part in tf.nest.flatten((args, kwargs))):
                raise UnsupportedCallError(f"Layer {layer.name!r} takes records of different lengths.")
            if tf.compat.v1.get_default_graph() is not graph:
                raise UnsupportedCallError(f"Layer {layer.name!r} is called inside a loop or a condition.")

            def record(outputs: Any) -> Any:
                watched = float_outputs(outputs)
                for output in watched:
                    tape.watch(output)
                calls.append(Call(layer, function, args, kwargs, watched))
                return outputs

            args = tuple(self._sized(part) for part in args)
            kwargs = {name: self._sized(part) for name, part in kwargs.items()}
            if not before_activation:
                return record(keras_api.call_as_keras_does(layer, function, args, kwargs))
            activation = layer.activation

            def activate(outputs: Any) -> Any:
                outputs = record(outputs)
                return outputs if activation is None else activation(outputs)

            with keras_api.replaced(layer, "activation", activate):
                return keras_api.call_as_keras_does(layer, function, args, kwargs)

        return call

    def _sized(self, part: Any) -> Any:
        """A layer's argument with its number of records, which some of Keras' layers lose in graphs; checked when it runs."""
        if not isinstance(part, tf.Tensor) or not part.shape.rank or part.shape[0] is not None:
            return part
        sized = tf.ensure_shape(part, (self._num_records, *part.shape[1:]))
        mask = keras_api.mask_of(part)
        if mask is not None:
            sized._keras_mask = mask
        return sized


def _layers_with_weights(model: Any) -> list[Any]:
    """Layers that hold trainable weights; those inside an opaque layer belong to that one."""
    inside = {id(part) for layer in keras_api.layers(model) if is_opaque(layer) for part in keras_api.layers(layer)}
    return [
        layer
        for layer in keras_api.layers(model, include_self=True)
        if id(layer) not in inside
        and (keras_api.weights_of(layer) or (is_opaque(layer) and keras_api.trainable_variables(layer)))
    ]
