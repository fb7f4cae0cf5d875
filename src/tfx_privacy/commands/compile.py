"""`tfx-privacy compile`: a pipeline for Kubeflow Pipelines or Vertex AI."""

from __future__ import annotations

import importlib.util
import pathlib
from collections.abc import Sequence
from typing import Any

import click

from tfx_privacy.commands import loading, terminal
from tfx_privacy.errors import ParameterError

_NO_KFP = "Compiling for Kubeflow needs packages that are not here (kfp). Install tfx-privacy[kubeflow]."


@click.command(
    epilog="""\b
    tfx-privacy compile --output taxi.yaml --image registry.example/tfx-privacy@sha256:...
    tfx-privacy compile --pipeline pipeline.py:create_pipeline --output pipeline.yaml --image ... \\
        --module Transform=my.preprocessing --module DPTrainer=my.model
    tfx-privacy compile ... --secret TFX_PRIVACY_LEDGER=privacy-ledger:address
    tfx-privacy compile ... --serving-model-dir /srv/models/taxi --mount models:/srv/models

    Warnings go to the terminal's error output. docs/kubeflow.md explains the rest.
    """
)
@click.option(
    "--output", required=True, type=click.Path(dir_okay=False, path_type=pathlib.Path),
    help="File to write: .yaml (open-source Kubeflow Pipelines 2.x) or .json (Vertex AI job).",
)  # fmt: skip
@click.option(
    "--pipeline", "target", metavar="FILE.py[:NAME]",
    help="A TFX pipeline, or a function that returns one without arguments; the code is imported, and so executed. "
    "The Chicago Taxi pipeline by default.",
)  # fmt: skip
@click.option(
    "--image",
    default="tfx-privacy:latest",
    show_default=True,
    help="Container image of every step, best with its digest.",
)
@click.option(
    "--pipeline-root",
    help="Root of the taxi pipeline's artifacts (another pipeline has its own). Vertex AI needs it, as gs://; on open source a "
    "run's root is given when it is started.",
)
@click.option(
    "--data-root",
    help="Folder with the taxi pipeline's CSV file, as containers see it. [default: in the image's tfx]",
)
@click.option(
    "--serving-model-dir",
    help="Folder that the taxi pipeline pushes to, as containers see it: gs://, or on a volume. [default: below "
    "--pipeline-root; without one, inside the container]",
)
@click.option(
    "--ledger", metavar="env:VARIABLE", help="Charge the taxi pipeline's training to the budget ledger of this address."
)
@click.option(
    "--runtime-parameters/--no-runtime-parameters", default=True, show_default=True,
    help=(
        "Let whoever starts a run set max_epsilon, max_attack_auc and target_epsilon; what is in the pipeline are the "
        "defaults."
    ),
)  # fmt: skip
@click.option(
    "--module", "modules", multiple=True, metavar="[STEP=]NAME",
    help="Import the user's module under this name from the image, instead of packaging the step's module_file now. "
    "Without STEP it is for all steps, which must have the same file. Repeatable.",
)  # fmt: skip
@click.option(
    "--secret", "secrets", multiple=True, metavar="[STEP.]VARIABLE=SECRET:KEY",
    help="Set an environment variable from a key of a Kubernetes secret, for the steps that read it. Repeatable.",
)  # fmt: skip
@click.option(
    "--env", "variables", multiple=True, metavar="VARIABLE=VALUE",
    help="Set an environment variable of every step, as plain text in the file. Repeatable.",
)  # fmt: skip
@click.option(
    "--mount", "volumes", multiple=True, metavar="[STEP=]CLAIM:/PATH",
    help="Mount a PersistentVolumeClaim, for the step, or for those that read data from a place below /PATH or push to one. "
    "Repeatable.",
)  # fmt: skip
def compile(output: pathlib.Path, target: str | None, image: str, modules: Sequence[str], **options: Any) -> None:
    """Compile a pipeline for Kubeflow Pipelines or Vertex AI."""
    from tfx_privacy.pipelines import compile_arguments

    taxi_options = {name: options.pop(name) for name in ("pipeline_root", "data_root", "serving_model_dir", "ledger")}
    given = [f"--{name.replace('_', '-')}" for name, value in taxi_options.items() if value is not None]
    if target is not None and given:
        raise click.UsageError(f"{', '.join(given)} applies only to the built-in taxi pipeline; set it in {target}.")
    given_texts = [options.pop(name) for name in ("secrets", "variables", "volumes")]
    common = {"image": image, **_checked(output, image, *given_texts), **options}
    module = compile_arguments.parse_modules(modules)
    if taxi_options["ledger"] is not None:
        from tfx_privacy.ledger import source

        source.check_name(taxi_options["ledger"])
    if importlib.util.find_spec("kfp") is None:
        raise ParameterError(_NO_KFP)
    pipeline = None if target is None else loading.load_pipeline(target)
    loading.quiet_libraries()
    with terminal.working(f"Compiling {target or 'the taxi pipeline'}, with TFX's compiler"):
        try:
            from tfx_privacy.pipelines import kubeflow, taxi
        except ImportError as error:
            raise ParameterError(str(error)) from error
        if pipeline is not None:
            findings = kubeflow.compile(pipeline, output, module=module, **common)
        else:
            findings = kubeflow.compile_taxi(output, **common, **_taxi(module, taxi.DATASET_ID, **taxi_options))
    for finding in findings:
        terminal.echo(
            f"{finding.severity}: {finding.node}: {finding.problem} [{finding.rule}]\n  {finding.remedy}", err=True
        )
    terminal.echo(f"Wrote {output}.")


def _checked(
    output: pathlib.Path, image: str, secrets: Sequence[str], variables: Sequence[str], volumes: Sequence[str]
) -> dict[str, Any]:
    """What can be told before the many seconds that TFX takes."""
    from tfx_privacy.pipelines import compile_arguments

    if not image.strip():
        raise ParameterError(f"--image={image!r} names no container image, and every step runs in one.")
    parsed = [compile_arguments.Secret.parse(text) for text in secrets]
    env = dict(_variable(text) for text in variables)
    mounts = [compile_arguments.Mount.parse(text) for text in volumes]
    compile_arguments.check(output, secrets=parsed, env=env, mounts=mounts)
    return {"secrets": parsed, "env": env, "mounts": mounts}


def _taxi(
    module: str | dict[str, str] | None,
    dataset_id: str,
    *,
    ledger: str | None,
    **places: str | None,
) -> dict[str, Any]:
    options: dict[str, Any] = dict(places)
    if module is not None:
        options["module"] = module
    if ledger is not None:
        options |= {"ledger": ledger, "dataset_id": dataset_id}
    return options


def _variable(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise ParameterError(f"Expected --env {name!r} as VARIABLE=VALUE.")
    return name, value
