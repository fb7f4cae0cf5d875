"""The runner itself, on steps that only write down what they were given.

What compiled pipelines do is in test_run_ir_taxi.py.
"""

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from tfx_privacy import cli
from tfx_privacy.errors import ParameterError
from tfx_privacy.pipelines import ir_runner
from tfx_privacy.pipelines.ir_runner import conditions, launcher, processes, spec, store

MODEL = {"artifactType": {"instanceSchema": "title: tfx.Model\n"}}
# A step that copies its ExecutorInput to `given.json` of its output, and reports the metadata in the first argument.
STEP = """
import json, os, sys
print("said")
given = json.loads(sys.argv[1])
root = os.environ.get("TFX_PRIVACY_MIRROR_ROOT", "")
local = lambda uri: os.path.join(root, uri.replace("://", "/")) if "://" in uri else uri
out = given["outputs"]["artifacts"]["made"]["artifacts"][0]
os.makedirs(os.path.join(local(out["uri"]), "empty"))
read = {}
for key, value in given["inputs"].get("artifacts", {}).items():
    folder = local(value["artifacts"][0]["uri"])
    read[key] = {name: os.path.isfile(os.path.join(folder, name)) for name in sorted(os.listdir(folder))}
with open(os.path.join(local(out["uri"]), "given.json"), "w") as file:
    json.dump({"given": given, "environ": dict(os.environ), "cwd": os.getcwd(), "read": read, "argv": sys.argv[2:]}, file)
with open(given["outputs"]["outputFile"], "w") as file:
    json.dump({"artifacts": {"made": {"artifacts": [{"uri": out["uri"], "metadata": json.loads(sys.argv[2])}]}}}, file)
"""


def step(metadata: dict[str, Any] | None = None, code: str = STEP, **container: Any) -> dict[str, Any]:
    command = ["python", "-c", code]
    return {"container": {"image": "i", "command": command, "args": ["{{$}}", json.dumps(metadata or {})], **container}}


def pipeline(
    executors: dict[str, Any], tasks: dict[str, Any], parameters: dict[str, Any] | None = None
) -> dict[str, Any]:
    components = {
        name: {
            "executorLabel": f"{name}-executor",
            "inputDefinitions": {
                "artifacts": dict.fromkeys(task.get("inputs", {}).get("artifacts", {}), MODEL),
                "parameters": {key: {} for key in task.get("inputs", {}).get("parameters", {})},
            },
            "outputDefinitions": {"artifacts": {"made": MODEL}},
        }
        for name, task in tasks.items()
    }
    return {
        "pipelineInfo": {"name": "toy"},
        "schemaVersion": "2.1.0",
        "components": components,
        "deploymentSpec": {"executors": {f"{name}-executor": executor for name, executor in executors.items()}},
        "root": {
            "inputDefinitions": {"parameters": parameters or {}},
            "dag": {"tasks": {name: {"componentRef": {"name": name}, **task} for name, task in tasks.items()}},
        },
    }


def taking(*producers: str, **more: Any) -> dict[str, Any]:
    inputs = {
        name.lower(): {"taskOutputArtifact": {"producerTask": name, "outputArtifactKey": "made"}} for name in producers
    }
    return {"inputs": {"artifacts": inputs, "parameters": more.pop("parameters", {})}, **more}


def run(tmp_path: pathlib.Path, *documents: Any, **options: Any) -> ir_runner.Run:
    path = tmp_path / "compiled.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    return ir_runner.run(path, tmp_path / "run", preload=False, **options)


