"""Reference models, canaries and findings, from the components that make them to PrivacyEvaluator's record."""

import dataclasses
import pathlib
from typing import Any

import artifacts_on_disk as disk
import numpy as np
import pytest
from evaluator_bench import Bench, by_slice

from tfx_privacy import DPParameters
from tfx_privacy.attacks.evaluation import Finding, PrivacyEvaluation
from tfx_privacy.errors import TFXPrivacyError

pytestmark = pytest.mark.slow

MODULE = """
import tensorflow as tf

LABEL_KEY = 'label'

def model_fn(fn_args):
    features = tf.keras.Input((4,), name='features')
    hidden = tf.keras.layers.Dense(256, 'relu')(tf.keras.layers.Dense(256, 'relu')(features))
    model = tf.keras.Model({'features': features}, tf.keras.layers.Dense(1)(hidden))
    model.compile(tf.keras.optimizers.Adam(0.003), tf.keras.losses.BinaryCrossentropy(from_logits=True))
    return model
"""
OVERFITTED = DPParameters(enabled=False, target_delta=1e-5, expected_batch_size=64, epochs=60)


def noisy_records(size: int, seed: int) -> list[dict[str, Any]]:
    """Labels that hardly follow from the features, so a model has to learn them by heart."""
    random = np.random.default_rng(seed)
    records = disk.make_records(size, seed)
    return [{**record, "label": [int(random.random() < (0.7 if record["label"][0] else 0.3))]} for record in records]


class Trained:
    """DPTrainer's outputs on a pool of records."""

    def __init__(self, root: pathlib.Path, privacy: DPParameters, **properties: Any) -> None:
        from tfx.types import standard_artifacts

        from tfx_privacy.components import artifacts
        from tfx_privacy.components.dp_trainer import executor

        root.mkdir()
        self.splits = {"train": noisy_records(900, 1), "eval": noisy_records(900, 2)}
        self.examples = disk.write_examples(root / "examples", self.splits)
        self.schema = disk.write_schema(root / "schema")
        (root / "user_module.py").write_text(MODULE)
        self.outputs = disk.outputs(
            root / "out",
            model=standard_artifacts.Model,
            model_run=standard_artifacts.ModelRun,
            privacy_guarantee=artifacts.PrivacyGuarantee,
            reference_models=artifacts.ReferenceModels,
        )
        executor.Executor().Do(
            {"examples": [self.examples], "schema": [self.schema]},
            self.outputs,
            {
                "privacy": privacy.to_json(), "module_file": str(root / "user_module.py"), "train_args": "{}",
                "eval_args": "{}", "custom_config": "null", **properties,
            },
        )  # fmt: skip

    def bench(self, root: pathlib.Path, *wired: str) -> Bench:
        bench = Bench(root)
        bench.inputs |= {"examples": [self.examples], "schema": [self.schema], "model": self.outputs["model"]}
        bench.inputs |= {name: self.outputs[name] for name in wired}
        return bench


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(
        tmp_path_factory.mktemp("trained") / "overfitted", OVERFITTED, num_reference_models=8, attacks_during_training=4
    )


