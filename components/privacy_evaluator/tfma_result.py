"""The evaluation as a result that TensorFlow Model Analysis loads and draws.

TFMA looks at classifiers of examples; here the example's label is whether it was a member, and the
prediction is an attack's score, mapped to the share of non-members that score lower. A threshold t
then has the false-positive rate 1 - t, and TFMA's tables, slices, time series and plots work as they are.

The files are those of TFMA's own writers; its analysis is not run, because everything is computed already.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf
import tensorflow_model_analysis as tfma
from google.protobuf import json_format, message, wrappers_pb2
from tensorflow_model_analysis.metrics import binary_confusion_matrices
from tensorflow_model_analysis.proto import config_pb2, metrics_for_slice_pb2
from tfx.dsl.io import fileio

from tfx_privacy.attacks.evaluation import (
    WHOLE_SET,
    AttackResult,
    Curve,
    Interval,
    PrivacyEvaluation,
)
from tfx_privacy.components import _files

MEMBERSHIP = "membership"
SCORE_RANK = "score_rank_among_nonmembers"
LOSS_ATTACK = "loss"
"""The attack whose curve `render_plot` shows unless an `output_name` asks for another."""
_CONFOUNDED_PREFIX = "confounded_"
_COUNT = "example_count"
_TFRECORD = "tfrecord"


def write(uri: str, record: PrivacyEvaluation) -> None:
    """Writes what `tfma.load_eval_result(uri)` reads.

    Metrics are named `<what>/<attack>`: `attack_auc` (with its interval), `attack_auc_upper` (of the better of the
    attack and its mirror image), `advantage`, `tpr_at_fpr_<rate>`, `num_members` and `num_nonmembers`. Those of a row
    whose status is CONFOUNDED begin with "confounded_", so no threshold takes them for an attack's. Plots are under the
    attack's name as output name, and the loss attack's without a name as well.

    Args:
      uri: Folder to write to; made where it does not exist.
      record: The evaluation. Rows without numbers are left out.
    """
    fileio.makedirs(uri)
    _files.write_text(uri, "eval_config.json", json_format.MessageToJson(_eval_run(record)))
    _write_records(uri, "metrics", metrics(record))
    _write_records(uri, "plots", plots(record))


def metrics(record: PrivacyEvaluation) -> Iterator[metrics_for_slice_pb2.MetricsForSlice]:
    """The numbers of each slice, the whole set first; it is there even if no attack on it has numbers."""
    rows: dict[tuple[str, str], list[AttackResult]] = {(WHOLE_SET, ""): []}
    for row in record.results:
        if row.auc is not None:
            rows.setdefault((row.slice_feature, row.slice_value), []).append(row)
    for key, inside in rows.items():
        count = max((row.num_members + row.num_nonmembers for row in inside), default=0)
        result = metrics_for_slice_pb2.MetricsForSlice(slice_key=_slice_key(*key))
        _add(result, _COUNT, record.num_members + record.num_nonmembers if key[0] == WHOLE_SET else count)
        for row in inside:
            _add_row(result, row)
        yield result


def plots(record: PrivacyEvaluation) -> Iterator[metrics_for_slice_pb2.PlotsForSlice]:
    """The curves of the whole set; nothing where there is none."""
    curves = [curve for curve in record.curves if curve.false_positive_rate]
    if not curves:
        return
    default = next((curve for curve in curves if curve.attack == LOSS_ATTACK), curves[0])
    result = metrics_for_slice_pb2.PlotsForSlice(slice_key=_slice_key(WHOLE_SET, ""))
    for output_name, curve in [("", default), *((curve.attack, curve) for curve in curves)]:
        added = result.plot_keys_and_values.add()
        added.key.output_name = output_name
        added.value.confusion_matrix_at_thresholds.CopyFrom(_confusion_matrices(curve, *_sides(record, curve.attack)))
    yield result


def _eval_run(record: PrivacyEvaluation) -> config_pb2.EvalRun:
    config = config_pb2.EvalConfig(
        model_specs=[config_pb2.ModelSpec(label_key=MEMBERSHIP, prediction_key=SCORE_RANK)],
        # Named so that TFMA's table weighs slices by it.
        metrics_specs=[config_pb2.MetricsSpec(metrics=[config_pb2.MetricConfig(class_name="ExampleCount")])],
        slicing_specs=[
            config_pb2.SlicingSpec(),
            *(config_pb2.SlicingSpec(feature_keys=[feature]) for feature in record.slice_features),
        ],
    )
    config.options.compute_confidence_intervals.value = True
    config.options.min_slice_size.value = record.min_slice_size
    return config_pb2.EvalRun(
        eval_config=config,
        version=tfma.version.VERSION,
        data_location=f"members: {', '.join(record.member_splits)}; others: {', '.join(record.nonmember_splits)}",
        file_format="<unknown>",
        model_locations={"": record.model_digest},
    )


def _slice_key(feature: str, value: str) -> metrics_for_slice_pb2.SliceKey:
    """TFMA's overall slice has no key."""
    key = metrics_for_slice_pb2.SliceKey()
    if feature != WHOLE_SET:
        key.single_slice_keys.add(column=feature, bytes_value=value.encode())
    return key