def note(done: ir_runner.Run, task: str) -> dict[str, Any]:
    return dict(json.loads((done.folder(task, "made") / "given.json").read_text()))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> ir_runner.Run:
    """First and Second, which takes First's output, both parameters, and a secret."""
    given = {
        "limit": {"componentInputParameter": "max_epsilon"},
        "steps": {"runtimeValue": {"constant": 20.0}},
    }
    platform = {"secretName": "s", "keyToEnv": [{"secretKey": "k", "envVar": "A_SECRET"}]}
    document = pipeline(
        {
            "First": step({"whole": 3, "truth": True, "words": ["a"], "deep": {"b": 1}, "text": "t"}),
            "Second": step(env=[{"name": "PLAIN", "value": "1"}]),
        },
        {"Second": taking("First", parameters=given), "First": {}},
        {"max_epsilon": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 3.0}},
    )
    secret = {
        "platforms": {"kubernetes": {"deploymentSpec": {"executors": {"Second-executor": {"secretAsEnv": [platform]}}}}}
    }
    return run(
        tmp_path_factory.mktemp("two"), document, secret,
        parameters={"max_epsilon": "1"}, env={"OF_THE_IMAGE": "x"}, secrets={"A_SECRET": "hunter2", "ANOTHER": "y"},
    )  # fmt: skip


def test_steps_run_after_those_that_they_wait_for(two: ir_runner.Run) -> None:
    assert list(two.tasks) == ["First", "Second"]


def test_an_artifact_arrives_as_open_source_kubeflow_hands_it_over(two: ir_runner.Run) -> None:
    """By a number, without a type, with doubles, wrapped lists and structures, and a display name."""
    (arrived,) = note(two, "Second")["given"]["inputs"]["artifacts"]["first"]["artifacts"]
    assert arrived == {
        "name": "1",
        "uri": two.tasks["First"].outputs["made"].uri,
        "type": {"instanceSchema": ""},
        "metadata": {
            "whole": 3.0, "truth": 1.0, "words": {"list": ["a"]}, "deep": {"struct": {"b": 1}},
            "text": "t", "display_name": "made",
            "store_session_info": '{"Provider":"minio","Params":{"fromEnv":"true"}}',
        },
    }  # fmt: skip
    assert arrived["uri"].startswith("minio://mlpipeline/v2/artifacts/toy/")


def test_an_empty_folder_does_not_arrive(two: ir_runner.Run) -> None:
    assert note(two, "Second")["read"] == {"first": {"given.json": True}}


def test_an_output_has_the_type_of_the_component_and_its_key_for_a_name(two: ir_runner.Run) -> None:
    (made,) = note(two, "First")["given"]["outputs"]["artifacts"]["made"]["artifacts"]
    assert made == {"name": "made", "uri": two.tasks["First"].outputs["made"].uri, "type": MODEL["artifactType"]}


def test_the_report_goes_where_the_artifacts_are_and_the_log_is_one_of_them(two: ir_runner.Run) -> None:
    note_of = note(two, "First")
    outputs = note_of["given"]["outputs"]
    (made,) = outputs["artifacts"]["made"]["artifacts"]
    (log,) = outputs["artifacts"]["executor-logs"]["artifacts"]
    task, _, _ = made["uri"].rpartition("/")
    mirrored = task.replace("minio://", f"{note_of['environ']['TFX_PRIVACY_MIRROR_ROOT']}/minio/")
    assert outputs["outputFile"] == f"{mirrored}/output_metadata.json"
    assert (log["uri"], log["type"]) == (f"{task}/executor-logs-0", {"schemaTitle": "system.Artifact"})
    assert two.folder("First", "executor-logs").read_text() == "said\n"


def test_what_is_empty_is_not_there(two: ir_runner.Run) -> None:
    assert set(note(two, "First")["given"]) == {"inputs", "outputs"}
    assert note(two, "First")["given"]["inputs"] == {}
    assert "parameters" not in note(two, "First")["given"]["outputs"]


def test_parameters_are_doubles_and_whole_ones_are_written_without_a_point(two: ir_runner.Run) -> None:
    values = note(two, "Second")["given"]["inputs"]["parameterValues"]
    assert values == {"limit": 1.0, "steps": 20.0}
    assert {type(value) for value in values.values()} == {int}


