"""DPTrainer on modules with tensorflow-privacy's classes, as its tutorials write them."""

import importlib.util
import pathlib
from typing import Any

import pytest
from ledgers import DATASET, new_ledger
from trainer_bench import MODULE, NUM_RECORDS, Bench

from tfx_privacy import DPParameters
from tfx_privacy.accounting.composition import dp_sgd_event
from tfx_privacy.accounting.epsilon import epsilon_bounds
from tfx_privacy.errors import ParameterError
from tfx_privacy.guarantee.mechanism import DPMechanism
from tfx_privacy.guarantee.recomputation import recomputed_epsilon

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("tensorflow_privacy") is None, reason="needs the extra"),
]

LEFT_OUT = DPParameters(target_delta=1e-4, expected_batch_size=50, epochs=2)
LOSS = "tf.keras.losses.BinaryCrossentropy(reduction=tf.keras.losses.Reduction.NONE)"
LAYERS = "layers=[tf.keras.layers.Input((4,), name='features'), tf.keras.layers.Dense(1, 'sigmoid')]"


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    return Bench(tmp_path / "bench")


def with_optimizer(arguments: str) -> str:
    compiled = f"model.compile(tensorflow_privacy.DPKerasAdamOptimizer({arguments}), {LOSS})"
    return "import tensorflow_privacy\n" + MODULE.replace("model.compile('adam', 'binary_crossentropy')", compiled)


SEQUENTIAL = f"""
import tensorflow as tf
import tensorflow_privacy

LABEL_KEY = 'label'

def model_fn(fn_args):
    model = tensorflow_privacy.DPSequential(l2_norm_clip=0.5, noise_multiplier=1.1, {LAYERS})
    model.compile('sgd', 'binary_crossentropy')
    return model
"""


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        (with_optimizer("l2_norm_clip=0.5, noise_multiplier=1.1, num_microbatches=50"), "DPKerasAdamOptimizer"),
        (SEQUENTIAL, "DPSequential"),
    ],
)
def test_a_tutorials_module_trains_and_the_guarantee_says_where_its_numbers_are_from(
    bench: Bench, module: str, kind: str
) -> None:
    bench.module(module)
    record = bench.run(LEFT_OUT)
    executed = record.mechanism
    assert isinstance(executed, DPMechanism)
    assert (executed.noise_multiplier, executed.l2_norm_clip) == (1.1, 0.5)
    bounds = epsilon_bounds(
        dp_sgd_event(noise_multiplier=1.1, sampling_probability=50 / NUM_RECORDS, steps=12), target_delta=1e-4
    )
    assert record.epsilon_pld == bounds.pld == recomputed_epsilon(record)
    assert [(source.source, source.model_class) for source in record.sources] == [("model", kind)] * 2
    assert f"tensorflow-privacy's {kind}" in record.statement


def test_reference_models_state_the_same(bench: Bench) -> None:
    bench.module(SEQUENTIAL)
    assert bench.run(LEFT_OUT, num_reference_models=2).references is not None


@pytest.mark.parametrize(
    ("module", "privacy", "message"),
    [
        (
            SEQUENTIAL,
            {"expected_batch_size": 50, "noise_multiplier": 2.0},
            "noise_multiplier=1.1, and privacy= has noise",
        ),
        (with_optimizer("1.0, 1.1, num_microbatches=1"), {"expected_batch_size": 50}, "1 is one microbatch that holds"),
        # How many records a batch has is known when the ledger has told how many there are, and before the charge.
        (
            with_optimizer("1.0, 1.1, num_microbatches=10"),
            {"sampling_probability": 0.1},
            "num_microbatches=10, in batches of 30",
        ),
        (MODULE, {"expected_batch_size": 50}, "Neither noise_multiplier nor target_epsilon"),
    ],
)
def test_what_is_refused_is_not_charged(
    bench: Bench,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    privacy: dict[str, Any],
    message: str,
) -> None:
    address = f"sqlite:///{tmp_path}/ledger.db"
    monkeypatch.setenv("TFX_PRIVACY_LEDGER", address)
    ledger = new_ledger(address, population=NUM_RECORDS)
    bench.module(module)
    with pytest.raises(ParameterError, match=message):
        bench.run(
            DPParameters(target_delta=1e-4, steps=3, **privacy), ledger="env:TFX_PRIVACY_LEDGER", dataset_id=DATASET
        )
    assert [entry.body.kind for entry in ledger.log(DATASET)] == ["register"]
