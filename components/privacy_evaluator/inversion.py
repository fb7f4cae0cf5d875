"""Model inversion on TensorFlow: gradient ascent on a class's confidence, compared with real records.

MI-FACE of Fredrikson et al. (2015), https://doi.org/10.1145/2810103.2813677, Algorithm 1, on the log-confidence, whose
gradient does not vanish where the model is sure. It finds what the model takes for typical of a class: run it only
where a class stands for one person, and read `tfx_privacy.attacks.inversion` for when that is a leak.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_privacy import _validate
from tfx_privacy.attacks import inversion
from tfx_privacy.attacks.evaluation import Finding
from tfx_privacy.errors import ModelError, ParameterError

MAX_STEPS = 10_000
MAX_CLASSES = 1000

Predict = Callable[[dict[str, Any]], Any]
Climb = Callable[[dict[str, Any], Any], tuple[Any, dict[str, Any]]]
Features = Mapping[str, np.ndarray]

# A float32 probability of 0 has no logarithm.
_SMALLEST_PROBABILITY = 1e-30


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search:
    """How long and how far reconstructions are searched.

    Attributes:
      steps: Of gradient ascent, for every restart; at most 10,000.
      learning_rate: Length of a step, in standard deviations of the features.
      num_restarts: Starting points of each class.
      start_noise: Standard deviation of the starting points around the mean, in those of the features.
      seed: Of the starting points.
    """

    steps: int = 200
    learning_rate: float = 0.1
    num_restarts: int = 3
    start_noise: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks the numbers."""
        _validate.positive_integer(maximum=MAX_STEPS, steps=self.steps)
        _validate.positive(learning_rate=self.learning_rate)
        _validate.positive_integer(num_restarts=self.num_restarts)
        _validate.positive(start_noise=self.start_noise)


