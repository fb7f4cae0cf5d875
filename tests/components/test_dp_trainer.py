import dataclasses
import json
import pathlib
from collections.abc import Callable
from typing import Any

import artifacts_on_disk as disk
import numpy as np
import pytest
from trainer_bench import INPUT_FN, MODULE, NUM_RECORDS, PRIVATE, Bench

from tfx_privacy import DPParameters
from tfx_privacy.accounting.composition import dp_sgd_event
from tfx_privacy.accounting.epsilon import epsilon_bounds
from tfx_privacy.attacks import history as attack_history
from tfx_privacy.attacks import record_keys, reference_models
from tfx_privacy.components import serving
from tfx_privacy.errors import (
    CheckpointError,
    DataError,
    ModelError,
    ParameterError,
)
from tfx_privacy.guarantee.mechanism import DPMechanism, NoMechanism
from tfx_privacy.guarantee.recomputation import recomputed_epsilon
from tfx_privacy.guarantee.record import Population

pytestmark = pytest.mark.slow


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    return Bench(tmp_path)


def test_the_guarantee_is_of_what_was_executed(bench: Bench) -> None:
    import tensorflow as tf

    from tfx_privacy.components import _files

    record = bench.run()
    executed = record.mechanism
    assert isinstance(executed, DPMechanism)
    assert (executed.steps, executed.sampling_probability) == (12, 50 / NUM_RECORDS)
    assert executed.noise_source == "os_entropy"
    bounds = epsilon_bounds(
        dp_sgd_event(noise_multiplier=1.0, sampling_probability=50 / NUM_RECORDS, steps=12), target_delta=1e-4
    )
    assert (record.epsilon_pld, record.epsilon_rdp) == (bounds.pld, bounds.rdp)
    assert record.population == Population(records=NUM_RECORDS, source="counted")
    assert record.train_splits == ["train"]
    assert record.model_digest == _files.model_digest(bench.outputs["model"][0].uri)
    assert list((bench.root / "model_run").iterdir())

    served = tf.saved_model.load(str(bench.root / "model" / "Format-Serving"))
    examples = [disk.serialize({"features": record["features"]}) for record in disk.make_records(5, 3)]
    answers = served.signatures["serving_default"](tf.constant(examples))["outputs"].numpy()
    assert answers.shape == (5, 1)
    assert ((answers > 0) & (answers < 1)).all()


def test_nothing_of_the_optimizer_or_the_noise_is_in_the_model(bench: Bench) -> None:
    import tensorflow as tf

    bench.run()
    names = [name for name, _ in tf.train.list_variables(str(bench.root / "model/Format-Serving/variables/variables"))]
    saved = [name for name in names if "CHECKPOINTABLE" not in name and "save_counter" not in name]
    assert len(saved) == 4
    assert not [name for name in names if "optimizer" in name or "generator" in name]


def test_the_noise_is_calibrated_to_the_target(bench: Bench) -> None:
    privacy = DPParameters(target_epsilon=2.0, target_delta=1e-4, expected_batch_size=50, epochs=2)
    record = bench.run(privacy)
    assert 1.99 < record.stated_epsilon <= 2.0
    replaced = bench.run(privacy, target_epsilon=4.0)
    assert 3.98 < replaced.stated_epsilon <= 4.0
    assert replaced.run_id != record.run_id


def test_without_privacy_the_guarantee_says_so(bench: Bench) -> None:
    record = bench.run(DPParameters(enabled=False, target_delta=1e-4, expected_batch_size=50, steps=3))
    assert record.mechanism == NoMechanism(steps=3)
    assert (record.epsilon_pld, record.epsilon_rdp) == (None, "inf")
    assert bench.outputs["privacy_guarantee"][0].get_string_custom_property("epsilon_rdp") == "inf"


