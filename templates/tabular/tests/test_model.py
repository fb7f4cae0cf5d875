"""Of models/model.py: do its functions give what Transform and DPTrainer take?"""

from __future__ import annotations

import types
import unittest
from typing import Any

import numpy as np
import tensorflow as tf

import tfx_privacy.transform as dpt
from models import model
from tfx_privacy import DPParameters, training

# TODO: the raw features that only your label is made of.
LABEL_COLUMNS = {"tips": tf.float32}
COLUMNS = {
    **dict.fromkeys((*model.CATEGORIES, *model.WORDS), tf.string),
    **dict.fromkeys(model.INTEGERS, tf.int64),
    **dict.fromkeys((*model.AMOUNTS, *model.PLACES), tf.float32),
    **LABEL_COLUMNS,
}


def records(count: int = 3) -> dict[str, Any]:
    """Records without text, and with a one in every other feature."""
    return {name: tf.cast(tf.ones([count, 1]), dtype) for name, dtype in COLUMNS.items() if dtype != tf.string} | {
        name: tf.fill([count, 1], "") for name, dtype in COLUMNS.items() if dtype == tf.string
    }


class PreprocessingTest(unittest.TestCase):
    """Of preprocessing_fn."""

    def test_each_record_becomes_one_vector_and_a_label(self) -> None:
        """Finite, and of the width that the model takes."""
        made = dpt.dry_run(model.preprocessing_fn, records()).outputs
        self.assertEqual(made[model.FEATURES_KEY].shape, (3, model.NUM_FEATURES))
        self.assertTrue(np.isfinite(made[model.FEATURES_KEY]).all())
        self.assertEqual(made[model.LABEL_KEY].shape, (3,))
        self.assertLessEqual(set(made[model.LABEL_KEY].numpy().tolist()), {0, 1})

    def test_a_missing_value_is_no_error(self) -> None:
        """Transform passes features that may be missing as sparse tensors."""
        missing = {
            name: tf.SparseTensor(tf.zeros([0, 2], tf.int64), tf.zeros([0], dtype), [3, 0])
            for name, dtype in COLUMNS.items()
        }
        made = dpt.dry_run(model.preprocessing_fn, missing).outputs
        self.assertEqual(made[model.FEATURES_KEY].shape, (3, model.NUM_FEATURES))
        self.assertTrue(np.isfinite(made[model.FEATURES_KEY]).all())

    def test_nothing_is_computed_from_the_records_without_noise(self) -> None:
        """As analyzers of tft itself would, which DPTransform refuses."""
        self.assertEqual(dpt.dry_run(model.preprocessing_fn, records()).uncovered, [])


class ModelTest(unittest.TestCase):
    """Of model_fn."""

    def test_it_can_be_trained_privately(self) -> None:
        """One step; a layer that breaks the guarantee is refused with its name."""
        run = dpt.dry_run(model.preprocessing_fn, records(20))
        made = {name: column.numpy() for name, column in run.outputs.items()}
        labels = made.pop(model.LABEL_KEY)
        privacy = DPParameters(noise_multiplier=1.0, target_delta=1e-3, expected_batch_size=10, steps=1)
        built = model.model_fn(types.SimpleNamespace(custom_config={}))
        training.train(
            built, training.ColumnarDataset(made, labels), privacy.resolve(population=20), noise_multiplier=1.0
        )
        answers = built.predict(made, verbose=0)
        self.assertEqual(answers.shape, (20, 1))
        self.assertTrue(((answers >= 0) & (answers <= 1)).all())


if __name__ == "__main__":
    unittest.main()
