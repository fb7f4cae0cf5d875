"""Statistics that are made of noisy answers contradict neither themselves nor, where there is little noise, the records."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from tensorflow_metadata.proto.v0 import statistics_pb2

from tfx_privacy.components.dp_statistics_gen import statistics
from tfx_privacy.random_bits import RandomBits
from tfx_privacy.releases import features as feature_list
from tfx_privacy.releases import noisy
from tfx_privacy.releases import plan as plans
from tfx_privacy.releases.columns import Column
from tfx_privacy.releases.features import Feature, Number, Text
from tfx_privacy.releases.parameters import DPPreprocessing
from tfx_privacy.releases.plan import ReleasePlan
from tfx_privacy.releases.queries import Presence, VectorQuery, Vocabulary

FEATURES: dict[str, Feature] = {
    "fare": Number(bounds=(0.0, 100.0)),
    "hour": Number(bounds=(0, 24), integer=True, required=True),
    "company": Text(),
    "tags": Text(max_values=2),
    "payment": Text(keys=["cash", "card", "barter"], required=True),
}
LITTLE = DPPreprocessing(noise_multiplier=0.5, target_delta=1e-6)
MUCH = DPPreprocessing(noise_multiplier=300.0, target_delta=1e-6)
Records = Sequence[Mapping[str, Sequence[Any]]]


def column(records: Records, name: str, feature: Feature) -> Column:
    pairs = [(value, row) for row, record in enumerate(records) for value in record.get(name, [])]
    values = np.array([value for value, _ in pairs], object if isinstance(feature, Text) else np.float64)
    return Column(values, np.array([row for _, row in pairs], np.int64))


def released(records: Records, plan: ReleasePlan, features: Mapping[str, Feature], bits: RandomBits) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for place, (query, answer) in enumerate(zip(plan.queries, plan.answers, strict=True)):
        if isinstance(query, Presence) and query.everyone:
            values = Column(np.zeros(len(records), np.int64), np.arange(len(records)))
        else:
            values = column(records, query.name, features[query.name])
        if isinstance(query, Vocabulary):
            counts = query.counts(values)
            exact = np.fromiter(counts.values(), np.int64, len(counts))
            found[place] = noisy.noisy_values(query, answer, list(counts), exact, bits)
        else:
            assert isinstance(query, VectorQuery)
            found[place] = noisy.noisy_vector(query, answer, query.sums(values), bits)
    return found


def statistics_of(
    records: Records, features: Mapping[str, Feature] = FEATURES, privacy: DPPreprocessing = LITTLE, seed: int = 1
) -> Any:
    plan = plans.plan(feature_list.queries(features), privacy)
    answers = released(records, plan, features, RandomBits.of_seed(seed))
    (dataset,) = statistics.dataset_statistics(features, plan, answers).datasets
    return dataset


def taxi(size: int, seed: int = 7) -> list[dict[str, list[Any]]]:
    random = np.random.default_rng(seed)
    records = []
    for fare, hour, name in zip(
        random.gamma(2.0, 8.0, size), random.integers(0, 24, size), random.integers(0, 4, size), strict=True
    ):
        record: dict[str, list[Any]] = {"hour": [int(hour)], "payment": [b"cash" if fare < 12 else b"card"]}
        if name:
            record |= {"fare": [float(fare)], "company": [b"company %d" % name], "tags": [b"a", b"bb"]}
        records.append(record)
    return records


def entry(dataset: Any, name: str) -> Any:
    (found,) = [feature for feature in dataset.features if list(feature.path.step) == [name]]
    return found


def common(found: Any) -> Any:
    return getattr(found, found.WhichOneof("stats")).common_stats


def test_with_little_noise_they_are_those_of_the_records() -> None:
    """Noise of a few records; each number is within ten of its standard deviations, so chance alone fails it never."""
    records = taxi(20_000)
    dataset = statistics_of(records)
    fares = np.array([record["fare"][0] for record in records if "fare" in record])
    assert (dataset.name, abs(dataset.num_examples - len(records)) < 30) == ("All Examples", True)
    fare = entry(dataset, "fare").num_stats
    assert abs(fare.common_stats.num_non_missing - len(fares)) < 30
    assert fare.mean == pytest.approx(fares.mean(), rel=0.01)
    assert fare.std_dev == pytest.approx(fares.std(), rel=0.02)
    assert (fare.min, fare.max) == (0.0, 100.0)
    assert fare.median == pytest.approx(np.median(fares), abs=100 / 256)
    standard, by_quantiles = fare.histograms
    assert standard.type == statistics_pb2.Histogram.STANDARD
    exact = np.histogram(np.clip(fares, 0.0, 100.0), bins=16, range=(0.0, 100.0))[0]
    assert [bucket.sample_count for bucket in standard.buckets] == pytest.approx(exact.tolist(), abs=100)
    assert by_quantiles.type == statistics_pb2.Histogram.QUANTILES
    assert [bucket.high_value for bucket in by_quantiles.buckets[:-1]] == pytest.approx(
        np.quantile(fares, np.arange(1, 10) / 10).tolist(), abs=1.0
    )
    hour = entry(dataset, "hour").num_stats
    assert hour.median == np.median([record["hour"][0] for record in records])
    company = entry(dataset, "company").string_stats
    assert company.unique == 3
    assert company.avg_length == pytest.approx(9.0)
    assert {value.value for value in company.top_values} == {"company 1", "company 2", "company 3"}
    assert [bucket.label for bucket in company.rank_histogram.buckets] == [value.value for value in company.top_values]
    payment = {value.value: value.frequency for value in entry(dataset, "payment").string_stats.top_values}
    assert payment["cash"] == pytest.approx(sum(record["payment"] == [b"cash"] for record in records), abs=30)
    assert payment["barter"] < 30


def test_types_are_the_authors() -> None:
    dataset = statistics_of(taxi(100))
    kinds = {
        feature.path.step[0]: statistics_pb2.FeatureNameStatistics.Type.Name(feature.type)
        for feature in dataset.features
    }
    assert kinds == {"company": "STRING", "fare": "FLOAT", "hour": "INT", "payment": "STRING", "tags": "STRING"}


@pytest.mark.parametrize("size", [0, 1, 40, 3000])
@pytest.mark.parametrize("privacy", [LITTLE, MUCH], ids=["little", "much"])
@pytest.mark.parametrize("seed", range(5))
def test_they_never_contradict_themselves(size: int, privacy: DPPreprocessing, seed: int) -> None:
    dataset = statistics_of(taxi(size, seed), privacy=privacy, seed=seed)
    assert dataset.num_examples >= 1
    for found in dataset.features:
        name = found.path.step[0]
        counts, feature = common(found), FEATURES[name]
        assert counts.num_non_missing + counts.num_missing == dataset.num_examples
        assert (counts.num_missing == 0) == feature.required
        assert counts.num_non_missing <= counts.tot_num_values <= counts.num_non_missing * feature.max_values
        if counts.num_non_missing:
            assert (counts.min_num_values, counts.max_num_values) == (1, feature.max_values)
            assert counts.avg_num_values == pytest.approx(counts.tot_num_values / counts.num_non_missing)
        if found.HasField("num_stats"):
            check_number(found.num_stats, counts.tot_num_values)
        else:
            check_text(found.string_stats, counts.num_non_missing)


def check_number(numbers: Any, num_values: int) -> None:
    if num_values == 0:
        assert not numbers.histograms
        return
    low, high = numbers.min, numbers.max
    assert low <= numbers.mean <= high
    assert low <= numbers.median <= high
    assert 0.0 < numbers.std_dev <= high - low
    for histogram in numbers.histograms:
        edges = [histogram.buckets[0].low_value, *(bucket.high_value for bucket in histogram.buckets)]
        assert (edges[0], edges[-1]) == (low, high)
        assert edges == sorted(edges)
        assert all(bucket.sample_count >= 0.0 for bucket in histogram.buckets)
        assert sum(bucket.sample_count for bucket in histogram.buckets) == pytest.approx(num_values)


def check_text(texts: Any, non_missing: int) -> None:
    counts = [value.frequency for value in texts.top_values]
    assert counts == sorted(counts, reverse=True)
    assert all(0 <= count <= non_missing for count in counts)
    assert texts.unique == len(texts.rank_histogram.buckets)
    assert math.isfinite(texts.avg_length)


def test_a_vocabulary_in_which_nothing_passes_is_empty() -> None:
    texts = entry(statistics_of(taxi(500), privacy=MUCH), "company").string_stats
    assert (texts.unique, len(texts.top_values), texts.avg_length) == (0, 0, 0.0)


def test_texts_that_are_no_utf8_stand_together() -> None:
    records: Records = [{"company": [b"\xff"]}] * 400 + [{"company": [b"\xfe"]}] * 300 + [{"company": [b"fine"]}] * 200
    texts = entry(statistics_of(records, {"company": Text()}), "company").string_stats
    assert [value.value for value in texts.top_values] == ["__BYTES_VALUE__", "fine"]
    assert texts.top_values[0].frequency == pytest.approx(700, abs=30)


def test_a_long_vocabulary_is_cut_as_tfdv_cuts_it() -> None:
    records: Records = [{"company": [b"%d" % (number % 1200)]} for number in range(1200 * 60)]
    texts = entry(statistics_of(records, {"company": Text()}), "company").string_stats
    assert (texts.unique, len(texts.top_values), len(texts.rank_histogram.buckets)) == (1200, 20, 1000)


def warnings_of(caplog: pytest.LogCaptureFixture, records: Records, features: Mapping[str, Feature], seed: int) -> str:
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        statistics_of(records, features, seed=seed)
    return caplog.text


def test_a_feature_that_no_record_has_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """Each seed is silent with probability 1 % where no record has the feature: five of five fail with 1e-10."""
    features: dict[str, Feature] = {"fare": Number(bounds=(0, 1)), "note": Text()}
    records: Records = [{"fare": [0.5]}] * 500
    texts = [warnings_of(caplog, records, features, seed) for seed in range(5)]
    assert any("'note': no more records have this feature" in text and "texts" in text for text in texts)
    assert not any("'fare'" in text for text in texts)
