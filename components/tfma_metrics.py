"""The loss attack as a metric of TensorFlow Model Analysis, for an ordinary Evaluator.

    config_pb2.MetricConfig(
        class_name="MembershipAttackAUC",
        module="tfx_privacy.components.tfma_metrics",
        config='{"membership_key": "is_member", "task": "binary", "from_logits": false}',
        threshold=config_pb2.MetricThreshold(value_threshold=config_pb2.GenericValueThreshold(upper_bound={"value": 0.6})),
    )

TFMA sees one stream of examples, so each must say by a feature whether the model was trained on it.
docs/tfma_metrics.md says where that comes from, and what PrivacyEvaluator does beyond this.
"""

from __future__ import annotations

import bisect
import dataclasses
import hashlib
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.proto import config_pb2

from tfx_privacy import _validate
from tfx_privacy.attacks.evaluation import WHOLE_SET, Interval
from tfx_privacy.attacks.membership import heads, statistics, tally
from tfx_privacy.attacks.membership.counts import Counts
from tfx_privacy.attacks.membership.heads import Head
from tfx_privacy.attacks.membership.tally import MEMBERS, OTHERS, Tally
from tfx_privacy.errors import ParameterError

NAME = "membership_attack_auc"
UPPER = f"{NAME}_upper"
"""What a threshold in the MetricConfig compares: the upper bound, in either direction of the attack."""
LOW, HIGH = f"{NAME}_low", f"{NAME}_high"
NUM_MEMBERS, NUM_NONMEMBERS = "membership_num_members", "membership_num_nonmembers"
NUM_UNUSABLE, NUM_UNKNOWN = "membership_num_unusable", "membership_num_unknown"

_LOSS = "loss"
_FLUSH_RECORDS = 1024
_NO_SAMPLE = 0


class MembershipAttackAUC(metric_types.Metric):
    """AUC of telling members from non-members by the model's loss, of each slice, with its interval.

    Gives `membership_attack_auc` with `_low`, `_high` and `_upper`, and how many records they rest on. The numbers are
    NaN, which no value threshold accepts, where a record has no known membership, no finite output or no label that
    fits the task, where a side has fewer than `min_records` records, and where all scores are equal.
    """

    def __init__(
        self,
        membership_key: str,
        task: str,
        from_logits: bool | None = None,
        member_values: Sequence[Any] = (1,),
        nonmember_values: Sequence[Any] = (0,),
        min_records: int = 300,
        confidence_level: float = 0.95,
    ) -> None:
        """Initializes the metric; the arguments are the MetricConfig's `config`, as JSON.

        Args:
          membership_key: Feature of the examples that says whether a record was trained on; not one
            that the model takes.
          task: One of `binary`, `multiclass`, `multilabel`, `regression`, `sequence` and `loss`.
          from_logits: Whether outputs are logits rather than probabilities; needed for tasks with classes.
          member_values: The feature's values for members. Numbers and text are compared as text.
          nonmember_values: Its values for non-members. A record with another value makes the slice's numbers NaN.
          min_records: Members and non-members that a slice must have, as PrivacyEvaluator's for the whole set.
          confidence_level: Of the two-sided interval, in (0, 1).

        Raises:
          ParameterError: If an argument breaks its rule.
        """
        settings = _Settings(
            membership_key,
            task,
            from_logits,
            tuple(member_values),
            tuple(nonmember_values),
            min_records,
            confidence_level,
        )
        settings.check()
        super().__init__(metric_util.merge_per_key_computations(_computations), **dataclasses.asdict(settings))
        # TFMA looks for the threshold's value under this name.
        self.name = UPPER

    @property
    def compute_confidence_interval(self) -> bool:
        """TFMA need not resample: the intervals are those of DeLong, and are next to the estimate."""
        return False


metric_types.register_metric(MembershipAttackAUC)


def values_by_split(values: Iterable[int | str], hash_buckets: Mapping[str, int]) -> dict[str, list[int | str]]:
    """Which values of ExampleGen's `partition_feature_name` come into which split: `member_values` and `nonmember_values`.

    Args:
      values: All values that the feature has, whole numbers or text.
      hash_buckets: Of each split, in the order of ExampleGen's SplitConfig, e.g. `{"train": 2, "eval": 1}`.

    Returns:
      By split, its values.

    Raises:
      ParameterError: If a split has no bucket.
    """
    for split, buckets in hash_buckets.items():
        named: dict[str, Any] = {f"hash_buckets[{split!r}]": buckets}
        _validate.positive_integer(**named)
    ends = list(itertools.accumulate(hash_buckets.values()))
    found: dict[str, list[int | str]] = {split: [] for split in hash_buckets}
    for value in values:
        # As tfx.components.example_gen has it: the hash of the feature's proto.
        key = _feature(value).SerializeToString(deterministic=True)
        bucket = int(hashlib.sha256(key).hexdigest(), 16) % ends[-1]
        found[list(hash_buckets)[bisect.bisect(ends, bucket)]].append(value)
    return found


