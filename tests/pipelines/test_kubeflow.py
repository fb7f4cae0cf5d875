"""Compiling: goldens (written anew by `python tests/helpers/compiled_summary.py`), Kubeflow's rules, secrets, the kfp SDK."""

import math
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import compiled_summary
import kubeflow_reading
import pytest
import yaml
from click.testing import CliRunner
from google.protobuf import json_format
from places import GOLDEN, HELPERS

from tfx_privacy import cli
from tfx_privacy.errors import ParameterError

pytestmark = pytest.mark.slow

PINNED = compiled_summary.IMAGE


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, dict[str, str]]:
    folder = tmp_path_factory.mktemp("compiled")
    return folder, compiled_summary.goldens(folder)


@pytest.mark.parametrize("name", [compiled_summary.OPEN_SOURCE, compiled_summary.VERTEX])
def test_the_taxi_pipeline_compiles_as_before(compiled: tuple[pathlib.Path, dict[str, str]], name: str) -> None:
    assert compiled[1][name] == (GOLDEN / name).read_text()


def test_nothing_that_is_compiled_is_cached(compiled: tuple[pathlib.Path, dict[str, str]]) -> None:
    for name in ("taxi.yaml", "taxi.json"):
        assert "enableCache" not in (compiled[0] / name).read_text()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"secrets": True},
        {"beam_pipeline_args": ["--runner=FlinkRunner", "--flink_master=flink:8081"]},
        {"mounts": True, "serving_model_dir": "/srv/models"},
        {"ledger": None, "dataset_id": None, "pipeline_root": None, "data_root": None, "serving_model_dir": None},
    ],
    ids=["plain", "secrets", "flink", "volume", "first command"],
)
def test_kubeflows_own_messages_take_what_is_compiled(options: dict[str, Any], tmp_path: pathlib.Path) -> None:
    from tfx_privacy.pipelines import kubeflow

    given = dict(options)
    if given.pop("secrets", False):
        given["secrets"] = compiled_summary.secrets()
    if given.pop("mounts", False):
        given["mounts"] = [kubeflow.Mount.parse("models:/srv/models")]
    compiled_summary.compile_taxi(tmp_path / "taxi.yaml", **given)
    spec, executors = kubeflow_reading.read(tmp_path / "taxi.yaml")
    assert kubeflow_reading.faults(spec) == []
    assert bool(executors) == ("secrets" in options or "mounts" in options)


def test_the_reading_finds_faults(compiled: tuple[pathlib.Path, dict[str, str]], tmp_path: pathlib.Path) -> None:
    path = compiled[0] / "taxi.yaml"
    spec, _ = kubeflow_reading.read(path)
    tasks = spec["root"]["dag"]["tasks"]
    tasks["DPTrainer"]["inputs"]["parameters"]["dataset_id"]["runtimeValue"]["constant"] = 1000.0
    tasks["Pusher"]["dependentTasks"].remove("BudgetValidator")
    assert kubeflow_reading.faults(spec) == [
        "DPTrainer.dataset_id=1000.0 is no STRING", "Pusher does not wait for BudgetValidator",
    ]  # fmt: skip
    (tmp_path / "taxi.yaml").write_text(path.read_text().replace("secretAsEnv:", "secretsAsEnv:"))
    with pytest.raises(json_format.ParseError):
        kubeflow_reading.read(tmp_path / "taxi.yaml")