def _add_row(result: metrics_for_slice_pb2.MetricsForSlice, row: AttackResult) -> None:
    prefix = "" if row.status == "OK" else _CONFOUNDED_PREFIX
    _add_interval(result, f"{prefix}attack_auc/{row.attack}", row.auc)
    _add(result, f"{prefix}attack_auc_upper/{row.attack}", row.attack_auc_upper)
    _add_interval(result, f"{prefix}advantage/{row.attack}", row.advantage)
    for point in row.tpr_at_fpr:
        _add_interval(result, f"{prefix}tpr_at_fpr_{point.false_positive_rate:g}/{row.attack}", point.tpr)
    _add(result, f"num_members/{row.attack}", row.num_members)
    _add(result, f"num_nonmembers/{row.attack}", row.num_nonmembers)


def _add_interval(result: metrics_for_slice_pb2.MetricsForSlice, name: str, interval: Interval | None) -> None:
    if interval is not None:
        added = _add(result, name, interval.estimate)
        added.confidence_interval.lower_bound.CopyFrom(_number(interval.low))
        added.confidence_interval.upper_bound.CopyFrom(_number(interval.high))


def _add(
    result: metrics_for_slice_pb2.MetricsForSlice, name: str, value: float
) -> metrics_for_slice_pb2.MetricsForSlice.MetricKeyAndValue:
    added = result.metric_keys_and_values.add(value=_number(value))
    added.key.name = name
    return added


def _number(value: float) -> metrics_for_slice_pb2.MetricValue:
    return metrics_for_slice_pb2.MetricValue(double_value=wrappers_pb2.DoubleValue(value=value))


def _sides(record: PrivacyEvaluation, attack: str) -> tuple[int, int]:
    """Members and non-members behind the attack's curve."""
    for row in record.rows(attack=attack, feature=WHOLE_SET):
        return row.num_members, row.num_nonmembers
    return (
        record.num_members - record.num_unusable_members,
        record.num_nonmembers - record.num_unusable_nonmembers,
    )


def _confusion_matrices(
    curve: Curve, num_members: int, num_nonmembers: int
) -> metrics_for_slice_pb2.ConfusionMatrixAtThresholds:
    """The curve by ascending threshold; TFMA computes precision and the like from the counts."""
    points = list(
        zip(
            curve.false_positive_rate,
            curve.true_positive_rate,
            curve.true_positive_rate_low,
            curve.true_positive_rate_high,
            strict=True,
        )
    )[::-1]
    found = binary_confusion_matrices.Matrices(
        thresholds=[1.0 - rate for rate, _, _, _ in points],
        tp=[rate * num_members for _, rate, _, _ in points],
        fn=[(1.0 - rate) * num_members for _, rate, _, _ in points],
        fp=[rate * num_nonmembers for rate, _, _, _ in points],
        tn=[(1.0 - rate) * num_nonmembers for rate, _, _, _ in points],
    )
    # At threshold 0 nobody is taken for a non-member: TFMA divides by their number, and draws the NaN as nothing.
    with np.errstate(invalid="ignore"):
        proto = found.to_proto().confusion_matrix_at_thresholds
    for matrix, (false_positive_rate, rate, low, high) in zip(proto.matrices, points, strict=True):
        matrix.threshold = 1.0 - false_positive_rate  # which TFMA rounds to six decimals
        matrix.bounded_recall.value.value = rate
        matrix.bounded_recall.lower_bound.value = low
        matrix.bounded_recall.upper_bound.value = high
    return proto


def _write_records(uri: str, name: str, records: Iterable[message.Message]) -> None:
    """One shard, named as Beam would; also where there is no record, because TFMA's writers do so."""
    written: Sequence[bytes] = [record.SerializeToString(deterministic=True) for record in records]
    with tf.io.TFRecordWriter(os.path.join(uri, f"{name}-00000-of-00001.{_TFRECORD}")) as writer:
        for serialized in written:
            writer.write(serialized)
