"""The membership metric inside TensorFlow Model Analysis itself, beside PrivacyEvaluator on the same model and records."""

from __future__ import annotations

import itertools
import json
import math
import pathlib
from typing import Any

import artifacts_on_disk as disk
import numpy as np
import pytest
from evaluator_bench import MEMBERS, OTHERS, Bench, by_slice

from tfx_privacy.attacks.evaluation import PrivacyEvaluation
from tfx_privacy.errors import ParameterError

pytestmark = pytest.mark.slow

MODULE = "tfx_privacy.components.tfma_metrics"
CONFIG: dict[str, Any] = {"membership_key": "is_member", "task": "binary", "from_logits": False, "min_records": 100}


def eval_config(limit: float = 0.6, **config: Any) -> Any:
    from tensorflow_model_analysis.proto import config_pb2

    metric = config_pb2.MetricConfig(
        class_name="MembershipAttackAUC",
        module=MODULE,
        config=json.dumps({**CONFIG, **config}),
        per_slice_thresholds=[
            config_pb2.PerSliceMetricThreshold(
                slicing_specs=[config_pb2.SlicingSpec()],
                threshold=config_pb2.MetricThreshold(
                    value_threshold=config_pb2.GenericValueThreshold(upper_bound={"value": limit})
                ),
            )
        ],
    )
    return config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(signature_name="serving_default", prediction_key="outputs", label_key="label")
        ],
        metrics_specs=[config_pb2.MetricsSpec(metrics=[metric])],
        slicing_specs=[
            config_pb2.SlicingSpec(),
            config_pb2.SlicingSpec(feature_keys=["group"]),
            config_pb2.SlicingSpec(feature_values={"is_member": "0"}),
        ],
    )


def analyze(bench: Bench, records: list[dict[str, Any]], config: Any, name: str) -> tuple[dict[str, Any], Any]:
    """Metrics by slice, as Evaluator's own call gives them, and its validation."""
    import tensorflow as tf
    import tensorflow_model_analysis as tfma

    path, output = str(bench.root / f"{name}.tfrecord"), str(bench.root / name)
    with tf.io.TFRecordWriter(path) as writer:
        for record in records:
            writer.write(disk.serialize(record))
    model = tfma.default_eval_shared_model(str(bench.root / "model" / "Format-Serving"), eval_config=config)
    tfma.run_model_analysis(
        eval_shared_model=model, eval_config=config, data_location=path, file_format="tfrecords", output_path=output
    )
    result = tfma.load_eval_result(output)
    found = {
        "all records" if not key else "=".join(map(str, key[0])): {
            metric: float(value.get("doubleValue", 0.0)) for metric, value in metrics[""][""].items()
        }
        for key, metrics in result.slicing_metrics
    }
    return found, tfma.load_validation_result(output)


def marked(member: Any = 1, other: Any = 0) -> list[dict[str, Any]]:
    """Members and non-members in one stream, with the feature that says which."""
    return [{**record, "is_member": [member]} for record in MEMBERS] + [
        {**record, "is_member": [other]} for record in OTHERS
    ]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    made = Bench(tmp_path_factory.mktemp("tfma"))
    made.model(memorised=MEMBERS[:300])
    return made


@pytest.fixture(scope="module")
def record(bench: Bench) -> PrivacyEvaluation:
    return bench.run()


@pytest.fixture(scope="module")
def analyzed(bench: Bench) -> tuple[dict[str, Any], Any]:
    return analyze(bench, marked(), eval_config(), "marked")


def test_numbers_are_those_of_privacy_evaluator(
    analyzed: tuple[dict[str, Any], Any], record: PrivacyEvaluation
) -> None:
    metrics, _ = analyzed
    rows = by_slice(record)
    for name in ("all records", "group=common"):
        row, found = rows[name], metrics[name]
        assert row.auc is not None
        assert (found["membership_attack_auc"], found["membership_attack_auc_low"], found["membership_attack_auc_high"]) == (
            row.auc.estimate, row.auc.low, row.auc.high,
        )  # fmt: skip
        assert found["membership_attack_auc_upper"] == row.attack_auc_upper > 0.6
        assert (found["membership_num_members"], found["membership_num_nonmembers"]) == (
            row.num_members, row.num_nonmembers,
        )  # fmt: skip


def test_a_slice_with_few_records_has_no_number(analyzed: tuple[dict[str, Any], Any]) -> None:
    rare = analyzed[0]["group=rare"]
    assert math.isnan(rare["membership_attack_auc_upper"])
    assert (rare["membership_num_members"], rare["membership_num_nonmembers"]) == (20, 15)


