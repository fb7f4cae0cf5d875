"""The user's module: how images become numbers, and the model. Example: which digit is this?

Sizes and scales are public constants, known without looking at the images. Keep it so. What `tft.scale_to_z_score` and
other analyzers compute from the records ends up inside the model, outside of the guarantee, and the gate refuses it.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

LABEL_KEY = "digit"
PIXELS_KEY = "pixels"

# TODO: your raw features, size of images, and classes.
IMAGE_FEATURE = "image"
LABEL_FEATURE = "label"
HEIGHT, WIDTH, CHANNELS = 8, 8, 1
NUM_CLASSES = 10

FILTERS = (16, 32)
# Channels that are normalised together, within one image.
GROUPS = 4
LEARNING_RATE = 0.01


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """Decodes the images; called by Transform.

    Args:
      inputs: Raw features by name: an image as PNG, JPEG, GIF or BMP, and its class.

    Returns:
      `pixels`, float32 in [0, 1] of shape (batch_size, HEIGHT, WIDTH, CHANNELS), and the label, int64 of shape
      (batch_size,).
    """
    pixels = tf.map_fn(
        _decode,
        _column(inputs[IMAGE_FEATURE], ""),
        fn_output_signature=tf.TensorSpec([HEIGHT, WIDTH, CHANNELS], tf.float32),
    )
    return {PIXELS_KEY: pixels, LABEL_KEY: _column(inputs[LABEL_FEATURE], tf.constant(0, tf.int64))}


def model_fn(fn_args: Any) -> Any:
    """Builds and compiles the model; called by DPTrainer.

    Args:
      fn_args: TFX's FnArgs.

    Returns:
      A compiled `tf.keras.Model` from `pixels` to probabilities, shape (batch_size, NUM_CLASSES). Layers that mix
      records, such as BatchNormalization that is not frozen, are refused; GroupNormalization takes its place.
    """
    pixels = tf.keras.Input(shape=(HEIGHT, WIDTH, CHANNELS), name=PIXELS_KEY)
    hidden = pixels
    for filters in FILTERS:
        hidden = tf.keras.layers.Conv2D(filters, 3, padding="same")(hidden)
        hidden = tf.keras.layers.GroupNormalization(GROUPS)(hidden)
        hidden = tf.keras.layers.Activation("relu")(hidden)
        hidden = tf.keras.layers.MaxPooling2D()(hidden)
    hidden = tf.keras.layers.Flatten()(hidden)
    output = tf.keras.layers.Dense(NUM_CLASSES, activation="softmax", name="probabilities")(hidden)
    model = tf.keras.Model(inputs={PIXELS_KEY: pixels}, outputs=output)
    model.compile(
        optimizer=tf.keras.optimizers.Adam(LEARNING_RATE), loss=tf.keras.losses.SparseCategoricalCrossentropy()
    )
    return model


def _decode(encoded: Any) -> Any:
    """One image; what has another size is scaled."""
    image = tf.io.decode_image(encoded, channels=CHANNELS, expand_animations=False)
    return tf.image.resize(tf.image.convert_image_dtype(image, tf.float32), [HEIGHT, WIDTH])


def _column(feature: Any, default: Any) -> Any:
    """A feature of one value per record as a vector; missing values become `default`."""
    if isinstance(feature, tf.SparseTensor):
        shape = [feature.dense_shape[0], 1]
        feature = tf.sparse.to_dense(tf.SparseTensor(feature.indices, feature.values, shape), default_value=default)
    return tf.squeeze(feature, axis=1)
