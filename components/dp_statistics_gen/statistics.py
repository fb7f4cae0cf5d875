"""Statistics as TFDV knows them, made of noisy answers alone: whatever they say follows from the release.

Answers of one split contradict each other a little, because each has noise of its own; what is written does not: counts are not
negative, no feature is in more records than there are, histograms hold as many values as the counts say. TensorFlow Metadata's
`statistics.proto` explains the fields.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from absl import logging
from scipy import stats
from tensorflow_metadata.proto.v0 import statistics_pb2

from tfx_privacy.releases.features import NUM_EXAMPLES, Feature, Number, Text
from tfx_privacy.releases.noisy import Values
from tfx_privacy.releases.plan import ReleasePlan
from tfx_privacy.releases.queries import Counts, Moments, Presence, Quantiles, Query, Vocabulary

# TFDV's name of a split's records as a whole, and what it puts in the place of a text that is no UTF-8.
_ALL_EXAMPLES = "All Examples"
_NOT_UTF8 = "__BYTES_VALUE__"
# As many as TFDV keeps where nothing else is asked for; but a standard histogram of the tree's bins needs a power of two.
_MAX_TOP_VALUES, _MAX_RANKS, _QUANTILES, _MAX_BUCKETS = 20, 1000, 10, 16
# Noise lets a feature that no record has pass without a warning in so large a share of cases.
_UNWARNED = 0.01


@dataclasses.dataclass(frozen=True)
class Answered:
    """What was released of one feature, or of all records."""

    query: Query
    noisy: Any
    """An array, or `Values`."""
    noise_standard_deviation: float


def dataset_statistics(
    features: Mapping[str, Feature], plan: ReleasePlan, released: Mapping[int, Any]
) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Of one split.

    Args:
      features: By name.
      plan: Of `releases.features.queries(features)`.
      released: Each query's answer, by its place.

    Returns:
      A list of one dataset, whose features are in the order of their names.
    """
    answered = {_key(query): _answered(plan, released, place) for place, query in enumerate(plan.queries)}
    everyone = answered[NUM_EXAMPLES, "everyone"]
    # At least one with a feature and one without, as `_non_missing` says; noise hides whether there are any.
    num_examples = max(2, int(everyone.noisy[0]))
    found = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = found.datasets.add(name=_ALL_EXAMPLES, num_examples=num_examples)
    for name, feature in sorted(features.items()):
        own = {kind: answer for (of, kind), answer in answered.items() if of == name and kind != "everyone"}
        entry = dataset.features.add(path={"step": [name]})
        non_missing = _non_missing(name, feature, own.get("Presence"), num_examples)
        if isinstance(feature, Number):
            _add_number(entry, feature, own, non_missing, num_examples)
        else:
            _add_text(entry, feature, own, non_missing, num_examples)
    return found


def _key(query: Query) -> tuple[str, str]:
    everyone = isinstance(query, Presence) and query.everyone
    return query.name, "everyone" if everyone else type(query).__name__


def _answered(plan: ReleasePlan, released: Mapping[int, Any], place: int) -> Answered:
    return Answered(plan.queries[place], released[place], plan.answers[place].noise_standard_deviation)


def _non_missing(name: str, feature: Feature, presence: Answered | None, num_examples: int) -> int:
    """Records that have the feature.

    At least one, or a schema would not have what the author named; and of one that is not required at least one has none, or a
    schema would require it.
    """
    if feature.required or presence is None:
        return num_examples
    noisy = int(presence.noisy[0])
    if not noisy > presence.noise_standard_deviation * float(stats.norm.isf(_UNWARNED)):
        logging.warning(
            "%r: no more records have this feature than noise alone may count. Is it called so, and does it hold %s? What is "
            "said of it is noise.", name, "texts" if isinstance(feature, Text) else "numbers",
        )  # fmt: skip
    return min(max(1, noisy), num_examples - 1)


