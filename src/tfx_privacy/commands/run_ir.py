"""`tfx-privacy run-ir`: what was compiled, step by step on this machine."""

from __future__ import annotations

import os
import pathlib

import click

from tfx_privacy.commands import terminal
from tfx_privacy.errors import ParameterError


@click.command(
    "run-ir",
    epilog="""\b
    tfx-privacy compile --output taxi.yaml
    tfx-privacy run-ir taxi.yaml --root run --parameter max_epsilon=1

    Ends with 0 if every step did its work; that a model was refused is no failure.
    """,
)
@click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=pathlib.Path))
@click.option(
    "--root", default="run_ir", show_default=True, type=click.Path(file_okay=False, path_type=pathlib.Path),
    help="Folder for the object store, and for the steps' own folders and logs.",
)  # fmt: skip
@click.option(
    "--pipeline-root", metavar="URI",
    help="Where the run's artifacts go, inside the object store. [default: minio://mlpipeline/v2/artifacts, or a job's own]",
)  # fmt: skip
@click.option(
    "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter of the run. Repeatable."
)
@click.option(
    "--env", "variables", multiple=True, metavar="NAME[=VALUE]",
    help="An environment variable of every step, with its value here if none is given. Repeatable.",
)  # fmt: skip
@click.option(
    "--preload/--no-preload",
    default=True,
    show_default=True,
    help="Fork the steps from a process that has imported TFX.",
)
@click.option(
    "--keep-pods", is_flag=True, help="Keep the steps' own folders, with ExecutorInputs and logs, if all goes well."
)
def run_ir(
    path: pathlib.Path,
    root: pathlib.Path,
    pipeline_root: str | None,
    parameters: tuple[str, ...],
    variables: tuple[str, ...],
    preload: bool,
    keep_pods: bool,
) -> None:
    """Run a compiled pipeline on this machine, as Kubeflow would.

    FILE is what `tfx-privacy compile` wrote. Each step is a separate process, with the command line and the
    ExecutorInput that Kubeflow's launcher would give it, and with this Python environment in the place of its image.
    Variables that the file takes from Kubernetes secrets are taken from the environment of this command, by the steps
    that the file names. For tests; docs/kubeflow.md says what is imitated and what is not.
    """
    given = dict(_pair("--parameter", text) for text in parameters)
    env = dict(_variable(text) for text in variables)
    with terminal.working(f"Running the steps of {path}, after importing TFX"):
        from tfx_privacy.pipelines import ir_runner

        done = ir_runner.run(
            path,
            root,
            pipeline_root=pipeline_root,
            parameters=given,
            env=env,
            secrets=os.environ,
            preload=preload,
            keep_pods=keep_pods,
            announce=terminal.echo,
        )
    for name, result in done.tasks.items():
        for key, artifact in result.outputs.items():
            terminal.echo(f"{name}.{key}: {done.folder(name, key)}")
            for what in ("blessed", "pushed", "blessing_message", "pushed_destination"):
                if what in artifact.metadata:
                    terminal.echo(f"  {what}: {artifact.metadata[what]}")


def _variable(text: str) -> tuple[str, str]:
    if "=" in text:
        return _pair("--env", text)
    if text not in os.environ:
        raise ParameterError(f"--env {text}: the variable is not set here. Set it, or give {text}=VALUE.")
    return text, os.environ[text]


def _pair(option: str, text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (name and separator):
        raise ParameterError(f"Expected {option} {name!r} as NAME=VALUE.")
    return name, value
