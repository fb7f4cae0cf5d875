"""What a model states of its privacy by a class of tensorflow-privacy, and the same model without that class.

tensorflow-privacy puts clip and noise into the optimizer (`DPKerasAdamOptimizer` and its like) or into the model
(`DPSequential`, `DPModel`), whose gradients or training step do the work. DPTrainer does that work itself, so it reads the
numbers and takes the plain Keras class in the place of each. Read of tensorflow-privacy 0.9: clipped gradients of
microbatches are added up, noise of standard deviation `l2_norm_clip * noise_multiplier` is added, and the sum is divided by
the number of microbatches. With a microbatch for each record that is what DPTrainer does, except that it divides by the
expected number of records, a constant.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from typing import Any

from tfx_privacy import _validate
from tfx_privacy.accounting.parameters import DPParameters
from tfx_privacy.errors import ModelError, ParameterError
from tfx_privacy.guarantee.record import ParameterSource
from tfx_privacy.training import keras_api

_PACKAGE = "tensorflow_privacy."
_QUERY = "GaussianSumQuery"
# By the last name of the module, how its classes are named after Keras' own.
_OPTIMIZERS = {
    "dp_optimizer_keras": "DPKeras{}Optimizer",
    "dp_optimizer_keras_vectorized": "VectorizedDPKeras{}Optimizer",
    "dp_optimizer_keras_sparse": "DPSparseKeras{}Optimizer",
}
_PLAIN_OPTIMIZERS = ("SGD", "Adam", "Adagrad", "RMSprop")
_DIGITS = 12
_ROUNDING = 1e-9
# What the privacy argument must say, or leave out, to be what these classes do.
_THEIR_WAY = {"algorithm": "dp_sgd", "clipping": "flat", "privacy_unit": "example"}


@dataclasses.dataclass(frozen=True)
class Stated:
    """Clip and noise that a model states by itself."""

    kind: str
    """Name of tensorflow-privacy's class."""
    l2_norm_clip: Any
    noise_multiplier: Any
    num_microbatches: Any
    """None: one for each record."""


def take(model: Any) -> Stated | None:
    """Reads what a model states, and makes it plain Keras, in place: its optimizer, or its own class.

    Layers, weights and what it was compiled with stay. Call it under the strategy that the model was made under.

    Args:
      model: What `model_fn` returned.

    Returns:
      What it states; None where it has no class of tensorflow-privacy.

    Raises:
      ModelError: If it has one that cannot be taken for what it says, or two.
    """
    if not keras_api.is_model(model):
        return None
    _check_inside(model)
    optimizer = getattr(model, "optimizer", None)
    by_model, by_optimizer = _dp_class(type(model)), _dp_class(type(optimizer))
    if by_model is not None and by_optimizer is not None:
        raise ModelError(
            f"The model is a {_model_name(by_model)} and its optimizer a {_optimizer_name(by_optimizer)}, both of "
            "tensorflow-privacy: each would clip and add noise. Keep one of them."
        )
    if by_model is not None:
        return _take_model(model, by_model)
    if by_optimizer is not None:
        return _take_optimizer(model, by_optimizer)
    return None


def merged(privacy: DPParameters, stated: Stated | None) -> DPParameters:
    """The parameters of a run: what was asked for, with what the model states where that was left out.

    Raises:
      ParameterError: If the two differ, or nothing tells the noise, or the model's numbers break a rule.
    """
    if stated is None:
        privacy.check_noise_is_known()
        return privacy
    who = f"The model's {stated.kind} (tensorflow-privacy)"
    noise, clip = _numbers(who, stated)
    if not privacy.enabled or privacy.target_epsilon is not None:
        asked = "enabled=False" if not privacy.enabled else f"target_epsilon={privacy.target_epsilon:g}"
        raise ParameterError(
            f"{who} states noise_multiplier={noise:g}, and privacy= has {asked}: two sources for one number. Leave it out "
            f"of DPParameters, or compile with Keras' own class, which states none (`tfx-privacy migrate` rewrites it)."
        )
    for name, theirs, ours in (
        ("noise_multiplier", noise, privacy.noise_multiplier),
        ("l2_norm_clip", clip, None if privacy.leaves_out_clip else privacy.l2_norm_clip),
    ):
        if ours is not None and not math.isclose(ours, theirs, rel_tol=_ROUNDING):
            raise ParameterError(
                f"{who} states {name}={theirs!r}, and privacy= has {name}={ours!r}. Leave it out of DPParameters, or make "
                "both the same: neither is silently replaced."
            )
    for name, way in _THEIR_WAY.items():
        if getattr(privacy, name) != way:
            raise ParameterError(
                f"{who} is {name}={way!r}, and privacy= has {name}={getattr(privacy, name)!r}. Leave it out of DPParameters, "
                "or compile with Keras' own class and give clip and noise in DPParameters."
            )
    if privacy.expected_batch_size is not None:
        check_microbatches(stated, privacy.expected_batch_size)
    try:
        return dataclasses.replace(
            privacy,
            noise_multiplier=noise if privacy.noise_multiplier is None else privacy.noise_multiplier,
            l2_norm_clip=clip if privacy.leaves_out_clip else privacy.l2_norm_clip,
        )
    except ParameterError as error:
        raise ParameterError(f"{who} states what DPParameters refuse. {error}") from error


