import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading
import urllib.parse
from typing import Any, ClassVar

import pytest

from tfx_privacy.errors import LedgerError, ParameterError
from tfx_privacy.pipelines import container
from tfx_privacy.pipelines.container import entrypoint, folder_markers
from tfx_privacy.pipelines.container.translation import report, translate
from tfx_privacy.records import signing

ROOT = "minio://mlpipeline/v2/artifacts/run"
SPEC: dict[str, Any] = {
    "artifacts": {
        "model": {"artifactType": {"instanceSchema": "title: tfx.Model\ntype: object\n"}},
        "model_blessing": {"artifactType": {"instanceSchema": "title: tfx.ModelBlessing\ntype: object\n"}},
        "privacy_guarantee": {
            "artifactType": {"instanceSchema": "title: tfx_privacy.PrivacyGuarantee\ntype: object\n"}
        },
    },
    "parameters": {"max_epsilon": {"parameterType": "NUMBER_DOUBLE"}},
}
BLANK = {"instanceSchema": ""}


def artifact(key: str, uri: str = ROOT, **more: Any) -> dict[str, Any]:
    return {"name": "7", "uri": f"{uri}/{key}", "type": BLANK, "metadata": {}, **more}


def executor_input(uri: str = ROOT, **parameters: Any) -> dict[str, Any]:
    """What the launcher writes for BudgetValidator."""
    arrived = {
        "model": artifact("model", uri, name="13"),
        "model_blessing": artifact("blessing", uri, metadata={"current_model": f"{uri}/model", "blessed": 1.0}),
        "privacy_guarantee": artifact("guarantee", uri),
    }
    made = {
        "blessing": {"uri": f"{uri}/out", "type": {"instanceSchema": "title: tfx.ModelBlessing\ntype: object\n"}},
        "report": {"uri": f"{uri}/report", "type": {"instanceSchema": "title: tfx_privacy.PrivacyReport\n"}},
    }
    return {
        "inputs": {
            "parameterValues": parameters,
            "artifacts": {key: {"artifacts": [value]} for key, value in arrived.items()},
        },
        "outputs": {
            "outputFile": "/tmp/kfp_outputs/output_metadata.json",
            "artifacts": {key: {"artifacts": [value]} for key, value in made.items()},
        },
    }


def arguments(given: dict[str, Any], *more: str) -> list[str]:
    return [
        "--executor_class_path", "some.Executor", "--json_serialized_invocation_args", json.dumps(given),
        "--json_serialized_inputs_spec_args", json.dumps(SPEC), *more,
    ]  # fmt: skip


def only(part: dict[str, Any], key: str) -> dict[str, Any]:
    (found,) = part["artifacts"][key]["artifacts"]
    return dict(found)


def test_types_come_from_the_inputs_spec() -> None:
    given = executor_input()
    # Newer backends call every custom type system.Artifact.
    given["inputs"]["artifacts"]["privacy_guarantee"]["artifacts"][0]["type"] = {"schemaTitle": "system.Artifact"}
    translated, _ = translate(given, SPEC, None)
    assert only(translated["inputs"], "model")["type"] == SPEC["artifacts"]["model"]["artifactType"]
    assert (
        only(translated["inputs"], "privacy_guarantee")["type"]
        == SPEC["artifacts"]["privacy_guarantee"]["artifactType"]
    )


def test_a_type_that_nobody_knows_is_named() -> None:
    with pytest.raises(ParameterError, match=r"Input 'model' \(minio://.*\) arrived without a type"):
        translate(executor_input(), {}, None)


def test_types_that_arrive_are_kept_without_a_spec() -> None:
    given = executor_input()
    for key in SPEC["artifacts"]:
        given["inputs"]["artifacts"][key]["artifacts"][0]["type"] = {"schemaTitle": f"tfx.{key}"}
    translated, _ = translate(given, {}, None)
    assert only(translated["inputs"], "model")["type"] == {"schemaTitle": "tfx.model"}