def test_a_step_sees_its_own_environment_and_no_more(two: ir_runner.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = note(two, "First"), note(two, "Second")
    assert first["environ"]["OF_THE_IMAGE"] == second["environ"]["OF_THE_IMAGE"] == "x"
    assert second["environ"]["A_SECRET"] == "hunter2"
    assert second["environ"]["PLAIN"] == "1"
    assert not {"A_SECRET", "PLAIN", "ANOTHER"} & set(first["environ"])
    assert not {"ANOTHER", "PYTEST_CURRENT_TEST"} & set(second["environ"])
    assert len({first["cwd"], second["cwd"], first["environ"]["HOME"], second["environ"]["HOME"], os.getcwd()}) == 3


def test_a_job_of_vertex_ai_has_types_and_addresses_that_are_used_as_they_are(tmp_path: pathlib.Path) -> None:
    document = pipeline({"First": step({"words": ["a"]}), "Second": step()}, {"First": {}, "Second": taking("First")})
    hook = step({"span": 3, "words": ["b"]})["container"]
    document["deploymentSpec"]["executors"]["First-executor"]["container"]["lifecycle"] = {"preCacheCheck": hook}
    # The hook runs first and leaves the folder.
    hook["command"][-1] += "\nimport shutil; shutil.rmtree(local(out['uri']))"
    path = tmp_path / "job.json"
    path.write_text(
        json.dumps({"pipelineSpec": document, "runtimeConfig": {"gcsOutputDirectory": str(tmp_path / "root")}})
    )
    done = ir_runner.run(path, tmp_path / "run", preload=False)
    (arrived,) = note(done, "Second")["given"]["inputs"]["artifacts"]["first"]["artifacts"]
    assert arrived["type"] == MODEL["artifactType"]
    assert arrived["uri"].startswith(f"{tmp_path}/root/toy/")
    assert arrived["metadata"] == {"display_name": "made", "span": 3.0, "words": ["a"]}
    assert "TFX_PRIVACY_MIRROR_ROOT" not in note(done, "Second")["environ"]


@pytest.mark.parametrize(("blessed", "state"), [(1, "succeeded"), (0, "skipped")])
def test_a_condition_decides(tmp_path: pathlib.Path, blessed: int, state: str) -> None:
    condition = "(inputs.artifacts['first'].artifacts[0].metadata['blessed'] == 1.0)"
    document = pipeline(
        {"First": step({"blessed": blessed}), "Second": step()},
        {"First": {}, "Second": taking("First", triggerPolicy={"condition": condition})},
    )
    assert run(tmp_path, document).tasks["Second"].state == state


def test_what_waits_for_a_step_that_was_skipped_is_omitted_and_the_run_goes_on(tmp_path: pathlib.Path) -> None:
    condition = "inputs.artifacts['first'].artifacts[0].metadata['blessed'] == 1.0"
    document = pipeline(
        {"First": step({"blessed": 0}), "Second": step(), "Third": step(), "Fourth": step(), "Other": step()},
        {
            "First": {},
            "Second": taking("First", triggerPolicy={"condition": condition}),
            "Third": taking("Second"),
            "Fourth": {"dependentTasks": ["Third"]},
            "Other": taking("First"),
        },
    )
    states = {name: result.state for name, result in run(tmp_path, document).tasks.items()}
    assert states == {
        "First": "succeeded", "Second": "skipped", "Third": "omitted", "Fourth": "omitted", "Other": "succeeded",
    }  # fmt: skip


def test_a_step_that_fails_stops_the_run_and_shows_its_log(tmp_path: pathlib.Path) -> None:
    document = pipeline(
        {"First": step(code="import sys; print('so it is'); sys.exit(3)"), "Second": step()},
        {"First": {}, "Second": taking("First")},
    )
    with pytest.raises(launcher.TaskError, match=r"First failed with exit code 3(.|\n)*so it is"):
        run(tmp_path, document)
    assert not list(tmp_path.glob("run/pods/*/Second"))


def test_null_in_metadata_is_refused_as_kubeflow_refuses_it(tmp_path: pathlib.Path) -> None:
    with pytest.raises(launcher.TaskError, match="metadata 'empty' is null"):
        run(tmp_path, pipeline({"First": step({"empty": None})}, {"First": {}}))


@pytest.mark.parametrize(
    ("report", "message"),
    [
        ({"unknown": 1}, "reports 'unknown', which is no field of Kubeflow's ExecutorOutput"),
        ({"artifacts": {"made": {"artifacts": [{"state": "LIVE"}]}}}, "reports 'state', which is no field"),
        (
            {"artifacts": {"made": {"artifacts": [{"uri": "minio://mlpipeline/models"}]}}},
            "reports 'minio://mlpipeline/models' for 'made'. Kubeflow's launcher uploads below minio://mlpipeline/v2/artifacts/toy/",
        ),
    ],
)
def test_a_report_that_kubeflow_does_not_take_fails_the_step(
    tmp_path: pathlib.Path, report: dict[str, Any], message: str
) -> None:
    code = (
        f"import json, sys; open(json.loads(sys.argv[1])['outputs']['outputFile'], 'w').write({json.dumps(report)!r})"
    )
    with pytest.raises(launcher.TaskError, match=message):
        run(tmp_path, pipeline({"First": step(code=code)}, {"First": {}}))


def test_whole_numbers_have_no_point_in_a_command_line(tmp_path: pathlib.Path) -> None:
    executor = step()
    executor["container"]["args"] += [
        f"{{{{$.inputs.parameters['{name}']}}}}" for name in ("steps", "limit", "truth", "text")
    ]
    values = {"steps": 20.0, "limit": 0.5, "truth": True, "text": "1.0"}
    given = {name: {"runtimeValue": {"constant": value}} for name, value in values.items()}
    done = run(tmp_path, pipeline({"First": executor}, {"First": {"inputs": {"parameters": given}}}))
    assert note(done, "First")["argv"][1:] == ["20", "0.5", "true", "1.0"]


def test_the_runs_root_is_the_one_that_is_given_and_not_the_files(tmp_path: pathlib.Path) -> None:
    """The backend looks at the run and at the cluster's configuration, and never at defaultPipelineRoot."""
    document = broken(defaultPipelineRoot="gs://ignored/root")
    assert run(tmp_path, document).tasks["First"].outputs["made"].uri.startswith("minio://mlpipeline/v2/artifacts/toy/")
    made = run(tmp_path, document, pipeline_root="s3://b/r").tasks["First"].outputs["made"]
    assert made.uri.startswith("s3://b/r/toy/")


def importing(uri: dict[str, Any]) -> dict[str, Any]:
    importer = {"importer": {"artifactUri": uri, "typeSchema": MODEL["artifactType"], "metadata": {"n": 1}}}
    first = {"inputs": {"parameters": {"artifact_uri": {"componentInputParameter": "place"}}}}
    return pipeline(
        {"First": importer, "Second": step()}, {"First": first, "Second": taking("First")},
        {"place": {"parameterType": "STRING", "defaultValue": "minio://b/other"}},
    )  # fmt: skip


@pytest.mark.parametrize("uri", [{"constant": "minio://b/model"}, {"runtimeParameter": "artifact_uri"}])
def test_an_importer_puts_out_what_lies_at_its_address(tmp_path: pathlib.Path, uri: dict[str, Any]) -> None:
    there = tmp_path / "run/store/minio/b" / ("model" if "constant" in uri else "other")
    there.mkdir(parents=True)
    (there / "weights").write_text("w")
    done = run(tmp_path, importing(uri))
    assert note(done, "Second")["read"] == {"first": {"weights": True}}
    (arrived,) = note(done, "Second")["given"]["inputs"]["artifacts"]["first"]["artifacts"]
    assert arrived["metadata"].pop("store_session_info")
    assert arrived["metadata"] == {"n": 1.0}


def test_an_importer_of_nothing_says_where_it_looked(tmp_path: pathlib.Path) -> None:
    with pytest.raises(launcher.TaskError, match="imports 'minio://b/model', and nothing is there"):
        run(tmp_path, importing({"constant": "minio://b/model"}))


@pytest.mark.parametrize("uri", ["/model", "model", "https://example.com/model", "file:///model"])
def test_an_importer_of_anything_else_fails(tmp_path: pathlib.Path, uri: str) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(
        launcher.TaskError, match=f"imports '{uri}'. Kubeflow imports from gs://, s3:// and minio:// alone"
    ):
        run(tmp_path, importing({"constant": uri}))


def test_a_folders_object_beside_others_stops_the_step_that_is_given_them(tmp_path: pathlib.Path) -> None:
    """As TensorFlow leaves them on gs://, and as Kubeflow's launcher stumbles over them."""
    there = tmp_path / "run/store/minio/b/model/variables"
    there.mkdir(parents=True)
    (there / store.FOLDER_MARKER).touch()
    done = run(tmp_path, importing({"constant": "minio://b/model"}))
    assert note(done, "Second")["read"] == {"first": {"variables": True}}
    (there / "weights").write_text("w")
    with pytest.raises(
        launcher.TaskError, match="Second cannot be given its inputs: .*stands for the folder model/variables"
    ):
        run(tmp_path, importing({"constant": "minio://b/model"}))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"unknown": "1"}, "no parameter 'unknown'. Parameters: flag, max_epsilon, needed, steps"),
        ({"needed": "x", "max_epsilon": "low"}, "max_epsilon=low to be a number"),
        ({"needed": "x", "steps": "1.5"}, "steps=1.5 to be a number"),
        ({"needed": "x", "flag": "yes"}, "flag=yes to be true or false"),
        ({}, "'needed' has no default. Give --parameter needed=VALUE"),
    ],
)
def test_parameters_that_do_not_fit_are_named_before_anything_runs(
    tmp_path: pathlib.Path, given: dict[str, str], message: str
) -> None:
    kinds = {"max_epsilon": "NUMBER_DOUBLE", "steps": "NUMBER_INTEGER", "flag": "BOOLEAN"}
    parameters: dict[str, Any] = {name: {"parameterType": kind, "defaultValue": 1} for name, kind in kinds.items()}
    parameters["needed"] = {"parameterType": "STRING"}
    with pytest.raises(ParameterError, match=message):
        run(tmp_path, pipeline({"First": step()}, {"First": {}}, parameters), parameters=given)
    assert not (tmp_path / "run").exists()