def test_kfp_loads_what_is_compiled_nests_it_and_compiles_it_again(
    compiled: tuple[pathlib.Path, dict[str, str]], tmp_path: pathlib.Path
) -> None:
    """In a process of its own: kfp keeps the pipelines that it has seen."""
    code = f"""
import kfp
from kfp import components, compiler, dsl
taxi = components.load_component_from_file({str(compiled[0] / "taxi.yaml")!r})
assert type(taxi).__name__ == "YamlComponent", taxi
@dsl.pipeline(name="outer")
def outer(limit: float = 2.0):
    taxi(max_epsilon=limit)
compiler.Compiler().compile(outer, {str(tmp_path / "outer.yaml")!r})
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=300)
    spec, platform = yaml.safe_load_all((tmp_path / "outer.yaml").read_text())
    (task,) = spec["root"]["dag"]["tasks"].values()
    assert task["inputs"]["parameters"] == {"max_epsilon": {"componentInputParameter": "limit"}}
    inner = spec["components"][task["componentRef"]["name"]]
    assert inner["dag"]["tasks"]["Pusher"]["inputs"]["artifacts"]["model_blessing"]["taskOutputArtifact"] == {
        "producerTask": "BudgetValidator", "outputArtifactKey": "blessing",
    }  # fmt: skip
    assert inner["inputDefinitions"]["parameters"]["max_attack_auc"]["defaultValue"] == 0.65
    containers = [entry["container"] for entry in spec["deploymentSpec"]["executors"].values()]
    assert all(container["command"][2] == "tfx_privacy.pipelines.container" for container in containers)
    assert "secretAsEnv" in str(platform)


# Rules.


def importing(**options: Any) -> Any:
    from tfx.dsl.components.common import importer
    from tfx.types import standard_artifacts

    arguments = {"source_uri": "gs://bucket/model", "artifact_type": standard_artifacts.Model}
    return importer.Importer(**{**arguments, **options}).with_id("Import")


def custom(
    kind: Any = None, *, executor: Any = None, component_id: str = "Custom", driver: Any = None, **properties: Any
) -> Any:
    """A component without inputs, with one output and any execution properties."""
    import wired_components
    from tfx.dsl.components.base import base_component, base_driver, executor_spec
    from tfx.types import channel_utils, component_spec, standard_artifacts

    output = kind or standard_artifacts.Model
    spec = type(
        "Spec", (component_spec.ComponentSpec,),
        {
            "PARAMETERS": {name: component_spec.ExecutionParameter(type=object) for name in properties},
            "INPUTS": {},
            "OUTPUTS": {"made": component_spec.ChannelParameter(type=output)},
        },
    )  # fmt: skip
    arguments = {
        "SPEC_CLASS": spec,
        "EXECUTOR_SPEC": executor or executor_spec.ExecutorClassSpec(wired_components.OtherExecutor),
        "DRIVER_CLASS": driver or base_driver.BaseDriver,
    }
    made = type("Made", (base_component.BaseComponent,), arguments)(
        spec(**properties, made=channel_utils.as_channel([output()]))
    )
    return made.with_id(component_id)


def pipeline(*nodes: Any, **options: Any) -> Any:
    from tfx.orchestration import pipeline as tfx_pipeline

    arguments = {"pipeline_name": "rules", "pipeline_root": "gs://bucket/root"}
    return tfx_pipeline.Pipeline(**{**arguments, **options}, components=list(nodes))


def artifact_type(name: str, **properties: Any) -> Any:
    from tfx.types import artifact

    declared = {key: artifact.Property(type=artifact.PropertyType.FLOAT) for key in properties}
    return type("Strange", (artifact.Artifact,), {"TYPE_NAME": name, "PROPERTIES": declared or None, "__module__": "x"})


def infra_validator() -> Any:
    from tfx.components import InfraValidator
    from tfx.proto import infra_validator_pb2

    serving = infra_validator_pb2.ServingSpec(tensorflow_serving=infra_validator_pb2.TensorFlowServing(tags=["latest"]))
    source = importing()
    return pipeline(source, InfraValidator(model=source.outputs["result"], serving_spec=serving))


def resolving(strategy: str = "blessed") -> Any:
    from tfx import types
    from tfx.dsl.components.common import resolver
    from tfx.dsl.input_resolution.strategies import latest_artifact_strategy, span_range_strategy
    from tfx.types import standard_artifacts

    kinds = {"latest": latest_artifact_strategy.LatestArtifactStrategy, "span": span_range_strategy.SpanRangeStrategy}
    config = {"range_config": None} if strategy == "span" else {}
    node = resolver.Resolver(
        strategy_class=kinds[strategy], config=config, examples=types.Channel(type=standard_artifacts.Examples)
    ).with_id("Latest")
    return pipeline(node)


def asking_for_any_model() -> Any:
    from tfx import types
    from tfx.components import BulkInferrer
    from tfx.types import standard_artifacts

    examples = importing(artifact_type=standard_artifacts.Examples)
    return pipeline(
        examples, BulkInferrer(examples=examples.outputs["result"], model=types.Channel(type=standard_artifacts.Model))
    )


def nested() -> Any:
    return pipeline(pipeline(custom(), pipeline_name="inner"))


def dynamic_property() -> Any:
    from tfx.types import standard_artifacts

    source = custom(standard_artifacts.Float, component_id="Source")
    return pipeline(source, custom(limit=source.outputs["made"].future()[0].value))


def local_class() -> Any:
    from tfx.dsl.components.base import base_executor, executor_spec

    class Local(base_executor.BaseExecutor):
        def Do(self, *_: Any) -> None: ...

    return pipeline(custom(executor=executor_spec.ExecutorClassSpec(Local)))


def image_executor() -> Any:
    from tfx.dsl.components.base import executor_spec

    return pipeline(custom(executor=executor_spec.ExecutorSpec()))


def other_driver() -> Any:
    from tfx.dsl.components.base import base_driver

    return pipeline(custom(driver=type("Other", (base_driver.BaseDriver,), {})))


def module_file(root: str) -> Any:
    from tfx.components import Transform
    from tfx.types import standard_artifacts

    examples = importing(artifact_type=standard_artifacts.Examples)
    schema = importing(artifact_type=standard_artifacts.Schema).with_id("Schema")
    file = str(HELPERS / "wired_components.py")
    transform = Transform(examples=examples.outputs["result"], schema=schema.outputs["result"], module_file=file)
    return pipeline(examples, schema, transform, pipeline_root=root)


def pushing(folder: str) -> Any:
    from tfx.components import Pusher
    from tfx.proto import pusher_pb2

    destination = pusher_pb2.PushDestination(filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=folder))
    source = importing()
    return pipeline(source, Pusher(model=source.outputs["result"], push_destination=destination))


def two_parameters() -> Any:
    from tfx.orchestration import data_types

    first, second = (data_types.RuntimeParameter(name="limit", ptype=float, default=value) for value in (1.0, 2.0))
    return pipeline(custom(limit=first, component_id="A"), custom(limit=second, component_id="B"))


def runtime_place(default: str) -> Any:
    from tfx.orchestration import data_types

    return data_types.RuntimeParameter(name="place", ptype=str, default=default)


def no_default() -> Any:
    from tfx.orchestration import data_types

    return pipeline(custom(limit=data_types.RuntimeParameter(name="limit", ptype=float)))


ERRORS: list[tuple[str, Callable[[], Any]]] = [
    ("pipeline-name: .*'Rules'", lambda: pipeline(custom(), pipeline_name="Rules")),
    ("nested-pipeline", nested),
    ("infra-validator", infra_validator),
    ("node-id", lambda: pipeline(custom(component_id="my_component"))),
    ("resolver", lambda: resolving("latest")),
    ("executor-kind", image_executor),
    ("executor-not-importable", local_class),
    ("channel", asking_for_any_model),
    ("artifact-type-name: .*'Strange'", lambda: pipeline(custom(artifact_type("Strange")))),
    ("artifact-type-name: .*'a.b.Strange'", lambda: pipeline(custom(artifact_type("a.b.Strange")))),
    ("artifact-type-not-exported", lambda: pipeline(custom(artifact_type("tfx_privacy.Strange")))),
    ("artifact-type-not-exported", lambda: pipeline(custom(artifact_type("tfx_privacy.PrivacyReport")))),
    ("artifact-properties: .*epsilon", lambda: pipeline(custom(artifact_type("tfx_privacy.Strange", epsilon=1)))),
    ("dynamic-property", dynamic_property),
    ("property-not-finite", lambda: pipeline(custom(limit=math.inf))),
    ("property-not-finite", lambda: pipeline(custom(limit=math.nan))),
    ("property-type", lambda: pipeline(custom(limit={1, 2}))),
    ("property-type", lambda: pipeline(custom(limit={"a": object()}))),
    ("module-file", lambda: module_file("minio://mlpipeline/root")),
    ("place", lambda: pushing("s3://bucket/serving")),
    ("importer-uri", lambda: pipeline(importing(source_uri="/model"))),
    ("importer-uri", lambda: pipeline(importing(source_uri="https://example.com/model"))),
    ("importer-uri", lambda: pipeline(importing(source_uri=runtime_place("/model")))),
    ("node-id", lambda: pipeline(custom(component_id="a" * 122))),
    ("runtime-parameter", two_parameters),
]  # fmt: skip
WARNINGS: list[tuple[str, Callable[[], Any]]] = [
    ("custom-driver", other_driver),
    ("module-file", lambda: module_file("/root")),
    ("place", lambda: pushing("/serving")),
    ("runtime-parameter", no_default),
]  # fmt: skip


def findings(built: Any, *, platform: str = "open source", image: str = PINNED) -> Iterator[tuple[str, str]]:
    from tfx_privacy.pipelines.kubeflow import rules

    for finding in rules.check(built, platform=platform, image=image):
        assert finding.problem.endswith(".")
        assert finding.remedy.endswith(".")
        yield finding.severity, f"{finding.rule}: {finding.node}: {finding.message}"


@pytest.mark.parametrize(
    ("expected", "build"), ERRORS, ids=[f"{number} {rule}" for number, (rule, _) in enumerate(ERRORS)]
)
def test_what_cannot_run_is_named_with_its_rule(expected: str, build: Callable[[], Any]) -> None:
    import re

    errors = [message for severity, message in findings(build()) if severity == "error"]
    assert any(re.match(expected, message) for message in errors), errors


@pytest.mark.parametrize(
    ("expected", "build"), WARNINGS, ids=[f"{number} {rule}" for number, (rule, _) in enumerate(WARNINGS)]
)
def test_what_may_not_work_is_a_warning(expected: str, build: Callable[[], Any]) -> None:
    found = list(findings(build()))
    assert [severity for severity, _ in found] == ["warning"]
    assert found[0][1].startswith(f"{expected}: ")


@pytest.mark.parametrize("platform", ["open source", "vertex"])
def test_a_pipeline_that_can_run_has_no_findings(platform: str) -> None:
    import tfx_privacy

    assert (
        list(
            findings(
                pipeline(importing(), custom(tfx_privacy.PrivacyReport, limit=1.0, whole=3, flag=True, text="t")),
                platform=platform,
            )
        )
        == []
    )


def test_the_longest_step_id_leaves_room_for_what_kubeflow_appends() -> None:
    assert list(findings(pipeline(custom(component_id="a" * 121)))) == []


def test_vertex_ai_takes_names_that_begin_with_a_letter() -> None:
    named = pipeline(importing(), pipeline_name="1st")
    assert list(findings(named)) == []
    ((severity, message),) = findings(named, platform="vertex")
    assert (severity, message.partition(":")[0]) == ("error", "pipeline-name")


def test_data_of_a_package_are_for_open_source() -> None:
    from tfx.components import CsvExampleGen

    built = pipeline(CsvExampleGen(input_base="package://tfx/data"))
    assert list(findings(built)) == []
    ((severity, message),) = findings(built, platform="vertex")
    assert (severity, message.partition(":")[0]) == ("error", "place")


def test_vertex_ai_resolves_what_tfx_compiles_for_it() -> None:
    assert list(findings(resolving("latest"), platform="vertex")) == []
    ((severity, message),) = findings(resolving("span"), platform="vertex")
    assert (severity, message.partition(":")[0]) == ("error", "resolver")


@pytest.mark.parametrize(
    ("image", "expected"), [("", ("error", "image-missing")), ("a:latest", ("warning", "image-not-pinned"))]
)
def test_the_image_is_there_and_pinned(image: str, expected: tuple[str, str]) -> None:
    ((severity, message),) = findings(pipeline(importing()), image=image)
    assert (severity, message.partition(":")[0]) == expected


def test_a_pipeline_that_cannot_run_is_not_written(tmp_path: pathlib.Path) -> None:
    from tfx_privacy.pipelines import kubeflow

    with pytest.raises(ParameterError, match="cannot run on Kubeflow:\nerror: .*\nerror: "):
        kubeflow.compile(pipeline(custom(limit=math.nan), pipeline_name="A"), tmp_path / "p.yaml", image=PINNED)
    assert not (tmp_path / "p.yaml").exists()


def test_what_tfx_refuses_beyond_the_rules_is_no_traceback(tmp_path: pathlib.Path) -> None:
    from tfx.dsl.experimental.conditionals.conditional import Cond

    from tfx_privacy.pipelines import kubeflow

    source = importing()
    with Cond(
        source.outputs["result"].future()[0].property("a") == source.outputs["result"].future()[0].split_uri("train")
    ):
        guarded = custom()
    with pytest.raises(ParameterError, match="TFX's compiler for Kubeflow refuses the pipeline: NotImplementedError"):
        kubeflow.compile(pipeline(source, guarded), tmp_path / "p.yaml", image=PINNED)


def test_without_kfp_the_extra_to_install_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    from tfx_privacy import pipelines
    from tfx_privacy.pipelines import kubeflow

    monkeypatch.setitem(sys.modules, "tfx.orchestration.kubeflow.v2", None)
    monkeypatch.delitem(sys.modules, kubeflow.__name__)
    monkeypatch.delattr(pipelines, "kubeflow")
    with pytest.raises(ParameterError, match=r"Install tfx-privacy\[kubeflow\]"):
        CliRunner().invoke(cli.cli, ["compile", "--output", str(tmp_path / "t.yaml")], catch_exceptions=False)


def test_a_bucket_that_this_machine_cannot_open_is_named(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tfx_privacy.pipelines import kubeflow

    # Nobody listens there.
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://localhost:1")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("GCE_METADATA_HOST", "localhost:1")
    with pytest.raises(
        ParameterError, match="pipeline_root='gs://bucket/root' while compiling, and that cannot be opened .* --module"
    ):
        kubeflow.compile(module_file("gs://bucket/root"), tmp_path / "p.yaml", image=PINNED)


# The user's modules.


def two_files(folder: pathlib.Path) -> Any:
    """Transform and DPTrainer, each with a file of its own."""
    from tfx.components import CsvExampleGen, SchemaGen, StatisticsGen, Transform

    from tfx_privacy.accounting.parameters import DPParameters
    from tfx_privacy.components import DPTrainer

    for name, function in (("prep", "preprocessing_fn"), ("model", "model_fn")):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / f"{name}.py").write_text(f"def {function}(given):\n    return given\n")
    examples = CsvExampleGen(input_base="gs://b/d")
    schema = SchemaGen(statistics=StatisticsGen(examples=examples.outputs["examples"]).outputs["statistics"])
    transform = Transform(
        examples=examples.outputs["examples"],
        schema=schema.outputs["schema"],
        module_file=str(folder / "prep" / "prep.py"),
    )
    trainer = DPTrainer(
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        privacy=DPParameters(noise_multiplier=1.0, target_delta=1e-5, expected_batch_size=10, steps=1),
        module_file=str(folder / "model" / "model.py"),
    )
    return pipeline(examples, transform, trainer)


def places(built: Any) -> dict[str, tuple[Any, Any]]:
    """Of each step that has a module: its file, and its name."""
    properties = {node.id: node.exec_properties for node in built.components}
    return {
        step: (properties[step].get("module_file"), properties[step].get("module_path"))
        for step in ("Transform", "DPTransform", "DPTrainer")
        if step in properties
    }


def test_each_step_gets_its_own_module(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tfx_privacy.pipelines.kubeflow import parameters

    monkeypatch.syspath_prepend(str(tmp_path))
    built = two_files(tmp_path)
    parameters.import_modules(built, {"Transform": "prep.prep", "DPTrainer": "image_only.model"})
    assert places(built) == {"Transform": (None, "prep.prep"), "DPTrainer": (None, "image_only.model")}


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        (
            "mine",
            r"different ones: Transform \(.*prep.py\), DPTrainer \(.*model.py\). Give --module Transform=NAME --module D",
        ),
        ({"Trainer": "mine"}, "there is no step 'Trainer' with a module_file. Steps with one: Transform"),
        ({"Transform": "prep.prep", "DPTrainer": "prep.prep"}, r"DPTrainer calls model_fn, and .*prep.py has none"),
        ({"Transform": "model.model"}, "Transform calls preprocessing_fn, and .*model.py has none"),
    ],
)
def test_no_step_gets_the_module_of_another(
    modules: Any, message: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One --module gave Transform the trainer's, which was found in the cluster."""
    from tfx_privacy.pipelines.kubeflow import parameters

    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ParameterError, match=message):
        parameters.import_modules(two_files(tmp_path), modules)


