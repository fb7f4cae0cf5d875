"""DPTransform's executor on real files: what it writes, what it charges, and what it leaves where it fails."""

from __future__ import annotations

import pathlib
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import private_transform
import pytest
from ledgers import DATASET, new_ledger
from places import HELPERS
from project_zygote import Zygote
from transform_bench import EVAL, PRIVACY, TRAIN, WORK, Bench

from tfx_privacy.errors import BudgetError, DataError, LedgerError, ParameterError
from tfx_privacy.ledger import Ledger, read_runs
from tfx_privacy.releases.noisy import Values
from tfx_privacy.releases.parameters import DPPreprocessing
from tfx_privacy.releases.queries import Presence
from tfx_privacy.releases.record import release_digest

pytestmark = pytest.mark.slow

CHARGED: dict[str, Any] = {"ledger": "env:TFX_PRIVACY_LEDGER", "dataset_id": DATASET}
SIGKILL = -signal.SIGKILL


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def address(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> str:
    address = f"sqlite:///{tmp_path}/ledger.db"
    monkeypatch.setenv("TFX_PRIVACY_LEDGER", address)
    return address


def ledger_at(address: str, epsilon: float = 100.0) -> Ledger:
    """Of the delta a tenth is set aside for thresholds: a release spends 1e-6 of it."""
    return new_ledger(address, epsilon=epsilon, delta=1e-4, threshold_delta=1e-5)


def states(ledger: Ledger) -> list[str]:
    return [run.state for run in ledger.verify().datasets[DATASET].runs.values()]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """One run, which the tests below look at."""
    made = Bench(tmp_path_factory.mktemp("ran"))
    made.run()
    return made


def values(examples: list[Any], name: str, kind: str = "float_list") -> list[list[Any]]:
    return [list(getattr(example.features.feature[name], kind).value) for example in examples]


def test_records_are_transformed_by_what_was_released(ran: Bench) -> None:
    """Noise of at most 30 in sums of 2,000 records: mean and deviation are within some hundredths of exact ones."""
    x = private_transform.values_of(TRAIN, "x")
    clipped = np.clip(x, 0.0, 60.0)
    found = ran.transformed()
    assert len(found) == 2000
    order = np.argsort(clipped)
    ours = np.sort(np.concatenate(values(found, "x")))
    np.testing.assert_allclose(ours, (clipped[order] - clipped.mean()) / clipped.std(), atol=0.15)
    buckets = Counter(bucket for (bucket,) in values(found, "bucket", "int64_list"))
    assert sorted(buckets) == [0, 1, 2, 3]
    assert all(abs(count - 500) < 120 for count in buckets.values())
    exact = Counter(private_transform.values_of(TRAIN, "word").tolist())
    places = Counter(place for (place,) in values(found, "word", "int64_list"))
    assert [places[place] for place in range(2)] == [count for _, count in exact.most_common(2)]
    assert len(ran.transformed("eval")) == len(EVAL)


def test_the_graph_is_read_as_any_other(ran: Bench) -> None:
    import tensorflow as tf
    import tensorflow_transform as tft

    output = tft.TFTransformOutput(str(ran.graph))
    assert sorted(output.transformed_feature_spec()) == ["bucket", "n", "pair", "word", "words", "x"]
    assert output.vocabulary_by_name("words")[0] == b"a"
    assert output.vocabulary_size_by_name("words") == len(output.vocabulary_by_name("words"))
    assert len(output.vocabulary_by_name("numbers")) == 3
    raw = {
        "x": tf.constant([1e9, -5.0]), "pair": tf.zeros((2, 2)), "n": tf.constant([0, 99], tf.int64),
        "word": tf.constant([b"a", b"never seen"]), "user": tf.constant([b"", b""]),
        "words": tf.sparse.from_dense([[b"a"], [b""]]), "numbers": tf.sparse.from_dense([[0.0], [0.0]]),
    }  # fmt: skip
    made = output.transform_features_layer()(raw)
    assert made["word"].numpy().tolist() == [0, output.vocabulary_size_by_name("words")]
    assert made["n"].numpy()[1] == -1
    np.testing.assert_allclose(made["pair"], 0.5)
    # Values beyond the bounds are scaled as the bounds are.
    assert made["x"].numpy()[0] < 6.0


def test_the_release_tells_what_was_done(ran: Bench) -> None:
    from tfx_privacy.components import _files

    release = ran.release()
    assert [answer.features[0] for answer in release.answers] == [
        "scale_to_z_score(x)", "bucketize(x)", "vocabulary(word)", "vocabulary(n)", "vocabulary(words)",
    ]  # fmt: skip
    assert release.noise_multiplier == pytest.approx(2.0)
    assert release.artifact_digest == _files.directory_digest(str(ran.graph))
    assert (release.component, release.splits, release.privacy_unit) == ("transform", ["train"], "example")
    assert (release.is_private, release.ledger, release.files_read, release.uncovered_analyzers) == (True, None, [], [])
    (read,) = release.examples
    assert (read.span, read.version, read.fingerprint) == ("4", "2", "files:2")
    assert ran.outputs["privacy_release"][0].get_string_custom_property("run_id") == release.run_id


def test_transformed_examples_say_which_ones_they_are_of(ran: Bench) -> None:
    (transformed,) = ran.outputs["transformed_examples"]
    for name, value in (("span", "4"), ("version", "2"), ("input_fingerprint", "files:2"), ("other", "")):
        assert transformed.get_string_custom_property(name) == value


def test_nothing_that_is_exact_is_left(ran: Bench) -> None:
    """Neither sums nor statistics, nor temporary files of Transform's."""
    written = ran.files()
    assert [name for name in written if WORK in name or "sums" in name or "tats" in name or "temp" in name] == []
    assert {name.split("/")[0] for name in written} == {"transform_graph", "transformed_examples", "privacy_release"}
    assert sorted(path.name for path in ran.graph.iterdir()) == ["metadata", "transform_fn", "transformed_metadata"]


def test_two_runs_have_different_noise(bench: Bench, ran: Bench) -> None:
    bench.run()
    ours, theirs = (each.transformed()[0].features.feature["x"].float_list.value[0] for each in (bench, ran))
    assert ours != theirs
    assert bench.release().run_id != ran.release().run_id


def test_several_splits_are_one_release(bench: Bench) -> None:
    from tfx.proto import transform_pb2
    from tfx.utils import proto_utils

    splits = proto_utils.proto_to_json(transform_pb2.SplitsConfig(analyze=["train", "eval"], transform=["eval"]))
    privacy = DPPreprocessing(noise_multiplier=0.3, target_delta=1e-5)
    bench.run("one_mean", privacy, splits_config=splits, splits_disjoint_for="example")
    release = bench.release()
    assert (release.splits, release.splits_disjoint_for) == (["train", "eval"], "example")
    x = np.clip(private_transform.values_of([*TRAIN, *EVAL], "x"), 0.0, 60.0)
    raw = private_transform.values_of(EVAL, "x")
    shift = np.sort(raw)[0] - np.sort(np.concatenate(values(bench.transformed("eval"), "x")))[0]
    # Six standard deviations: 30 * 0.3 * sqrt(3) of 2,500 records, of the mean and of the number.
    assert shift == pytest.approx(x.mean(), abs=6 * 1.5 * 30 * 0.3 * 3**0.5 / 2500)
    assert not (bench.root / "out" / "transformed_examples" / "Split-train").exists()


def test_people_are_the_unit_where_they_are_told_apart(bench: Bench) -> None:
    """Seven users of some 286 records each, of which ten count: a sum of 70 records and not of 2,000."""
    privacy = DPPreprocessing(
        noise_multiplier=0.3, target_delta=1e-5, privacy_unit="user", user_id_key="user", max_records_per_user=10
    )
    bench.run("one_mean", privacy)
    release = bench.release()
    assert (release.privacy_unit, release.user_id_key, release.max_records_per_user) == ("user", "user", 10)
    (answer,) = release.answers
    assert answer.noise_standard_deviation == pytest.approx(0.3 * 10 * answer.l2_sensitivity)
    assert release.noise_multiplier == pytest.approx(0.3)


def test_a_custom_config_is_passed_on(bench: Bench) -> None:
    bench.run("with_config", custom_config='{"high": 30.0}')
    x = private_transform.values_of(TRAIN, "x")
    found = np.sort(np.concatenate(values(bench.transformed(), "x")))
    wanted = np.sort(np.clip(x, 0.0, 30.0) / 30.0)
    np.testing.assert_allclose(found - found[0], wanted - wanted[0], atol=1e-5)


def test_tft_s_own_analyzers_are_refused_or_named(bench: Bench, address: str) -> None:
    ledger = ledger_at(address)
    with pytest.raises(ParameterError, match="tft's own analyzers, which add no noise: scale_to_z_score/mean_and_var"):
        bench.run("uncovered", **CHARGED)
    assert (states(ledger), bench.files()) == ([], [])
    bench.run("uncovered", allow_uncovered_analyzers=1)
    assert bench.release().uncovered_analyzers == ["scale_to_z_score/mean_and_var"]
    assert np.mean(np.concatenate(values(bench.transformed(), "n"))) == pytest.approx(0.0, abs=1e-4)


def test_what_adds_no_noise_is_refused(tmp_path: pathlib.Path) -> None:
    from tfx_privacy.components.dp_transform import executor
    from tfx_privacy.transform.session import Session

    session = Session(str(tmp_path))
    session.queries, session.uncovered = [Presence(name="x")], ["mean/mean_and_var"]
    executor._check(session, allow_uncovered=True)
    with pytest.raises(ParameterError, match="which add no noise: mean/mean_and_var"):
        executor._check(session, allow_uncovered=False)


def test_a_file_is_a_vocabulary_by_what_is_in_it(tmp_path: pathlib.Path) -> None:
    from tfx_privacy.components.dp_transform import executor
    from tfx_privacy.transform.session import Session

    assets, session = tmp_path / "transform_fn" / "assets", Session(str(tmp_path / "vocabularies"))
    assert executor._foreign_assets(str(tmp_path), session) == []
    assets.mkdir(parents=True)
    path = session.vocabulary_file(0, "words", (None, None), Values([b"a"], [50]), numbers=False)
    (assets / "words").write_bytes(pathlib.Path(path).read_bytes())
    (assets / "words_1").write_bytes(b"foreign\n")
    assert executor._foreign_assets(str(tmp_path), session) == ["words_1"]
    (assets / "words").write_bytes(b"foreign too\n")
    assert executor._foreign_assets(str(tmp_path), session) == ["words", "words_1"]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("nothing_private", "asks nothing of the records with noise, so there is nothing to release. Use Transform"),
        ("texts_as_numbers", "mean.word. needs numbers, and its feature holds texts"),
    ],
)
def test_a_function_that_cannot_be_released_costs_nothing(
    bench: Bench, address: str, function: str, message: str
) -> None:
    ledger = ledger_at(address)
    with pytest.raises(ParameterError, match=message):
        bench.run(function, **CHARGED)
    assert (states(ledger), bench.files()) == ([], [])


