"""DPTrainer with what was released of the same records, on real artifacts."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import evidence
import pytest
from ledgers import DATASET, new_ledger, open_ledger
from trainer_bench import MODULE, PRIVATE, Bench

from tfx_privacy.accounting.composition import dp_sgd_event
from tfx_privacy.accounting.epsilon import epsilon_bounds
from tfx_privacy.errors import CheckpointError, EvidenceError, ParameterError, TFXPrivacyError
from tfx_privacy.guarantee.coverage import covered
from tfx_privacy.guarantee.mechanism import DPMechanism
from tfx_privacy.guarantee.recomputation import epsilon_of_this_run, recomputed_epsilon
from tfx_privacy.guarantee.record import CoveredRelease, PrivacyGuarantee
from tfx_privacy.guarantee.spending import identities
from tfx_privacy.records import signing, statement
from tfx_privacy.releases.record import Answer, ExamplesRead, Release, Selection, file_name

pytestmark = pytest.mark.slow

CALIBRATED = dataclasses.replace(PRIVATE, noise_multiplier=None, target_epsilon=3.0, population=300)
EXAMPLES = ExamplesRead(span="4", version="2", fingerprint="split:single_split,num_files:1")
DELTA_SPENT = 2e-5
NOISE = 20.0


def a_release(component: Any = "transform", **changes: Any) -> Release:
    deviation = 10.0
    answers = [
        Answer(kind="moments", features=["x"], numbers=3, l2_sensitivity=deviation / 40.0,
               noise_standard_deviation=deviation),
        Answer(kind="vocabulary", features=["s"], l2_sensitivity=deviation / 40.0, noise_standard_deviation=deviation,
               selection=Selection(threshold=90, delta=DELTA_SPENT, max_keys=1)),
    ]  # fmt: skip
    values: dict[str, Any] = {
        "run_id": "5" * 32,
        "issued_at": evidence.ISSUED,
        "component": component,
        "examples": [EXAMPLES],
        "splits": ["train"],
        "splits_disjoint_for": "example",
        "privacy_unit": "example",
        "neighboring_relation": "ADD_OR_REMOVE_ONE",
        "answers": answers,
        "noise_multiplier": NOISE,
        "noise_source": "os_entropy",
        "artifact_digest": evidence.OTHER_DIGEST,
        "engine": "test",
    }
    return Release(**{**values, **changes})


def of_eval(**changes: Any) -> Release:
    moments = Answer(kind="counts", features=["x"], numbers=3, l2_sensitivity=1.0, noise_standard_deviation=2.0)
    values = {"splits": ["eval"], "answers": [moments], "noise_multiplier": 2.0, "run_id": "6" * 32}
    return a_release("statistics", **{**values, **changes})


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    bench = Bench(tmp_path)
    examples = bench.inputs["examples"][0]
    examples.set_int_custom_property("span", 4)
    examples.set_int_custom_property("version", 2)
    examples.set_string_custom_property("input_fingerprint", EXAMPLES.fingerprint)
    return bench


def wire(bench: Bench, *artifacts: list[Release], names: tuple[str, ...] = ()) -> dict[str, Any]:
    """Writes each list of releases as one artifact; returns the properties that say how many there are."""
    from tfx_privacy.components import _signatures
    from tfx_privacy.components.artifacts import PrivacyRelease

    for number, found in enumerate(artifacts, 1):
        artifact = PrivacyRelease()
        artifact.uri = str(bench.root / f"release-{number}")
        pathlib.Path(artifact.uri).mkdir()
        for index, release in enumerate(found):
            name = names[index] if names else file_name(release.splits[0] if len(found) > 1 else None)
            _signatures.write_signed_text(artifact.uri, name, statement.to_json(release))
        bench.inputs[f"privacy_release_{number}"] = [artifact]
    return {"num_privacy_releases": len(artifacts)}


def event_of(record: PrivacyGuarantee) -> Any:
    assert isinstance(record.mechanism, DPMechanism)
    return record.mechanism.event


def together(record: PrivacyGuarantee, *noise_multipliers: float, delta: float) -> float:
    """By dp_accounting's own accountant."""
    from tfx_privacy.accounting.composition import terms
    from tfx_privacy.third_party import dp_accounting
    from tfx_privacy.third_party.dp_accounting import pld

    accountant = pld.PLDAccountant(value_discretization_interval=1e-4)
    run = terms(event_of(record))
    accountant.compose(
        dp_accounting.PoissonSampledDpEvent(
            run.sampling_probability, dp_accounting.GaussianDpEvent(run.noise_multiplier)
        ),
        run.steps,
    )
    for noise in noise_multipliers:
        accountant.compose(dp_accounting.GaussianDpEvent(noise))
    return float(accountant.get_epsilon(delta))


