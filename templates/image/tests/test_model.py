"""Of models/model.py: do its functions give what Transform and DPTrainer take?"""

from __future__ import annotations

import types
import unittest
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from models import model
from tfx_privacy import DPParameters, training

COLUMNS = {model.IMAGE_FEATURE: tf.string, model.LABEL_FEATURE: tf.int64}


def records(count: int = 3) -> dict[str, Any]:
    """Noise as PNG, twice as large as the model takes it."""
    random = np.random.default_rng(1)
    shape = (2 * model.HEIGHT, 2 * model.WIDTH, model.CHANNELS)
    images = [tf.io.encode_png(random.integers(0, 256, shape, np.uint8)) for _ in range(count)]
    labels = random.integers(0, model.NUM_CLASSES, count)
    return {
        model.IMAGE_FEATURE: tf.stack(images)[:, tf.newaxis],
        model.LABEL_FEATURE: tf.constant(labels)[:, tf.newaxis],
    }


class PreprocessingTest(unittest.TestCase):
    """Of preprocessing_fn."""

    def test_each_image_is_decoded_and_scaled(self) -> None:
        """To numbers from 0 to 1, of the shape that the model takes."""
        made = model.preprocessing_fn(records())
        pixels = made[model.PIXELS_KEY].numpy()
        self.assertEqual(pixels.shape, (3, model.HEIGHT, model.WIDTH, model.CHANNELS))
        self.assertTrue(((pixels >= 0) & (pixels <= 1)).all())
        self.assertGreater(pixels.std(), 0)
        self.assertEqual(made[model.LABEL_KEY].shape, (3,))

    def test_nothing_is_computed_from_the_records_together(self) -> None:
        """An analyzer's result would be inside the model, without any privacy, and the gate would refuse it."""
        specs = {name: tf.TensorSpec([None, 1], dtype) for name, dtype in COLUMNS.items()}
        self.assertEqual(tft.get_analyze_input_columns(model.preprocessing_fn, specs), [])


class ModelTest(unittest.TestCase):
    """Of model_fn."""

    def test_it_can_be_trained_privately(self) -> None:
        """One step; a layer that breaks the guarantee is refused with its name."""
        made = {name: column.numpy() for name, column in model.preprocessing_fn(records(20)).items()}
        labels = made.pop(model.LABEL_KEY)
        privacy = DPParameters(noise_multiplier=1.0, target_delta=1e-3, expected_batch_size=10, steps=1)
        built = model.model_fn(types.SimpleNamespace(custom_config={}))
        training.train(
            built, training.ColumnarDataset(made, labels), privacy.resolve(population=20), noise_multiplier=1.0
        )
        answers = built.predict(made, verbose=0)
        self.assertEqual(answers.shape, (20, model.NUM_CLASSES))
        self.assertTrue(((answers >= 0) & (answers <= 1)).all())


if __name__ == "__main__":
    unittest.main()
