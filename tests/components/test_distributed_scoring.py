"""PrivacyEvaluator beyond one process: Beam's portable job service with a pool of workers, and the options of Flink and Dataflow.

No cluster is at hand. A job for Flink goes to a job service, which gives its parts to workers of another environment:
so it goes here, with the job service that is part of Beam.
"""

import os
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from evaluator_bench import MEMBERS, OTHERS, Bench
from places import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def worker_pool(tmp_path: pathlib.Path) -> Iterator[str]:
    """Beam's pool of workers, as the entrypoint of an image starts it: a process of its own that knows nothing of this one."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", "--service_port", str(port)]
    with open(tmp_path / "workers.log", "w") as log:
        # It starts its workers as `python`.
        path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
        pool = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PATH": path})
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("localhost", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"localhost:{port}"
    finally:
        pool.terminate()
        pool.wait(30)


@pytest.fixture
def patience() -> Iterator[None]:
    """A job whose worker has died waits for ever."""

    def give_up(*_: object) -> None:
        raise TimeoutError("The workers' log is workers.log.")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(300)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("patience")
def test_workers_of_another_environment_find_the_same(tmp_path: pathlib.Path, worker_pool: str) -> None:
    bench = Bench(tmp_path)
    bench.model(memorised=MEMBERS[:400])
    bench.examples({"train": MEMBERS, "eval": OTHERS}, shards=2, name="sharded")
    first = bench.run()
    second = bench.run([
        "--runner=PortableRunner", "--job_endpoint=embed",
        "--environment_type=EXTERNAL", f"--environment_config={worker_pool}",
    ])  # fmt: skip
    assert second.results == first.results


BLOCKS = re.findall(r"^```beam\n(.*?)^```", (ROOT / "docs" / "beam.md").read_text(), re.MULTILINE | re.DOTALL)
REMOTE = [block for block in BLOCKS if "--runner" in block and "FnApiRunner" not in block]
LOCAL = [block for block in BLOCKS if "FnApiRunner" in block]


@pytest.mark.parametrize("block", BLOCKS)
def test_beam_knows_every_documented_option(block: str, caplog: pytest.LogCaptureFixture) -> None:
    from apache_beam.options import pipeline_options

    given = block.split()
    options = pipeline_options.PipelineOptions(given).get_all_options(drop_default=True)
    assert "unparseable" not in caplog.text
    for argument in given:
        name, _, value = argument.removeprefix("--").partition("=")
        name = name.removeprefix("no_") if not value else name
        assert name in options, argument
        assert value in ("", str(options[name]), *(str(one) for one in _listed(options[name]))), argument


def test_an_option_that_beam_does_not_know_is_noticed(caplog: pytest.LogCaptureFixture) -> None:
    from apache_beam.options import pipeline_options

    options = pipeline_options.PipelineOptions(["--flink_mister=x"]).get_all_options(drop_default=True)
    assert "flink_mister" not in options
    assert "unparseable" in caplog.text


def test_records_go_to_no_program_that_beam_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The DirectRunner of tfx 1.21 would begin with one; a runner that is named counts."""
    import apache_beam
    from apache_beam.options.pipeline_options import StandardOptions
    from apache_beam.runners.direct import direct_runner
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner
    from tfx.dsl.components.base import base_beam_executor

    from tfx_privacy import compat
    from tfx_privacy.components.privacy_evaluator import executor

    def runner_of(*arguments: str) -> Any:
        context = base_beam_executor.BaseBeamExecutor.Context(
            beam_pipeline_args=list(arguments), tmp_dir="/nowhere", unique_id="1"
        )
        return executor.Executor(context)._make_beam_pipeline().runner

    assert type(runner_of()) is FnApiRunner
    assert (
        type(runner_of("--runner=BundleBasedDirectRunner", "--extra_package=x"))
        is direct_runner.BundleBasedDirectRunner
    )
    monkeypatch.setattr(StandardOptions, "DEFAULT_RUNNER", "DirectRunner")
    assert type(apache_beam.Pipeline().runner) is direct_runner.SwitchingDirectRunner
    compat.use_local_beam_runner()
    assert type(apache_beam.Pipeline().runner) is FnApiRunner
    assert type(apache_beam.Pipeline(argv=["--runner=DirectRunner"]).runner) is direct_runner.SwitchingDirectRunner