def reconstruct(
    predict: Predict,
    start: Features,
    class_index: int,
    *,
    steps: int,
    learning_rate: float,
    from_logits: bool,
    scale: Mapping[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Climbs from several starting points to where the model is surest of a class.

    Every step has the length `learning_rate` along the gradient of the log-confidence, so neither flat nor steep
    models need another one. The surest point on each way is kept, the start among them. There is no random number.

    Args:
      predict: The model: from float and other tensors by name to outputs of shape (batch, num_classes), or (batch, 1)
        of a binary model. A loaded signature's concrete function is differentiable if its inputs are features, not
        serialized tf.Examples. Records must not influence each other.
      start: By feature, of shape (num_restarts, ...). Only floating-point features are changed.
      class_index: Whose confidence is raised.
      steps: How many, at most 10,000.
      learning_rate: Length of a step in units of `scale`.
      from_logits: Whether outputs are logits, else probabilities.
      scale: By feature, what one unit is, such as its standard deviation; 1 where it is left out.

    Returns:
      By feature, of the shape and type of `start`.

    Raises:
      ModelError: If outputs have another shape or are not finite at the start, or no feature has a gradient.
      ParameterError: If a number is out of range, or no feature is of floating point.
    """
    steps = _validate.positive_integer(maximum=MAX_STEPS, steps=steps)
    learning_rate = _validate.positive(learning_rate=learning_rate)
    climb = _climber(predict, start, scale or {}, learning_rate, from_logits)
    return _surest(predict, climb, start, class_index, steps)


def _surest(predict: Predict, climb: Climb, start: Features, class_index: int, steps: int) -> dict[str, np.ndarray]:
    """The surest point on the way from each start."""
    best = moved = {name: tf.constant(values) for name, values in start.items()}
    num_classes = max(2, int(_single_output(predict(best)).shape[1]))
    if not 0 <= class_index < num_classes:
        raise ParameterError(f"Expected class_index={class_index} of {num_classes} classes.")
    index, surest = tf.constant(class_index), None
    for _ in range(steps + 1):
        tensors = moved
        confidence, moved = climb(tensors, index)
        if surest is None:
            surest = confidence
            if not bool(tf.reduce_all(tf.math.is_finite(confidence))):
                raise ModelError(
                    "The model's output at the starting points is not finite. Inversion cannot start there."
                )
        # NaN is no improvement.
        better = confidence > surest
        best = {name: tf.where(_like(better, best[name]), tensors[name], best[name]) for name in best}
        surest = tf.where(better, confidence, surest)
    return {name: tensor.numpy() for name, tensor in best.items()}


def _climber(
    predict: Predict, start: Features, scale: Mapping[str, np.ndarray], learning_rate: float, from_logits: bool
) -> Climb:
    """One step for points like `start`, traced once for all classes."""
    units = {
        name: tf.constant(scale.get(name, 1.0), values.dtype)
        for name, values in start.items()
        if tf.as_dtype(values.dtype).is_floating
    }
    if not units:
        raise ParameterError(
            f"None of {', '.join(sorted(start))} is of floating point. Inversion needs such a feature."
        )

    # Without AutoGraph, whose errors are of another class.
    @tf.function(autograph=False, reduce_retracing=True)
    def climb(tensors: dict[str, Any], class_index: Any) -> tuple[Any, dict[str, Any]]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            changing = {name: tensors[name] for name in units}
            tape.watch(changing)
            confidence = _log_confidence(predict({**tensors, **changing}), class_index, from_logits)
        gradients = {name: g for name, g in tape.gradient(confidence, changing).items() if g is not None}
        if not gradients:
            raise ModelError(
                f"The model has no gradient with respect to {', '.join(sorted(units))}. Inversion needs a signature "
                "that takes features, not serialized examples, and is differentiable."
            )
        # By the chain rule, the gradient in standard units; one step of it goes back by the same factor.
        steps = _normalised({name: gradient * units[name] for name, gradient in gradients.items()})
        moved = {name: tensors[name] + learning_rate * units[name] * step for name, step in steps.items()}
        return confidence, {**tensors, **moved}

    return climb


def _normalised(steps: dict[str, Any]) -> dict[str, Any]:
    """Each point's steps over all features, of length 1; of length 0 where the gradient is zero or not finite."""
    squares = [tf.reduce_sum(tf.reshape(tf.square(step), [tf.shape(step)[0], -1]), axis=1) for step in steps.values()]
    length = tf.sqrt(tf.add_n([tf.cast(square, tf.float64) for square in squares]))
    usable = tf.math.is_finite(length) & (length > 0.0)
    factor = tf.where(usable, 1.0 / tf.where(usable, length, 1.0), 0.0)
    return {
        name: tf.where(_like(usable, step), step, tf.zeros_like(step)) * _like(tf.cast(factor, step.dtype), step)
        for name, step in steps.items()
    }


def _single_output(outputs: Any) -> Any:
    """The one output, of shape (batch, number of outputs)."""
    if isinstance(outputs, Mapping):
        if len(outputs) != 1:
            raise ModelError(f"The model has several outputs: {', '.join(sorted(outputs))}. Pass a predict of one.")
        (outputs,) = outputs.values()
    if outputs.shape.rank != 2 or outputs.shape[1] is None:
        raise ModelError(f"Expected outputs of shape (batch, num_classes), not {outputs.shape}.")
    return outputs


def _log_confidence(outputs: Any, class_index: Any, from_logits: bool) -> Any:
    """Of shape (batch,)."""
    outputs = _single_output(outputs)
    if from_logits:
        if outputs.shape[1] == 1:
            outputs = tf.concat([tf.zeros_like(outputs), outputs], axis=1)
        return tf.gather(tf.nn.log_softmax(outputs), class_index, axis=1)
    if outputs.shape[1] == 1:
        outputs = tf.concat([1.0 - outputs, outputs], axis=1)
    return tf.math.log(tf.maximum(tf.gather(outputs, class_index, axis=1), _SMALLEST_PROBABILITY))


def _like(values: Any, tensor: Any) -> Any:
    """Values of shape (batch,), broadcast against a tensor of shape (batch, ...)."""
    return tf.reshape(values, tf.concat([tf.shape(values), tf.ones([tf.rank(tensor) - 1], tf.int32)], axis=0))


def invert(
    predict: Predict,
    train: Features,
    train_classes: np.ndarray,
    heldout: Features,
    heldout_classes: np.ndarray,
    *,
    from_logits: bool,
    search: Search | None = None,
    confidence_level: float = 0.95,
) -> Finding:
    """Reconstructs every class that both sides have, and compares distances to training and held-out records.

    A class's starting points lie around the mean of the held-out records of all other classes, so they are as far
    from its training records as from its held-out ones. Of each class the first n records of a side are compared, n
    being the smaller side's number: pass records in an order that has nothing to do with membership, such as by hash.
    Distances are Euclidean over the floating-point features, in standard deviations of the held-out records.

    Args:
      predict: As of `reconstruct`.
      train: Training records by feature, of shape (num_train, ...).
      train_classes: Class of each, whole numbers of shape (num_train,).
      heldout: Records that the model never saw, by feature.
      heldout_classes: Class of each.
      from_logits: Whether outputs are logits, else probabilities.
      search: How long and far to search; `Search()` if None.
      confidence_level: Of the interval.

    Returns:
      The finding of `tfx_privacy.attacks.inversion`; the first 1,000 classes at most are attacked.

    Raises:
      ModelError: As `reconstruct`.
      ParameterError: As `reconstruct`.
    """
    search = search or Search()
    scale = _deviations(heldout)
    climb: Climb | None = None
    classes: list[int] = []
    nearest: list[tuple[float, float]] = []
    searched: list[int] = []
    for name in np.intersect1d(train_classes, heldout_classes)[:MAX_CLASSES]:
        others = heldout_classes != name
        sides = [np.flatnonzero(side == name) for side in (train_classes, heldout_classes)]
        size = min(len(side) for side in sides)
        if not others.any():
            continue
        start = _starts(heldout, others, scale, search, int(name))
        climb = climb or _climber(predict, start, scale, search.learning_rate, from_logits)
        found = _surest(predict, climb, start, int(name), search.steps)
        distances = [
            nearest_distances(found, _rows(records, rows[:size]), scale)
            for records, rows in zip((train, heldout), sides, strict=True)
        ]
        nearest += list(zip(*distances, strict=True))
        classes += [int(name)] * search.num_restarts
        searched += [size] * search.num_restarts
    pairs = np.array(nearest, dtype=np.float64).reshape(-1, 2)
    numbers = np.array(searched, dtype=np.int64)
    return inversion.inversion_finding(
        np.array(classes, dtype=np.int64), pairs[:, 0], pairs[:, 1], numbers, numbers, confidence_level=confidence_level
    )


def nearest_distances(found: Features, records: Features, scale: Mapping[str, np.ndarray]) -> np.ndarray:
    """Distance of each reconstruction to the nearest of the records.

    Args:
      found: Reconstructions by feature, of shape (num_found, ...).
      records: By feature, of shape (num_records, ...), at least one.
      scale: Standard deviation of each feature; features without one are not compared.

    Returns:
      Euclidean distances in standard deviations, of shape (num_found,).
    """
    squares: Any = 0.0
    for name, deviation in scale.items():
        ours, theirs = (np.asarray(side[name], np.float64) / deviation for side in (found, records))
        difference = ours.reshape(len(ours), 1, -1) - theirs.reshape(1, len(theirs), -1)
        squares = squares + np.sum(np.square(difference), axis=2)
    return np.asarray(np.sqrt(squares).min(axis=1))


def _starts(
    heldout: Features, others: np.ndarray, scale: Mapping[str, np.ndarray], search: Search, class_index: int
) -> dict[str, np.ndarray]:
    """Points around the mean of other classes' records; features that are no numbers are those of such a record."""
    random = np.random.default_rng([search.seed, class_index & (2**63 - 1)])
    rows = random.choice(np.flatnonzero(others), size=search.num_restarts)
    start = _rows(heldout, rows)
    for name, deviation in scale.items():
        values = heldout[name]
        noise = search.start_noise * deviation * random.normal(size=(search.num_restarts, *values.shape[1:]))
        start[name] = (values[others].mean(axis=0, dtype=np.float64) + noise).astype(values.dtype)
    return start


def _deviations(records: Features) -> dict[str, np.ndarray]:
    """Standard deviations of the floating-point features; 1 where one does not vary."""
    found = {}
    for name, values in records.items():
        if values.dtype.kind == "f":
            deviation = values.std(axis=0, dtype=np.float64)
            found[name] = np.where(deviation > 0.0, deviation, 1.0)
    return found


def _rows(records: Features, rows: np.ndarray) -> dict[str, np.ndarray]:
    return {name: np.asarray(values)[rows] for name, values in records.items()}