def check_microbatches(stated: Stated | None, expected_batch_size: float | None) -> None:
    """Refuses a model that states microbatches of more than one record: clipped as one, they are another privacy unit.

    Args:
      stated: What the model states.
      expected_batch_size: Of the run; a number of microbatches that equals it means one for each record.

    Raises:
      ParameterError: If a microbatch would hold more than one record, or it is not known how many.
    """
    number = None if stated is None else stated.num_microbatches
    if stated is None or number is None:
        return
    number = _validate.positive_integer(num_microbatches=number)
    if expected_batch_size is not None and math.isclose(number, expected_batch_size, rel_tol=_ROUNDING):
        return
    whole = " (1 is one microbatch that holds the whole batch)" if number == 1 else ""
    raise ParameterError(
        f"The model's {stated.kind} (tensorflow-privacy) has num_microbatches={number}{whole}, in batches of "
        f"{expected_batch_size or 0:g} records: it clips the mean gradient of a microbatch as one, which is another privacy "
        "unit than one record. Leave num_microbatches out (one for each record), or set it to expected_batch_size."
    )


def sources(asked: DPParameters, stated: Stated | None) -> list[ParameterSource]:
    """Where clip and noise come from; none without privacy.

    Args:
      asked: The parameters as they were given, before `merged`.
      stated: What the model states.
    """
    if not asked.enabled:
        return []
    noise = "model" if asked.noise_multiplier is None else "privacy"
    if asked.target_epsilon is not None:
        noise = "calibrated"
    clip = "privacy"
    if asked.leaves_out_clip:
        clip = "default" if stated is None else "model"
    kind = None if stated is None else stated.kind
    return [
        ParameterSource(parameter="noise_multiplier", source=noise, model_class=kind),  # type: ignore[arg-type]
        ParameterSource(parameter="l2_norm_clip", source=clip, model_class=kind),  # type: ignore[arg-type]
    ]


def _numbers(who: str, stated: Stated) -> tuple[float, float]:
    try:
        noise = _validate.real(noise_multiplier=stated.noise_multiplier)
        return noise, _validate.positive(l2_norm_clip=stated.l2_norm_clip)
    except ParameterError as error:
        raise ParameterError(f"{who} states what no guarantee can be made of. {error}") from error


def _is_theirs(kind: type) -> bool:
    return f"{kind.__module__}.".startswith(_PACKAGE)


def _dp_class(kind: type) -> type | None:
    """The class of tensorflow-privacy that a class is, or derives from; nothing is imported to know it."""
    return next((base for base in kind.__mro__ if _is_theirs(base)), None)


def _check_inside(model: Any) -> None:
    for layer in keras_api.layers(model):
        if (found := _dp_class(type(layer))) is not None:
            raise ModelError(
                f"Layer {layer.name!r} is a {_model_name(found)} of tensorflow-privacy inside of another model, where it "
                "neither clips nor adds noise. Use Keras' own class there; clip and noise are DPParameters'."
            )


def _keras_base(kind: type) -> type:
    return next(base for base in kind.__mro__ if keras_api.is_own(base))


def _model_name(kind: type) -> str:
    base = _keras_base(kind).__name__
    return f"DP{'Model' if base == 'Functional' else base}"


def _take_model(model: Any, dp_class: type) -> Stated:
    stated = Stated(
        kind=_model_name(dp_class),
        l2_norm_clip=model._l2_norm_clip,
        noise_multiplier=model._noise_multiplier,
        num_microbatches=model._num_microbatches,
    )
    kind = type(model)
    _check_methods(kind, dp_class)
    plain = dp_class.__bases__[0] if kind is dp_class else _without(kind, dp_class)
    # With use_xla, the default, its compiled step is an attribute of the model.
    if "train_step" in vars(model):
        del model.train_step
    object.__setattr__(model, "__class__", plain)
    return stated


def _check_methods(kind: type, dp_class: type) -> None:
    """What a user's class changes of tensorflow-privacy's own steps would not run, and is not passed over in silence."""
    before = kind.__mro__[: kind.__mro__.index(dp_class)]
    own = {name for name in vars(dp_class) if not name.startswith("__")} - {"train_step"}
    changed = sorted({name for base in before for name in vars(base) if name in own})
    if changed:
        raise ModelError(
            f"{kind.__name__} changes {', '.join(changed)} of tensorflow-privacy's {_model_name(dp_class)}, which DPTrainer "
            "does not run: it clips and adds the noise itself. Derive from Keras' own class, without them."
        )


