"""DP-SGD of tensorflow-privacy, in each of the ways it offers for Keras models.

* `tfp_keras_mb`: `DPKerasSGDOptimizer`, one microbatch per example; what its tutorials show.
* `tfp_vec`: `VectorizedDPKerasSGDOptimizer`, likewise.
* `tfp_dpmodel`: `DPModel` without XLA and without a layer registry: per-example gradients by `vectorized_map`.
* `tfp_fast`: `DPModel` with `make_default_layer_registry()`: norms without per-example gradients.
* `tfp_fast_all`: the same with the further layers tensorflow-privacy ships functions for but leaves out of the default.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from benchmarks.variants import PreparedStep, Setting, UnsupportedVariantError
from benchmarks.variants.keras_case import KerasCase, keras_case, keras_train_step, use_one_thread
from tfx_privacy import compat

_CLIPPING = "privacy.fast_gradient_clipping"


def prepare(variant: str, setting: Setting) -> PreparedStep:
    """Builds one of the five variants.

    Raises:
      UnsupportedVariantError: For Keras 3 models, and where the fast path would silently not be taken.
    """
    if setting.keras != "tf_keras":
        raise UnsupportedVariantError("tensorflow-privacy trains Keras 2 models only")
    # Its optimizers run operations while they are made, before there is a model.
    use_one_thread()
    case = _BUILDERS[variant](setting)
    return case.prepared(keras_train_step(case))


def _dp_optimizer(module: str, name: str) -> Callable[[Setting], KerasCase]:
    def build(setting: Setting) -> KerasCase:
        optimizer_class = getattr(compat.tensorflow_privacy(f"privacy.optimizers.{module}"), name)
        optimizer = optimizer_class(
            l2_norm_clip=setting.l2_norm_clip,
            noise_multiplier=setting.noise_multiplier,
            num_microbatches=setting.batch_size,
            learning_rate=setting.learning_rate,
        )
        return keras_case(setting, optimizer=optimizer, reduction="none")

    return build


def _dp_model(make_registry: Callable[[], Any]) -> Callable[[Setting], KerasCase]:
    def build(setting: Setting) -> KerasCase:
        registry = make_registry()
        make_model = _dp_model_maker(setting, registry)
        optimizer = tf.keras.optimizers.legacy.SGD(setting.learning_rate)
        case = keras_case(setting, optimizer=optimizer, make_model=make_model)
        if registry is not None:
            _require_fast_path(case.model, registry)
        return case

    return build


def _dp_model_maker(setting: Setting, registry: Any) -> Callable[..., Any]:
    models = compat.tensorflow_privacy("privacy.keras_models.dp_keras_model")

    # Keras turns the class it is given into a functional model by changing its bases: not DPModel itself, then.
    class FunctionalDPModel(models.make_dp_model_class(tf.keras.Model)):
        pass

    def make_model(**graph: Any) -> Any:
        return FunctionalDPModel(
            l2_norm_clip=setting.l2_norm_clip,
            noise_multiplier=setting.noise_multiplier,
            use_xla=False,
            layer_registry=registry,
            **graph,
        )

    return make_model


def _require_fast_path(model: Any, registry: Any) -> None:
    if model._enable_fast_peg_computation:
        return
    trainable = [layer for layer in model.layers if layer.trainable_variables]
    missing = sorted({type(layer).__name__ for layer in trainable if not registry.is_elem(layer)})
    raise UnsupportedVariantError(
        f"falls back to tfp_dpmodel without a word: not in its registry: {', '.join(missing)}"
    )


def _no_registry() -> None:
    return None


def _default_registry() -> Any:
    return compat.tensorflow_privacy(f"{_CLIPPING}.layer_registry").make_default_layer_registry()


def _full_registry() -> Any:
    functions = f"{_CLIPPING}.registry_functions"
    attention = compat.tensorflow_privacy(f"{functions}.multi_head_attention")
    normalization = compat.tensorflow_privacy(f"{functions}.layer_normalization")
    registry = _default_registry()
    registry.insert(tf.keras.layers.MultiHeadAttention, attention.multi_head_attention_layer_computation)
    registry.insert(tf.keras.layers.LayerNormalization, normalization.layer_normalization_computation)
    return registry


_BUILDERS = {
    "tfp_fast": _dp_model(_default_registry),
    "tfp_fast_all": _dp_model(_full_registry),
    "tfp_dpmodel": _dp_model(_no_registry),
    "tfp_vec": _dp_optimizer("dp_optimizer_keras_vectorized", "VectorizedDPKerasSGDOptimizer"),
    "tfp_keras_mb": _dp_optimizer("dp_optimizer_keras", "DPKerasSGDOptimizer"),
}