@pytest.mark.parametrize(
    ("properties", "error", "message"),
    [
        ({"privacy": '{"target_delta": 1e-6}'}, ParameterError, "one of noise_multiplier"),
        (
            {"splits_config": '{"analyze": ["test"]}'},
            ParameterError,
            "Unknown split 'test'. The examples have: eval, train",
        ),
    ],
)
def test_mistakes_cost_nothing(bench: Bench, address: str, properties: Any, error: Any, message: str) -> None:
    ledger = ledger_at(address)
    with pytest.raises(error, match=message):
        bench.run("one_mean", **CHARGED, **properties)
    assert (states(ledger), bench.files()) == ([], [])


def test_a_release_is_charged_and_its_record_says_where(
    bench: Bench, ledger_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFX_PRIVACY_LEDGER", ledger_address)
    ledger = ledger_at(ledger_address)
    bench.run(**CHARGED)
    release = bench.release()
    run = read_runs("env:TFX_PRIVACY_LEDGER", [release.run_id])[release.run_id]
    assert (run.state, run.purpose, run.model_digest) == ("COMMITTED", "release", release.artifact_digest)
    assert run.guarantee_digest == release_digest(release)
    assert (release.dataset_id, release.ledger is not None) == (DATASET, True)
    assert [entry.body.kind for entry in ledger.log(DATASET)] == ["register", "reserve", "start", "commit"]


def test_a_budget_that_does_not_suffice_leaves_nothing(bench: Bench, address: str) -> None:
    ledger = ledger_at(address, epsilon=0.1)
    for file in (bench.root / "examples").rglob("*.gz"):
        file.write_bytes(file.read_bytes()[:-20])  # whoever reads fails otherwise than by the budget
    with pytest.raises(BudgetError, match="is left"):
        bench.run(**CHARGED)
    assert (states(ledger), bench.files()) == ([], [])


def test_a_run_that_fails_after_its_charge_stays_charged_and_leaves_no_sums(bench: Bench, address: str) -> None:
    ledger = ledger_at(address)
    file = min((bench.root / "examples" / "Split-train").glob("*.gz"))
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DataError, match="cut short or damaged") as error:
        bench.run(**CHARGED)
    assert str(file) in str(error.value)
    assert (states(ledger), bench.files()) == (["STARTED"], [])


