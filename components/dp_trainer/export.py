"""Saves the trained model with its signatures; optimizer state and random states stay behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from tfx_privacy.components import _files, serving
from tfx_privacy.components.dp_trainer import data
from tfx_privacy.errors import ParameterError
from tfx_privacy.records import strict_json
from tfx_privacy.training import keras_api, validation

# TensorFlow Serving carries this folder along and reads nothing in it.
_TEXTS = ("assets.extra", "label_texts.json")


def save(
    model: Any,
    fn_args: Any,
    label_key: str | None,
    signatures_fn: Callable[..., Any] | None,
    user_id_key: str | None = None,
) -> None:
    """Writes a SavedModel to `fn_args.serving_model_dir`.

    Args:
      model: The trained Keras model; its optimizer is taken off.
      fn_args: TFX's FnArgs.
      label_key: Name of the label, which serving requests do not carry.
      signatures_fn: The user's function of (model, fn_args) to signatures. Without it, `serving_default` answers
        serialized tf.Examples through the transform graph, `transform_features` gives the transformed features, and
        `from_features` answers features as the model takes them.
      user_id_key: Name of the user ids, which the model does not see.
    """
    # Optimizer slots are no part of a model to serve.
    model.optimizer = None
    if signatures_fn is not None:
        tf.saved_model.save(model, fn_args.serving_model_dir, signatures=signatures_fn(model, fn_args))
        return
    module = _with_transform(model, fn_args) if fn_args.transform_graph_path else _raw(model, fn_args, label_key)
    specs = feature_specs(model, fn_args, label_key, user_id_key)
    if specs:
        module.from_features = _from_features(model, specs)
    _write(module, model, fn_args.serving_model_dir)


def write_texts(folder: str, texts: list[str]) -> None:
    """Writes what a model's classes are called into its SavedModel, for those who ask it.

    Args:
      folder: Of the SavedModel.
      texts: By class number.
    """
    _files.write_text(os.path.join(folder, *_TEXTS[:-1]), _TEXTS[-1], strict_json.canonical(texts))


def check_signatures(model: Any, fn_args: Any, label_key: str | None) -> None:
    """Refuses, before any record is read, a model that the default signatures could not serve.

    Args:
      model: The Keras model.
      fn_args: TFX's FnArgs.
      label_key: Name of the label.

    Raises:
      ParameterError: If there is neither a transform graph nor a schema, or the model has an input
        that the examples do not.
      ModelError: If it has a dense input for a feature of variable length.
    """
    if not (fn_args.transform_graph_path or fn_args.schema_path):
        raise ParameterError(
            "Neither transform_graph nor schema is wired, so nothing says how to serve the model. Wire one, or give a "
            "signatures_fn in the module."
        )
    spec = data.feature_spec(fn_args)
    unknown = sorted(set(keras_api.input_names(model) if keras_api.is_model(model) else []) - set(spec))
    if unknown:
        raise ParameterError(
            f"The model has an input {unknown[0]!r}, but the examples have: "
            f"{', '.join(sorted(set(spec) - {label_key}))}. Name the input as the feature is named; or give a "
            "signatures_fn, and an input_fn, in the module."
        )
    for name in keras_api.input_names(model):
        if not isinstance(spec[name], tf.io.FixedLenFeature):
            validation.check_variable_length(model, name)
    if not keras_api.input_names(model):
        module = _with_transform(model, fn_args) if fn_args.transform_graph_path else _raw(model, fn_args, label_key)
        try:
            module.serving_default.get_concrete_function()
        except Exception as error:
            raise ParameterError(
                f"The model cannot answer requests that hold the examples' features ({type(error).__name__}, told "
                "above). Give a signatures_fn in the module."
            ) from error


def save_features_alone(model: Any, folder: str, specs: dict[str, Any]) -> None:
    """Writes a SavedModel with the one signature `from_features`.

    Args:
      model: The trained Keras model; its optimizer is taken off.
      folder: Where to.
      specs: By name, the features that it takes, as `feature_specs` gives them.
    """
    model.optimizer = None
    module = tf.Module()
    module.from_features = _from_features(model, specs)
    _write(module, model, folder)


def feature_specs(model: Any, fn_args: Any, label_key: str | None, user_id_key: str | None) -> dict[str, Any]:
    """The features that a model takes, parsed; empty where it takes others than the examples' dense ones."""
    parsed = data.feature_spec(fn_args)
    names = keras_api.input_names(model) or sorted(set(parsed) - {label_key, user_id_key})
    if not all(isinstance(parsed.get(name), tf.io.FixedLenFeature) for name in names):
        return {}
    return {name: parsed[name] for name in names}