@pytest.mark.parametrize("block", REMOTE)
def test_remote_workers_read_from_gs_alone(block: str) -> None:
    from tfx_privacy.pipelines.kubeflow import beam

    evaluator = scoring_step(block.split())
    assert beam.remote_runner(evaluator) == block.split()[0].removeprefix("--runner=")
    assert findings_of(evaluator, "gs://bucket/root") == []
    assert [finding.severity for finding in findings_of(evaluator, "minio://mlpipeline/root")] == ["error"]
    assert [finding.severity for finding in findings_of(evaluator, "/mounted")] == ["warning"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--direct_num_workers=2"],
        ["--runner=DirectRunner"],
        *[block.split() for block in LOCAL],
        ["--runner", "apache_beam.runners.direct.DirectRunner"],
        ["--runner=PortableRunner", "--environment_type=LOOPBACK"],
        # Engines that the step starts by itself.
        ["--runner=FlinkRunner"],
        ["--runner=FlinkRunner", "--flink_master=[local]"],
        ["--runner=FlinkRunner", "--flink_master", "[auto]"],
        ["--runner=SparkRunner"],
        ["--runner=SparkRunner", "--spark_master_url=local[2]"],
    ],
)
def test_workers_on_this_machine_read_from_anywhere(arguments: list[str]) -> None:
    assert findings_of(scoring_step(arguments), "minio://mlpipeline/root") == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--runner=FlinkRunner", "--flink_master=flink:8081"],
        ["--runner=FlinkRunner", "--environment_type=EXTERNAL"],
        ["--runner=SparkRunner", "--spark_master_url=spark://master:7077"],
    ],
)
def test_workers_elsewhere_do_not(arguments: list[str]) -> None:
    found = findings_of(scoring_step(arguments), "minio://mlpipeline/root")
    assert [finding.severity for finding in found] == ["error"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], []),
        (["--direct_num_workers=2"], ["--sdk_container_image=i"]),
        (["--runner=PortableRunner"], ["--sdk_container_image=i"]),
        (["--sdk_container_image=other"], []),
        (["--extra_package", "mine.whl"], []),
        (["--setup_file=setup.py"], []),
    ],
)
def test_workers_run_the_image_of_the_step(given: list[str], expected: list[str]) -> None:
    """Else TFX packs its own sources for them, in every step, and they cannot install these."""
    from tfx.utils import dependency_utils

    from tfx_privacy.pipelines.kubeflow import beam

    found = beam.image_argument(scoring_step(given), "i")
    assert found == expected
    if given:
        assert dependency_utils.make_beam_dependency_flags([*given, *found]) == [*given, *found]


def test_the_compiled_step_has_the_arguments_and_knows_of_its_workers(tmp_path: pathlib.Path) -> None:
    import yaml

    from tfx_privacy.pipelines import kubeflow

    given = REMOTE[0].split()
    kubeflow.compile_taxi(
        tmp_path / "taxi.yaml", image="i@sha256:0", pipeline_root="gs://bucket/root", beam_pipeline_args=given
    )
    executors = next(yaml.safe_load_all((tmp_path / "taxi.yaml").read_text()))["deploymentSpec"]["executors"]
    arguments = {name: executor["container"]["args"] for name, executor in executors.items()}
    for step in ("PrivacyEvaluator", "DPStatisticsGen", "DPTransform", "Evaluator", "CsvExampleGen"):
        assert arguments[f"{step}_executor"][-2:] == ["--sdk_container_image=i@sha256:0", "--remote_workers"]
        assert shlex.join(given) in shlex.join(arguments[f"{step}_executor"])
    for step in ("DPTrainer", "BudgetValidator", "Pusher"):
        assert "--remote_workers" not in arguments[f"{step}_executor"]


def scoring_step(arguments: list[str]) -> Any:
    from tfx.types import channel_utils, standard_artifacts

    from tfx_privacy.components import PrivacyEvaluator

    return PrivacyEvaluator(
        examples=channel_utils.as_channel([standard_artifacts.Examples()]),
        model=channel_utils.as_channel([standard_artifacts.Model()]),
        label_key="label",
    ).with_beam_pipeline_args(arguments)


def findings_of(node: Any, root: str) -> list[Any]:
    from tfx.orchestration import pipeline as tfx_pipeline

    from tfx_privacy.pipelines import compile_arguments
    from tfx_privacy.pipelines.kubeflow import rules

    built = tfx_pipeline.Pipeline(pipeline_name="scoring", pipeline_root=root, components=[node])
    found = rules.check(built, platform=compile_arguments.OPEN_SOURCE, image="i@sha256:0")
    return [finding for finding in found if finding.rule == "beam-runner"]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