def test_the_target_is_of_all_of_it(bench: Bench) -> None:
    record = bench.run(CALIBRATED, **wire(bench, [a_release()]))
    expected = together(record, NOISE, delta=1e-4 - DELTA_SPENT)
    assert record.stated_epsilon == recomputed_epsilon(record) == pytest.approx(expected, rel=1e-6)
    assert 3.0 * 0.995 <= record.stated_epsilon <= 3.0
    assert epsilon_of_this_run(record) < record.stated_epsilon
    assert record.releases == [CoveredRelease.of(a_release(), signed_by=None)]
    assert record.examples == [EXAMPLES]
    # Of this folder's schema nothing is known, and there is no graph: the model took nothing of the release.
    assert covered(record) == ["the training"]
    alone = Bench(bench.root / "alone").run(CALIBRATED)
    assert isinstance(alone.mechanism, DPMechanism)
    assert isinstance(record.mechanism, DPMechanism)
    assert record.mechanism.noise_multiplier > alone.mechanism.noise_multiplier


def test_of_disjoint_splits_the_largest_is_calibrated_to(bench: Bench) -> None:
    """One artifact with two files, each of a split."""
    both = [a_release("statistics", answers=of_eval().answers, noise_multiplier=2.0), of_eval()]
    wired = wire(bench, both)
    summed = bench.run(CALIBRATED, **wired)
    assert summed.stated_epsilon == pytest.approx(together(summed, 2.0, 2.0, delta=1e-4), rel=1e-6)
    assert "All of it is added up" in summed.statement
    record = bench.run(CALIBRATED, splits_disjoint_for="example", **wired)
    assert record.mechanism.noise_multiplier < summed.mechanism.noise_multiplier  # type: ignore[union-attr]
    assert record.splits_disjoint_for == "example"
    assert record.stated_epsilon == pytest.approx(together(record, 2.0, delta=1e-4), rel=1e-6)
    assert "ExampleGen put each record into one split" in record.statement