def test_every_choice_reaches_the_engine_and_the_guarantee(bench: Bench) -> None:
    changes: dict[str, dict[str, Any]] = {
        "adaptive": {"clipping": "adaptive", "secure_noise": True},
        "passes": {"sampling": "shuffled"},
        "tree": {"sampling": "shuffled", "algorithm": "dp_ftrl"},
        "users": {
            "privacy_unit": "user",
            "user_id_key": "group",
            "max_records_per_user": 150,
            "expected_batch_size": 1,
        },
        "audit": {"audit_canaries": 200},
    }
    found = {
        name: bench.run(dataclasses.replace(PRIVATE, neighboring_relation=None, **change))
        for name, change in changes.items()
    }
    kinds: dict[str, Any] = {name: record.mechanism for name, record in found.items()}
    assert kinds["adaptive"].noise_source == "os_entropy_secure"
    assert kinds["adaptive"].adaptive_clipping.target_quantile == 0.5
    assert kinds["passes"].passes == kinds["tree"].passes == [6, 6]
    assert found["passes"].neighboring_relation == "REPLACE_SPECIAL"
    assert found["tree"].stated_epsilon > found["passes"].stated_epsilon > found["adaptive"].stated_epsilon
    assert found["users"].user_id_key == "group"
    assert (found["users"].privacy_unit, found["users"].population.records) == ("user", 2)
    assert found["audit"].audit is not None
    for name, words in {
        "adaptive": "followed the 0.5-quantile", "passes": "in 2 passes over the data", "tree": "the noise of a binary tree",
        "users": "one user (told apart by 'group', of whom at most 150 records", "audit": "An audit with 200 canaries",
    }.items():  # fmt: skip
        assert words in found[name].statement, found[name].statement
        assert recomputed_epsilon(found[name]) == found[name].stated_epsilon