def test_what_the_ledger_does_not_take_is_removed(bench: Bench, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody settles the run while it is at work: its graph must not lie about for others to find."""
    from tfx_privacy.components import releasing

    ledger, make = ledger_at(address), releasing.make_release

    def settled(*arguments: Any, **more: Any) -> Any:
        assert any("transform_graph" in name for name in bench.files())
        ledger.settle(more["run_id"], approver="Dana", reason="stopped")
        return make(*arguments, **more)

    monkeypatch.setattr(releasing, "make_release", settled)
    with pytest.raises(LedgerError):
        bench.run("one_mean", **CHARGED)
    assert (states(ledger), bench.files()) == (["SETTLED"], [])


def test_files_that_the_function_reads_are_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bench.root / "mean.txt"
    path.write_text("5")
    monkeypatch.setenv("TFX_PRIVACY_TEST_FILE", str(path))
    bench.run("reads_a_file")
    assert bench.release().files_read == [str(path)]


def test_files_that_the_module_reads_are_named(bench: Bench) -> None:
    path, module = bench.root / "mean.txt", bench.root / "module" / "reads_at_once.py"
    path.write_text("5")
    module.parent.mkdir()
    module.write_text(
        "import preprocessing_functions\n"
        f"with open({str(path)!r}) as file:\n"
        "    MEAN = float(file.read())\n"
        "def preprocessing_fn(inputs):\n"
        "    return {'x': preprocessing_functions.one_mean(inputs)['x'] - MEAN}\n"
    )
    bench.run(module_file=str(module))
    assert bench.release().files_read == [str(path)]


def test_a_vocabulary_of_somebody_else_s_is_named_whatever_its_name_is(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bench.root / "words").write_bytes(b"a\nb\nc\n")
    monkeypatch.setenv("TFX_PRIVACY_TEST_FOLDER", str(bench.root))
    bench.run("brings_a_vocabulary")
    assert bench.release().files_read == [str(bench.root / "words"), "words"]


def test_what_fails_after_the_release_stays_charged(bench: Bench, address: str) -> None:
    """Transform's own work fails: what was drawn is lost, and paid for."""
    ledger = ledger_at(address)
    with pytest.raises(Exception, match="StringToNumber|to_number|could not"):
        bench.run("fails_on_records", **CHARGED)
    assert states(ledger) == ["STARTED"]
    assert not [name for name in bench.files() if WORK in name or name.startswith("privacy_release")]


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    process = Zygote()
    yield process
    process.close()


@pytest.mark.parametrize(
    ("moment", "wanted"),
    [("charged", ["STARTED"]), ("summed up", ["STARTED"]), ("transformed", ["STARTED"]), ("committed", ["COMMITTED"])],
)
def test_a_killed_run_stays_charged(zygote: Zygote, bench: Bench, address: str, moment: str, wanted: list[str]) -> None:
    """And writes no record, so nothing that it left is taken for a release."""
    import os

    ledger = ledger_at(address)
    log = bench.root / "log"
    code = zygote.run(
        str(HELPERS / "killed_transform.py"), str(bench.root), moment, cwd=HELPERS, environ=dict(os.environ), log=log
    )
    assert code == SIGKILL, log.read_text()
    assert states(ledger) == wanted
    assert ledger.dataset(DATASET).blocks[""].charged > 0
    assert not [name for name in bench.files() if name.startswith("privacy_release")]


def test_a_second_run_of_a_cached_pipeline_costs_nothing(tmp_path: pathlib.Path, address: str) -> None:
    from tfx.components import ImportExampleGen
    from tfx.dsl.components.common import importer
    from tfx.orchestration import pipeline
    from tfx.types import standard_artifacts

    from tfx_privacy import DPTransform
    from tfx_privacy.pipelines import local_runner

    made, ledger = Bench(tmp_path / "bench"), ledger_at(address)
    module = tmp_path / "module" / "module.py"
    module.parent.mkdir()
    module.write_text("from preprocessing_functions import one_mean as preprocessing_fn\n")
    runs = []
    for _ in range(2):
        example_gen = ImportExampleGen(input_base=str(made.root / "examples" / "Split-train"))
        schema = importer.Importer(source_uri=str(made.root / "schema"), artifact_type=standard_artifacts.Schema)
        transform = DPTransform(
            example_gen.outputs["examples"], schema.outputs["result"], PRIVACY, module_file=str(module), **CHARGED
        )
        runs.append(
            pipeline.Pipeline(
                pipeline_name="cached",
                pipeline_root=str(tmp_path / "artifacts"),
                components=[example_gen, schema, transform],
                enable_cache=True,
                metadata_connection_config=local_runner.sqlite_metadata(str(tmp_path / "metadata.db")),
            )
        )
        local_runner.run_locally(runs[-1])
    assert states(ledger) == ["COMMITTED"]
    (release,) = (tmp_path / "artifacts").glob("DPTransform/privacy_release/*")
    assert (release / "privacy_release.json").is_file()