def test_the_other_metrics_can_be_judged_on_non_members_alone(analyzed: tuple[dict[str, Any], Any]) -> None:
    others = analyzed[0]["is_member=0"]
    assert (others["membership_num_members"], others["membership_num_nonmembers"]) == (0, 600)
    assert math.isnan(others["membership_attack_auc_upper"])


def test_a_threshold_refuses(analyzed: tuple[dict[str, Any], Any]) -> None:
    _, validation = analyzed
    assert not validation.validation_ok
    (failures,) = validation.metric_validations_per_slice
    (failure,) = failures.failures
    assert failure.metric_key.name == "membership_attack_auc_upper"
    assert failure.metric_value.double_value.value > 0.6


def test_text_can_say_who_is_a_member_and_a_threshold_lets_pass(
    bench: Bench, analyzed: tuple[dict[str, Any], Any]
) -> None:
    config = eval_config(0.9, member_values=["train"], nonmember_values=["eval"])
    metrics, validation = analyze(bench, marked(b"train", b"eval"), config, "text")
    assert validation.validation_ok
    same = analyzed[0]["all records"]
    assert metrics["all records"] == same


def test_examples_without_the_feature_are_refused(bench: Bench) -> None:
    metrics, validation = analyze(bench, [*MEMBERS, *OTHERS], eval_config(1.0), "without")
    assert not validation.validation_ok
    assert math.isnan(metrics["all records"]["membership_attack_auc_upper"])
    assert metrics["all records"]["membership_num_unknown"] == 1400


@pytest.mark.parametrize(("limit", "blessed"), [(0.6, 0), (0.9, 1)])
def test_the_standard_evaluator_blesses_by_it(bench: Bench, limit: float, blessed: int, tmp_path: pathlib.Path) -> None:
    from tfx.components import Evaluator
    from tfx.components.evaluator import executor
    from tfx.dsl.components.base import base_beam_executor
    from tfx.types import channel_utils, standard_artifacts

    records = marked()
    examples = disk.write_examples(
        tmp_path / "examples", {"train": records[: len(MEMBERS)], "eval": records[len(MEMBERS) :]}
    )
    component = Evaluator(
        examples=channel_utils.as_channel([examples]),
        model=channel_utils.as_channel(bench.inputs["model"]),
        eval_config=eval_config(limit),
        example_splits=["train", "eval"],
    )
    outputs = disk.outputs(
        tmp_path, evaluation=standard_artifacts.ModelEvaluation, blessing=standard_artifacts.ModelBlessing
    )
    context = base_beam_executor.BaseBeamExecutor.Context(tmp_dir=str(tmp_path / "tmp"), unique_id="1")
    inputs = {"examples": [examples], "model": bench.inputs["model"]}
    executor.Executor(context).Do(inputs, outputs, dict(component.exec_properties))
    assert outputs["blessing"][0].get_int_custom_property("blessed") == blessed


@pytest.mark.parametrize("values", [list(range(40)), [f"fold {index}" for index in range(40)]])
def test_values_are_split_as_example_gen_splits_them(values: list[Any]) -> None:
    import importlib

    import tensorflow as tf
    from tfx.components.example_gen import base_example_gen_executor
    from tfx.proto import example_gen_pb2

    config = example_gen_pb2.SplitConfig(partition_feature_name="fold")
    found = importlib.import_module(MODULE).values_by_split(values, {"train": 3, "test": 1, "eval": 2})
    assert sorted(value for inside in found.values() for value in inside) == sorted(values)
    assert all(found.values())
    for number, split in enumerate(found):
        for value in found[split]:
            raw = [value.encode()] if isinstance(value, str) else [value]
            example = tf.train.Example.FromString(disk.serialize({"fold": raw, "x": [1.0]}))
            assert base_example_gen_executor._PartitionFn(example, 3, [3, 4, 6], config) == number


def test_a_split_without_buckets_is_refused() -> None:
    import importlib

    with pytest.raises(ParameterError, match="hash_buckets"):
        importlib.import_module(MODULE).values_by_split([1], {"train": 0, "eval": 1})


def combine(*records: tuple[Any, Any, Any], parts: int = 1, **config: Any) -> dict[str, float]:
    """The metric's own combiner on (membership, prediction, label); NaN predictions are there as TFMA gives them."""
    import importlib

    from tensorflow_model_analysis.metrics import metric_types

    metric = importlib.import_module(MODULE).MembershipAttackAUC(**{**CONFIG, "min_records": 2, **config})
    (computation,) = metric.computations()
    combiner = computation.combiner
    accumulators = [combiner.create_accumulator() for _ in range(parts)]
    for index, (member, prediction, label) in enumerate(records):
        element = metric_types.StandardMetricInputs(
            {
                "features": {} if member is None else {"is_member": np.ravel(member)},
                "predictions": np.ravel(np.float32(prediction)),
                "labels": np.ravel(label),
                "example_weights": np.array([1.0]),
            }
        )
        combiner.add_input(accumulators[index % parts], element)
    output = combiner.extract_output(combiner.merge_accumulators(accumulators))
    return {key.name: value for key, value in output.items()}