def test_a_killed_component_goes_on_from_its_checkpoints(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first attempt dies while it saves the model, after all its steps: nothing is executed twice, all is counted once."""
    from tfx_privacy.components.dp_trainer import export

    folder = str(bench.root / "checkpoints")

    def dies(*args: Any) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(export, "save", dies)
        with pytest.raises(OSError, match="no space"):
            bench.run(checkpoint_dir=folder)
    assert not (bench.root / "privacy_guarantee").exists()
    record = bench.run(checkpoint_dir=folder)
    assert isinstance(record.mechanism, DPMechanism)
    assert (record.mechanism.steps, record.mechanism.lost_steps) == (12, 0)
    again = bench.run(checkpoint_dir=folder)
    assert again.run_id != record.run_id
    assert again.mechanism.steps == 12


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_the_precision_that_a_module_sets_ends_with_its_run(bench: Bench, policy: str) -> None:
    """In the process that runs the next component as well."""
    import tensorflow as tf

    bench.module(MODULE + f"\ntf.keras.mixed_precision.set_global_policy('{policy}')\n")
    with pytest.raises(ModelError, match="Leave out the mixed-precision policy"):
        bench.run()
    assert tf.keras.mixed_precision.global_policy().name == "float32"


def test_a_model_of_keras_3_trains_and_serves(bench: Bench) -> None:
    import tensorflow as tf

    bench.module(MODULE.replace("import tensorflow as tf", "import keras").replace("tf.keras", "keras"))
    record = bench.run(distribution="mirrored")
    assert record.engine.split(", ")[2].startswith("keras 3.")
    served = tf.saved_model.load(str(bench.root / "model" / "Format-Serving"))
    examples = [disk.serialize({"features": one["features"]}) for one in disk.make_records(5, 3)]
    answers = served.signatures["serving_default"](tf.constant(examples))["outputs"].numpy()
    assert answers.shape == (5, 1)
    names = [name for name, _ in tf.train.list_variables(str(bench.root / "model/Format-Serving/variables/variables"))]
    assert not [name for name in names if "optimizer" in name or "generator" in name]


def test_a_declared_population_is_used_and_named(bench: Bench) -> None:
    privacy = DPParameters(noise_multiplier=1.0, target_delta=1e-4, expected_batch_size=50, steps=2, population=1000)
    record = bench.run(privacy)
    assert record.population == Population(records=1000, source="declared")
    assert isinstance(record.mechanism, DPMechanism)
    assert record.mechanism.sampling_probability == 0.05


def test_an_input_fn_reads_the_data(bench: Bench) -> None:
    source = INPUT_FN.replace("RESULT", "parsed, label").replace("SUFFIX", "")
    bench.module(MODULE + source)
    assert bench.run().population.records == NUM_RECORDS


BAD_INPUT_FNS = {
    "endless": ("parsed, label", ".repeat()", "endless dataset"),
    "twice": ("parsed, label", ".repeat(2)", f"more records than the {NUM_RECORDS}"),
    "no label": ("parsed", "", "pairs of"),
    "single records": ("parsed, label", ".unbatch().map(lambda x, y: (x, y[0]))", "single records"),
    "nothing": ("parsed, label", ".take(0)", "no record"),
}


@pytest.mark.parametrize(("result", "suffix", "message"), BAD_INPUT_FNS.values(), ids=BAD_INPUT_FNS.keys())
def test_an_input_fn_that_is_not_one_pass(bench: Bench, result: str, suffix: str, message: str) -> None:
    """A repeated record would enter a batch twice, and epsilon would not hold."""
    bench.module(MODULE + INPUT_FN.replace("RESULT", result).replace("SUFFIX", suffix))
    with pytest.raises((ParameterError, DataError), match=message):
        bench.run()


def _drop_label(bench: Bench) -> None:
    records = disk.make_records(20, 1)
    for record in records:
        del record["label"]
    bench.inputs["examples"] = [disk.write_examples(bench.root / "unlabelled", {"train": records, "eval": records})]


def _no_schema(bench: Bench) -> None:
    del bench.inputs["schema"]


def splits(*names: str) -> dict[str, str]:
    return {"train_args": json.dumps({"splits": list(names)})}


FAULTS: dict[str, tuple[Callable[[Bench], object], dict[str, Any], type[Exception], str]] = {
    "unknown split": (lambda b: None, splits("holdout"), ParameterError, "Unknown split 'holdout'.*empty, eval, train"),
    "one split twice": (lambda b: None, splits("train", "train"), ParameterError, "one split twice"),
    "empty split": (lambda b: None, splits("empty"), DataError, "no record to train on"),
    "unknown label": (lambda b: None, {"label_key": "tips"}, ParameterError, "Unknown label_key='tips'"),
    "label missing in the records": (_drop_label, {}, DataError, "A record does not fit"),
    "neither graph nor schema": (_no_schema, {}, ParameterError, "Neither transform_graph nor schema"),
    "no model_fn": (lambda b: b.module("LABEL_KEY = 'label'"), {}, ParameterError, "no function 'model_fn'"),
    "mistake inside the module": (lambda b: b.module(MODULE + "\ntf.no_such_thing"), {}, AttributeError, "no_such_thing"),
    "no label named": (lambda b: b.module(MODULE.replace("LABEL_KEY", "X")), {}, ParameterError, "label_key is not set"),
    "batch normalisation": (
        lambda b: b.module(MODULE.replace("tf.keras.layers.Dense(8, 'relu')", "tf.keras.layers.BatchNormalization()")),
        {}, ModelError, "BatchNormalization",
    ),
    "odd number of reference models": (
        lambda b: None, {"num_reference_models": 1}, ParameterError, "reference_models=1 to be 0, or an even",
    ),
    "reference models without held-out records": (
        lambda b: None, {"num_reference_models": 2, "eval_args": json.dumps({"splits": ["train"]})}, ParameterError,
        "'train' is trained on",
    ),
    "attacks during training without held-out records": (
        lambda b: None, {"attacks_during_training": 2, "eval_args": json.dumps({"splits": ["empty"]})}, DataError, "no record",
    ),
    "reference models with an unknown split": (
        lambda b: None, {"num_reference_models": 2, "eval_args": json.dumps({"splits": ["test"]})}, ParameterError,
        "Unknown split 'test'",
    ),
    "reference models and input_fn": (
        lambda b: b.module(MODULE + INPUT_FN.replace("RESULT", "parsed, label").replace("SUFFIX", "")),
        {"num_reference_models": 2}, ParameterError, "reference_models=2 is not supported with input_fn",
    ),
    "reference models and too many steps": (
        lambda b: None,
        {"num_reference_models": 128, "privacy": dataclasses.replace(PRIVATE, epochs=None, steps=1_000_000)},
        ParameterError, "take 65000000 steps",
    ),
    "reference models of one user": (
        lambda b: b.examples([{**one, "group": [b"a"]} for one in disk.make_records(60, 1)],
            [{**one, "group": [b"a"]} for one in disk.make_records(9, 1)]),
        {"num_reference_models": 2, "privacy": dataclasses.replace(
            PRIVATE, privacy_unit="user", user_id_key="group", max_records_per_user=9, expected_batch_size=1)},
        ParameterError, "has none of the 69 records in its half",
    ),
    "batch larger than the data": (
        lambda b: None,
        {"privacy": DPParameters(noise_multiplier=1.0, target_delta=1e-4, expected_batch_size=301, steps=1),},
        ParameterError, "expected_batch_size=301 <= population=300",
    ),
    "delta of a record and more": (
        lambda b: None,
        {"privacy": DPParameters(noise_multiplier=1.0, target_delta=0.01, expected_batch_size=50, steps=1),},
        ParameterError, "target_delta=0.01 < 1 / population",
    ),
    "no delta": (
        lambda b: None,
        {"privacy": DPParameters(noise_multiplier=1.0, expected_batch_size=50, steps=1),},
        ParameterError, "target_delta is not set",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("break_it", "properties", "error", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_bad_input_is_an_error_and_leaves_no_guarantee(
    bench: Bench,
    break_it: Callable[[Bench], object],
    properties: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    break_it(bench)
    with pytest.raises(error, match=message):
        bench.run(**properties)
    assert not (bench.root / "privacy_guarantee").exists()


def test_a_training_of_noise_alone_is_refused_without_a_ledger_too(bench: Bench) -> None:
    bench.module(
        MODULE.replace("'binary_crossentropy'", "lambda labels, outputs: 0.0 * tf.reduce_mean(outputs, axis=1)")
    )
    with pytest.raises(ModelError, match="trained by noise alone"):
        bench.run()


MEMORIZING = """
import tensorflow as tf

LABEL_KEY = 'label'

def model_fn(fn_args):
    features = tf.keras.Input((4,), name='features')
    hidden = tf.keras.layers.Dense(128, 'relu')(features)
    model = tf.keras.Model({'features': features}, tf.keras.layers.Dense(1, 'sigmoid')(hidden))
    model.compile(tf.keras.optimizers.Adam(0.02), 'binary_crossentropy')
    return model
"""


def with_random_labels(size: int, seed: int) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    return [{**one, "label": [int(random.integers(2))]} for one in disk.make_records(size, seed)]


def columns(records: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """As a reader parses them: other types and shapes than the trainer's must not matter."""
    return {
        "features": np.array([one["features"] for one in records], np.float32),
        "label": np.array([one["label"][0] for one in records], np.int32),
        "group": np.array([one["group"][0] for one in records], dtype=object),
    }


def losses_of(folder: pathlib.Path, values: dict[str, np.ndarray]) -> np.ndarray:
    import tensorflow as tf

    answer = tf.saved_model.load(str(folder)).signatures[serving.FROM_FEATURES]
    outputs = answer(features=tf.constant(values["features"]))[serving.OUTPUT_KEY].numpy()[:, 0]
    return -np.log(np.where(values["label"] == 1, outputs, 1 - outputs))


def test_reference_models_are_trained_on_the_halves_that_keys_say(bench: Bench) -> None:
    """Models without privacy memorise random labels: each knows its own half's, members' and non-members' alike."""
    members, others = with_random_labels(240, 1), with_random_labels(120, 2)
    bench.examples(members, others)
    bench.module(MEMORIZING)
    privacy = DPParameters(enabled=False, target_delta=1e-4, expected_batch_size=60, steps=400)
    record = bench.run(privacy, num_reference_models=4)

    found = bench.references()
    assert (found.num_models, found.train_splits, found.eval_splits) == (4, ["train"], ["eval"])
    assert found.key_features == ["features", "group", "label"]
    assert found.model_digest == record.model_digest
    assert (found.num_pool_members, found.num_pool_nonmembers) == (240, 120)
    assert found.mechanism == NoMechanism(steps=400)
    parsed = columns([*members, *others])
    keys = record_keys.record_keys(parsed)
    assert reference_models.matched_share(found.sample_keys.members, keys[:240]) == 1.0
    assert reference_models.matched_share(found.sample_keys.nonmembers, keys[240:]) == 1.0
    assert reference_models.matched_share(found.sample_keys.members, keys[240:]) == 0.0
    for number in range(4):
        inside = record_keys.fold_bits(keys, number // 2) == number % 2
        assert found.training_sizes[number] == inside.sum()
        losses = losses_of(bench.root / "reference_models" / str(number), parsed)
        for side in (slice(0, 240), slice(240, 360)):
            assert losses[side][inside[side]].mean() < 0.5
            assert losses[side][~inside[side]].mean() > 0.7
    assert record.references is not None
    assert record.references.epsilon_all == "inf"
    assert "Never publish them" in record.statement


def test_the_guarantee_counts_reference_trainings(bench: Bench) -> None:
    from tfx_privacy.components import _files

    record = bench.run(dataclasses.replace(PRIVATE, audit_canaries=100), num_reference_models=2)
    found = bench.references()
    executed = found.mechanism
    assert isinstance(executed, DPMechanism)
    assert (executed.steps, executed.sampling_probability) == (12, 50 / NUM_RECORDS)
    assert executed.expected_batch_size == found.training_sizes[0] / 6
    assert sum(found.training_sizes) == NUM_RECORDS + 50
    assert record.references is not None
    assert record.references.mechanism == executed
    together = epsilon_bounds(
        dp_sgd_event(noise_multiplier=1.0, sampling_probability=50 / NUM_RECORDS, steps=24), target_delta=1e-4
    )
    assert record.references.epsilon_all == together.best > record.stated_epsilon
    assert recomputed_epsilon(record) == record.stated_epsilon
    folder = bench.root / "reference_models"
    assert found.digests == [_files.directory_digest(str(folder / str(number))) for number in range(2)]
    assert found.digests[0] != found.digests[1]
    assert bench.outputs["reference_models"][0].get_string_custom_property("num_models") == "2"


def test_reference_trainings_of_a_killed_component_count(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first attempt dies when it saves the second model: two trainings are lost, and both are done again."""
    from tfx_privacy.components.dp_trainer import export

    folder, really = str(bench.root / "checkpoints"), export.save_features_alone

    def dies(model: Any, path: str, specs: dict[str, Any]) -> None:
        if path.endswith("1"):
            raise OSError("no space left on device")
        really(model, path, specs)

    with monkeypatch.context() as patch:
        patch.setattr(export, "save_features_alone", dies)
        with pytest.raises(OSError, match="no space"):
            bench.run(checkpoint_dir=folder, num_reference_models=2)
    journal = bench.root / "checkpoints" / "reference_trainings.begun"
    assert journal.read_text() == "2"
    journal.write_text("two")
    with pytest.raises(CheckpointError, match="is no number"):
        bench.run(checkpoint_dir=folder, num_reference_models=2)
    journal.write_text("2")
    record = bench.run(checkpoint_dir=folder, num_reference_models=2)
    assert record.mechanism.steps == 12
    assert record.references is not None
    assert (record.references.lost_trainings, record.references.trainings_per_record) == (2, 3)
    together = epsilon_bounds(
        dp_sgd_event(noise_multiplier=1.0, sampling_probability=50 / NUM_RECORDS, steps=4 * 12), target_delta=1e-4
    )
    assert record.references.epsilon_all == together.best
    again = bench.run(checkpoint_dir=folder, num_reference_models=2)
    assert again.references is not None
    assert again.references.lost_trainings == 0


def history(bench: Bench) -> attack_history.AttackHistory:
    return attack_history.AttackHistory.from_json((bench.root / "model_run" / attack_history.FILE_NAME).read_text())


def test_attacks_during_training_are_written_only_when_asked(bench: Bench) -> None:
    bench.run()
    assert not (bench.root / "model_run" / attack_history.FILE_NAME).exists()
    record = bench.run(attacks_during_training=3)
    found = history(bench)
    assert [one.step for one in found.checkpoints] == [4, 8, 12]
    assert found.model_digest == record.model_digest
    assert (found.member_splits, found.nonmember_splits) == (["train"], ["eval"])
    assert (found.num_members, found.num_nonmembers) == (NUM_RECORDS, 50)
    assert record.references is None
    assert all(one.train_accuracy is not None for one in found.checkpoints)


def test_attacks_during_training_see_what_is_learned_by_heart(bench: Bench) -> None:
    bench.examples(with_random_labels(120, 1), with_random_labels(200, 2))
    bench.module(MEMORIZING + INPUT_FN.replace("RESULT", "parsed, label").replace("SUFFIX", ""))
    privacy = DPParameters(enabled=False, target_delta=1e-4, expected_batch_size=50, steps=800)
    bench.run(privacy, attacks_during_training=4)
    first, *_, last = history(bench).checkpoints
    assert last.attack_auc.low > 0.6
    assert last.attack_auc.estimate > first.attack_auc.estimate
    assert last.train_loss < first.train_loss < last.test_loss


def test_users_are_in_a_half_as_a_whole(bench: Bench) -> None:
    """In passes of a tree: batches of another size, and the same number of steps in each pass."""
    records = disk.make_records(250, 1)
    for index, one in enumerate(records):
        one["group"] = [b"user %d" % (index % 50)]
    bench.examples(records[:200], records[200:])
    privacy = dataclasses.replace(
        PRIVATE, privacy_unit="user", user_id_key="group", max_records_per_user=3, expected_batch_size=7,
        sampling="shuffled", algorithm="dp_ftrl", neighboring_relation=None,
    )  # fmt: skip
    record = bench.run(privacy, num_reference_models=2)
    found = bench.references()
    assert (found.user_id_key, found.key_features) == ("group", ["group"])
    # By it PrivacyEvaluator finds whom a record is of.
    assert bench.outputs["model"][0].get_string_custom_property("group_key") == "group"
    keys = record_keys.record_keys({"group": columns(records)["group"]})
    assert len(np.unique(keys)) == len(found.sample_keys.members) == len(found.sample_keys.nonmembers) == 50
    second = int(record_keys.fold_bits(keys, 0).sum())
    assert found.training_sizes == [250 - second, second]
    assert isinstance(found.mechanism, DPMechanism)
    assert isinstance(record.mechanism, DPMechanism)
    assert found.mechanism.passes == record.mechanism.passes == [8, 8]
    assert record.references is not None
    assert isinstance(record.references.epsilon_all, float)
    assert record.references.epsilon_all > record.stated_epsilon


def test_the_model_itself_answers_features(bench: Bench) -> None:
    import tensorflow as tf

    bench.run()
    assert bench.references().num_models == 0
    assert [path.name for path in (bench.root / "reference_models").iterdir()] == [reference_models.FILE_NAME]
    served = tf.saved_model.load(str(bench.root / "model" / "Format-Serving"))
    records = disk.make_records(5, 3)
    examples = [disk.serialize({"features": one["features"]}) for one in records]
    answers = served.signatures["serving_default"](tf.constant(examples))["outputs"].numpy()
    features = tf.constant(columns(records)["features"])
    assert np.array_equal(served.signatures[serving.FROM_FEATURES](features=features)["outputs"].numpy(), answers)


def test_reference_models_of_keras_3(bench: Bench) -> None:
    bench.module(MODULE.replace("import tensorflow as tf", "import keras").replace("tf.keras", "keras"))
    bench.run(num_reference_models=2)
    first, second = (
        losses_of(bench.root / "reference_models" / str(number), columns(disk.make_records(9, 3))) for number in (0, 1)
    )
    assert np.isfinite([first, second]).all()
    assert not np.allclose(first, second)


def test_a_reference_model_that_fails_leaves_no_guarantee(bench: Bench) -> None:
    bench.module(
        MODULE.replace(
            "def model_fn(fn_args):",
            "made = []\ndef model_fn(fn_args):\n    made.append(1)\n    assert len(made) < 3, 'third'",
        )
    )
    with pytest.raises(AssertionError, match="third"):
        bench.run(num_reference_models=2)
    assert not (bench.root / "privacy_guarantee").exists()
    assert not (bench.root / "reference_models" / reference_models.FILE_NAME).exists()


def test_reference_trainings_keep_the_composition() -> None:
    from tfx_privacy.components.dp_trainer import reference_models as trainer

    changes: list[dict[str, Any]] = [
        {},
        {"sampling": "shuffled"},
        {"sampling": "shuffled", "algorithm": "dp_ftrl"},
        {"clipping": "adaptive"},
    ]
    for change in changes:
        own = dataclasses.replace(PRIVATE, neighboring_relation=None, **change).resolve(population=301)
        for units in (40, 150, 700):
            plan = trainer.plan(own, units)
            assert (plan.steps, plan.compositions) == (own.steps, own.compositions)
            assert plan.event(1.0) == own.event(1.0)
            assert plan.expected_batch_size is not None
            assert plan.count_standard_deviation == own.count_standard_deviation or own.parameters.clipping == "flat"
            if own.steps_per_pass:
                assert plan.steps_per_pass == own.steps_per_pass
                assert plan.sampling_probability == 1.0 / own.steps_per_pass
                assert 0 <= plan.expected_batch_size * own.steps_per_pass - units < own.steps_per_pass
            else:
                assert plan.expected_batch_size == pytest.approx(plan.sampling_probability * units)
    with pytest.raises(ParameterError, match="most batches would be empty"):
        trainer.plan(PRIVATE.resolve(population=300), 5)


def make_component(**changes: Any) -> Any:
    from tfx.types import channel_utils, standard_artifacts

    from tfx_privacy.components import DPTrainer

    arguments: dict[str, Any] = {
        "examples": channel_utils.as_channel([standard_artifacts.Examples()]),
        "privacy": PRIVATE,
        "module_path": "my.module",
    }
    return DPTrainer(**{**arguments, **changes})


def test_the_component_checks_what_it_can() -> None:
    from tfx.proto import trainer_pb2

    assert set(make_component().outputs) == {"model", "model_run", "privacy_guarantee", "reference_models"}
    with pytest.raises(ParameterError, match="target_delta is not set"):
        make_component(privacy=DPParameters(noise_multiplier=1.0, expected_batch_size=5, steps=1))
    with pytest.raises(ParameterError, match="exactly one of module_file"):
        make_component(module_file="model.py")
    with pytest.raises(ParameterError, match="privacy sets none to replace"):
        make_component(target_epsilon=1.0)
    with pytest.raises(ParameterError, match="distribution='tpu' to be one of none, mirrored"):
        make_component(distribution="tpu")
    with pytest.raises(ParameterError, match="checkpoint_dir='gs://b/c' to be a local folder"):
        make_component(checkpoint_dir="gs://b/c")
    with pytest.raises(ParameterError, match="Expected reference_models=3 to be 0, or an even number from 2 to 128"):
        make_component(reference_models=3)
    with pytest.raises(ParameterError, match="attacks_during_training=-1"):
        make_component(attacks_during_training=-1)
    with pytest.raises(ParameterError, match="num_steps=5"):
        make_component(train_args=trainer_pb2.TrainArgs(num_steps=5))


def test_reference_models_are_no_models_to_push() -> None:
    """A type of their own, by Kubeflow's rules: `<top-level package>.<exported class>` without PROPERTIES."""
    from tfx.types import standard_artifacts

    import tfx_privacy

    kind = tfx_privacy.ReferenceModels
    assert kind.TYPE_NAME == "tfx_privacy.ReferenceModels"
    assert not kind.PROPERTIES
    assert not issubclass(kind, standard_artifacts.Model)
    channel = make_component(reference_models=2).outputs["reference_models"]
    assert channel.type is kind


def test_keys_and_answers_are_the_same_from_beam_and_from_the_graph(tmp_path: pathlib.Path) -> None:
    """Training parses what Transform wrote; PrivacyEvaluator runs the same graph over raw records."""
    import types

    import tensorflow as tf
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io, schema_utils

    from tfx_privacy.components.dp_trainer import export

    def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
        scaled = tft.scale_to_z_score(tf.math.log1p(tf.abs(inputs["x"])))
        word = tft.compute_and_apply_vocabulary(inputs["s"])
        return {"x_xf": scaled, "both ways": tf.stack([scaled, -scaled], axis=1), "s_xf": word, "label": inputs["y"]}

    spec = {
        "x": tf.io.FixedLenFeature([], tf.float32),
        "s": tf.io.FixedLenFeature([], tf.string),
        "y": tf.io.FixedLenFeature([1], tf.int64),
    }
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))
    random = np.random.default_rng(0)
    raw = [{"x": float(x), "s": b"w%d" % (i % 9), "y": [i % 2]} for i, x in enumerate(random.normal(size=500))]
    with tft_beam.Context(temp_dir=str(tmp_path / "scratch")):
        (transformed, _), transform_fn = (raw, metadata) | tft_beam.AnalyzeAndTransformDataset(preprocessing_fn)
        _ = transform_fn | tft_beam.WriteTransformFn(str(tmp_path / "graph"))
    metadata_io.write_metadata(metadata, str(tmp_path / "graph" / tft.TFTransformOutput.RAW_METADATA_DIR))
    by_beam = {name: np.array([one[name] for one in transformed]) for name in transformed[0]}
    layer = tft.TFTransformOutput(str(tmp_path / "graph")).transform_features_layer()
    inputs = {name: tf.constant([one[name] for one in raw]) for name in spec}
    inputs["y"] = tf.cast(inputs["y"], tf.int64)
    by_graph = {name: column.numpy() for name, column in layer(inputs).items()}
    assert set(by_graph) == set(by_beam) == {"x_xf", "both ways", "s_xf", "label"}
    # Three float columns that are off by an ulp change about one key in 4,000; none of these 500.
    assert sorted(record_keys.record_keys(by_beam)) == sorted(record_keys.record_keys(by_graph))

    keras_inputs = {"x_xf": tf.keras.Input((), name="x_xf"), "both ways": tf.keras.Input((2,), name="both ways")}
    joined = tf.concat([keras_inputs["x_xf"][:, tf.newaxis], keras_inputs["both ways"]], axis=1)
    model = tf.keras.Model(keras_inputs, tf.keras.layers.Dense(1)(joined))
    model.compile("sgd", "mse")
    fn_args = types.SimpleNamespace(
        transform_graph_path=str(tmp_path / "graph"), schema_path=None, serving_model_dir=str(tmp_path / "model")
    )
    export.save(model, fn_args, "label", None)
    served = tf.saved_model.load(str(tmp_path / "model")).signatures
    features = {serving.input_name(name): tf.constant(by_graph[name]) for name in keras_inputs}
    examples = [disk.serialize({"x": [one["x"]], "s": [one["s"]]}) for one in raw]
    answers = served[serving.FROM_FEATURES](**features)["outputs"].numpy()
    assert np.allclose(answers, served["serving_default"](tf.constant(examples))["outputs"].numpy(), atol=1e-6)


def test_analyzers_are_seen_in_a_transform_graph(tmp_path: pathlib.Path) -> None:
    """With Transform itself: each kind of analyzer, and what is not one."""
    import tensorflow as tf
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

    from tfx_privacy.components.dp_trainer import scope

    spec = {"x": tf.io.FixedLenFeature([], tf.float32), "s": tf.io.FixedLenFeature([], tf.string)}
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))
    data = [{"x": float(index), "s": f"a{index % 3}"} for index in range(20)]
    functions: dict[str, tuple[Callable[[Any], Any], bool]] = {
        "arithmetic and hashing": (lambda i: {"x": i["x"] * 2.0 - 1.0, "s": tft.hash_strings(i["s"], 4)}, True),
        "constant vocabulary": (
            lambda i: {"v": tf.cast(i["s"][:, None] == tf.constant(["a0", "a1"]), tf.float32)},
            True,
        ),
        "z score": (lambda i: {"x": tft.scale_to_z_score(i["x"])}, False),
        "mean": (lambda i: {"x": i["x"] - tft.mean(i["x"])}, False),
        "buckets": (lambda i: {"x": tft.bucketize(i["x"], 3)}, False),
        "vocabulary": (lambda i: {"v": tft.compute_and_apply_vocabulary(i["s"])}, False),
    }
    for name, (function, covered) in functions.items():
        folder = tmp_path / name
        with tft_beam.Context(temp_dir=str(tmp_path / "scratch")):
            _, transform_fn = (data, metadata) | tft_beam.AnalyzeAndTransformDataset(function)
            _ = transform_fn | tft_beam.WriteTransformFn(str(folder))
        item = scope.of_transform_graph(str(folder))
        assert item.covered is covered, (name, item.detail)
        assert bool(item.held) is not covered
        assert item.held in item.detail
        assert len(item.vocabularies) == (name == "vocabulary")
    assert "It holds 1 vocabulary and" in item.detail
    assert item.vocabularies[0] in item.detail