@pytest.fixture(scope="module")
def record(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> PrivacyEvaluation:
    bench = trained.bench(tmp_path_factory.mktemp("evaluated"), "reference_models", "model_run")
    return bench.run(sensitive_features=["group"], properties=["group=rare"], model_inversion=True, label_key=None)


def test_calibrated_attacks_are_stronger_than_the_loss_alone(record: PrivacyEvaluation) -> None:
    """Reference models know which records are easy; the label's noise is the same for all."""
    aucs = {}
    for attack in ("loss", "difference", "rmia", "bavaria", "lira_online"):
        auc = by_slice(record, attack)["all records"].auc
        assert auc is not None
        aucs[attack] = auc
    assert aucs["loss"].low > 0.55
    assert max(aucs["difference"].estimate, aucs["lira_online"].estimate) > aucs["loss"].estimate
    assert aucs["lira_online"].low > 0.55
    assert record.references is not None
    assert record.references.num_models == 8
    assert record.references.matched_share > 0.99


def test_reference_attacks_find_nothing_where_the_target_saw_neither_side(
    trained: Trained, tmp_path: pathlib.Path
) -> None:
    """Members and non-members exchanged for two halves of what it never saw is no attack: the samples are not known."""
    bench = trained.bench(tmp_path, "reference_models")
    bench.examples({"train": noisy_records(900, 5), "eval": trained.splits["eval"]}, name="others")
    with pytest.raises(
        (TFXPrivacyError, RuntimeError), match="of the sampled records are known to the reference models"
    ):
        bench.run(label_key=None)


def test_references_of_another_model_are_refused(trained: Trained, tmp_path: pathlib.Path) -> None:
    bench = trained.bench(tmp_path, "reference_models")
    bench.model()
    with pytest.raises((TFXPrivacyError, RuntimeError), match="were trained for another model"):
        bench.run()


def test_the_leak_is_seen_to_grow_while_the_model_trains(record: PrivacyEvaluation) -> None:
    assert len(record.over_training) >= 4
    first, last = record.over_training[0], record.over_training[-1]
    assert last.attack_auc.estimate > first.attack_auc.estimate
    assert last.train_loss < last.test_loss


def finding(record: PrivacyEvaluation, family: str) -> Finding:
    (found,) = [row for row in record.findings if row.family == family]
    return found


def test_every_finding_has_numbers_or_a_reason(record: PrivacyEvaluation) -> None:
    attribute = finding(record, "attribute_inference")
    assert (attribute.subject, attribute.status) == ("group", "OK")
    assert attribute.low is not None
    assert attribute.high is not None
    assert attribute.low <= 0.0 <= attribute.high  # the model never saw the group
    inversion = finding(record, "model_inversion")
    assert inversion.status == "INSUFFICIENT"  # two classes are too few
    assert "class" in inversion.reason
    properties = finding(record, "property_inference")
    assert properties.status == "INSUFFICIENT"
    assert "16 are needed" in properties.reason


def test_canaries_that_were_learned_by_heart_are_exposed(tmp_path: pathlib.Path) -> None:
    """From CanaryInserter through DPTrainer to the finding: repeated canaries are remembered, and coins show an epsilon."""
    from tfx.types import standard_artifacts

    from tfx_privacy.components import artifacts
    from tfx_privacy.components.canary_inserter import executor as inserter
    from tfx_privacy.components.dp_trainer import executor as trainer

    examples = disk.write_examples(
        tmp_path / "examples", {"train": noisy_records(900, 1), "eval": noisy_records(600, 2)}
    )
    schema = disk.write_schema(tmp_path / "schema")
    kinds = {"examples_with_canaries": standard_artifacts.Examples, "canaries": artifacts.Canaries}
    inserted = disk.outputs(tmp_path / "inserted", **kinds)
    inserter.Executor().Do(
        {"examples": [examples], "schema": [schema]},
        inserted,
        {
            "mode": "tabular", "split": "train", "label_key": "label", "num_canaries": 300, "repetitions": "[16]",
            "canaries_per_repetition": 20, "num_references": 300, "max_share": 1.0, "text_feature": None, "text_prefix": "",
            "secret_vocabulary": '["0", "1"]', "secret_length": 6,
        },
    )  # fmt: skip
    (tmp_path / "user_module.py").write_text(MODULE)
    outputs = disk.outputs(
        tmp_path / "out",
        model=standard_artifacts.Model,
        model_run=standard_artifacts.ModelRun,
        privacy_guarantee=artifacts.PrivacyGuarantee,
        reference_models=artifacts.ReferenceModels,
    )
    trainer.Executor().Do(
        {"examples": inserted["examples_with_canaries"], "schema": [schema]},
        outputs,
        {
            "privacy": dataclasses.replace(OVERFITTED, epochs=90).to_json(), "module_file": str(tmp_path / "user_module.py"),
            "train_args": "{}", "eval_args": "{}", "custom_config": "null",
        },
    )  # fmt: skip
    bench = Bench(tmp_path / "attacked")
    bench.inputs |= {
        "examples": inserted["examples_with_canaries"],
        "canaries": inserted["canaries"],
        "model": outputs["model"],
    }
    record = bench.run(label_key=None, slice_features=[])
    assert record.suspected_groups == []  # canaries repeat by design
    repeated, coins = [row for row in record.findings if row.family == "canary_exposure"]
    assert "16" in repeated.subject
    assert repeated.status == "OK"
    assert repeated.low is not None
    assert repeated.harmless is not None
    assert repeated.low > repeated.harmless
    assert repeated.p_value is not None
    assert repeated.p_value < 0.01
    assert coins.status == "OK"
    assert coins.estimate is not None
    assert coins.estimate > 0.0  # a model without privacy that learned them by heart
