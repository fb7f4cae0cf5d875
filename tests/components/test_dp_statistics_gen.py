"""DPStatisticsGen's executor on real files: TFDV reads what it writes, and each split is a release that is charged before it."""

from __future__ import annotations

import collections
import json
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import artifacts_on_disk as disk
import numpy as np
import pytest
from ledgers import DATASET, new_ledger

from tfx_privacy import DPPreprocessing, Number, Text
from tfx_privacy.errors import BudgetError, DataError, LedgerError, ParameterError
from tfx_privacy.ledger import Ledger, read_runs
from tfx_privacy.records import statement
from tfx_privacy.releases import features as feature_list
from tfx_privacy.releases.features import Feature
from tfx_privacy.releases.record import Release, file_name, release_digest

pytestmark = pytest.mark.slow

FEATURES: dict[str, Feature] = {
    "fare": Number(bounds=(0, 100), required=True),
    "hour": Number(bounds=(0, 24), integer=True),
    "company": Text(),
    "payment": Text(keys=["card", "cash"]),
    "absent": Number(bounds=(0, 1)),
}
PRIVACY = DPPreprocessing(target_epsilon=8.0, target_delta=1e-5)
CHARGED: dict[str, Any] = {"ledger": "env:TFX_PRIVACY_LEDGER", "dataset_id": DATASET}


def trips(size: int, seed: int) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    records: list[dict[str, Any]] = []
    for index, fare in enumerate(random.gamma(2.0, 8.0, size).tolist()):
        record: dict[str, Any] = {"fare": [fare], "payment": [b"cash" if fare < 12 else b"card"]}
        if index % 5:
            record |= {"hour": [index % 24], "company": [b"Alpha" if index % 3 else b"Beta"], "id": [index % 600]}
        records.append(record)
    return records


TRAIN, EVAL = trips(3000, 1), trips(1000, 2)