def private_transform(**options: Any) -> list[Any]:
    """An ExampleGen, a schema and a DPTransform that is charged to a ledger."""
    from tfx.components import CsvExampleGen
    from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen

    from tfx_privacy.components import DPTransform
    from tfx_privacy.releases.parameters import DPPreprocessing

    examples = CsvExampleGen(input_base="gs://b/d")
    schema = ImportSchemaGen(schema_file="gs://b/schema.pbtxt")
    transform = DPTransform(
        examples=examples.outputs["examples"],
        schema=schema.outputs["schema"],
        privacy=DPPreprocessing(target_epsilon=0.3, target_delta=1e-6),
        ledger="env:LEDGER",
        dataset_id="trips",
        **options,
    )
    return [examples, schema, transform]


def test_a_private_transform_is_given_a_module_with_its_function(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tfx_privacy.pipelines.kubeflow import parameters

    monkeypatch.syspath_prepend(str(tmp_path))
    for name, function in (("mine", "preprocessing_fn"), ("other", "model_fn")):
        (tmp_path / f"{name}.py").write_text(f"def {function}(inputs):\n    return inputs\n")
    given = {"module_file": str(tmp_path / "mine.py")}
    built = pipeline(*private_transform(**given))
    parameters.import_modules(built, {"DPTransform": "mine"})
    (transform,) = (node for node in built.components if node.id == "DPTransform")
    assert transform.exec_properties["module_path"] == "mine"
    with pytest.raises(ParameterError, match=r"DPTransform calls preprocessing_fn, and .*other\.py has none"):
        parameters.import_modules(pipeline(*private_transform(**given)), {"DPTransform": "other"})


def test_a_step_that_releases_needs_its_ledger_and_the_signing_key(tmp_path: pathlib.Path) -> None:
    """Without them it would charge nothing, or leave what the gate refuses."""
    from tfx_privacy import DPParameters
    from tfx_privacy.components import BudgetValidator, DPTrainer
    from tfx_privacy.components.artifacts import PrivacyEvaluation, PrivacyGuarantee
    from tfx_privacy.pipelines.kubeflow import environment
    from tfx_privacy.records import signing

    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "schema_version: 1\nmax_epsilon: 3\nmax_delta: 1.0e-5\nmax_attack_auc: 0.6\nledger: none\nsignature: required\n"
    )
    nodes = private_transform(preprocessing_fn="mine.preprocessing_fn")
    assert {need.variable: need.required for need in environment.needs(pipeline(*nodes)) if need.node == nodes[-1].id} == {
        signing.SIGNING_KEY_VARIABLE: False, "LEDGER": True,
    }  # fmt: skip
    model, guarantee, evaluation = (
        importing(artifact_type=kind).with_id(name).outputs["result"]
        for kind, name in (
            (standard_model(), "Model"), (PrivacyGuarantee, "Guarantee"), (PrivacyEvaluation, "Evaluation"),
        )
    )  # fmt: skip
    validator = BudgetValidator(
        model=model, privacy_guarantee=guarantee, privacy_evaluation=evaluation, policy=str(policy)
    )
    sources = [channel.producer_component for channel in (model, guarantee, evaluation)]
    nodes = private_transform(preprocessing_fn="mine.preprocessing_fn")
    plain, counting = (
        DPTrainer(
            examples=nodes[-1].outputs["transformed_examples"],
            transform_graph=nodes[-1].outputs["transform_graph"],
            privacy=DPParameters(noise_multiplier=1.0, target_delta=1e-5, expected_batch_size=10, steps=1),
            module_path="mine",
            privacy_releases=releases,
        ).with_id(name)
        for name, releases in (("plain", None), ("counting", nodes[-1].outputs["privacy_release"]))
    )
    found = environment.needs(pipeline(*nodes, *sources, validator, plain, counting))
    assert environment.required(found, "DPTransform") == ["LEDGER", signing.SIGNING_KEY_VARIABLE]
    # What was signed is read, and so verified.
    assert environment.required(found, "plain") == [signing.SIGNING_KEY_VARIABLE]
    both = [signing.SIGNING_KEY_VARIABLE, signing.VERIFICATION_KEYS_VARIABLE]
    assert environment.required(found, "counting") == both


