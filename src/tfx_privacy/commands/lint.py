"""`tfx-privacy lint`: looks for ways past the gate in a pipeline's wiring."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import importlib.util
import inspect
import pathlib
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

from tfx_privacy.privacy import strict_json

if TYPE_CHECKING:
    from tfx_privacy.pipelines.lint import Finding

# A copy of pipelines.lint.RUNNERS: importing that takes TFX, and half a minute.
_RUNNERS = ("local", "kubeflow")


@click.command(
    epilog="""\b
    tfx-privacy lint pipeline.py
    tfx-privacy lint pipeline.py:create_pipeline --runner kubeflow
    tfx-privacy lint package.module:PIPELINE --format json

    Ends with 0 if nothing is wrong or there are warnings alone, 1 if there are errors, 2 if there is no pipeline to look at.
    """
)
@click.argument("target", metavar="PIPELINE")
@click.option(
    "--runner", type=click.Choice(_RUNNERS), default="local", show_default=True,
    help="What will run it: kubeflow stands for Kubeflow Pipelines and Vertex AI.",
)  # fmt: skip
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", show_default=True)
@click.pass_context
def lint(context: click.Context, target: str, runner: str, form: str) -> None:
    """Look for ways past the gate in how a pipeline is wired.

    A Pusher without BudgetValidator's blessing, or with one that is of another model or may be missing; training that
    bypasses DPTrainer; verdicts that a cache replays; and more: docs/lint.md.

    PIPELINE is FILE.py, FILE.py:NAME or package.module:NAME, where NAME is a TFX pipeline or a function that returns one
    without arguments. The code is imported, and so executed: lint only what you would run. Compiled pipelines are not read.
    """
    pipeline = _load(target)
    from tfx_privacy.pipelines import lint as rules

    findings = rules.check(pipeline, runner=runner)
    if form == "json":
        click.echo(strict_json.dumps([dataclasses.asdict(finding) for finding in findings]))
    else:
        _show(findings)
    context.exit(int(any(finding.severity == rules.ERROR for finding in findings)))


def _show(findings: Sequence[Finding]) -> None:
    for finding in findings:
        click.echo(f"{finding.severity}: {finding.node}: {finding.problem} [{finding.rule}]\n  {finding.remedy}")
    if not findings:
        click.echo("No findings.")


def _load(target: str) -> Any:
    """The pipeline that PIPELINE names; everything that is in the way is a usage error."""
    source, name = _split(target)
    if source.endswith((".yaml", ".yml", ".json")):
        raise click.BadParameter(
            f"{source!r} is a compiled pipeline, which is not read. Give the Python file that builds it."
        )
    # What the user's code prints must not get into the output.
    with contextlib.redirect_stdout(sys.stderr):
        module = _attempt(target, lambda: _module_of(source))
        found = _attempt(target, lambda: _choose(module, name))
        return found if _is_pipeline(found) else _attempt(target, lambda: _called(found, name))


def _split(target: str) -> tuple[str, str | None]:
    source, colon, name = target.rpartition(":")
    return (source, name) if colon and name.isidentifier() else (target, None)


def _attempt(target: str, step: Callable[[], Any]) -> Any:
    """Runs code of the user's; whatever it raises is said in one line."""
    try:
        return step()
    except click.ClickException:
        raise
    except SystemExit as stopped:
        raise click.BadParameter(f"{target!r} ended with status {stopped.code!r} while it was imported.") from stopped
    except Exception as error:
        raise click.BadParameter(f"{target!r} cannot be used: {type(error).__name__}: {error}") from error


def _module_of(source: str) -> ModuleType:
    if not source.endswith(".py"):
        sys.path.insert(0, "")
        return importlib.import_module(source)
    path = pathlib.Path(source).resolve()
    if not path.is_file():
        raise click.BadParameter(f"There is no file {source!r}.")
    # As `python FILE.py` would: modules beside it can be imported, and TFX finds components that it defines by its name.
    sys.path.insert(0, str(path.parent))
    name = path.stem if path.stem not in sys.modules else f"_linted_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _choose(module: ModuleType, name: str | None) -> Any:
    """The object of that name; without a name the only pipeline, or else the only function that looks like one."""
    if name is not None:
        if not hasattr(module, name):
            raise click.BadParameter(f"There is no {name!r} in {module.__name__!r}. {_listed(module)}")
        return getattr(module, name)
    objects = list({id(value): value for value in _pipelines(module).values()}.values())
    functions = [function for function in _functions(module).values() if _takes_nothing(function)]
    chosen = objects or functions
    if len(chosen) != 1:
        raise click.BadParameter(f"Which pipeline of {module.__name__!r}? Give FILE.py:NAME. {_listed(module)}")
    return chosen[0]


def _called(function: Any, name: str | None) -> Any:
    if not callable(function) or not _takes_nothing(function):
        what = "takes arguments" if callable(function) else f"is a {type(function).__name__}"
        raise click.BadParameter(f"{name!r} {what}. Give a pipeline, or a function that returns one without arguments.")
    pipeline = function()
    if not _is_pipeline(pipeline):
        raise click.BadParameter(
            f"{getattr(function, '__name__', name)!r} returned a {type(pipeline).__name__}, not a TFX pipeline."
        )
    return pipeline


def _listed(module: ModuleType) -> str:
    """What there is to choose from, as a sentence."""
    functions = [
        f"{name}()" if _takes_nothing(function) else f"{name}() (takes arguments)"
        for name, function in _functions(module).items()
    ]
    found = [*_pipelines(module), *functions]
    return (
        f"Found: {', '.join(found)}." if found else "Found neither a pipeline nor a function that is called like one."
    )


def _pipelines(module: ModuleType) -> dict[str, Any]:
    return {name: value for name, value in vars(module).items() if _is_pipeline(value)}


def _functions(module: ModuleType) -> dict[str, Any]:
    """Functions that the module itself defines and that are called like a pipeline."""
    return {
        name: value
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and "pipeline" in name.lower()
    }


def _takes_nothing(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind()
    except (TypeError, ValueError):
        return False
    return True


def _is_pipeline(value: Any) -> bool:
    # If the user's code has not imported TFX there is no pipeline in it.
    known = sys.modules.get("tfx.orchestration.pipeline")
    return known is not None and isinstance(value, known.Pipeline)