def _without(kind: type, dp_class: type) -> type:
    """A user's class as if it derived from Keras' own; its methods and what they call by `super()` stay."""

    class Rebased(type(kind)):  # type: ignore[misc] # a metaclass is chosen by the class at hand
        def mro(cls) -> list[type]:
            return [base for base in super().mro() if base is not dp_class]

    return Rebased(kind.__name__, (kind,), {"__module__": kind.__module__, "__qualname__": kind.__qualname__})


def _optimizer_name(kind: type) -> str:
    pattern = _OPTIMIZERS.get(kind.__module__.rpartition(".")[2], "{}" + f" ({kind.__module__})")
    return pattern.format(_keras_base(kind).__name__)


def _take_optimizer(model: Any, dp_class: type) -> Stated:
    optimizer, name, base = model.optimizer, _optimizer_name(dp_class), _keras_base(dp_class)
    _check_optimizer(optimizer, dp_class, base, name)
    stated = Stated(name, *_clip_and_noise(optimizer, name), num_microbatches=optimizer._num_microbatches)
    model.optimizer = _plain_optimizer(optimizer, base)
    return stated


def _check_optimizer(optimizer: Any, dp_class: type, base: type, name: str) -> None:
    accumulated = getattr(optimizer, "gradient_accumulation_steps", 1)
    if type(optimizer) is not dp_class or dp_class.__bases__ != (base,) or base.__name__ not in _PLAIN_OPTIMIZERS:
        raise ModelError(
            f"Its optimizer is {type(optimizer).__name__}, made from tensorflow-privacy's {name}; DPTrainer reads that "
            f"class alone, over Keras' {', '.join(_PLAIN_OPTIMIZERS)}. Use one of these as they are, or Keras' own."
        )
    if accumulated != 1:
        raise ModelError(
            f"Its optimizer, tensorflow-privacy's {name}, has gradient_accumulation_steps="
            f"{accumulated!r}, which makes batch and noise others than those that it states. "
            "Leave it out, and set expected_batch_size to the whole batch: DPTrainer takes it in chunks that fit."
        )


def _clip_and_noise(optimizer: Any, name: str) -> tuple[Any, Any]:
    if hasattr(optimizer, "_noise_multiplier"):
        return optimizer._l2_norm_clip, optimizer._noise_multiplier
    query = optimizer._dp_sum_query
    if type(query).__name__ != _QUERY or not _is_theirs(type(query)):
        raise ModelError(
            f"Its optimizer, tensorflow-privacy's {name}, releases by a {type(query).__name__}; DPTrainer reads a "
            f"{_QUERY} alone. Compile with Keras' own optimizer, and say in DPParameters what to do, e.g. "
            "algorithm='dp_ftrl' with sampling='shuffled', or clipping='adaptive'."
        )
    clip, deviation = query._l2_norm_clip, query._stddev
    try:
        # The product was stored: of the numbers that give it, the shortest.
        noise = float(f"{deviation / clip:.{_DIGITS}g}")
        return clip, noise if clip * noise == deviation else deviation / clip
    except (ArithmeticError, TypeError, ValueError) as error:
        raise ModelError(
            f"Its optimizer, tensorflow-privacy's {name}, has l2_norm_clip={clip!r} and noise of standard deviation "
            f"{deviation!r}, which are no two numbers to divide. Give plain numbers, the clip above 0."
        ) from error


def _plain_optimizer(optimizer: Any, base: type) -> Any:
    """Keras' optimizer of today with the hyperparameters of one of the earlier kind, that tensorflow-privacy derives from."""
    import tf_keras

    rate = optimizer._hyper["learning_rate"]
    # Past tensorflow-privacy's get_config, which adds its own; and a schedule may be of a user's own class, without one.
    with keras_api.replaced(optimizer, "_hyper", {**optimizer._hyper, "learning_rate": 0.0}):
        config = base.get_config(optimizer)  # type: ignore[attr-defined]
    config["learning_rate"] = rate = float(rate.numpy()) if hasattr(rate, "numpy") else rate
    decay = config.pop("decay", 0.0)
    plain = getattr(tf_keras.optimizers, base.__name__)
    unknown = sorted(
        set(config) - set(inspect.signature(plain).parameters) - {"clipnorm", "clipvalue", "global_clipnorm"}
    )
    if unknown:
        raise ModelError(
            f"Its optimizer has {unknown[0]}={config[unknown[0]]!r}, which Keras' {base.__name__} has not."
        )
    if decay:
        if not isinstance(rate, float | int):
            raise ModelError(
                f"Its optimizer has a learning-rate schedule and decay={decay!r}, which Keras' {base.__name__} does not "
                "combine. Put both into one schedule."
            )
        schedules = tf_keras.optimizers.schedules
        config["learning_rate"] = schedules.InverseTimeDecay(rate, decay_steps=1, decay_rate=decay)
    return plain(**config)
