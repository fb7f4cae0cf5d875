"""DPTrainer with a base model and with a Tuner's hyperparameters, on real artifacts."""

import dataclasses
import gzip
import json
import pathlib
from typing import Any

import evidence
import pytest
from ledgers import DATASET, new_ledger
from trainer_bench import MODULE, PRIVATE, Bench

from tfx_privacy.errors import CheckpointError, EvidenceError, ParameterError
from tfx_privacy.guarantee.mechanism import DPMechanism
from tfx_privacy.guarantee.recomputation import epsilon_of_this_run, recomputed_epsilon

pytestmark = pytest.mark.slow

BASE = dataclasses.replace(PRIVATE, epochs=1, population=300)
CHARGED: dict[str, Any] = {"ledger": "env:TFX_PRIVACY_LEDGER", "dataset_id": DATASET}
WARM_MODULE = MODULE.replace(
    "    model.compile(",
    """    if fn_args.base_model:
        from tfx_privacy.training import load_weights
        load_weights(model, fn_args.base_model)
    model.compile(""",
)
KERAS_3 = {"import tensorflow as tf": "import keras", "tf.keras": "keras"}


def in_keras_3(module: str) -> str:
    for old, new in KERAS_3.items():
        module = module.replace(old, new)
    return module


@pytest.fixture
def base(tmp_path: pathlib.Path) -> Bench:
    return Bench(tmp_path / "base")


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    bench = Bench(tmp_path / "warm")
    bench.module(WARM_MODULE)
    return bench


def wire(bench: Bench, base: Bench, *, carried: bool = True) -> None:
    bench.inputs["base_model"] = base.outputs["model"]
    if carried:
        bench.inputs["base_model_guarantee"] = base.outputs["privacy_guarantee"]