@pytest.mark.parametrize("missing", ["key", "list", "blank", "uri", "empty uri"])
def test_a_blessing_that_does_not_arrive_stops_the_step(missing: str) -> None:
    given = executor_input()
    if missing == "key":
        del given["inputs"]["artifacts"]["model_blessing"]
    elif missing == "blank":
        # What servers of 2.5 and later hand over for an output that was not made.
        given["inputs"]["artifacts"]["model_blessing"] = {"artifacts": [{}]}
    elif missing == "uri":
        del given["inputs"]["artifacts"]["model_blessing"]["artifacts"][0]["uri"]
    elif missing == "empty uri":
        given["inputs"]["artifacts"]["model_blessing"]["artifacts"][0]["uri"] = ""
    else:
        given["inputs"]["artifacts"]["model_blessing"] = {}
    with pytest.raises(ParameterError, match="'model_blessing' is wired to a blessing, and none arrived"):
        translate(given, SPEC, None)


@pytest.mark.parametrize(
    ("uri", "folder"),
    [(ROOT, "/m/minio/mlpipeline/v2/artifacts/run"), ("s3://b/run", "/m/s3/b/run"), ("gs://b/run", "/m/gcs/b/run")],
)
def test_uris_become_the_launchers_folders_and_uris_again(uri: str, folder: str) -> None:
    translated, mirrors = translate(executor_input(uri), SPEC, "/m")
    assert only(translated["inputs"], "model")["uri"] == f"{folder}/model"
    assert only(translated["outputs"], "blessing")["uri"] == f"{folder}/out"
    # The Evaluator's blessing names its model by URI: it must be the same name as the model's own.
    assert only(translated["inputs"], "model_blessing")["metadata"]["current_model"] == f"{folder}/model"
    written = {
        "artifacts": {"report": {"artifacts": [{"uri": f"{folder}/report", "metadata": {"at": f"{folder}/model/1"}}]}}
    }
    reported = only(report(written, translated, mirrors), "report")
    assert reported == {"uri": f"{uri}/report", "metadata": {"at": f"{uri}/model/1"}}


def test_a_name_that_begins_alike_is_no_artifact() -> None:
    _, mirrors = translate(executor_input(), SPEC, "/m")
    assert mirrors.local(f"{ROOT}/model2") == f"{ROOT}/model2"
    assert mirrors.local(f"{ROOT}/model/2") == "/m/minio/mlpipeline/v2/artifacts/run/model/2"


def test_without_mirrors_uris_stay() -> None:
    translated, mirrors = translate(executor_input("gs://b/run"), SPEC, None)
    assert only(translated["inputs"], "model")["uri"] == "gs://b/run/model"
    assert mirrors.folders == {}


def test_what_is_given_is_not_changed() -> None:
    given = executor_input()
    before = json.dumps(given)
    translate(given, SPEC, "/m")
    assert json.dumps(given) == before


def test_the_containers_log_is_no_output_and_null_is_no_value() -> None:
    given = executor_input(max_epsilon=3.0, min_slice_coverage=None)
    given["outputs"]["artifacts"]["executor-logs"] = {"artifacts": [artifact("executor-logs")]}
    translated, _ = translate(given, SPEC, None)
    assert set(translated["outputs"]["artifacts"]) == {"blessing", "report"}
    assert translated["inputs"]["parameterValues"] == {"max_epsilon": 3.0}


def test_data_of_the_image_are_named_by_their_package() -> None:
    import json as package

    given = executor_input(input_base="package://json", text="package:x", whole=3.0)
    values = translate(given, SPEC, None)[0]["inputs"]["parameterValues"]
    assert values == {"input_base": f"{os.path.dirname(package.__file__)}/", "text": "package:x", "whole": 3.0}


@pytest.mark.parametrize(
    "place",
    [
        "package://",
        "package://no_such_package/data",
        "package://json/no_such_folder",
        "package://os.path/x",
        "package://json/../json",
    ],
)
def test_a_package_that_the_image_lacks_is_named(place: str) -> None:
    with pytest.raises(ParameterError, match=f"input_base='{place}' is no folder of a package of this image"):
        translate(executor_input(input_base=place), SPEC, None)


