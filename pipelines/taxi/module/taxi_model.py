"""The user's module of the Chicago Taxi pipeline: will this passenger tip more than 20 %?

Vocabularies, scales and quantiles are private: the analyzers of `tfx_privacy.transform` have tft's names, and public bounds
besides (a day has 24 hours, Chicago has 77 community areas and a bounding box). What they release is part of the epsilon that
covers the model.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

import tfx_privacy.transform as dpt

LABEL_KEY = "big_tipper"
FEATURES_KEY = "features"

# Texts: name, and how many of the most common values have a column of their own.
WORDS = (("payment_type", 5), ("company", 20))
COMMUNITY_AREAS = 77
# One-hot features: name and number of values; value 0 stands for missing.
CALENDAR = (("trip_start_hour", 24), ("trip_start_day", 8), ("trip_start_month", 13))
# Amounts: name, and what is plausible in a taxi; they are scaled as logarithms.
AMOUNTS = (("fare", (0.0, 500.0)), ("trip_miles", (0.0, 100.0)), ("trip_seconds", (0.0, 20_000.0)))
# The city's bounding box in degrees.
LATITUDE, LONGITUDE = (41.64, 42.03), (-87.95, -87.52)
COORDINATES = (
    ("pickup_latitude", LATITUDE),
    ("pickup_longitude", LONGITUDE),
    ("dropoff_latitude", LATITUDE),
    ("dropoff_longitude", LONGITUDE),
)
NUM_BUCKETS = 10
TIP_SHARE = 0.2


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """Makes one vector of each trip, and the label.

    Args:
      inputs: Raw features by name.

    Returns:
      `features`, float32 of shape (batch_size, num_features), and `big_tipper`, int64 of shape (batch_size,).
    """
    fare = _number(inputs["fare"])
    columns = [_word(inputs[name], name, size) for name, size in WORDS]
    columns += [tf.one_hot(_integer(inputs[name]), size) for name, size in CALENDAR]
    columns += [
        tf.one_hot(_integer(inputs[name]), COMMUNITY_AREAS + 1)
        for name in ("pickup_community_area", "dropoff_community_area")
    ]
    columns += [_place(inputs[name], bounds) for name, bounds in COORDINATES]
    columns.append(tf.stack([_amount(inputs[name], bounds) for name, bounds in AMOUNTS], axis=1))
    return {
        FEATURES_KEY: tf.concat(columns, axis=1),
        LABEL_KEY: tf.cast(_number(inputs["tips"]) > fare * TIP_SHARE, tf.int64),
    }


def model_fn(fn_args: Any) -> Any:
    """Builds and compiles a multilayer perceptron.

    Args:
      fn_args: TFX's FnArgs; `custom_config` may set `hidden_units` (list of int) and `learning_rate`.

    Returns:
      A compiled `tf.keras.Model` from `features` to the probability of a big tip, shape (batch_size, 1).
    """
    config = fn_args.custom_config or {}
    width = tft.TFTransformOutput(fn_args.transform_graph_path).transformed_feature_spec()[FEATURES_KEY].shape[0]
    features = tf.keras.Input(shape=(width,), name=FEATURES_KEY)
    hidden = features
    for units in config.get("hidden_units", [64, 32]):
        hidden = tf.keras.layers.Dense(units, activation="relu")(hidden)
    output = tf.keras.layers.Dense(1, activation="sigmoid", name="probability")(hidden)
    model = tf.keras.Model(inputs={FEATURES_KEY: features}, outputs=output)
    model.compile(
        optimizer=tf.keras.optimizers.Adam(config.get("learning_rate", 0.01)),
        loss=tf.keras.losses.BinaryCrossentropy(),
    )
    return model


def _column(feature: Any, default: Any) -> Any:
    """A feature of one value per record as a vector; missing values become `default`."""
    if isinstance(feature, tf.SparseTensor):
        shape = [feature.dense_shape[0], 1]
        feature = tf.sparse.to_dense(tf.SparseTensor(feature.indices, feature.values, shape), default_value=default)
    return tf.squeeze(feature, axis=1)


def _number(feature: Any) -> Any:
    dtype = feature.dtype
    value = tf.cast(_column(feature, tf.constant(0, dtype)), tf.float32)
    return tf.where(tf.math.is_finite(value), value, 0.0)


def _integer(feature: Any) -> Any:
    return tf.cast(_number(feature), tf.int64)


def _word(feature: Any, name: str, size: int) -> Any:
    """One column for each of the most common values, and one for all others."""
    place = dpt.compute_and_apply_vocabulary(_column(feature, ""), top_k=size, num_oov_buckets=1, vocab_filename=name)
    return tf.one_hot(place, size + 1)


def _amount(feature: Any, bounds: tuple[float, float]) -> Any:
    low, high = (float(np.log1p(bound)) for bound in bounds)
    return dpt.scale_to_z_score(tf.math.log1p(tf.maximum(_number(feature), 0.0)), bounds=(low, high))


def _place(feature: Any, bounds: tuple[float, float]) -> Any:
    """One column for each tenth of the trips; a missing coordinate (zero) lies beyond the bounds."""
    return tf.one_hot(dpt.bucketize(_number(feature), NUM_BUCKETS, bounds=bounds), NUM_BUCKETS)
