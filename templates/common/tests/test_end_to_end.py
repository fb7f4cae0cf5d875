"""The whole pipeline on the demonstration's data: `RUN_SLOW_TESTS=1 python -m unittest`, about two minutes."""

from __future__ import annotations

import os
import pathlib
import tempfile
import unittest
from unittest import mock

import tensorflow as tf

import local_runner
from pipeline import configs
from tfx_privacy.pipelines import results


@unittest.skipUnless(os.environ.get("RUN_SLOW_TESTS"), "RUN_SLOW_TESTS is not set")
class EndToEndTest(unittest.TestCase):
    """Of local_runner.py."""

    def test_a_model_is_blessed_and_pushed_and_answers(self) -> None:
        """With its own budget, whatever ledger the environment names."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        output = folder.name
        with mock.patch.dict(os.environ):
            os.environ.pop(configs.LEDGER.removeprefix("env:"), None)
            result = local_runner.run(output)

        assert result is not None
        self.assertTrue(result.blessed, result.message)
        self.assertTrue(result.pushed)
        root = pathlib.Path(output, "tfx_pipeline_output", configs.PIPELINE_NAME)
        (model,) = results.pushed_models(str(root / "serving_model"))
        files = [str(path) for path in root.glob("*ExampleGen/examples/*/Split-eval/*")]
        requests = list(tf.data.TFRecordDataset(files, compression_type="GZIP").take(10).as_numpy_iterator())
        answers = tf.saved_model.load(model).signatures["serving_default"](tf.constant(requests))["outputs"].numpy()
        self.assertEqual(len(answers), 10)
        self.assertTrue(((answers >= 0) & (answers <= 1)).all())


if __name__ == "__main__":
    unittest.main()