def test_a_blessing_names_its_model_as_kubeflow_does() -> None:
    """TFX gives an artifact's name an id by hashing, and writes it as a double."""
    from hashlib import sha256

    translated, mirrors = translate(executor_input(), SPEC, None)
    as_double = float(int(sha256(b"13").hexdigest(), 16) % (1 << 63))
    metadata = {
        "current_model_id": as_double,
        "baseline_model_id": "projects/1/artifacts/9",
        "blessed": 1.0,
        "other": as_double,
    }
    written = {
        "artifacts": {key: {"artifacts": [{"uri": "u", "metadata": dict(metadata)}]} for key in ("blessing", "report")}
    }
    reported = report(written, translated, mirrors)
    assert only(reported, "blessing")["metadata"] == {**metadata, "current_model_id": "13"}
    assert only(reported, "report")["metadata"] == metadata


def test_what_a_driver_found_is_reported_where_the_executor_says_nothing() -> None:
    translated, mirrors = translate(executor_input(), SPEC, None)
    driver = {"artifacts": {"report": {"artifacts": [{"uri": "u", "metadata": {"span": 3.0, "version": 1.0}}]}}}
    written = {"artifacts": {"report": {"artifacts": [{"uri": "u", "metadata": {"version": 2.0}}]}}}
    reported = report(written, translated, mirrors, driver)
    assert only(reported, "report")["metadata"] == {"span": 3.0, "version": 2.0}


def test_markers_of_folders_go_and_verdicts_stay(tmp_path: pathlib.Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "saved_model.pb").write_bytes(b"x")
    (model / "assets").touch()
    (model / "notes").touch()
    (tmp_path / "data_$folder$").touch()
    blessing = tmp_path / "blessing"
    blessing.mkdir()
    (blessing / "BLESSED").touch()
    # `assets` without a model beside it may be anything.
    (blessing / "assets").touch()
    removed = folder_markers.remove_folder_markers(str(tmp_path))
    assert sorted(map(os.path.basename, removed)) == ["assets", "data_$folder$"]
    assert (model / "assets").is_dir()
    assert (tmp_path / "data").is_dir()
    assert (model / "notes").is_file()
    assert (blessing / "BLESSED").is_file()
    assert (blessing / "assets").is_file()


def test_an_artifact_that_is_a_marker_becomes_a_folder(tmp_path: pathlib.Path) -> None:
    (tmp_path / "empty").touch()
    folder_markers.remove_folder_markers(str(tmp_path / "empty"))
    assert (tmp_path / "empty").is_dir()


def test_prepare_removes_markers_of_inputs_alone(tmp_path: pathlib.Path) -> None:
    inside = tmp_path / "minio/mlpipeline/v2/artifacts/run"
    for folder in ("model", "report"):
        (inside / folder).mkdir(parents=True)
        (inside / folder / "saved_model.pb").write_bytes(b"x")
        (inside / folder / "assets").touch()
    environ = {container.MIRROR_ROOT_VARIABLE: str(tmp_path)}
    entrypoint.prepare(arguments(executor_input(), "--local_mirrors"), environ)
    assert (inside / "model/assets").is_dir()
    assert (inside / "report/assets").is_file()


class ObjectStore(http.server.BaseHTTPRequestHandler):
    """Google Cloud Storage, as far as listing and deleting go."""

    objects: ClassVar[dict[str, int]] = {}

    def do_GET(self) -> None:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        prefix = query.get("prefix", [""])[0]
        items = [
            {"name": name, "bucket": "b", "size": str(size), "updated": "2026-01-01T00:00:00Z"}
            for name, size in sorted(self.objects.items()) if name.startswith(prefix)
        ]  # fmt: skip
        self.answer(200, json.dumps({"items": items}).encode())

    def do_DELETE(self) -> None:
        name = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path.rpartition("/o/")[2])
        self.answer(204 if self.objects.pop(name, None) is not None else 404)

    def answer(self, code: int, body: bytes = b"") -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.slow
def test_markers_that_a_step_leaves_on_gs_go(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """By the client that the step would use; verdicts without bytes, and what is not below an output, stay."""
    ObjectStore.objects = {
        "run/model/": 0, "run/model/assets/": 0, "run/model/saved_model.pb": 9, "run/model/variables/": 0,
        "run/model/variables/v.index": 5, "run/blessing/BLESSED": 0, "run/model2/": 0, "run/odd/": 3,
    }  # fmt: skip
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), ObjectStore)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("GCE_METADATA_HOST", "127.0.0.1:1")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "none")
    try:
        removed = folder_markers.remove_remote_markers(
            ["gs://b/run/model", "gs://b/run/blessing", "gs://b/run/odd", "s3://b/x"]
        )
    finally:
        server.shutdown()
    assert sorted(removed) == ["gs://b/run/model/", "gs://b/run/model/assets/", "gs://b/run/model/variables/"]
    assert sorted(ObjectStore.objects) == [
        "run/blessing/BLESSED", "run/model/saved_model.pb", "run/model/variables/v.index", "run/model2/", "run/odd/",
    ]  # fmt: skip