def standard_model() -> Any:
    from tfx.types import standard_artifacts

    return standard_artifacts.Model


def test_one_file_for_both_is_one_module(tmp_path: pathlib.Path) -> None:
    from tfx_privacy.pipelines import taxi
    from tfx_privacy.pipelines.kubeflow import TAXI_MODULE, parameters

    built = taxi.create_taxi_pipeline(output_root=str(tmp_path), with_baseline=False)
    parameters.import_modules(built, TAXI_MODULE)
    assert places(built) == {"DPTransform": (None, TAXI_MODULE), "DPTrainer": (None, TAXI_MODULE)}


# Parameters, environment.


def test_a_pipeline_of_ones_own_compiles_without_cache_and_with_parameters(tmp_path: pathlib.Path) -> None:
    source = tmp_path / "mine.py"
    source.write_text(
        "from tfx_privacy.pipelines import taxi\n"
        "def my_pipeline():\n"
        "    return taxi.create_taxi_pipeline(output_root='gs://b/o', metadata_connection_config=None, "
        "with_baseline=False,\n"
        "        data_root='gs://b/d', max_epsilon=2.5, enable_cache=True)\n"
    )
    for flags, expected in (
        ([], {"max_attack_auc": 0.65, "max_epsilon": 2.5, "target_epsilon": 3.0}),
        (["--no-runtime-parameters"], {}),
    ):
        output = tmp_path / "mine.yaml"
        arguments = [
            "compile",
            "--pipeline",
            f"{source}:my_pipeline",
            "--output",
            str(output),
            "--image",
            PINNED,
            *flags,
        ]
        done = CliRunner().invoke(cli.cli, [*arguments, "--module", "my.module", "--env", "A=1"])
        assert done.exit_code == 0, done.exception
        assert "warning" not in done.output
        summary = compiled_summary.summary(output)
        assert {name: value["defaultValue"] for name, value in summary["parameters"].items()} == expected
        assert summary["tasks"]["DPTrainer"]["parameters"]["module_path"] == "my.module"
        assert summary["tasks"]["Pusher"]["env"] == [{"name": "A", "value": "1"}]
        assert "enableCache" not in output.read_text()