def test_a_wired_schema_is_in_the_scope_beside_the_graph(tmp_path: pathlib.Path) -> None:
    """Whichever of both parses the records: what was wired must not be reported as not stated."""
    import types

    from tfx_privacy.components.dp_trainer import guarantee, releases

    for graph, items in ((str(tmp_path), ["transform_graph", "schema"]), (None, ["schema"])):
        fn_args = types.SimpleNamespace(transform_graph_path=graph, hyperparameters=None)
        found = guarantee.scope_of(
            {"schema": [None]}, fn_args, releases.Read({}),
            hyperparameters_are_public=False, schema_is_public=False, names_classes=False,
        )  # fmt: skip
        assert [item.artifact for item in found] == items
        assert ("takes nothing from it" in found[-1].detail) is (graph is not None)


def test_a_graph_that_cannot_be_examined_is_not_covered(tmp_path: pathlib.Path) -> None:
    from tfx_privacy.components.dp_trainer import scope

    assert not scope.of_transform_graph(str(tmp_path)).covered
    (tmp_path / "transform_fn").mkdir()
    (tmp_path / "transform_fn" / "saved_model.pb").write_bytes(b"\x00\xffnonsense")
    assert not scope.of_transform_graph(str(tmp_path)).covered
    (tmp_path / "transform_fn" / "saved_model.pb").write_bytes(b"")
    assert not scope.of_transform_graph(str(tmp_path)).covered