def broken(**changes: Any) -> dict[str, Any]:
    return {**pipeline({"First": step()}, {"First": {}}), **changes}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "is no compiled pipeline"),
        ({"a": 1}, "is no compiled pipeline"),
        (broken(schemaVersion="2.0.0"), "of pipeline spec 2.0.0, and open-source Kubeflow Pipelines takes 2.1.0 alone"),
        (broken(deploymentSpec={"executors": {"First-executor": {"resolver": {}}}}), "Task 'First' is a resolver"),
        (pipeline({"First": step()}, {"First": taking("Nobody")}), "an output of 'Nobody', and there is no such task"),
        (
            pipeline({"A": step(), "B": step()}, {"A": taking("B"), "B": taking("A")}),
            "wait for each other",
        ),
    ],
)  # fmt: skip
def test_what_kubeflow_would_not_run_is_refused(tmp_path: pathlib.Path, document: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        run(tmp_path, document)


def test_a_secret_that_is_not_here_is_named_before_anything_runs(tmp_path: pathlib.Path) -> None:
    secret = {"secretAsEnv": [{"secretName": "s", "keyToEnv": [{"secretKey": "k", "envVar": "A_SECRET"}]}]}
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"First-executor": secret}}}}}
    with pytest.raises(ParameterError, match="takes A_SECRET from Kubernetes secrets"):
        run(tmp_path, broken(), platform, secrets={"B": "x"})