def test_limits_of_a_policy_are_no_parameters(tmp_path: pathlib.Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "schema_version: 1\nmax_epsilon: 3\nmax_delta: 1.0e-5\nmax_attack_auc: 0.6\nledger: none\nsignature: required\n"
    )
    output = tmp_path / "taxi.yaml"
    limits = {"max_epsilon": None, "max_delta": None, "max_attack_auc": None}
    found = compiled_summary.compile_taxi(output, policy=policy, ledger=None, dataset_id=None, **limits)
    assert set(compiled_summary.summary(output)["parameters"]) == {"target_epsilon"}
    # The policy demands signatures, and nobody is known to give the keys.
    assert [(finding.rule, finding.node) for finding in found] == [
        ("environment", node)
        for node in ("DPStatisticsGen", "DPTransform", "DPTrainer", "DPTrainer", "PrivacyEvaluator", "BudgetValidator")
    ]
    arguments = compiled_summary.summary(output)["tasks"]["BudgetValidator"]["arguments"]
    assert arguments[-2:] == ["--requires_env", "TFX_PRIVACY_VERIFICATION_KEYS"]


def test_a_ledger_whose_address_nobody_gives_is_a_warning(tmp_path: pathlib.Path) -> None:
    found = compiled_summary.compile_taxi(tmp_path / "taxi.yaml")
    assert [(finding.rule, finding.node) for finding in found] == [
        ("environment", node) for node in ("DPStatisticsGen", "DPTransform", "DPTrainer", "BudgetValidator")
    ]
    given = {"env": {"TFX_PRIVACY_LEDGER": "postgresql://service@db/ledger"}}
    assert compiled_summary.compile_taxi(tmp_path / "taxi.json", **given) == []