class Bench:
    def __init__(self, root: pathlib.Path) -> None:
        from tfx.types import standard_artifacts

        from tfx_privacy.components import artifacts

        self.root = root
        self.examples({"train": TRAIN, "eval": EVAL})
        self.outputs = disk.outputs(
            root / "out",
            statistics=standard_artifacts.ExampleStatistics,
            privacy_release=artifacts.PrivacyRelease,
        )

    def examples(self, splits: dict[str, list[dict[str, Any]]], name: str = "examples", shards: int = 3) -> None:
        self.inputs = {"examples": [disk.write_examples(self.root / name, splits, shards)]}
        self.inputs["examples"][0].span = 4
        self.inputs["examples"][0].set_string_custom_property("span", "4")

    def run(self, asked: Mapping[str, Feature] = FEATURES, noise: DPPreprocessing = PRIVACY, **properties: Any) -> None:
        from tfx_privacy.components.dp_statistics_gen import executor

        chosen = {"features": feature_list.to_json(asked), "privacy": noise.to_json(), **properties}
        executor.Executor().Do(self.inputs, self.outputs, chosen)

    @property
    def statistics(self) -> Any:
        return self.outputs["statistics"][0]

    def release(self, split: str) -> Release:
        text = (self.root / "out" / "privacy_release" / file_name(split)).read_text()
        return statement.from_json(Release, text)

    def of(self, split: str) -> Any:
        from tfx.components.statistics_gen import stats_artifact_utils

        return stats_artifact_utils.load_statistics(self.statistics, split).proto()

    def nothing_written(self) -> bool:
        return not any(path.is_file() for path in (self.root / "out").rglob("*"))


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def address(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> str:
    address = f"sqlite:///{tmp_path}/ledger.db"
    monkeypatch.setenv("TFX_PRIVACY_LEDGER", address)
    return address


def entry(statistics: Any, name: str) -> Any:
    (found,) = [feature for feature in statistics.datasets[0].features if list(feature.path.step) == [name]]
    return found


def ledger_at(address: str, epsilon: float = 100.0) -> Ledger:
    """Of the delta a tenth is set aside for thresholds: a release spends 1e-6 of it."""
    return new_ledger(address, epsilon=epsilon, delta=1e-4, threshold_delta=1e-5)


def states(ledger: Ledger) -> list[str]:
    return [run.state for run in ledger.verify().datasets[DATASET].runs.values()]


def test_what_a_run_that_was_killed_left_is_gone(bench: Bench) -> None:
    """Exact sums must not lie about, and must not be added to others."""
    left = bench.root / "out" / "statistics" / ".work-0123"
    left.mkdir(parents=True)
    (left / "sums-00000-of-00001").write_bytes(b"exact")
    bench.run()
    assert {path.name for path in (bench.root / "out" / "statistics").iterdir()} == {"Split-train", "Split-eval"}


def test_each_split_has_statistics_and_the_record_of_its_release(bench: Bench) -> None:
    from tfx.types import artifact_utils

    from tfx_privacy.components import _files

    bench.run()
    assert artifact_utils.decode_split_names(bench.statistics.split_names) == ["eval", "train"]
    assert bench.statistics.span == 4
    for split, size in {"train": len(TRAIN), "eval": len(EVAL)}.items():
        found, release = bench.of(split), bench.release(split)
        assert abs(found.datasets[0].num_examples - size) < 100
        folder = bench.root / "out" / "statistics" / f"Split-{split}"
        assert [path.name for path in folder.iterdir()] == ["FeatureStats.pb"]
        assert release.artifact_digest == _files.directory_digest(str(folder))
        assert (release.component, release.splits, release.examples[0].span) == ("statistics", [split], "4")
        assert (release.privacy_unit, release.is_private, release.ledger) == ("example", True, None)
        assert sorted({answer.features[0] for answer in release.answers}) == sorted([*FEATURES, "num_examples"])
        assert release.noise_multiplier == pytest.approx(bench.release("train").noise_multiplier)
    assert {path.name for path in (bench.root / "out" / "statistics").iterdir()} == {"Split-train", "Split-eval"}
    assert bench.release("train").run_id != bench.release("eval").run_id
    assert bench.outputs["privacy_release"][0].get_string_custom_property("run_id_eval") == bench.release("eval").run_id


def test_two_runs_have_different_noise(bench: Bench, tmp_path: pathlib.Path) -> None:
    bench.run(splits='["train"]')
    first = bench.of("train")
    bench.run(splits='["train"]')
    assert first != bench.of("train")


def test_numbers_and_texts_are_near_those_of_the_records(bench: Bench) -> None:
    """Noise of at most 30 records or so, at epsilon 8 of nine answers; limits are more than six of its deviations away."""
    bench.run(splits='["train"]')
    found = bench.of("train")
    fares = np.array([record["fare"][0] for record in TRAIN])
    fare = entry(found, "fare").num_stats
    assert fare.mean == pytest.approx(np.clip(fares, 0, 100).mean(), abs=2.0)
    assert fare.median == pytest.approx(np.median(fares), abs=4.0)
    companies = {value.value: value.frequency for value in entry(found, "company").string_stats.top_values}
    exact = collections.Counter(record["company"][0].decode() for record in TRAIN if "company" in record)
    assert companies == pytest.approx(dict(exact), abs=60)
    absent = entry(found, "absent").num_stats.common_stats
    assert absent.num_non_missing < 60


def test_tfdv_infers_a_schema_validates_and_draws(bench: Bench) -> None:
    import tensorflow_data_validation as tfdv
    from tensorflow_data_validation.utils import display_util
    from tensorflow_transform.tf_metadata import schema_utils

    bench.run()
    path = bench.root / "out" / "statistics" / "Split-train" / "FeatureStats.pb"
    train = tfdv.load_stats_binary(str(path))
    schema = tfdv.infer_schema(train)
    spec = {
        name: type(parsed).__name__ for name, parsed in schema_utils.schema_as_feature_spec(schema).feature_spec.items()
    }
    assert spec == {"fare": "FixedLenFeature"} | dict.fromkeys(
        ("hour", "company", "payment", "absent"), "VarLenFeature"
    )
    assert {
        feature.name: list(domain.value)
        for feature in schema.feature
        for domain in schema.string_domain
        if feature.domain == domain.name
    } == {
        "company": ["Alpha", "Beta"],
        "payment": ["card", "cash"],
    }
    for split in ("train", "eval"):
        anomalies = tfdv.validate_statistics(bench.of(split), schema)
        assert set(anomalies.anomaly_info) <= {"absent"}
    drawn = display_util.get_statistics_html(train, lhs_name="train", rhs_statistics=bench.of("eval"), rhs_name="eval")
    assert "<facets-overview" in drawn


def test_records_parse_by_the_schema_that_follows(bench: Bench) -> None:
    import tensorflow as tf
    import tensorflow_data_validation as tfdv
    from tensorflow_transform.tf_metadata import schema_utils

    bench.run(splits='["train"]')
    spec = schema_utils.schema_as_feature_spec(tfdv.infer_schema(bench.of("train"))).feature_spec
    parsed = tf.io.parse_example([disk.serialize(record) for record in TRAIN], spec)
    assert parsed["fare"].shape == (len(TRAIN), 1)
    assert parsed["hour"].dtype == tf.int64


def test_what_the_author_says_otherwise_than_the_records_costs_no_run(bench: Bench) -> None:
    """Numbers that are texts, texts that are numbers, files without any record: noise is the right answer."""
    bench.examples({"train": TRAIN, "eval": []}, "others")
    bench.run({"company": Number(bounds=(0, 1)), "fare": Text(), "hour": Number(bounds=(0, 24))})
    train, empty = bench.of("train"), bench.of("eval")
    assert entry(train, "company").num_stats.common_stats.num_non_missing < 60
    assert entry(train, "fare").string_stats.unique == 0
    # Whole numbers are numbers, though the author did not say that they are whole.
    assert entry(train, "hour").num_stats.mean == pytest.approx(11.5, abs=1.0)
    assert empty.datasets[0].num_examples < 60


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"splits": '["test"]'}, r"Unknown split 'test'. The examples have: eval, train"),
        ({"splits": "[]"}, r"splits=\[\] to name at least one"),
        ({"splits": '["train", "train"]'}, r"name each split once"),
        ({"splits": '"train"'}, r"splits='train'"),
        ({"features": "{}"}, r"at least one feature"),
        ({"features": '{"fare": {"kind": "number", "bounds": [3, 1]}}'}, r"bounds="),
        ({"privacy": '{"target_delta": 1e-6}'}, r"one of noise_multiplier"),
    ],
)
def test_mistakes_are_found_before_the_charge(
    bench: Bench, address: str, properties: dict[str, Any], message: str
) -> None:
    ledger = ledger_at(address)
    with pytest.raises(ParameterError, match=message):
        bench.run(**CHARGED, **properties)
    assert states(ledger) == []
    assert bench.nothing_written()


