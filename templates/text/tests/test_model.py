"""Of models/model.py: do its functions give what Transform and DPTrainer take?"""

from __future__ import annotations

import types
import unittest
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from models import model
from tfx_privacy import DPParameters, training

COLUMNS = {model.TEXT_FEATURE: tf.string, model.LABEL_FEATURE: tf.int64}


def records(count: int = 3) -> dict[str, Any]:
    """The same sentence, with different last words, and alternating labels."""
    texts = [[f"Returns the mean-square error, number {index}"] for index in range(count)]
    return {
        model.TEXT_FEATURE: tf.constant(texts),
        model.LABEL_FEATURE: tf.constant([[i % 2] for i in range(count)], tf.int64),
    }


class PreprocessingTest(unittest.TestCase):
    """Of preprocessing_fn."""

    def test_each_text_becomes_tokens(self) -> None:
        """The same for the same words, and zeros where the text has ended."""
        made = model.preprocessing_fn(records())
        tokens = made[model.TOKENS_KEY].numpy()
        self.assertEqual(tokens.shape, (3, model.NUM_TOKENS))
        self.assertTrue(((tokens[:, :7] >= 1) & (tokens[:, :7] <= model.NUM_BUCKETS)).all())
        self.assertTrue((tokens[:, 7:] == 0).all())
        self.assertTrue((tokens[0, :6] == tokens[1, :6]).all())
        self.assertEqual(made[model.LABEL_KEY].shape, (3,))

    def test_long_and_empty_texts_are_no_error(self) -> None:
        """What is too long is cut off."""
        texts = tf.constant([["word " * (2 * model.NUM_TOKENS)], [""], ["- !"]])
        tokens = model.preprocessing_fn({**records(), model.TEXT_FEATURE: texts})[model.TOKENS_KEY].numpy()
        self.assertTrue((tokens[0] > 0).all())
        self.assertTrue((tokens[1:] == 0).all())

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
        self.assertEqual(answers.shape, (20, 1))
        self.assertTrue(((answers >= 0) & (answers <= 1)).all())


if __name__ == "__main__":
    unittest.main()