@pytest.mark.parametrize(
    ("suffix", "options", "message"),
    [
        ("json", {"secrets": ["TFX_PRIVACY_LEDGER=a:b"]}, "Vertex AI has no Kubernetes secrets"),
        ("yaml", {"secrets": ["UNKNOWN=a:b"]}, "no step reads that variable.*DPTrainer.TFX_PRIVACY_LEDGER"),
        ("yaml", {"secrets": ["Nobody.UNKNOWN=a:b"]}, "there is no step 'Nobody'"),
        ("yaml", {"secrets": ["TFX_PRIVACY_LEDGER=postgresql://me:hunter2@db"]}, "The secret itself must not be given"),
        ("json", {"mounts": ["models:/srv/models"]}, "Vertex AI has no Kubernetes volumes"),
        (
            "yaml",
            {"env": {"TFX_PRIVACY_LEDGER": "postgresql://me:hunter2@db/ledger"}},
            "TFX_PRIVACY_LEDGER holds a secret",
        ),
        ("yaml", {"env": {"TFX_PRIVACY_SIGNING_KEY": "hunter2"}}, "TFX_PRIVACY_SIGNING_KEY holds a secret"),
        ("yaml", {"env": {"TFX_PRIVACY_VERIFICATION_KEYS": "hunter2"}}, "TFX_PRIVACY_VERIFICATION_KEYS holds a secret"),
        ("yaml", {"env": {"A B": "c"}}, "env name 'A B'"),
        ("txt", {}, "to end in .yaml"),
    ],
)
def test_secrets_do_not_get_into_what_is_compiled(
    tmp_path: pathlib.Path, suffix: str, options: dict[str, Any], message: str
) -> None:
    from tfx_privacy.pipelines import kubeflow

    def compile_it() -> None:
        given = dict(options)
        if "secrets" in given:
            given["secrets"] = [kubeflow.Secret.parse(text) for text in given["secrets"]]
        if "mounts" in given:
            given["mounts"] = [kubeflow.Mount.parse(text) for text in given["mounts"]]
        compiled_summary.compile_taxi(tmp_path / f"taxi.{suffix}", **given)

    with pytest.raises(ParameterError, match=message) as caught:
        compile_it()
    assert "hunter2" not in str(caught.value)


