"""What the TensorFlow variants share: one thread, a compiled model, a batch in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from benchmarks import workloads
from benchmarks.variants import PreparedStep, Setting


@dataclass(frozen=True)
class KerasCase:
    """A compiled model and the batch, as tensors, it is timed on."""

    model: Any
    features: Any
    labels: Any
    is_binary: bool

    def variables(self) -> list[tf.Variable]:
        """The trainable variables, out of the wrappers Keras 3 puts around them."""
        wrapped = self.model.trainable_variables
        return [variable if isinstance(variable, tf.Variable) else variable.value for variable in wrapped]

    def prepared(self, run: Callable[[int], None], note: str = "") -> PreparedStep:
        """`run` together with what the table wants to know of the model."""
        size = sum(variable.shape.num_elements() for variable in self.variables())
        return PreparedStep(run, num_parameters=size, note=note)


def keras_case(setting: Setting, **model_arguments: Any) -> KerasCase:
    """Builds the model and its batch.

    Args:
      setting: Which, and how large.
      **model_arguments: Handed to `workloads.build_model`.
    """
    use_one_thread()
    features, labels = workloads.make_batch(setting.workload, setting.batch_size)
    model_arguments = {"keras": setting.keras, "learning_rate": setting.learning_rate, **model_arguments}
    return KerasCase(
        model=workloads.build_model(setting.workload, **model_arguments),
        features=tf.nest.map_structure(tf.constant, features),
        labels=tf.constant(labels),
        is_binary=workloads.WORKLOADS[setting.workload].is_binary,
    )


def use_one_thread() -> None:
    """Restricts TensorFlow to one thread within and between operations; must come before its first operation."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def repeated(step: Callable[[], Any]) -> Callable[[int], None]:
    """Runs a step so many times and waits for the last."""

    def run(steps: int) -> None:
        for _ in range(steps):
            step()
        tf.test.experimental.sync_devices()

    return run


def keras_train_step(case: KerasCase) -> Callable[[int], None]:
    """The step `model.fit` makes, over the batch repeated, without what `fit` does around epochs."""
    batches = tf.data.Dataset.from_tensors((case.features, case.labels)).repeat()
    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    iterator = iter(batches.with_options(options))
    # AutoGraph would rewrite all of tf_keras, to the same graph: ten seconds, and memory that is not the step's.
    case.model.train_step = tf.autograph.experimental.do_not_convert(case.model.train_step)
    case.model.make_train_function()
    train_function = case.model.train_function
    return repeated(lambda: train_function(iterator))