def test_files_that_are_no_examples_cost_nothing(bench: Bench, address: str) -> None:
    ledger = ledger_at(address)
    (bench.root / "examples" / "Split-eval" / "other.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="Parquet"):
        bench.run(**CHARGED)
    for path in (bench.root / "examples" / "Split-eval").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="hold no file"):
        bench.run(**CHARGED)
    assert states(ledger) == []


def test_each_split_is_charged_and_its_record_says_where(
    bench: Bench, ledger_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFX_PRIVACY_LEDGER", ledger_address)
    ledger = ledger_at(ledger_address)
    bench.run(**CHARGED)
    releases = [bench.release(split) for split in ("train", "eval")]
    found = read_runs("env:TFX_PRIVACY_LEDGER", [release.run_id for release in releases])
    for release in releases:
        run = found[release.run_id]
        assert (run.state, run.purpose, run.model_digest) == ("COMMITTED", "release", release.artifact_digest)
        assert run.guarantee_digest == release_digest(release)
        assert release.dataset_id == DATASET
        assert release.ledger is not None
        assert (run.sequence, run.entry_hash) == (release.ledger.sequence, release.ledger.entry_hash)
    kinds = [log_entry.body.kind for log_entry in ledger.log(DATASET)]
    # Both are charged before either is read.
    assert kinds == ["register", "reserve", "reserve", "start", "start", "commit", "commit"]


def test_a_second_split_that_the_budget_does_not_hold_gives_the_first_one_back(bench: Bench, address: str) -> None:
    ledger = ledger_at(address, epsilon=10.0)
    for file in (bench.root / "examples").rglob("*.gz"):
        file.write_bytes(file.read_bytes()[:-20])  # whoever reads fails otherwise than by the budget
    with pytest.raises(BudgetError, match="is left"):
        bench.run(**CHARGED)
    assert states(ledger) == ["ABORTED"]
    assert bench.nothing_written()
    with pytest.raises(DataError):
        bench.run(splits='["train"]', **CHARGED)  # alone it fits, so what was given back is there again


@pytest.mark.parametrize("cut", [8, 20, 200])
def test_a_damaged_file_leaves_the_charge_and_no_sums(bench: Bench, address: str, cut: int) -> None:
    """Of a file without its last eight bytes, length and checksum, TensorFlow reads what is there and says nothing."""
    ledger = ledger_at(address)
    file = min((bench.root / "examples" / "Split-train").glob("*.gz"))
    file.write_bytes(file.read_bytes()[:-cut])
    with pytest.raises(DataError, match="cut short or damaged"):
        bench.run(splits='["train"]', **CHARGED)
    assert states(ledger) == ["STARTED"]
    assert bench.nothing_written()


def test_what_the_ledger_does_not_take_is_removed(bench: Bench, address: str) -> None:
    """Somebody settles the run while it is at work: it may not be committed any more."""
    from tfx_privacy.components import accounts, release_charge, releasing
    from tfx_privacy.releases import plan as plans

    ledger = ledger_at(address)
    bench.run(splits='["train"]', **CHARGED)
    plan = plans.plan(feature_list.queries(FEATURES), PRIVACY)
    kind = {"privacy_unit": "example", "neighboring_relation": "ADD_OR_REMOVE_ONE"}
    account = accounts.check(**CHARGED, dataset_blocks=[])
    with release_charge.charged(
        account, run=plan.run, delta_spent=plan.delta_spent, labels={"split": "train"}, **kind
    ) as run:
        ledger.settle(run.run_id, approver="Dana", reason="stopped")
        again = bench.release("train").model_copy(update={"run_id": run.run_id, "dataset_id": None, "ledger": None})
        with pytest.raises(LedgerError):
            releasing.commit(run, again, bench.outputs)
    assert bench.nothing_written()
    assert states(ledger) == ["COMMITTED", "SETTLED"]


def test_people_are_the_unit_where_they_are_told_apart(bench: Bench) -> None:
    """Five records of each of 600 users, of which two count; records of nobody do not."""
    privacy = DPPreprocessing(
        noise_multiplier=0.5,
        target_delta=1e-5,
        privacy_unit="user",
        user_id_key="id",
        max_records_per_user=2,
    )
    bench.run({"hour": Number(bounds=(0, 24), integer=True), "fare": Text()}, privacy, splits='["train"]')
    release, found = bench.release("train"), bench.of("train")
    assert (release.privacy_unit, release.user_id_key, release.max_records_per_user) == ("user", "id", 2)
    exact = sum(min(2, count) for count in collections.Counter(r["id"][0] for r in TRAIN if "id" in r).values())
    assert abs(found.datasets[0].num_examples - exact) < 60


def test_a_record_of_several_users_is_nobody_s(bench: Bench) -> None:
    """Counted for each of them, one record would move the sums by more than they are said to move; and ExampleGen's hash, which
    shows that splits are disjoint for users, takes several for another user."""
    ids = ([index, index + 3000, index + 6000] if index % 3 else [index] for index in range(len(TRAIN)))
    bench.examples({"train": [{**record, "id": each} for record, each in zip(TRAIN, ids, strict=True)]}, "of_several")
    privacy = DPPreprocessing(
        noise_multiplier=0.5, target_delta=1e-5, privacy_unit="user", user_id_key="id", max_records_per_user=1
    )
    bench.run({"hour": Number(bounds=(0, 24), integer=True)}, privacy)
    assert abs(bench.of("train").datasets[0].num_examples - len(TRAIN) / 3) < 60


def naive(records: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Each query of each record alone, by Python's own parsing; far slower."""
    from tfx_privacy.releases.columns import Column
    from tfx_privacy.releases.queries import Presence, VectorQuery, Vocabulary

    total: list[Any] = []
    for query in feature_list.queries(FEATURES):
        added: Any = collections.Counter() if isinstance(query, Vocabulary) else 0
        for record in records:
            feature = FEATURES.get(query.name)
            everyone = isinstance(query, Presence) and query.everyone
            values = [1] if everyone else record.get(query.name, [])
            kind: Any = object if isinstance(feature, Text) else np.float32
            column = Column(np.array(values, kind), np.zeros(len(values), np.int64))
            if isinstance(query, Vocabulary):
                added.update(query.counts(column))
            else:
                assert isinstance(query, VectorQuery)
                added = added + query.sums(column)
        total.append(added)
    return total


@pytest.mark.parametrize("shards", [1, 7])
def test_the_sums_are_exact_for_any_number_of_files(tmp_path: pathlib.Path, shards: int) -> None:
    import apache_beam as beam

    from tfx_privacy import compat
    from tfx_privacy.components import exact_sums
    from tfx_privacy.components.dp_statistics_gen import reader
    from tfx_privacy.releases.queries import Vocabulary

    records = trips(500, 3)
    disk.write_examples(tmp_path / "examples", {"train": records}, shards)
    files = [str(path) for path in (tmp_path / "examples" / "Split-train").iterdir()]
    queries = feature_list.queries(FEATURES)
    folder = tmp_path / "sums"
    with beam.Pipeline(runner=compat.LOCAL_BEAM_RUNNER) as pipeline:
        exact_sums.build(
            pipeline, exact_sums.Questions(reader.of_queries(FEATURES, queries), queries), files, str(folder)
        )
    found: list[Any] = exact_sums.read(str(folder), queries)
    for query, ours, theirs in zip(queries, found, naive(records), strict=True):
        assert ours == theirs if isinstance(query, Vocabulary) else np.array_equal(ours, theirs), query.name


def test_the_noise_of_each_answer_is_as_large_as_the_record_says(tmp_path: pathlib.Path) -> None:
    """Of 2046 and of 1500 numbers; the variance of so many is off by a fifth in less than one of 10^9 cases."""
    import apache_beam as beam

    from tfx_privacy import compat
    from tfx_privacy.components import releasing
    from tfx_privacy.components.dp_statistics_gen import reader
    from tfx_privacy.random_bits import RandomBits
    from tfx_privacy.releases import plan as plans
    from tfx_privacy.releases.queries import VectorQuery

    features: dict[str, Feature] = {
        "fare": Number(bounds=(0, 100), bins=1024, share=3.0),
        "payment": Text(keys=[f"kind {number}" for number in range(1500)], required=True),
    }
    disk.write_examples(tmp_path / "examples", {"train": EVAL})
    files = [str(path) for path in (tmp_path / "examples" / "Split-train").iterdir()]
    plan = plans.plan(feature_list.queries(features), DPPreprocessing(noise_multiplier=20.0, target_delta=1e-6))
    source, places = reader.of_queries(features, plan.queries), range(len(plan.queries))
    released = releasing.released(
        lambda: beam.Pipeline(runner=compat.LOCAL_BEAM_RUNNER),
        source,
        files,
        plan,
        places,
        str(tmp_path / "sums"),
        RandomBits.of_seed(1),
    )
    assert sorted(released) == list(places)
    assert not (tmp_path / "sums").exists()
    exact = source.columns(tf_constant([disk.serialize(record) for record in EVAL]))
    ratios = []
    for place, (query, answer) in enumerate(zip(plan.queries, plan.answers, strict=True)):
        assert isinstance(query, VectorQuery)
        noise = released[place] - query.released(query.sums(exact[place]))
        if len(noise) > 1000:
            ratios.append(float(np.mean(noise.astype(np.float64) ** 2)) / answer.noise_standard_deviation**2)
    assert len(ratios) == 2
    assert ratios == pytest.approx([1.0, 1.0], abs=0.22)


def tf_constant(records: list[bytes]) -> Any:
    import tensorflow as tf

    return tf.constant(records, tf.string)


def test_the_component_declares_what_its_executor_reads() -> None:
    from tfx.orchestration import data_types
    from tfx.types import Channel, standard_artifacts

    from tfx_privacy import DPStatisticsGen

    examples = Channel(type=standard_artifacts.Examples)
    target = data_types.RuntimeParameter("target_epsilon", float)
    component = DPStatisticsGen(
        examples, FEATURES, PRIVACY, splits=["train"], target_epsilon=target, **CHARGED, dataset_blocks=["2026"]
    )
    properties = component.exec_properties
    assert feature_list.from_json(properties["features"]) == FEATURES
    assert json.loads(properties["splits"]) == ["train"]
    assert properties["target_epsilon"] is target
    assert json.loads(properties["dataset_blocks"]) == ["2026"]
    assert component.outputs["statistics"].type is standard_artifacts.ExampleStatistics
    assert component.outputs["privacy_release"].type.TYPE_NAME == "tfx_privacy.PrivacyRelease"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": {}}, "at least one feature"),
        ({"splits": "train"}, "splits='train'"),
        ({"splits": []}, r"splits=\[\]"),
        ({"privacy": 0.1}, "privacy=0.1"),
        ({"privacy": DPPreprocessing(noise_multiplier=1.0, target_delta=1e-6, shares={"tips": 2.0})}, "'tips'"),
        ({"target_epsilon": math.nan}, "target_epsilon=nan"),
        ({"dataset_id": "trips"}, "there is no ledger"),
    ],
)
def test_a_pipeline_with_a_mistake_is_not_built(arguments: dict[str, Any], message: str) -> None:
    from tfx.types import Channel, standard_artifacts

    from tfx_privacy import DPStatisticsGen

    given: dict[str, Any] = {"features": FEATURES, "privacy": PRIVACY, **arguments}
    with pytest.raises(ParameterError, match=message):
        DPStatisticsGen(Channel(type=standard_artifacts.Examples), **given)