def _write(module: tf.Module, model: Any, folder: str) -> None:
    # Layers and weights by themselves: Keras' own saving would trace every layer several times.
    module.model_layers, module.model_weights = model.layers, keras_api.all_variables(model)
    signatures = {
        name: getattr(module, name)
        for name in (serving.SERVING, serving.TRANSFORM_FEATURES, serving.FROM_FEATURES)
        if hasattr(module, name)
    }
    tf.saved_model.save(module, folder, signatures=signatures)


def _from_features(model: Any, specs: dict[str, Any]) -> Any:
    inputs = {name: serving.input_name(name) for name in specs}
    signature = {
        inputs[name]: tf.TensorSpec([None, *spec.shape], spec.dtype, name=inputs[name]) for name, spec in specs.items()
    }

    def answer(features: dict[str, Any]) -> dict[str, Any]:
        return _answer(model, {name: features[inputs[name]] for name in specs})

    return tf.function(answer, input_signature=[signature])


def _with_transform(model: Any, fn_args: Any) -> tf.Module:
    output = tft.TFTransformOutput(fn_args.transform_graph_path)
    raw_spec = output.raw_feature_spec()
    module = tf.Module()
    module.transform_layer = output.transform_features_layer()

    def transform(examples: Any) -> dict[str, Any]:
        return dict(module.transform_layer(tf.io.parse_example(examples, raw_spec)))

    serving_spec = _serving_spec(module.transform_layer, raw_spec, set(keras_api.input_names(model)))

    def serve(examples: Any) -> dict[str, Any]:
        return _answer(model, dict(module.transform_layer(tf.io.parse_example(examples, serving_spec))))

    module.serving_default = _signature(serve)
    module.transform_features = _signature(transform)
    return module


def _serving_spec(transform_layer: Any, raw_spec: dict[str, Any], needed: set[str]) -> dict[str, Any]:
    """The raw features without which the model's inputs cannot be computed.

    A request does not carry what the label is made of. The transform layer leaves out outputs whose inputs are missing,
    so leaving out one raw feature at a time shows which ones the model needs.
    """
    if not needed:
        return raw_spec
    no_records = tf.constant([], tf.string)

    def suffices_without(name: str) -> bool:
        rest = {other: feature for other, feature in raw_spec.items() if other != name}
        return needed <= set(transform_layer(tf.io.parse_example(no_records, rest)))

    return {name: feature for name, feature in raw_spec.items() if not suffices_without(name)}


def _raw(model: Any, fn_args: Any, label_key: str | None) -> tf.Module:
    # A request carries what the model takes, and no label.
    names = keras_api.input_names(model)
    spec = {
        name: feature
        for name, feature in data.feature_spec(fn_args).items()
        if name != label_key and (not names or name in names)
    }
    module = tf.Module()
    module.serving_default = _signature(lambda examples: _answer(model, tf.io.parse_example(examples, spec)))
    return module


def _answer(model: Any, features: dict[str, Any]) -> dict[str, Any]:
    """The model's outputs by name; an only one is called `outputs`."""
    names = keras_api.input_names(model) or list(features)
    outputs = model({name: features[name] for name in names}, training=False)
    return {name or serving.OUTPUT_KEY: output for name, output in keras_api.outputs_by_name(model, outputs).items()}


def _signature(function: Callable[[Any], dict[str, Any]]) -> Any:
    return tf.function(function, input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