METADATA = {
    "inputs": {
        "artifacts": {"b": {"artifacts": [{"metadata": {"blessed": 1.0, "who": "it's && me"}, "uri": "gs://x"}]}}
    }
}
B = "inputs.artifacts['b'].artifacts[0]"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (f"({B}.metadata['blessed'] == 1.0)", True),
        (f"({B}.metadata['blessed'] < 1.0)", False),
        (f"({B}.metadata['blessed'] > 0.5) && !({B}.uri == 'gs://y')", True),
        (f"(({B}.metadata['blessed'] == 0.0) || ({B}.uri == 'gs://x'))", True),
        (rf"{B}.metadata['who'] == 'it\'s && me'", True),
    ],
)
def test_conditions(condition: str, expected: bool) -> None:
    assert conditions.holds(condition, METADATA) is expected


@pytest.mark.parametrize(
    "condition",
    [
        f"{B}.metadata['unknown'] == 1.0",
        "inputs.artifacts['none'].artifacts[0].uri == ''",
        "inputs.artifacts['b'].artifacts[1].uri == ''",
        f"{B}.metadata['blessed'] == 'yes'",
        f"{B}.metadata['blessed']",
        f"{B}.metadata['blessed'] && true",
        "__import__('os').getcwd() == ''",
        "1 + 1 == 2.0",
        "",
    ],
)
def test_a_condition_that_cannot_be_decided_is_refused(condition: str) -> None:
    with pytest.raises(ParameterError, match="cannot be decided|neither true nor false"):
        conditions.holds(condition, METADATA)


