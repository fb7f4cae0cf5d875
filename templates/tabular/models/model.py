"""The user's module: how records become numbers, and the model. Example: will this passenger tip more than 20 %?

Vocabularies, ranges and sizes are public constants, known without looking at the records: a day has 24 hours, Chicago
has 77 community areas, the City publishes the payment types. Keep it so. What `tft.compute_and_apply_vocabulary`,
`tft.scale_to_z_score` and other analyzers compute from the records ends up inside the model, outside of the guarantee,
and the gate refuses it.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

LABEL_KEY = "big_tipper"
FEATURES_KEY = "features"

# TODO: your features.
# Text of which every value is known: one-hot; what is not listed becomes zeros.
CATEGORIES = {
    "payment_type": ("Cash", "Credit Card", "Dispute", "No Charge", "Pcard", "Prcard", "Unknown"),
}
# Other text: hashed into so many buckets, one-hot.
HASHED = {"company": 20}
# Whole numbers from 0 to below the given one: one-hot; 0 stands for missing.
INTEGERS = {"trip_start_hour": 24, "trip_start_day": 8, "pickup_community_area": 78, "dropoff_community_area": 78}
# Amounts: log(1 + value), less the logarithm of a usual value.
AMOUNTS = {"fare": 2.5, "trip_miles": 1.0, "trip_seconds": 6.5}
# Numbers in a known range, as (centre, half width); a missing one (zero) lies at the centre.
RANGES = {"pickup_latitude": (41.85, 0.2), "pickup_longitude": (-87.7, 0.2)}
NUM_FEATURES = (
    sum(len(values) for values in CATEGORIES.values())
    + sum(HASHED.values())
    + sum(INTEGERS.values())
    + len(AMOUNTS)
    + len(RANGES)
)

HIDDEN_UNITS = (64, 32)
LEARNING_RATE = 0.01


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """Makes one vector of each record, and the label; called by Transform.

    Args:
      inputs: Raw features by name.

    Returns:
      `features`, float32 of shape (batch_size, NUM_FEATURES), and the label, int64 of shape (batch_size,).
    """
    columns = [_category(_text(inputs[name]), values) for name, values in CATEGORIES.items()]
    columns += [tf.one_hot(tft.hash_strings(_text(inputs[name]), size), size) for name, size in HASHED.items()]
    columns += [tf.one_hot(tf.cast(_number(inputs[name]), tf.int64), size) for name, size in INTEGERS.items()]
    columns += [_amount(_number(inputs[name]), usual)[:, tf.newaxis] for name, usual in AMOUNTS.items()]
    columns += [_in_range(_number(inputs[name]), *bounds)[:, tf.newaxis] for name, bounds in RANGES.items()]
    return {FEATURES_KEY: tf.concat(columns, axis=1), LABEL_KEY: _label(inputs)}


def model_fn(fn_args: Any) -> Any:
    """Builds and compiles the model; called by DPTrainer.

    Args:
      fn_args: TFX's FnArgs.

    Returns:
      A compiled `tf.keras.Model` from `features` to a probability, shape (batch_size, 1). Layers that mix records, such
      as BatchNormalization, are refused; LayerNormalization and GroupNormalization are fine.
    """
    features = tf.keras.Input(shape=(NUM_FEATURES,), name=FEATURES_KEY)
    hidden = features
    for units in HIDDEN_UNITS:
        hidden = tf.keras.layers.Dense(units, activation="relu")(hidden)
    output = tf.keras.layers.Dense(1, activation="sigmoid", name="probability")(hidden)
    model = tf.keras.Model(inputs={FEATURES_KEY: features}, outputs=output)
    model.compile(optimizer=tf.keras.optimizers.Adam(LEARNING_RATE), loss=tf.keras.losses.BinaryCrossentropy())
    return model


def _label(inputs: dict[str, Any]) -> Any:
    """TODO: your label, as 0 or 1."""
    return tf.cast(_number(inputs["tips"]) > 0.2 * _number(inputs["fare"]), tf.int64)


def _column(feature: Any, default: Any) -> Any:
    """A feature of one value per record as a vector; missing values become `default`."""
    if isinstance(feature, tf.SparseTensor):
        shape = [feature.dense_shape[0], 1]
        feature = tf.sparse.to_dense(tf.SparseTensor(feature.indices, feature.values, shape), default_value=default)
    return tf.squeeze(feature, axis=1)


def _text(feature: Any) -> Any:
    return _column(feature, "")


def _number(feature: Any) -> Any:
    value = tf.cast(_column(feature, tf.constant(0, feature.dtype)), tf.float32)
    return tf.where(tf.math.is_finite(value), value, 0.0)


def _category(values: Any, known: tuple[str, ...]) -> Any:
    return tf.cast(tf.equal(values[:, tf.newaxis], tf.constant(known)), tf.float32)


def _amount(values: Any, usual: float) -> Any:
    return tf.math.log1p(tf.maximum(values, 0.0)) - usual


def _in_range(values: Any, centre: float, half_width: float) -> Any:
    return tf.where(values == 0.0, 0.0, tf.clip_by_value((values - centre) / half_width, -2.0, 2.0))
