"""The demonstration's data: 1,797 images of handwritten digits that lie inside scikit-learn.

Delete this file when DATA_PATH is yours.
"""

from __future__ import annotations

import os

import tensorflow as tf
from sklearn import datasets


def write(folder: str) -> None:
    """Writes the images as PNG in tf.Examples with `image` and `label`, unless the folder is there already."""
    if os.path.exists(folder):
        return
    digits = datasets.load_digits()
    pixels = tf.cast(digits.images[..., tf.newaxis] * 255.0 / 16.0, tf.uint8)
    os.makedirs(folder)
    with tf.io.TFRecordWriter(os.path.join(folder, "digits.tfrecord")) as writer:
        for image, label in zip(pixels, digits.target, strict=True):
            writer.write(example(tf.io.encode_png(image).numpy(), int(label)).SerializeToString())
    print(f"Wrote {len(digits.target)} images of handwritten digits (Alpaydin and Kaynak 1998) to {folder}.")


def example(encoded: bytes, label: int) -> tf.train.Example:
    """One image, PNG or JPEG, as a tf.Example."""
    features = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded])),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
    }
    return tf.train.Example(features=tf.train.Features(feature=features))
