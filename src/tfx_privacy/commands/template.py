"""`tfx-privacy template`: new projects, in the shape of `tfx template copy`'s."""

from __future__ import annotations

import pathlib
import re

import click

from tfx_privacy.commands import terminal
from tfx_privacy.errors import ParameterError

_TEMPLATES = pathlib.Path(__file__).resolve().parent.parent / "templates"
# What is the same in every project.
_COMMON = "common"
_PLACEHOLDER = "{{PIPELINE_NAME}}"
# Kubeflow takes letters, digits and hyphens; a letter first, because the name is also used in
# Python and in image names.
_PIPELINE_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NEXT_STEPS = """\
Next:
  cd {destination}
  python -m unittest         # the project's own tests
  python local_runner.py     # trains, attacks, judges and pushes a model of the demonstration's data
README.md says the rest; `grep -rn TODO .` shows what your own data change."""


@click.group()
def template() -> None:
    """Start a project of your own from a template."""


@template.command("list")
def list_templates() -> None:
    """List the templates."""
    names = _names()
    width = max(len(name) for name in names)
    for name in names:
        terminal.echo(f"{name:{width}}  {_summary(name)}")


@template.command()
@click.option("--model", required=True, metavar="NAME", help="Name of the template: see `tfx-privacy template list`.")
@click.option("--pipeline-name", "--pipeline_name", required=True, metavar="NAME", help="Name of the new pipeline.")
@click.option(
    "--destination-path", "--destination_path", "destination", required=True, metavar="DIR",
    type=click.Path(path_type=pathlib.Path), help="Folder of the new project; new or empty.",
)  # fmt: skip
def copy(model: str, pipeline_name: str, destination: pathlib.Path) -> None:
    """Copy a template to a new folder."""
    if model not in _names():
        raise ParameterError(f"There is no template --model={model!r}. There are: {', '.join(_names())}.")
    _check_name(pipeline_name)
    _check_destination(destination)
    for name, source in sorted(_files(model).items()):
        target = destination / name
        target.parent.mkdir(parents=True, exist_ok=True)
        text = source.read_text(encoding="utf-8")
        target.write_text(text.replace(_PLACEHOLDER, pipeline_name), encoding="utf-8")
    terminal.echo(f"Copied the {model} template to {destination}, as pipeline {pipeline_name!r}.")
    terminal.echo(_NEXT_STEPS.format(destination=destination))


def _names() -> list[str]:
    return sorted(path.parent.name for path in _TEMPLATES.glob("*/README.md"))


def _summary(name: str) -> str:
    """The first sentence below the title of the template's README."""
    paragraphs = (_TEMPLATES / name / "README.md").read_text(encoding="utf-8").split("\n\n")
    return " ".join(paragraphs[1].split()).partition(". ")[0].rstrip(".")


def _files(model: str) -> dict[pathlib.Path, pathlib.Path]:
    """The files of a new project: those of all templates, and the template's own, which win."""
    return {
        path.relative_to(folder): path
        for folder in (_TEMPLATES / _COMMON, _TEMPLATES / model)
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def _check_name(pipeline_name: str) -> None:
    if _PIPELINE_NAME.fullmatch(pipeline_name):
        return
    suggestion = re.sub(r"[^a-z0-9]+", "-", pipeline_name.lower()).lstrip("-0123456789")[:63].rstrip("-")
    raise ParameterError(
        f"Expected --pipeline-name={pipeline_name!r} to be of lower-case letters, digits and hyphens, at most 63, with "
        "a letter first and no hyphen last: Kubeflow takes no other names."
        + (f" Try {suggestion!r}." if suggestion else "")
    )


def _check_destination(destination: pathlib.Path) -> None:
    if destination.is_dir():
        found = next(destination.iterdir(), None)
        if found is not None:
            raise ParameterError(
                f"--destination-path={str(destination)!r} is not empty: it holds {found.name!r}. Name a new folder; "
                "nothing is overwritten."
            )
    elif destination.exists() or destination.is_symlink():
        raise ParameterError(f"--destination-path={str(destination)!r} is no folder. Name a new one.")
