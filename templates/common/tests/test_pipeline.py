"""The wiring and the settings: nothing is run."""

from __future__ import annotations

import unittest

import kubeflow_v2_runner
from pipeline import configs, pipeline
from tfx_privacy.gate import policy_file
from tfx_privacy.pipelines import lint


class PipelineTest(unittest.TestCase):
    """Of pipeline.py."""

    def test_nothing_gets_past_the_gate(self) -> None:
        """Here and on Kubeflow."""
        local = pipeline.create_pipeline(
            pipeline_name=configs.PIPELINE_NAME,
            pipeline_root="root",
            data_path="data",
            serving_model_dir="serving_model",
            module_path=configs.MODULE_PATH,
        )
        self.assertEqual(lint.check(local), [])
        self.assertEqual(lint.check(kubeflow_v2_runner.create_kubeflow_pipeline(), runner="kubeflow"), [])


class SettingsTest(unittest.TestCase):
    """Of configs.py and privacy_policy.yaml."""

    def setUp(self) -> None:
        """Reads the policy."""
        self.limits = policy_file.load(configs.POLICY_FILE)

    def test_the_policy_allows_what_the_training_asks_for(self) -> None:
        """Or each training would spend its budget for nothing."""
        target_epsilon, target_delta = configs.PRIVACY.target_epsilon, configs.PRIVACY.target_delta
        assert target_epsilon is not None
        assert target_delta is not None
        self.assertLessEqual(target_epsilon, self.limits.max_epsilon)
        self.assertLessEqual(target_delta, self.limits.max_delta)

    def test_the_policy_is_about_the_dataset_that_is_charged(self) -> None:
        """Or the gate would refuse every model."""
        self.assertEqual(self.limits.dataset_id, configs.DATASET_ID)
        self.assertEqual(self.limits.ledger, "required")
        self.assertLess(configs.DELTA, 1 / configs.POPULATION)

    def test_what_the_policy_requires_is_attacked(self) -> None:
        """Or the gate would refuse every model, after its training was charged."""
        self.assertLessEqual(set(self.limits.required_slices), set(configs.SLICE_FEATURES))


if __name__ == "__main__":
    unittest.main()