def test_what_was_released_of_other_splits_is_in_the_target_too(bench: Bench) -> None:
    small = dataclasses.replace(CALIBRATED, target_epsilon=1.0)
    wired = wire(bench, [of_eval()])
    spent = epsilon_bounds(
        dp_sgd_event(noise_multiplier=2.0, sampling_probability=1.0, steps=1), target_delta=1e-4
    ).best
    with pytest.raises(ParameterError, match=rf"of the splits eval spends epsilon={spent:.4g} without any training"):
        bench.run(small, splits_disjoint_for="example", **wired)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "test noise": ({"noise_source": "deterministic_test"}, "whoever knows the seed can subtract"),
    "users": ({"privacy_unit": "user", "max_records_per_user": 1}, "is for privacy_unit='user'"),
    "another relation": ({"neighboring_relation": "REPLACE_SPECIAL"}, "is for neighboring_relation='REPLACE_SPECIAL'"),
    "charged elsewhere": (
        {"dataset_id": "census", "ledger": evidence.position()}, "was charged to dataset_id='census'",
    ),
    "other examples": ({"examples": [ExamplesRead(span="5")]}, "is of other examples than these"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_added_up_is_refused(bench: Bench, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        bench.run(**wire(bench, [a_release(**changes)]))
    assert not (bench.root / "privacy_guarantee").exists()


@pytest.mark.parametrize("key", ["trip_id", None])
def test_a_release_for_other_users_is_refused(key: str | None) -> None:
    """Before anything is charged; by whom the release says that it means, which one from before does not."""
    from tfx_privacy.components.dp_trainer import releases

    users: dict[str, Any] = {"privacy_unit": "user", "max_records_per_user": 3}
    privacy = dataclasses.replace(PRIVATE, **users, user_id_key="taxi_id")
    terms = {"privacy_unit": "user", "user_id_key": "taxi_id"}
    other, same = (evidence.release(**users, user_id_key=each) for each in (key, "taxi_id"))
    with pytest.raises(ParameterError, match=f"by user_id_key={key!r}, this training by 'taxi_id'"):
        releases.check(of_beside(other, **terms), privacy, None)
    releases.check(of_beside(same, **terms), privacy, None)


def test_thresholds_that_leave_no_delta_are_refused(bench: Bench) -> None:
    wired = wire(bench, [a_release()])
    with pytest.raises(ParameterError, match=r"have spent delta=2e-05 of target_delta=2e-05"):
        bench.run(dataclasses.replace(PRIVATE, target_delta=DELTA_SPENT), **wired)


def test_a_release_that_is_wired_twice_is_refused(bench: Bench) -> None:
    with pytest.raises(ParameterError, match="is wired twice"):
        bench.run(**wire(bench, [a_release()], [a_release()]))


def test_what_is_no_release_is_refused(bench: Bench) -> None:
    wired = wire(bench, [a_release()])
    folder = bench.root / "release-1"
    text = (folder / "privacy_release.json").read_text()
    for content, message in (
        (text.replace("release/v1", "guarantee/v1"), "Expected a statement of predicateType"),
        (text[:-20], "JSON"),
        ("x" * 9_000_000, "larger than the limit"),
    ):
        (folder / "privacy_release.json").write_text(content)
        with pytest.raises(EvidenceError, match=message):
            bench.run(**wired)
    (folder / "privacy_release.json").unlink()
    (folder / "something.json").write_text(text)
    with pytest.raises(EvidenceError, match="There is no privacy_release.json in"):
        bench.run(**wired)
    (folder / "privacy_release-eval.json").write_text(text)
    with pytest.raises(EvidenceError, match="copied or renamed"):
        bench.run(**wired)


def test_one_that_was_declared_and_did_not_arrive_is_missed(bench: Bench) -> None:
    from tfx_privacy.components.dp_trainer import releases

    wired = wire(bench, [a_release()])
    assert releases.read(bench.inputs, wired).all == [CoveredRelease.of(a_release(), signed_by=None)]
    with pytest.raises(EvidenceError, match="'privacy_release_2' has no artifact"):
        releases.read(bench.inputs, {"num_privacy_releases": 2})
    with pytest.raises(EvidenceError, match="was declared without"):
        releases.read(bench.inputs, {})
    with pytest.raises(EvidenceError, match="was declared without"):
        bench.run()


def of_beside(*releases: CoveredRelease, **changes: Any) -> Any:
    from tfx_privacy.guarantee.spending import Beside

    terms: dict[str, Any] = {
        "releases": releases, "neighboring_relation": "ADD_OR_REMOVE_ONE", "privacy_unit": "example",
        "train_splits": ["train"], "examples": [evidence.EXAMPLES], "splits_disjoint_for": "example",
    }  # fmt: skip
    return Beside(**{**terms, **changes})


def test_noise_is_calibrated_to_what_the_releases_leave() -> None:
    """Of the same records, with what their thresholds spend; each group of splits that is trained on gets enough."""
    from tfx_privacy.components.dp_trainer.guarantee import calibrated_noise
    from tfx_privacy.guarantee.spending import largest, spendings_of

    resolved = CALIBRATED.resolve()
    strong = evidence.release(noise_multiplier=4.0, delta_spent=5e-5)
    of_other = evidence.release("statistics", splits=["other"], noise_multiplier=2.0)
    for beside in (
        of_beside(strong),
        of_beside(strong, of_other),
        of_beside(strong, of_other, train_splits=["train", "other"]),
        of_beside(strong, of_other, splits_disjoint_for=None),
    ):
        noise = calibrated_noise(resolved, beside)
        assert noise is not None
        bounds = largest(spendings_of(resolved.event(noise), beside), 1e-4, interval=1e-4)
        assert bounds is not None
        assert 3.0 * 0.995 <= bounds.best <= 3.0
    assert calibrated_noise(resolved, of_beside()) < calibrated_noise(resolved, of_beside(strong))  # type: ignore[operator]
    with pytest.raises(ParameterError, match="not private"):
        calibrated_noise(resolved, of_beside(evidence.release(noise_source="deterministic_test")))
    with pytest.raises(ParameterError, match="splits other spends epsilon="):
        calibrated_noise(resolved, of_beside(evidence.release("statistics", splits=["other"], noise_multiplier=1.0)))


def test_signatures_are_checked_and_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    key = signing.new_key("ed25519", "team")
    monkeypatch.setenv(signing.SIGNING_KEY_VARIABLE, key.signing)
    monkeypatch.setenv(signing.VERIFICATION_KEYS_VARIABLE, key.verification)
    wired = wire(bench, [a_release()])
    assert [release.signed_by for release in bench.run(**wired).releases] == ["team"]
    path = bench.root / "release-1" / "privacy_release.json"
    path.write_text(statement.to_json(a_release(splits=["eval"])))
    with pytest.raises(EvidenceError, match="signature of a release is not valid"):
        bench.run(**wired)


@pytest.fixture
def address(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> str:
    found = f"sqlite:///{tmp_path / 'ledger.db'}"
    monkeypatch.setenv("TFX_PRIVACY_LEDGER", found)
    return found


CHARGED: dict[str, Any] = {"ledger": "env:TFX_PRIVACY_LEDGER", "dataset_id": DATASET}


def test_nothing_is_charged_for_what_is_refused(bench: Bench, address: str) -> None:
    new_ledger(address, population=300)
    mine = {"dataset_id": DATASET, "ledger": evidence.position(blocks=[])}
    too_much = {"splits": ["eval"], "answers": of_eval().answers, "noise_multiplier": 2.0}
    refused: list[dict[str, Any]] = [{}, {**mine, "noise_source": "deterministic_test"}, {**mine, **too_much}]
    for number, changes in enumerate(refused, 1):
        other = Bench(bench.root / f"bench-{number}")
        with pytest.raises(TFXPrivacyError):
            other.run(
                dataclasses.replace(CALIBRATED, target_epsilon=0.5), **CHARGED, **wire(other, [a_release(**changes)])
            )
    assert [entry.body.kind for entry in open_ledger(address).verify().log] == ["register"]
    record = bench.run(CALIBRATED, **CHARGED, **wire(bench, [a_release(**mine)]))
    assert record.dataset_id == DATASET
    assert [entry.body.kind for entry in open_ledger(address).verify().log] == [
        "register",
        "reserve",
        "start",
        "commit",
    ]
    assert record.stated_epsilon == pytest.approx(together(record, NOISE, delta=1e-4 - DELTA_SPENT), rel=1e-6)


def test_attempts_at_a_run_are_tied_to_its_releases(tmp_path: pathlib.Path) -> None:
    from tfx_privacy import training
    from tfx_privacy.components.dp_trainer import releases

    released, other = evidence.release(), evidence.release("statistics")
    releases.bind([released], None)
    with training.Checkpoints(str(tmp_path / "run")) as checkpoints:
        releases.bind([other], checkpoints)
        # Nothing was executed yet, so there are no weights that were made with it.
        releases.bind([released], checkpoints)
        checkpoints.write_note("journal.json", "{}")
        assert checkpoints.has_journal
        releases.bind([released], checkpoints)
        for found in ([], [other], [released, other]):
            with pytest.raises(CheckpointError, match="other privacy_releases"):
                releases.bind(found, checkpoints)
    with training.Checkpoints(str(tmp_path / "older")) as checkpoints:
        checkpoints.write_note("journal.json", "{}")
        releases.bind([], checkpoints)
        with pytest.raises(CheckpointError, match="other privacy_releases"):
            releases.bind([released], checkpoints)


def test_reference_models_are_stated_with_what_was_released(bench: Bench) -> None:
    record = bench.run(num_reference_models=2, **wire(bench, [a_release()]))
    assert record.references is not None
    assert recomputed_epsilon(record) == record.stated_epsilon
    alone = Bench(bench.root / "alone").run(num_reference_models=2)
    assert alone.references is not None
    assert float(record.references.epsilon_all) > float(alone.references.epsilon_all)


def test_examples_that_do_not_say_which_they_are(tmp_path: pathlib.Path) -> None:
    record = Bench(tmp_path).run()
    assert record.examples == [ExamplesRead()]


def test_what_transform_was_given_says_which_examples_they_are(bench: Bench) -> None:
    from tfx.types import standard_artifacts

    silent = standard_artifacts.Examples()
    for name in ("uri", "split_names"):
        setattr(silent, name, getattr(bench.inputs["examples"][0], name))
    bench.inputs["source_examples"] = bench.inputs["examples"]
    bench.inputs["examples"] = [silent]
    record = bench.run(CALIBRATED, **wire(bench, [a_release()]))
    assert record.examples == [EXAMPLES]
    assert identities(record.examples) == identities(record.releases[0].examples)


@pytest.mark.parametrize("key", ["examples", "source_examples"])
def test_examples_with_canaries_are_trained_on_and_not_covered(bench: Bench, key: str) -> None:
    """CanaryInserter says it of its copy, also where TFX's Transform does not hand it on; beside releases of either."""
    from tfx.types import standard_artifacts

    silent = standard_artifacts.Examples()
    for name in ("uri", "split_names"):
        setattr(silent, name, getattr(bench.inputs["examples"][0], name))
    bench.inputs["examples"][0].set_int_custom_property("inserted_canary_records", 5)
    if key == "source_examples":
        bench.inputs["source_examples"], bench.inputs["examples"] = bench.inputs["examples"], [silent]
    copy = EXAMPLES.model_copy(update={"inserted_canary_records": 5})
    record = bench.run(CALIBRATED, **wire(bench, [a_release(), of_eval(examples=[copy])]))
    assert record.examples == [copy]
    items = [item for item in record.scope if item.artifact == "examples"]
    assert [item.covered for item in items] == [False]
    assert "NOT covered" in record.statement
    assert "CanaryInserter added records" in record.statement


def test_the_component_wires_what_transform_was_given() -> None:
    from tfx.components import ImportExampleGen, SchemaGen, Transform

    from tfx_privacy import DPStatisticsGen, DPTrainer, Number
    from tfx_privacy.releases.parameters import DPPreprocessing

    examples = ImportExampleGen(input_base="/data").outputs["examples"]
    terms = DPPreprocessing(target_epsilon=0.1, target_delta=1e-5)
    statistics = DPStatisticsGen(examples=examples, features={"x": Number(bounds=(0, 1))}, privacy=terms)
    schema = SchemaGen(statistics=statistics.outputs["statistics"]).outputs["schema"]
    transform = Transform(examples=examples, schema=schema, preprocessing_fn="a.b")
    release = statistics.outputs["privacy_release"]
    made: dict[str, Any] = {"module_path": "a", "privacy": CALIBRATED}
    transformed = {
        "examples": transform.outputs["transformed_examples"],
        "transform_graph": transform.outputs["transform_graph"],
    }
    wired = DPTrainer(**transformed, privacy_releases=release, **made)
    assert wired.inputs["source_examples"] is examples
    # Without a release as well: they may hold canaries.
    assert DPTrainer(**transformed, **made).inputs["source_examples"] is examples
    assert "source_examples" not in DPTrainer(examples=examples, privacy_releases=release, **made).inputs


def test_what_orchestrators_make_of_a_number_is_the_same_number() -> None:
    from tfx.types import standard_artifacts

    from tfx_privacy.components import examples_read

    made = []
    for set_span in ("set_int_custom_property", "set_float_custom_property", "set_string_custom_property"):
        artifact = standard_artifacts.Examples()
        value: Any = {"int": 3, "float": 3.0, "string": "3"}[set_span.split("_")[1]]
        getattr(artifact, set_span)("span", value)
        made.append(artifact)
    assert examples_read.of(made) == [ExamplesRead(span="3")] * 3
    long = standard_artifacts.Examples()
    long.set_string_custom_property("input_fingerprint", "x" * 5000)
    (found,) = examples_read.of([long])
    assert found.fingerprint is not None
    assert found.fingerprint.startswith("sha256:")


def a_graph(folder: pathlib.Path) -> str:
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    meta = saved.meta_graphs.add()
    root = meta.object_graph_def.nodes.add()
    root.user_object.identifier = "x"
    child = root.children.add()
    child.local_name, child.node_id = "transform_fn", 0
    meta.object_graph_def.nodes.add().constant.operation = "mean"
    (folder / "transform_fn").mkdir(parents=True)
    (folder / "transform_fn" / "saved_model.pb").write_bytes(saved.SerializeToString())
    return str(folder)


def of_graph(uri: str, **changes: Any) -> Any:
    from tfx_privacy.components import _files

    return evidence.release(**{"artifact_digest": _files.directory_digest(uri), **changes})


def test_a_releases_own_graph_is_covered_and_no_other(tmp_path: pathlib.Path) -> None:
    """By its digest alone."""
    from tfx_privacy.components.dp_trainer import scope

    uri = a_graph(tmp_path / "graph")
    assert not scope.of_transform_graph(uri).covered
    item = scope.of_transform_graph(uri, [evidence.release("statistics"), of_graph(uri)])
    assert item.covered
    assert item.covered_by == ["5" * 32]
    assert "release 55555555" in item.detail
    for foreign in (evidence.release(), of_graph(uri, component="statistics")):
        other = scope.of_transform_graph(uri, [foreign])
        assert not other.covered
        assert other.num_constants == 1
    assert (
        "None of the releases in epsilon is of this graph" in scope.of_transform_graph(uri, [evidence.release()]).detail
    )
    release = of_graph(uri)
    (tmp_path / "graph" / "transform_fn" / "vocabulary").write_text("somebody")
    assert not scope.of_transform_graph(uri, [release]).covered


@pytest.mark.parametrize(
    "names", [{"files_read": ["means.txt"]}, {"uncovered_analyzers": ["mean"]}], ids=["files", "analyzers"]
)
def test_what_is_beside_a_releases_answers_is_named(tmp_path: pathlib.Path, names: dict[str, Any]) -> None:
    from tfx_privacy.components.dp_trainer import scope

    uri = a_graph(tmp_path / "graph")
    item = scope.of_transform_graph(uri, [of_graph(uri, **names)])
    assert not item.covered
    assert next(iter(names.values()))[0] in item.detail


def test_a_graph_without_constants_may_have_files_in_its_code(tmp_path: pathlib.Path) -> None:
    """What preprocessing_fn read from a file is in the function itself, where nothing tells it from code."""
    from tensorflow.core.protobuf import saved_model_pb2

    from tfx_privacy.components.dp_trainer import scope

    uri = a_graph(tmp_path / "graph")
    path = tmp_path / "graph" / "transform_fn" / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    del saved.meta_graphs[0].object_graph_def.nodes[1:]
    path.write_bytes(saved.SerializeToString())
    assert scope.of_transform_graph(uri, [of_graph(uri)]).covered
    assert scope.of_transform_graph(uri).covered
    assert not scope.of_transform_graph(uri, [of_graph(uri, files_read=["means.txt"])]).covered


def test_a_schema_is_covered_by_the_statistics_that_it_was_made_of() -> None:
    from tfx_privacy.components.dp_trainer import scope

    released = [evidence.release("statistics")]
    item = scope.of_schema(parses_records=True, releases=released)
    assert item.covered_by == ["6" * 32]
    for others in ([], [evidence.release()], [*released, evidence.release()]):
        assert scope.of_schema(parses_records=True, releases=others).covered_by == []


def test_a_schema_whose_texts_are_in_the_model_needs_a_release_or_its_authors_word() -> None:
    """SchemaGen's holds the label of every single record."""
    from tfx_privacy.components.dp_trainer import scope

    statistics = evidence.release("statistics")
    for released, declared, covered_by in (
        ([], False, None),
        ([evidence.release()], False, None),
        ([statistics, evidence.release()], False, None),
        ([statistics.model_copy(update={"uncovered_analyzers": ["mean"]})], False, None),
        ([], True, []),
        ([statistics], False, ["6" * 32]),
        ([statistics], True, ["6" * 32]),
    ):
        item = scope.of_schema(parses_records=True, releases=released, names_classes=True, declared_public=declared)
        assert item.covered is (covered_by is not None), item.detail
        assert item.covered_by == (covered_by or [])
        assert ("declared public" in item.detail) is (declared and not covered_by)
    assert scope.of_schema(parses_records=True).covered


def test_a_graph_that_names_the_classes_itself_takes_no_texts_of_the_schema(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import types

    import artifacts_on_disk as disk
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    from tfx_privacy.components.dp_trainer import labels

    domain = 'feature { name: "y" type: BYTES string_domain { value: "a" } }'
    of_graph = text_format.Parse(domain.replace('"a"', '"b"'), schema_pb2.Schema())
    monkeypatch.setattr(labels, "_of_graph", lambda fn_args: [of_graph] if fn_args.transform_graph_path else [])
    path = str(pathlib.Path(disk.write_schema(tmp_path / "schema", domain).uri) / "schema.pbtxt")
    for graph, texts, wired in ((None, ["a"], ["a"]), ("/graph", ["b"], None)):
        fn_args = types.SimpleNamespace(transform_graph_path=graph, schema_path=path)
        assert labels.texts(fn_args, "y") == texts
        assert labels.texts_of_wired_schema(fn_args, "y") == wired
        assert labels.texts_of_wired_schema(fn_args, "x") is None


def test_a_schema_made_of_released_statistics_is_in_the_guarantee(bench: Bench) -> None:
    bench.module(MODULE)
    record = bench.run(schema_release=1, **wire(bench, [of_eval(splits=["train", "eval"])]))
    (item,) = record.scope
    assert item.covered_by == ["6" * 32]
    assert covered(record) == ["the statistics", "the schema", "the training"]


def test_the_component_wires_a_channel_or_eight() -> None:
    from tfx.types import channel, standard_artifacts

    from tfx_privacy import DPTrainer, PrivacyRelease

    def trainer(found: Any) -> Any:
        return DPTrainer(
            examples=channel.Channel(type=standard_artifacts.Examples), privacy=PRIVATE, module_path="a", label_key="y",
            privacy_releases=found,
        )  # fmt: skip

    one = channel.Channel(type=PrivacyRelease)
    assert trainer(one).inputs["privacy_release_1"] is one
    assert trainer(one).exec_properties["num_privacy_releases"] == 1
    eight = [channel.Channel(type=PrivacyRelease) for _ in range(8)]
    made = trainer(eight)
    assert [made.inputs[f"privacy_release_{number}"] for number in range(1, 9)] == eight
    assert made.exec_properties.get("splits_disjoint_for") is None
    assert not [key for key in trainer(None).inputs if key.startswith("privacy_release")]
    with pytest.raises(ParameterError, match="at most 8 channels"):
        trainer([*eight, one])
    with pytest.raises(ParameterError, match="twice"):
        trainer([one, one])
    with pytest.raises((TypeError, ParameterError)):
        trainer(channel.Channel(type=standard_artifacts.Examples))


def test_the_component_says_for_what_its_splits_are_disjoint() -> None:
    """Where everything comes from one ExampleGen; any component that takes its examples may have released."""
    from tfx.components import ImportExampleGen, StatisticsGen

    from tfx_privacy import DPTrainer, PrivacyRelease

    def trainer(released_of: Any) -> Any:
        node = ImportExampleGen(input_base="/data")
        source = node if released_of is None else released_of
        maker = StatisticsGen(examples=source.outputs["examples"])
        maker.outputs["statistics"]._set_type(PrivacyRelease)
        return DPTrainer(
            examples=node.outputs["examples"], privacy=PRIVATE, module_path="a", label_key="y",
            privacy_releases=maker.outputs["statistics"],
        )  # fmt: skip

    assert trainer(None).exec_properties["splits_disjoint_for"] == "example"
    foreign = ImportExampleGen(input_base="/data")
    assert trainer(foreign).exec_properties.get("splits_disjoint_for") is None
