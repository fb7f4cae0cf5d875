"""Compiles pipelines for Kubeflow: open-source Kubeflow Pipelines 2.x, or Vertex AI.

TFX's own KubeflowV2DagRunner does the work; this package adds what makes the result run:

* `rules`: what cannot run there, named with its remedy before TFX's compiler stumbles over it;
* `beam`: which steps hand their work to other machines;
* `environment`: which step needs which environment variable, and Kubernetes secrets for them;
* `places`: folders and addresses in arguments, and volumes for them;
* `completion`: default values of runtime parameters, the arguments of our entrypoint (`pipelines.container`),
  environment;
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
from tfx_privacy.pipelines.compile_arguments import OPEN_SOURCE, VERTEX, Mount, Secret, platform_of
from tfx_privacy.pipelines.container.translation import PACKAGE_SCHEME
from tfx_privacy.pipelines.kubeflow import completion, environment, parameters, places, rules
from tfx_privacy.pipelines.lint import Finding

__all__ = ["OPEN_SOURCE", "VERTEX", "Mount", "Secret", "compile", "compile_taxi", "platform_of"]

TAXI_MODULE = "tfx_privacy.pipelines.taxi.module.taxi_model"
TAXI_DATA = f"{PACKAGE_SCHEME}tfx/examples/chicago_taxi_pipeline/data/simple"
"""The taxi pipeline's CSV file, in the tfx package of whatever image the step runs in."""
_NOMINAL_ROOT = "minio://mlpipeline/v2/artifacts"
"""That of an installation of open-source Kubeflow Pipelines. TFX wants one; where a run's artifacts go is said when it starts."""
_SERVING_DIR = "/tmp/serving_model"
"""Of a container: the one folder that every account may write to."""


def compile(
    pipeline: tfx_pipeline.Pipeline,
    output: str | os.PathLike[str],
    *,
    image: str,
    runtime_parameters: bool = True,
    module: str | Mapping[str, str] | None = None,
    secrets: Sequence[Secret] = (),
    env: Mapping[str, str] | None = None,
    mounts: Sequence[Mount] = (),
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
      mounts: PersistentVolumeClaims, mounted into the containers of steps; open source only.

    Returns:
      Warnings: what may be meant, and will not work if it is not.

    Raises:
      ParameterError: If something in the pipeline cannot run on Kubeflow (every rule that is broken is named), the lint
        finds a way past the gate, or `module`, a secret or a volume suits no step; nothing is written then.
    """
    platform = compile_arguments.check(output, secrets=secrets, env=env or {}, mounts=mounts)
    pipeline.enable_cache = False
    if module is not None:
        parameters.import_modules(pipeline, module)
    if runtime_parameters:
        parameters.set_at_run(pipeline)
    findings = rules.check(pipeline, platform=platform, image=image, mounts=mounts)
    errors = [str(finding) for finding in findings if finding.severity == lint.ERROR]
    if errors:
        raise ParameterError("The pipeline cannot run on Kubeflow:\n" + "\n".join(errors))
    lint.require(pipeline, runner="kubeflow")
    needs = environment.needs(pipeline)
    findings += environment.unmet(needs, secrets, env or {})
    job = _compiled(pipeline, image, platform)
    completion.complete(job, pipeline, needs=needs, platform=platform, env=env or {})
    platform_spec = completion.platform_spec(
        environment.secrets_as_env(needs, secrets, job["pipelineSpec"]),
        places.volumes(mounts, pipeline, job["pipelineSpec"]),
    )
    completion.write(os.fspath(output), job, platform_spec)
    return findings


def compile_taxi(
    output: str | os.PathLike[str],
    *,
    image: str,
    pipeline_root: str | None = None,
    data_root: str | None = None,
    serving_model_dir: str | None = None,
    **options: Any,
) -> list[Finding]:
    """Compiles the taxi pipeline.

    With nothing but an image, open-source Kubeflow Pipelines runs the result as it is: the data are in the image, artifacts go
    where the cluster keeps them, and the pushed model is among them.

    Without a baseline: open-source Kubeflow Pipelines runs no resolver, and Vertex AI's takes a
    refused model for a baseline.

    Args:
      output: As `compile`.
      image: Container image of every step; tfx-privacy must be installed in it, with the taxi module.
      pipeline_root: Root of the artifacts. On open source it counts for Beam's workers and nothing else: a run's root is
        the one that it is started with, or the cluster's. On Vertex AI it must be given, as `gs://`.
      data_root: Folder with the CSV file, as the containers see it; by default the one in the image's tfx package, which
        Vertex AI cannot read.
      serving_model_dir: Folder that Pusher writes to, as the containers see it; by default below `pipeline_root`, and
        without one a folder that is lost with the container.
      **options: What else `compile` and `create_taxi_pipeline` take.

    Returns:
      Warnings.

    Raises:
      ParameterError: As `compile`.
    """
    if platform_of(output) == VERTEX and pipeline_root is None:
        raise ParameterError("Vertex AI keeps artifacts where the job says. Give --pipeline-root gs://BUCKET/FOLDER.")
    serving_below_root = f"{pipeline_root.rstrip('/')}/{taxi.SERVING_DIR}" if pipeline_root else _SERVING_DIR
    names = set(compile.__kwdefaults__ or {})
    compiling = {name: options.pop(name) for name in list(options) if name in names}
    with tempfile.TemporaryDirectory() as scratch:
        pipeline = taxi.create_taxi_pipeline(
            output_root=scratch,
            pipeline_root=pipeline_root or _NOMINAL_ROOT,
            data_root=data_root or TAXI_DATA,
            serving_model_dir=serving_model_dir or serving_below_root,
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