def _feature(value: int | str) -> Any:
    if isinstance(value, str):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


@dataclasses.dataclass(frozen=True)
class _Settings:
    membership_key: str
    task: str
    from_logits: bool | None
    member_values: tuple[Any, ...]
    nonmember_values: tuple[Any, ...]
    min_records: int
    confidence_level: float

    def check(self) -> None:
        if not (isinstance(self.membership_key, str) and self.membership_key):
            raise ParameterError(f"Expected membership_key={self.membership_key!r} to be the name of a feature.")
        _validate.one_of(heads.TASKS, task=self.task)
        if self.from_logits not in (None, True, False):
            raise ParameterError(f"Expected from_logits={self.from_logits!r} to be true or false.")
        _ = self.head  # its own rules
        both = sorted(self.members & self.nonmembers)
        if both or not (self.members and self.nonmembers):
            raise ParameterError(
                f"Expected member_values={list(self.member_values)!r} and "
                f"nonmember_values={list(self.nonmember_values)!r} to be values without one in common, and at least "
                "one each."
            )
        _validate.positive_integer(min_records=self.min_records)
        _validate.open_interval(0.0, 1.0, confidence_level=self.confidence_level)

    @property
    def head(self) -> Head:
        return Head(task=self.task, from_logits=self.from_logits)  # type: ignore[arg-type]

    @property
    def members(self) -> frozenset[str]:
        return frozenset(map(_text, self.member_values))

    @property
    def nonmembers(self) -> frozenset[str]:
        return frozenset(map(_text, self.nonmember_values))

    def side(self, values: Any) -> int | None:
        """Which side a record is on, by its feature; None where that cannot be told."""
        flat = np.ravel(getattr(values, "values", values)) if values is not None else np.zeros(0)
        text = _text(flat[0]) if len(flat) == 1 else ""
        return MEMBERS if text in self.members else OTHERS if text in self.nonmembers else None


def _computations(
    eval_config: config_pb2.EvalConfig | None = None,
    model_name: str = "",
    output_name: str = "",
    sub_key: metric_types.SubKey | None = None,
    aggregation_type: metric_types.AggregationType | None = None,
    example_weighted: bool = False,
    **settings: Any,
) -> metric_types.MetricComputations:
    """One computation of all numbers, for one model and output."""
    if sub_key is not None or aggregation_type is not None:
        raise ParameterError(
            "MembershipAttackAUC attacks whole outputs, and its MetricsSpec asks for binarize or aggregate. Give it "
            "its own MetricsSpec."
        )
    _check_that_it_is_alone(eval_config)
    attacked = _Settings(**settings)
    keys = {
        name: metric_types.MetricKey(
            name=name, model_name=model_name, output_name=output_name, example_weighted=example_weighted
        )
        for name in (NAME, LOW, HIGH, UPPER, NUM_MEMBERS, NUM_NONMEMBERS, NUM_UNUSABLE, NUM_UNKNOWN)
    }
    features = metric_types.FeaturePreprocessor(feature_keys=[attacked.membership_key])
    return [
        metric_types.MetricComputation(
            keys=list(keys.values()),
            preprocessors=[features],
            combiner=MembershipCombiner(attacked, keys, eval_config),
        )
    ]


def _check_that_it_is_alone(eval_config: config_pb2.EvalConfig | None) -> None:
    """TFMA computes metrics of one name once: a second one's threshold would judge the first one's value."""
    specs = eval_config.metrics_specs if eval_config is not None else []
    name = MembershipAttackAUC.__name__
    configs = {metric.config for spec in specs for metric in spec.metrics if metric.class_name == name}
    if len(configs) > 1:
        raise ParameterError(
            f"EvalConfig has {name} with different configs: {', '.join(sorted(configs))}. TFMA would compute one of "
            "them; leave one."
        )


@dataclasses.dataclass
class _Accumulator:
    """Counts so far, and records that wait to be counted together."""

    tally: Tally
    num_unknown: int
    waiting: list[tuple[int, np.ndarray, np.ndarray]]