def test_the_store_gives_no_way_out(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ParameterError, match="no address of an object store"):
        store.Store(tmp_path, mirrored=True).path("minio://b/../../etc")


def test_executors_of_a_pipeline_are_found() -> None:
    document = broken()
    document["deploymentSpec"]["executors"]["First-executor"]["container"]["args"] += ["--executor_class_path", "a.B"]
    compiled = spec.Compiled(spec=document, platform={}, root="", mirrored=True)
    assert compiled.executor_classes() == ["a.B"]


def test_python_is_this_python(tmp_path: pathlib.Path) -> None:
    log = tmp_path / "log"
    code = processes.fresh(processes.Process(["python", "-c", "import sys; print(sys.executable)"], {}, tmp_path, log))
    assert (code, log.read_text().strip()) == (0, sys.executable)


def test_the_command(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "compiled.yaml"
    path.write_text(yaml.safe_dump(pipeline({"First": step({"blessed": 0})}, {"First": {}})))
    arguments = ["run-ir", str(path), "--root", str(tmp_path / "run"), "--no-preload", "--env", "A=1"]
    done = CliRunner().invoke(cli.cli, arguments)
    assert done.exit_code == 0, done.output
    assert "First succeeded" in done.output
    assert "  blessed: 0.0" in done.output
    assert not list((tmp_path / "run/pods").glob("*"))
    failed = CliRunner().invoke(cli.cli, [*arguments, "--env", "NOT_SET"])
    assert "--env NOT_SET: the variable is not set here" in str(failed.exception)


def test_help_imports_nothing_that_takes_seconds() -> None:
    code = """
import subprocess
import sys
from click.testing import CliRunner
from tfx_privacy import cli
for command in ("compile", "run-ir"):
    done = CliRunner().invoke(cli.cli, [command, "--help"])
    assert done.exit_code == 0 and "Usage:" in done.output, done.output
print(*{"sqlalchemy", "tensorflow", "tfx", "yaml"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