def test_every_text_is_quoted(tmp_path: pathlib.Path) -> None:
    """PyYAML writes 1e3 as a bare word, and the server's YAML 1.2 reads a number: another dataset's budget."""
    output = tmp_path / "taxi.yaml"
    for name in ("1e3", "0o7"):
        compiled_summary.compile_taxi(output, dataset_id=name, secrets=compiled_summary.secrets())
        document, platform = yaml.compose_all(output.read_text())
        texts = [*values(document), *values(platform)]
        assert name in [text.value for text in texts]
        assert {text.style for text in texts} == {'"'}
        task = compiled_summary.summary(output)["tasks"]["DPTrainer"]
        assert task["parameters"]["dataset_id"] == name


def values(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    """Every text that is a value; keys that do not begin with a letter must be quoted as well."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            assert key.value[0].isalpha() or key.style == '"', key
            yield from values(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from values(value)
    elif isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str":
        yield node


def test_the_first_command_is_enough_for_a_cluster_with_minio(tmp_path: pathlib.Path) -> None:
    """Nothing in the file is of this machine, and no address needs another store."""
    output = tmp_path / "taxi.yaml"
    done = CliRunner().invoke(cli.cli, ["compile", "--output", str(output), "--image", PINNED])
    assert done.exit_code == 0, done.output
    text = output.read_text()
    assert str(pathlib.Path(sys.prefix)) not in text
    assert str(pathlib.Path.cwd()) not in text
    assert not {"gs://", "s3://"} & set(text.split('"'))
    tasks = compiled_summary.summary(output)["tasks"]
    assert tasks["CsvExampleGen"]["parameters"]["input_base"] == (
        "package://tfx/examples/chicago_taxi_pipeline/data/simple"
    )
    destination = tasks["Pusher"]["parameters"]["push_destination"]
    assert destination == {"filesystem": {"base_directory": "/tmp/serving_model"}}
    # The one warning says so.
    assert done.output.count("warning:") == 1
    assert "Pusher: push_destination='/tmp/serving_model' is a folder inside the container" in done.output
    assert "defaultPipelineRoot" not in text


def mounted(tmp_path: pathlib.Path, *texts: str, **options: Any) -> dict[str, Any]:
    from tfx_privacy.pipelines import kubeflow

    output = tmp_path / "mounted.yaml"
    mounts = [kubeflow.Mount.parse(text) for text in texts]
    found = kubeflow.compile_taxi(output, image=PINNED, mounts=mounts, **options)
    assert found == []
    _, platform = yaml.safe_load_all(output.read_text())
    return dict(platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"])


def test_a_volume_is_mounted_where_places_are_on_it_as_kfp_kubernetes_writes_it(tmp_path: pathlib.Path) -> None:
    from kfp import compiler, dsl, kubernetes

    options = {"data_root": "/srv/data/taxi", "serving_model_dir": "/srv/models"}
    executors = mounted(tmp_path, "data.set:/srv/data", "models:/srv/models/", "Evaluator=cache:/cache", **options)

    @dsl.container_component
    def step():  # type: ignore[no-untyped-def]
        return dsl.ContainerSpec(image=PINNED)

    @dsl.pipeline(name="theirs")
    def theirs() -> None:
        kubernetes.mount_pvc(step(), "models", "/srv/models")

    compiler.Compiler().compile(theirs, str(tmp_path / "theirs.yaml"))
    _, oracle = yaml.safe_load_all((tmp_path / "theirs.yaml").read_text())
    (expected,) = oracle["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values()
    for entry in expected["pvcMount"]:
        # Of later versions: the name again.
        assert entry.pop("pvcNameParameter", None) in (None, {"runtimeValue": {"constant": entry["constant"]}})
    assert executors == {
        "CsvExampleGen_executor": {"pvcMount": [{"constant": "data.set", "mountPath": "/srv/data"}]},
        "Evaluator_executor": {"pvcMount": [{"constant": "cache", "mountPath": "/cache"}]},
        "Pusher_executor": expected,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models:/srv/other", "no step reads data from a place below /srv/other, or pushes to one"),
        ("Nobody=models:/srv/models", "there is no step 'Nobody'. Steps: CsvExampleGen"),
    ],
)
def test_a_volume_that_no_step_uses_is_named(text: str, message: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(ParameterError, match=message):
        mounted(tmp_path, text, serving_model_dir="/srv/models")


def test_cpus_memory_and_accelerators_are_in_the_compiled_step(tmp_path: pathlib.Path) -> None:
    """As docs/kubeflow.md says: TFX's ResourceSpec, with_platform_config."""
    from kfp.pipeline_spec import pipeline_spec_pb2

    from tfx_privacy.pipelines import kubeflow, taxi

    spec = pipeline_spec_pb2.PipelineDeploymentConfig.PipelineContainerSpec.ResourceSpec
    built = taxi.create_taxi_pipeline(
        output_root="gs://b/o", metadata_connection_config=None, with_baseline=False, data_root="gs://b/d"
    )
    nodes = {node.id: node for node in built.components}
    nodes["DPTrainer"].with_platform_config(
        spec(cpu_limit=4, memory_limit=16, accelerator=spec.AcceleratorConfig(type="nvidia.com/gpu", count=1))
    )
    # TFX forgets those of an ExampleGen.
    nodes["CsvExampleGen"].with_platform_config(spec(memory_limit=2.5))
    kubeflow.compile(built, tmp_path / "p.yaml", image=PINNED, module="my.module")
    tasks = compiled_summary.summary(tmp_path / "p.yaml")["tasks"]
    assert tasks["DPTrainer"]["resources"] == {
        "cpuLimit": 4.0, "memoryLimit": 16.0, "accelerator": {"type": "nvidia.com/gpu", "count": "1"},
    }  # fmt: skip
    assert tasks["CsvExampleGen"]["resources"] == {"memoryLimit": 2.5}
    assert [name for name, task in tasks.items() if "resources" in task] == ["CsvExampleGen", "DPTrainer"]


def test_secrets_stand_there_as_kfp_kubernetes_writes_them(tmp_path: pathlib.Path) -> None:
    """The same secrets for a step of the same name, by kfp-kubernetes."""
    from kfp import compiler, dsl, kubernetes

    from tfx_privacy.pipelines import kubeflow

    texts = [
        "BudgetValidator.TFX_PRIVACY_LEDGER=privacy-ledger:address",
        "BudgetValidator.TFX_PRIVACY_SIGNING_KEY=keys:a.b",
    ]
    secrets = [kubeflow.Secret.parse(text) for text in texts]
    kubeflow.compile_taxi(
        tmp_path / "ours.yaml", image=PINNED, pipeline_root="gs://b/r", ledger="env:TFX_PRIVACY_LEDGER", dataset_id="trips",
        secrets=secrets,
    )  # fmt: skip

    def step():  # type: ignore[no-untyped-def]
        return dsl.ContainerSpec(image=PINNED)

    step.__name__ = "BudgetValidator"
    component = dsl.container_component(step)

    @dsl.pipeline(name="theirs")
    def theirs() -> None:
        task = component()
        for secret in secrets:
            kubernetes.use_secret_as_env(task, secret.name, {secret.key: secret.variable})

    compiler.Compiler().compile(theirs, str(tmp_path / "theirs.yaml"))
    ours, oracle = (list(yaml.safe_load_all((tmp_path / name).read_text()))[1] for name in ("ours.yaml", "theirs.yaml"))
    (expected,) = oracle["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values()
    for entry in expected["secretAsEnv"]:
        # Of later versions: the name again, and the default. What we write is read by earlier servers as well.
        assert entry.pop("optional", False) is False
        assert entry.pop("secretNameParameter", None) in (None, {"runtimeValue": {"constant": entry["secretName"]}})
    assert ours == {
        "platforms": {"kubernetes": {"deploymentSpec": {"executors": {"BudgetValidator_executor": expected}}}}
    }


def test_public_keys_may_stand_there_and_shared_secrets_may_not() -> None:
    from tfx_privacy.pipelines import compile_arguments
    from tfx_privacy.records import signing

    compile_arguments.check_plain({signing.VERIFICATION_KEYS_VARIABLE: signing.new_key("ed25519", "a").verification})
    with pytest.raises(ParameterError, match="holds a secret"):
        compile_arguments.check_plain(
            {signing.VERIFICATION_KEYS_VARIABLE: signing.new_key("hmac-sha256", "a").verification}
        )
