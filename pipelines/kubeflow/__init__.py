"""Compiles pipelines for Kubeflow: open-source Kubeflow Pipelines 2.x, or Vertex AI.

TFX's own KubeflowV2DagRunner does the work; this package adds what makes the result run:

* `rules`: what cannot run there, named with its remedy before TFX's compiler stumbles over it;
* `beam`: which steps hand their work to other machines;
* `environment`: which step needs which environment variable, and Kubernetes secrets for them;
* `completion`: default values of runtime parameters, the arguments of our entrypoint (`pipelines.container`),
  environment, pipeline root;
* `parameters`: the gate's limits and the trainer's target as runtime parameters.

docs/kubeflow.md explains it; `tfx-privacy run-ir` runs what was compiled on this machine.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from tfx.orchestration import pipeline as tfx_pipeline

try:
    from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner
except ImportError as error:
    raise ImportError(
        f"Compiling for Kubeflow needs packages that are not here ({error}). Install tfx-privacy[kubeflow], which "
        "brings the kfp that your TFX is made for."
    ) from error

from tfx_privacy.errors import ParameterError
from tfx_privacy.pipelines import compile_arguments, container, lint, taxi
from tfx_privacy.pipelines.compile_arguments import OPEN_SOURCE, VERTEX, Secret, platform_of
from tfx_privacy.pipelines.kubeflow import completion, environment, parameters, rules
from tfx_privacy.pipelines.lint import Finding

__all__ = ["OPEN_SOURCE", "VERTEX", "Secret", "compile", "compile_taxi", "platform_of"]

TAXI_MODULE = "tfx_privacy.pipelines.taxi.module.taxi_model"


def compile(
    pipeline: tfx_pipeline.Pipeline,
    output: str | os.PathLike[str],
    *,
    image: str,
    runtime_parameters: bool = True,
    module: str | Mapping[str, str] | None = None,
    secrets: Sequence[Secret] = (),
    env: Mapping[str, str] | None = None,
) -> list[Finding]:
    """Compiles a pipeline, with our entrypoint in its containers.

    Caching is off in what is compiled: the switch is per pipeline, Kubeflow runs no driver that would keep
    BudgetValidator's verdict from being replayed, and a stale BLESSED is worse than a repeated run.

    Args:
      pipeline: Any TFX pipeline. It is used up, as by TFX's own compiler: build another one to run it elsewhere.
      output: File to write: `.yaml` for open-source Kubeflow Pipelines 2.x (pipeline spec 2.1),
        `.json` for Vertex AI (a job).
      image: Container image of every step, best with its digest.
      runtime_parameters: Whether the limits of BudgetValidator and DPTrainer's target_epsilon become parameters of the
        run, where they are plain numbers; their values are the defaults.
      module: Name under which the user's module can be imported in the image, if the steps with a `module_file` have
        the same one; or such a name for each step, by its id. It takes the place of `module_file`, and no wheel is
        packaged.
      secrets: Environment variables from Kubernetes secrets; open source only.
      env: Environment variables of every container, as plain text in what is compiled.

    Returns:
      Warnings: what may be meant, and will not work if it is not.

    Raises:
      ParameterError: If something in the pipeline cannot run on Kubeflow (every rule that is broken is named), the lint
        finds a way past the gate, or `module` does not suit the steps; nothing is written then.
    """
    platform = compile_arguments.check(output, secrets=secrets, env=env or {})
    pipeline.enable_cache = False
    if module is not None:
        parameters.import_modules(pipeline, module)
    if runtime_parameters:
        parameters.set_at_run(pipeline)
    findings = rules.check(pipeline, platform=platform, image=image)
    errors = [str(finding) for finding in findings if finding.severity == lint.ERROR]
    if errors:
        raise ParameterError("The pipeline cannot run on Kubeflow:\n" + "\n".join(errors))
    lint.require(pipeline, runner="kubeflow")
    needs = environment.needs(pipeline)
    findings += environment.unmet(needs, secrets, env or {})
    job = _compiled(pipeline, image, platform)
    completion.complete(job, pipeline, needs=needs, platform=platform, env=env or {})
    platform_spec = environment.kubernetes(needs, secrets, job["pipelineSpec"]) if secrets else None
    completion.write(os.fspath(output), job, platform_spec)
    return findings


def compile_taxi(
    output: str | os.PathLike[str],
    *,
    image: str,
    pipeline_root: str,
    data_root: str | None = None,
    serving_model_dir: str | None = None,
    **options: Any,
) -> list[Finding]:
    """Compiles the taxi pipeline.

    Without a baseline: open-source Kubeflow Pipelines runs no resolver, and Vertex AI's takes a
    refused model for a baseline.

    Args:
      output: As `compile`.
      image: Container image of every step; tfx-privacy must be installed in it, with the taxi module.
      pipeline_root: Root of the artifacts.
      data_root: Folder with the CSV file, as the containers see it; the one of the tfx package on
        this machine by default.
      serving_model_dir: Folder that Pusher writes to, as the containers see it; below `pipeline_root` by default.
      **options: What else `compile` and `create_taxi_pipeline` take.

    Returns:
      Warnings.

    Raises:
      ParameterError: As `compile`.
    """
    platform_of(output)
    names = set(compile.__kwdefaults__ or {})
    compiling = {name: options.pop(name) for name in list(options) if name in names}
    with tempfile.TemporaryDirectory() as scratch:
        pipeline = taxi.create_taxi_pipeline(
            output_root=scratch,
            pipeline_root=pipeline_root,
            data_root=data_root or taxi.data_root(),
            serving_model_dir=serving_model_dir or f"{pipeline_root.rstrip('/')}/{taxi.SERVING_DIR}",
            metadata_connection_config=None,
            with_baseline=False,
            enable_cache=False,
            **options,
        )
        return compile(pipeline, output, image=image, **{"module": TAXI_MODULE, **compiling})


def _compiled(pipeline: tfx_pipeline.Pipeline, image: str, platform: str) -> dict[str, Any]:
    """TFX's PipelineJob."""
    command = list(container.COMMAND)
    if platform == OPEN_SOURCE:
        command.append("--local_mirrors")
    config = kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
        default_image=image,
        default_commands=command,
        # 2.1 on both: it is the only one that open source takes, and the only one that says what inputs are.
        use_pipeline_spec_2_1=True,
    )
    try:
        return dict(kubeflow_v2_dag_runner.KubeflowV2DagRunner(config=config).run(pipeline, write_out=False))
    except tf.errors.OpError as error:
        raise ParameterError(
            f"The user's module is packaged below pipeline_root={pipeline.pipeline_info.pipeline_root!r} while "
            f"compiling, and that cannot be opened from here: {str(error).splitlines()[0]}. Let this machine write "
            "there, or install the modules in the image and compile with --module STEP=NAME."
        ) from error
    except (AssertionError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        raise ParameterError(
            f"TFX's compiler for Kubeflow refuses the pipeline: {type(error).__name__}: {error}. Take out what it "
            "names."
        ) from error