class MembershipCombiner(beam.CombineFn):
    """Counts scores by side; the result is the same, to the last bit, for every sharding."""

    def __init__(
        self,
        settings: _Settings,
        keys: dict[str, metric_types.MetricKey],
        eval_config: config_pb2.EvalConfig | None,
    ) -> None:
        """Keeps what to attack, and under which keys to say what was found."""
        self._settings, self._keys, self._eval_config = settings, keys, eval_config

    def create_accumulator(self) -> _Accumulator:
        """No record."""
        return _Accumulator(tally.empty(), 0, [])

    def add_input(self, accumulator: _Accumulator, element: metric_types.StandardMetricInputs) -> _Accumulator:
        """Adds one record."""
        side = self._settings.side((element.features or {}).get(self._settings.membership_key))
        if side is None:
            accumulator.num_unknown += 1
            return accumulator
        key = self._keys[NAME]
        for label, output, _ in metric_util.to_label_prediction_example_weight(
            element,
            eval_config=self._eval_config,
            model_name=key.model_name,
            output_name=key.output_name,
            flatten=False,
            squeeze=False,
            allow_none=True,
        ):
            accumulator.waiting.append((side, _numbers(output), _numbers(label)))
        if len(accumulator.waiting) >= _FLUSH_RECORDS:
            self._flush(accumulator)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[_Accumulator]) -> _Accumulator:
        """Adds several."""
        merged = self.create_accumulator()
        for accumulator in accumulators:
            self._flush(accumulator)
            merged.tally = tally.merged([merged.tally, accumulator.tally], _NO_SAMPLE)
            merged.num_unknown += accumulator.num_unknown
        return merged

    def compact(self, accumulator: _Accumulator) -> _Accumulator:
        """Counts what waits, before the accumulator travels."""
        self._flush(accumulator)
        return accumulator

    def extract_output(self, accumulator: _Accumulator) -> dict[metric_types.MetricKey, float]:
        """The numbers, by key."""
        self._flush(accumulator)
        found, unusable = accumulator.tally, int(accumulator.tally.unusable.sum())
        interval = self._interval(found) if unusable == accumulator.num_unknown == 0 else None
        values: dict[str, float] = {
            NAME: interval.estimate if interval else math.nan,
            LOW: interval.low if interval else math.nan,
            HIGH: interval.high if interval else math.nan,
            # An AUC of 0.2 is an attack of 0.8 with the sign turned.
            UPPER: max(interval.high, 1.0 - interval.low) if interval else math.nan,
            NUM_MEMBERS: float(found.records[MEMBERS]),
            NUM_NONMEMBERS: float(found.records[OTHERS]),
            NUM_UNUSABLE: float(unusable),
            NUM_UNKNOWN: float(accumulator.num_unknown),
        }
        return {self._keys[name]: value for name, value in values.items()}

    def _interval(self, found: Tally) -> Interval | None:
        """None where there is nothing to be said."""
        counts: Counts | None = found.counts.get((_LOSS, (WHOLE_SET, "")))
        if counts is None or not min(counts.sizes) >= self._settings.min_records or len(counts.values) == 1:
            return None
        return statistics.auc_interval(counts, confidence_level=self._settings.confidence_level)

    def _flush(self, accumulator: _Accumulator) -> None:
        waiting, accumulator.waiting = accumulator.waiting, []
        alike: dict[tuple[int, tuple[int, ...], tuple[int, ...]], list[tuple[np.ndarray, np.ndarray]]] = {}
        for side, output, label in waiting:
            alike.setdefault((side, output.shape, label.shape), []).append((output, label))
        parts = [self._counted(side, records) for (side, _, _), records in alike.items()]
        if parts:
            accumulator.tally = tally.merged([accumulator.tally, *parts], _NO_SAMPLE)

    def _counted(self, side: int, records: list[tuple[np.ndarray, np.ndarray]]) -> Tally:
        outputs, labels = (np.stack(column) for column in zip(*records, strict=True))
        signals = heads.signals(self._settings.head, outputs, labels)
        scores = np.where(signals.usable, signals.loss, np.nan)
        # Folds and the sample, which hashes choose, are not used here.
        return tally.of_records(side, {_LOSS: scores}, np.zeros(len(scores), np.uint64), {})


def _numbers(values: np.ndarray) -> np.ndarray:
    """Numbers of at least one dimension; what is not a number, or missing, is NaN, which no task accepts."""
    values = np.atleast_1d(values)
    if not values.size:
        return np.full(1, np.nan)
    return values.astype(np.float64) if values.dtype.kind in "fiub" else np.full(values.shape, np.nan)


def _text(value: Any) -> str:
    """A feature's value as text, the same for 1, 1.0 and b"1"."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)