def test_remote_workers_get_remote_addresses() -> None:
    given = executor_input("gs://bucket/root")
    translated, mirrors = translate(given, SPEC, "/", remote_workers=True)
    assert only(translated["outputs"], "report")["uri"] == "gs://bucket/root/report"
    assert mirrors.folders == {}
    assert entrypoint.parse(arguments(given, "--remote_workers")).remote_workers


@pytest.mark.parametrize("root", ["minio://bucket/root", "s3://bucket/root"])
def test_what_remote_workers_cannot_open_stops_the_step(root: str) -> None:
    with pytest.raises(
        ParameterError, match=f"'{root}/model' is no address that workers .* Start the run with .*gs://"
    ):
        translate(executor_input(root), SPEC, "/", remote_workers=True)


def test_the_rest_of_the_command_line_is_beams() -> None:
    options = entrypoint.parse(
        arguments(executor_input(), "--runner=DirectRunner", "--requires_env", "A", "--direct_num_workers", "2")
    )
    assert options.beam_arguments == ("--runner=DirectRunner", "--direct_num_workers", "2")
    assert options.required == ("A",)
    assert not options.local_mirrors


@pytest.mark.parametrize("argv", [[], ["--executor_class_path", "x"]])
def test_arguments_that_are_missing_are_named(argv: list[str]) -> None:
    with pytest.raises(ParameterError, match="required: .*--json_serialized_invocation_args"):
        entrypoint.parse(argv)


@pytest.mark.parametrize("text", ["{", "[]", "{{$}}"])
def test_an_executor_input_that_is_none_is_named(text: str) -> None:
    with pytest.raises(ParameterError, match="--json_serialized_invocation_args is no JSON"):
        entrypoint.parse(["--executor_class_path", "x", "--json_serialized_invocation_args", text])


@pytest.mark.parametrize("environ", [{}, {"TFX_PRIVACY_LEDGER": " "}])
def test_a_variable_that_is_missing_is_named(environ: dict[str, str]) -> None:
    with pytest.raises(
        ParameterError,
        match=r"TFX_PRIVACY_LEDGER is not set, and some\.Executor needs it.*--secret TFX_PRIVACY_LEDGER=",
    ):
        entrypoint.prepare(arguments(executor_input(), "--requires_env", "TFX_PRIVACY_LEDGER"), environ)


@pytest.mark.parametrize("variable", [signing.SIGNING_KEY_VARIABLE, signing.VERIFICATION_KEYS_VARIABLE])
def test_a_malformed_key_is_named_and_not_quoted(variable: str) -> None:
    with pytest.raises(ParameterError, match=variable) as caught:
        entrypoint.prepare(arguments(executor_input()), {variable: "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_a_ledger_that_cannot_be_used_is_named_before_the_step_works() -> None:
    given = executor_input(ledger="env:MY_LEDGER")
    with pytest.raises(LedgerError, match="MY_LEDGER is not set"):
        entrypoint.prepare(arguments(given), {})
    with pytest.raises(LedgerError, match="MY_LEDGER names the SQLite file by a relative path"):
        entrypoint.prepare(arguments(given), {"MY_LEDGER": "sqlite:///ledger.db"})
    entrypoint.prepare(arguments(given), {"MY_LEDGER": "sqlite:////srv/ledger.db"})


def test_a_container_that_cannot_start_says_so_in_one_line_at_once() -> None:
    """And without TFX, whose import takes half a minute."""
    command = [
        sys.executable,
        "-X",
        "importtime",
        "-m",
        container.MODULE,
        *arguments(executor_input(), "--requires_env", "NOT_SET"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert done.returncode == 2
    assert len(said) == 1
    assert said[0].startswith("Error: The environment variable NOT_SET is not set")
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert not imported & {"tfx", "tensorflow", "numpy"}
