"""The user's module of the Chicago Taxi pipeline: will this passenger tip more than 20 %?

Vocabularies and ranges are public constants, known without looking at the records (a day has 24
hours, Chicago has 77 community areas, the City publishes the payment types). Transform runs no
analyzer then, and the privacy guarantee covers everything that the model contains.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

LABEL_KEY = "big_tipper"
FEATURES_KEY = "features"

PAYMENT_TYPES = ("Cash", "Credit Card", "Dispute", "No Charge", "Pcard", "Prcard", "Unknown")
NUM_COMPANY_BUCKETS = 20
COMMUNITY_AREAS = 77
# One-hot features: name and number of values; value 0 stands for missing.
CALENDAR = (("trip_start_hour", 24), ("trip_start_day", 8), ("trip_start_month", 13))
# Amounts are log-scaled; the second number is a typical value's logarithm, not this data's.
AMOUNTS = (("fare", 2.5), ("trip_miles", 1.0), ("trip_seconds", 6.5))
# The city's bounding box: centre and half width in degrees.
COORDINATES = (
    ("pickup_latitude", 41.85, 0.2),
    ("pickup_longitude", -87.7, 0.2),
    ("dropoff_latitude", 41.85, 0.2),
    ("dropoff_longitude", -87.7, 0.2),
)
TIP_SHARE = 0.2


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """Makes one vector of each trip, and the label; uses no analyzer.

    Args:
      inputs: Raw features by name.

    Returns:
      `features`, float32 of shape (batch_size, num_features), and `big_tipper`, int64 of shape (batch_size,).
    """
    fare = _number(inputs["fare"])
    columns = [
        _payment_type(_column(inputs["payment_type"], "")),
        tf.one_hot(tft.hash_strings(_column(inputs["company"], ""), NUM_COMPANY_BUCKETS), NUM_COMPANY_BUCKETS),
    ]
    columns += [tf.one_hot(_integer(inputs[name]), size) for name, size in CALENDAR]
    columns += [
        tf.one_hot(_integer(inputs[name]), COMMUNITY_AREAS + 1)
        for name in ("pickup_community_area", "dropoff_community_area")
    ]
    amounts = [tf.math.log1p(tf.maximum(_number(inputs[name]), 0.0)) - typical for name, typical in AMOUNTS]
    places = [_place(inputs[name], centre, width) for name, centre, width in COORDINATES]
    columns.append(tf.stack([*amounts, *places], axis=1))
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


def _place(feature: Any, centre: float, width: float) -> Any:
    """A coordinate scaled to the city's box; a missing one (zero) lies at its centre."""
    degrees = _number(feature)
    return tf.where(degrees == 0.0, 0.0, tf.clip_by_value((degrees - centre) / width, -2.0, 2.0))


def _payment_type(values: Any) -> Any:
    return tf.cast(tf.equal(values[:, tf.newaxis], tf.constant(PAYMENT_TYPES)), tf.float32)