def _add_number(entry: Any, feature: Number, own: Mapping[str, Answered], non_missing: int, num_examples: int) -> None:
    entry.type = (
        statistics_pb2.FeatureNameStatistics.INT if feature.integer else statistics_pb2.FeatureNameStatistics.FLOAT
    )
    moments, quantiles = own["Moments"], own["Quantiles"]
    assert isinstance(moments.query, Moments)
    assert isinstance(quantiles.query, Quantiles)
    num_values = _num_values(feature, moments.query.count(moments.noisy), non_missing)
    numbers = entry.num_stats
    _add_common(numbers.common_stats, feature, num_values, non_missing, num_examples)
    if num_values == 0:
        return
    mean, variance = moments.query.mean_and_variance(moments.noisy)
    numbers.mean, numbers.std_dev = mean, math.sqrt(variance)
    numbers.min, numbers.max = feature.bounds
    shares = [place / _QUANTILES for place in range(_QUANTILES + 1)]
    edges = quantiles.query.quantiles(quantiles.noisy, shares)
    edges[0], edges[-1] = feature.bounds
    if feature.integer:
        edges = np.rint(edges)
    numbers.median = float(edges[_QUANTILES // 2])
    standard = numbers.histograms.add(type=statistics_pb2.Histogram.STANDARD)
    _add_buckets(standard, *_standard(quantiles.query, quantiles.noisy, num_values))
    by_quantiles = numbers.histograms.add(type=statistics_pb2.Histogram.QUANTILES)
    _add_buckets(by_quantiles, edges, np.full(_QUANTILES, num_values / _QUANTILES))


def _num_values(feature: Feature, counted: float, non_missing: int) -> int:
    """Values of all records: between one and `max_values` of each record that has the feature."""
    return min(max(round(counted), non_missing), non_missing * feature.max_values)


def _standard(query: Quantiles, noisy: np.ndarray, num_values: int) -> tuple[np.ndarray, np.ndarray]:
    """Edges of intervals of equal width, and how many of the values are in each."""
    buckets = min(_MAX_BUCKETS, query.bins)
    below = query.distribution(noisy)[:: query.bins // buckets]
    if not below[-1] > 0.0:
        below = np.arange(buckets + 1, dtype=np.float64)
    return np.linspace(*query.bounds, buckets + 1), np.diff(below) / below[-1] * num_values


def _add_buckets(histogram: Any, edges: np.ndarray, counts: np.ndarray) -> None:
    for (low, high), count in zip(itertools.pairwise(edges.tolist()), counts.tolist(), strict=True):
        histogram.buckets.add(low_value=low, high_value=high, sample_count=count)


def _add_text(entry: Any, feature: Text, own: Mapping[str, Answered], non_missing: int, num_examples: int) -> None:
    entry.type = statistics_pb2.FeatureNameStatistics.STRING
    values = _texts(own.get("Vocabulary") or own["Counts"], non_missing)
    counted = float(sum(count for _, count in values))
    texts = entry.string_stats
    _add_common(texts.common_stats, feature, _num_values(feature, counted, non_missing), non_missing, num_examples)
    texts.unique = len(values)
    if counted > 0.0:
        texts.avg_length = sum(len(text.encode()) * count for text, count in values) / counted
    for text, count in values[:_MAX_TOP_VALUES]:
        texts.top_values.add(value=text, frequency=count)
    for rank, (text, count) in enumerate(values[:_MAX_RANKS]):
        texts.rank_histogram.buckets.add(low_rank=rank, high_rank=rank, label=text, sample_count=count)


def _texts(answer: Answered, non_missing: int) -> list[tuple[str, int]]:
    """The values and how common they are, the most common first; none is more common than the feature."""
    most = non_missing
    if isinstance(answer.query, Counts):
        most *= answer.query.max_values  # of a record that repeats a value, each is counted
        found: list[tuple[Any, int]] = list(zip(answer.query.keys, answer.noisy.tolist(), strict=True))
    else:
        assert isinstance(answer.query, Vocabulary)
        assert isinstance(answer.noisy, Values)
        found = list(zip(answer.noisy.keys, answer.noisy.counts, strict=True))
    counts: dict[str, int] = {}
    for key, count in found:
        text = _text(key)
        counts[text] = counts.get(text, 0) + max(0, int(count))
    return sorted(((text, min(count, most)) for text, count in counts.items()), key=lambda pair: (-pair[1], pair[0]))


def _text(key: bytes) -> str:
    try:
        return key.decode()
    except UnicodeDecodeError:
        return _NOT_UTF8


def _add_common(common: Any, feature: Feature, num_values: int, non_missing: int, num_examples: int) -> None:
    common.num_non_missing, common.num_missing = non_missing, num_examples - non_missing
    common.tot_num_values = num_values
    if non_missing > 0:
        common.min_num_values, common.max_num_values = 1, feature.max_values
        common.avg_num_values = num_values / non_missing