def passes(values: dict[str, float], limit: float = 1.0) -> bool:
    """TFMA's own verdict on the numbers, by the loosest limit."""
    from tensorflow_model_analysis.evaluators import metrics_validator
    from tensorflow_model_analysis.metrics import metric_types

    metrics = {metric_types.MetricKey(name=name): value for name, value in values.items()}
    return bool(metrics_validator.validate_metrics(((), metrics), eval_config(limit)).validation_ok)


GOOD = [(1, 0.9, 1), (1, 0.8, 1), (1, 0.3, 0), (0, 0.6, 1), (0, 0.4, 0), (0, 0.55, 1)]


def test_good_records_have_a_number() -> None:
    values = combine(*GOOD)
    assert 0.5 < values["membership_attack_auc"] <= values["membership_attack_auc_high"]
    assert passes(values)
    assert not passes(values, 0.5)


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param([*GOOD, (1, math.nan, 1)], id="prediction is NaN"),
        pytest.param([*GOOD, (0, math.inf, 1)], id="prediction is infinite"),
        pytest.param([*GOOD, (1, 7.0, 1)], id="a logit where probabilities were promised"),
        pytest.param([*GOOD, (1, 0.5, math.nan)], id="label is missing"),
        pytest.param([*GOOD, (1, 0.5, 3)], id="label of no class"),
        pytest.param([*GOOD, (1, 0.5, b"yes")], id="label is text"),
        pytest.param([*GOOD, (None, 0.5, 1)], id="no membership"),
        pytest.param([*GOOD, (2, 0.5, 1)], id="membership of no side"),
        pytest.param([*GOOD, ([0, 1], 0.5, 1)], id="both sides"),
        pytest.param([*GOOD, (math.nan, 0.5, 1)], id="membership is NaN"),
        pytest.param(GOOD[:3], id="members alone"),
        pytest.param(GOOD[3:], id="non-members alone"),
        pytest.param([(member, 0.5, 1) for member, _, _ in GOOD], id="equal scores"),
        pytest.param([], id="no record"),
    ],
)
def test_what_cannot_be_judged_passes_no_threshold(bad: list[Any]) -> None:
    values = combine(*bad)
    assert math.isnan(values["membership_attack_auc_upper"])
    assert not passes(values)


def test_an_attack_with_its_sign_turned_counts() -> None:
    values = combine(*[(1 - member, prediction, label) for member, prediction, label in GOOD])
    assert values["membership_attack_auc"] < 0.5 < values["membership_attack_auc_upper"]
    assert values["membership_attack_auc_upper"] == combine(*GOOD)["membership_attack_auc_upper"]


def test_sharding_and_order_change_no_bit() -> None:
    random = np.random.default_rng(0)
    records = [(int(i % 3 > 0), float(p), int(p + n > 0.5)) for i, (p, n) in enumerate(random.uniform(size=(3000, 2)))]
    whole = combine(*records)
    for parts, order in itertools.product((1, 7), (records, records[::-1])):
        assert combine(*order, parts=parts) == whole


def test_floats_and_text_are_compared_with_numbers() -> None:
    for member, other in [(1.0, 0.0), (b"1", b"0"), (np.int64(1), np.int64(0))]:
        assert combine(*[(member if side else other, p, y) for side, p, y in GOOD]) == combine(*GOOD)


@pytest.mark.parametrize(
    "config",
    [
        {"membership_key": ""},
        {"task": "ranking"},
        {"from_logits": None},
        {"member_values": [1], "nonmember_values": ["1"]},
        {"member_values": []},
        {"min_records": 0},
        {"confidence_level": 1.0},
        {"confidence_level": math.nan},
    ],
)
def test_arguments_that_break_a_rule_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        combine(*GOOD, **config)


def test_binarized_outputs_are_refused() -> None:
    import importlib

    from tensorflow_model_analysis.metrics import metric_types

    metric = importlib.import_module(MODULE).MembershipAttackAUC(**CONFIG)
    with pytest.raises(ParameterError, match="its own MetricsSpec"):
        metric.computations(sub_keys=[metric_types.SubKey(class_id=1)])


def test_two_different_configs_are_refused() -> None:
    import importlib

    config, other = eval_config(), eval_config(task="regression", from_logits=None)
    config.metrics_specs.extend(other.metrics_specs)
    with pytest.raises(ParameterError, match="different configs"):
        importlib.import_module(MODULE).MembershipAttackAUC(**CONFIG).computations(eval_config=config)