@pytest.mark.parametrize("generation", ["tf_keras", "keras"])
def test_a_guarantee_is_of_both_trainings(base: Bench, bench: Bench, generation: str) -> None:
    """A learning rate of zero shows that the weights came from the base model."""
    import numpy as np
    import tensorflow as tf

    module = WARM_MODULE.replace("'adam'", "tf.keras.optimizers.SGD(0.0)")
    if generation == "keras":
        base.module(in_keras_3(MODULE))
        module = in_keras_3(module)
    first = base.run(BASE)
    bench.module(module)
    wire(bench, base)
    record = bench.run()
    assert record.base_model is not None
    assert (record.base_model.model_digest, record.base_model.run_id) == (first.model_digest, first.run_id)
    assert record.base_model.epsilon == first.stated_epsilon
    parts = [training for training in (first.mechanism, record.mechanism) if isinstance(training, DPMechanism)]
    together = evidence.bounds_together([part.event for part in parts], target_delta=1e-4)
    assert record.stated_epsilon == recomputed_epsilon(record) == together.best > first.stated_epsilon
    assert [(item.artifact, item.covered) for item in record.scope] == [("schema", True), ("base_model", True)]
    saved = [tf.saved_model.load(str(each.root / "model/Format-Serving")).model_weights for each in (base, bench)]
    for one, other in zip(*saved, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_base_model_without_a_word_on_its_data_is_refused_before_anything_is_read(base: Bench, bench: Bench) -> None:
    base.run(BASE)
    wire(bench, base, carried=False)
    for file in bench.root.glob("examples/**/*.gz"):
        file.write_bytes(gzip.compress(b""))
    with pytest.raises(ParameterError, match="must carry its guarantee, or be declared public"):
        bench.run()
    wire(bench, base)
    with pytest.raises(ParameterError, match="one of both"):
        bench.run(base_model_is_public=1)
    bench.inputs["base_model_guarantee"] = []
    with pytest.raises(EvidenceError, match="Expected exactly one guarantee"):
        bench.run()


def test_a_public_base_model_is_named_and_costs_nothing(base: Bench, bench: Bench) -> None:
    base.run(BASE)
    wire(bench, base, carried=False)
    record = bench.run(base_model_is_public=1)
    assert record.base_model is not None
    assert record.base_model.source == "public"
    assert record.stated_epsilon == epsilon_of_this_run(record)
    assert "declared public" in record.statement


def test_a_base_model_that_was_changed_is_not_the_guarantees(base: Bench, bench: Bench) -> None:
    base.run(BASE)
    (base.root / "model/Format-Serving/assets").mkdir(exist_ok=True)
    (base.root / "model/Format-Serving/assets/extra").write_text("x")
    wire(bench, base)
    with pytest.raises(EvidenceError, match="Expected exactly one guarantee"):
        bench.run()


def test_an_empty_channel_is_a_first_run(bench: Bench) -> None:
    bench.inputs |= {"base_model": [], "base_model_guarantee": []}
    assert bench.run().base_model is None


def test_a_base_model_trained_without_privacy_is_refused(base: Bench, bench: Bench) -> None:
    base.run(dataclasses.replace(BASE, enabled=False, noise_multiplier=None))
    wire(bench, base)
    with pytest.raises(ParameterError, match="trained without differential privacy"):
        bench.run()


def test_reference_models_need_a_start_that_saw_no_record(base: Bench, bench: Bench) -> None:
    base.run(BASE)
    wire(bench, base)
    with pytest.raises(ParameterError, match="must not see"):
        bench.run(num_reference_models=2)


def test_a_resumed_run_began_from_the_same_model(base: Bench, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from tfx_privacy.components.dp_trainer import export

    def dies(*args: Any) -> None:
        raise OSError("no space left on device")

    base.run(BASE)
    wire(bench, base)
    folder = str(bench.root / "checkpoints")
    with monkeypatch.context() as patch:
        patch.setattr(export, "save", dies)
        with pytest.raises(OSError, match="no space"):
            bench.run(checkpoint_dir=folder)
    bench.inputs |= {"base_model": [], "base_model_guarantee": []}
    with pytest.raises(CheckpointError, match="began from another base model"):
        bench.run(checkpoint_dir=folder)
    wire(bench, base)
    assert bench.run(checkpoint_dir=folder).base_model is not None


def test_the_ledger_charges_both_and_bears_the_base_model_out(
    base: Bench, bench: Bench, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = [f"sqlite:///{tmp_path}/{name}.db" for name in ("one", "other")]
    new_ledger(addresses[1], epsilon=20.0)
    ledger = new_ledger(addresses[0], epsilon=20.0)
    monkeypatch.setenv("TFX_PRIVACY_LEDGER", addresses[0])
    first = base.run(BASE, **CHARGED)
    wire(bench, base)
    record = bench.run(dataclasses.replace(PRIVATE, population=300), **CHARGED)
    assert first.ledger is not None
    assert record.base_model is not None
    assert record.base_model.ledger_id == first.ledger.ledger_id
    runs = ledger.verify().datasets[DATASET].runs.values()
    assert [run.state for run in runs] == ["COMMITTED", "COMMITTED"]
    monkeypatch.setenv("TFX_PRIVACY_LEDGER", addresses[1])
    with pytest.raises(EvidenceError, match="does not bear out"):
        bench.run(dataclasses.replace(PRIVATE, population=300), **CHARGED)


def test_weights_of_another_shape_are_refused(base: Bench, bench: Bench) -> None:
    base.run(BASE)
    wire(bench, base)
    bench.module(WARM_MODULE.replace("Dense(8,", "Dense(9,"))
    with pytest.raises(ParameterError, match=r"shape \(4, 8\).*\(4, 9\)"):
        bench.run()


TUNED_MODULE = MODULE.replace("Dense(8, 'relu')", "Dense(fn_args.hyperparameters['units'], 'relu')")


@pytest.mark.parametrize("public", [False, True])
def test_hyperparameters_reach_the_module_and_the_scope(bench: Bench, public: bool) -> None:
    from tfx.types import standard_artifacts

    artifact = standard_artifacts.HyperParameters()
    artifact.uri = str(bench.root / "best")
    (bench.root / "best").mkdir()
    (bench.root / "best/best_hyperparameters.txt").write_text(json.dumps({"units": 5}))
    bench.inputs["hyperparameters"] = [artifact]
    bench.module(TUNED_MODULE)
    record = bench.run(hyperparameters_are_public=int(public))
    (item,) = (item for item in record.scope if item.artifact == "hyperparameters")
    assert item.covered is public
    assert ("no trial is counted in epsilon, nor charged" in record.statement) is not public


def test_the_component_takes_them_as_trainer_does(tmp_path: pathlib.Path) -> None:
    from tfx.types import channel_utils, standard_artifacts

    from tfx_privacy.components import DPTrainer, artifacts

    module = tmp_path / "user" / "model.py"
    module.parent.mkdir()
    module.write_text(MODULE)
    model = channel_utils.as_channel([standard_artifacts.Model()])
    carried = channel_utils.as_channel([artifacts.PrivacyGuarantee()])
    tuned = channel_utils.as_channel([standard_artifacts.HyperParameters()])
    arguments: dict[str, Any] = {
        "examples": channel_utils.as_channel([standard_artifacts.Examples()]),
        "privacy": PRIVATE,
        "module_file": str(module),
    }
    trainer = DPTrainer(**arguments, base_model=model, base_model_guarantee=carried, hyperparameters=tuned)
    assert {"base_model", "base_model_guarantee", "hyperparameters"} <= set(trainer.inputs)
    public = DPTrainer(
        **arguments, base_model=model, base_model_is_public=True, hyperparameters=tuned, hyperparameters_are_public=True
    )
    assert public.exec_properties["base_model_is_public"] == 1
    assert public.exec_properties["hyperparameters_are_public"] == 1
    for wrong, message in (
        ({"base_model": model}, "must carry its guarantee"),
        ({"base_model": model, "base_model_guarantee": carried, "base_model_is_public": True}, "one of both"),
        ({"base_model_guarantee": carried}, "there is none"),
        ({"hyperparameters_are_public": True}, "there is none"),
    ):
        with pytest.raises(ParameterError, match=message):
            DPTrainer(**arguments, **wrong)
