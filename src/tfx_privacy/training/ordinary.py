"""Training without privacy, for comparison: the same batches, no clip and no noise."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfx_privacy.privacy.parameters import ResolvedParameters
from tfx_privacy.training import keras_api
from tfx_privacy.training.data import ColumnarDataset
from tfx_privacy.training.sampling import PoissonSampler


class OrdinaryTraining:
    """One step is the mean gradient of a batch, an empty batch none."""

    def __init__(self, model: Any, data: ColumnarDataset, resolved: ResolvedParameters) -> None:
        """Args: a compiled model, the records, and the sampling probability."""
        self._model = model
        self._data = data
        self._variables = keras_api.trainable_variables(model)
        self._loss = keras_api.compiled_loss(model)
        self._sampler = PoissonSampler(num_units=len(data), sampling_probability=resolved.sampling_probability)
        self._apply = tf.function(self._update, reduce_retracing=True, autograph=False)
        keras_api.prepare(model.optimizer, model)

    @property
    def steps(self) -> int:
        """Steps executed."""
        return self._sampler.batches_drawn

    completed = steps

    def steps_in_one_call(self, wanted: int) -> int:
        """As many as wanted."""
        return wanted

    def advance(self, steps: int) -> None:
        """Executes some steps."""
        for _ in range(steps):
            drawn = self._sampler.draw()
            if len(drawn):
                features, labels = self._data.take(drawn)
                self._apply(tf.nest.map_structure(tf.constant, features), tf.constant(labels))

    def _update(self, features: Any, labels: Any) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(self._loss(labels, self._model(features, training=True)))
            if self._model.losses:
                loss += tf.add_n(self._model.losses)
        gradients = tape.gradient(loss, self._variables)
        keras_api.apply_gradients(self._model.optimizer, gradients, self._model)
