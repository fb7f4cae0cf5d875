"""Training without privacy, for comparison: the same batches, no clip and no noise."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfx_privacy.accounting.parameters import ResolvedParameters
from tfx_privacy.training import keras_api
from tfx_privacy.training.data import ColumnarDataset
from tfx_privacy.training.gradients import losses
from tfx_privacy.training.sampling import PoissonSampler


class OrdinaryTraining:
    """One step is the mean gradient of a batch, an empty batch none."""

    def __init__(self, model: Any, data: ColumnarDataset, resolved: ResolvedParameters) -> None:
        """Args: a compiled model, the records, and the sampling probability."""
        self._model = model
        self._data = data
        self._variables = keras_api.trainable_variables(model)
        self._sampler = PoissonSampler(num_units=len(data), sampling_probability=resolved.sampling_probability)
        # A loss per record needs batches of a known size: with weights, each size is traced by itself.
        self._apply = tf.function(self._update, reduce_retracing=data.weights is None, autograph=False)
        keras_api.prepare(model.optimizer, model)

    @property
    def steps(self) -> int:
        """Steps executed."""
        return self._sampler.batches_drawn

    completed = steps

    def steps_in_one_call(self, wanted: int) -> int:
        """As many as wanted."""
        return wanted

    @property
    def clipped_fraction(self) -> None:
        """Nothing is clipped."""
        return None

    def advance(self, steps: int) -> None:
        """Executes some steps."""
        for _ in range(steps):
            drawn = self._sampler.draw()
            if len(drawn):
                features, labels = tf.nest.map_structure(tf.constant, self._data.take(drawn))
                if self._data.weights is None:
                    self._apply(features, labels)
                else:
                    self._apply(features, labels, tf.constant(self._data.weights[drawn]))

    def _update(self, features: Any, labels: Any, weights: Any = None) -> None:
        with tf.GradientTape() as tape:
            outputs = keras_api.called(self._model, features, training=True)
            loss = self._mean(labels, outputs) if weights is None else self._weighted_mean(labels, outputs, weights)
            if self._model.losses:
                loss += tf.add_n(self._model.losses)
        gradients = tape.gradient(loss, self._variables)
        keras_api.apply_gradients(self._model.optimizer, gradients, self._model)

    def _mean(self, labels: Any, outputs: Any) -> Any:
        heads = keras_api.heads(self._model, labels, outputs)
        return tf.add_n([head.weight * tf.reduce_mean(head.loss(*head.both)) for head in heads])

    def _weighted_mean(self, labels: Any, outputs: Any, weights: Any) -> Any:
        return tf.reduce_mean(losses.PerRecordLoss(self._model, weights.shape[0])(labels, outputs) * weights)
