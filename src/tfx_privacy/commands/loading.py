"""Finds the pipeline that a command is asked about in the user's code."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import os
import pathlib
import sys
import warnings
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import click

from tfx_privacy.commands import terminal
from tfx_privacy.pipelines import source_names


def load_pipeline(target: str) -> Any:
    """The pipeline that an argument names.

    Args:
      target: FILE.py, FILE.py:NAME or package.module:NAME, where NAME is a TFX pipeline or a function that returns one
        without arguments. The code is imported, and so executed.

    Raises:
      click.BadParameter: If something is in the way, the user's own exceptions as well.
    """
    source, name = _split(target)
    if source.endswith((".yaml", ".yml", ".json")):
        raise click.BadParameter(
            f"{source!r} is a compiled pipeline, which is not read. Give the Python file that builds it."
        )
    _refuse_early(source, name)
    quiet_libraries()
    # What the user's code prints must not get into the output.
    with terminal.working(f"Importing {source}, and TFX"), contextlib.redirect_stdout(sys.stderr):
        module = _attempt(target, lambda: _module_of(source))
        found = _attempt(target, lambda: _choose(module, name))
        return found if _is_pipeline(found) else _attempt(target, lambda: _called(found, name))


def quiet_libraries() -> None:
    """Before TFX is imported: its libraries' remarks on this machine would stand between findings."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"google\..*")


def _split(target: str) -> tuple[str, str | None]:
    source, colon, name = target.rpartition(":")
    return (source, name) if colon and name.isidentifier() else (target, None)


def _refuse_early(source: str, name: str | None) -> None:
    """What the file's text already shows, before the many seconds that importing TFX takes."""
    if source.endswith(".py") and not pathlib.Path(source).is_file():
        raise click.BadParameter(f"There is no file {source!r}.")
    path = pathlib.Path(source) if source.endswith(".py") else source_names.find(source)
    names = source_names.read(path) if path is not None else None
    if names is None or not names.complete:
        return
    if name is not None:
        if name not in names:
            raise click.BadParameter(f"There is no {name!r} in {source!r}. {_found_in(names)}")
        if name in names.functions and source_names.requires_arguments(names.functions[name]):
            raise _not_a_pipeline(name, "takes arguments")
        return
    candidates = _candidates(names)
    if not names.others and sum(not takes for takes in candidates.values()) != 1:
        raise click.BadParameter(f"Which pipeline of {source!r}? Give FILE.py:NAME. {_found_in(names)}")


def _candidates(names: source_names.Names) -> dict[str, bool]:
    """Functions that are called like a pipeline, and whether they take arguments."""
    return {
        name: source_names.requires_arguments(function)
        for name, function in names.functions.items()
        if "pipeline" in name.lower()
    }


def _found_in(names: source_names.Names) -> str:
    return _sentence([_shown(name, takes) for name, takes in _candidates(names).items()])


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
    # As `python FILE.py` would: modules next to it can be imported, and TFX finds components that it
    # defines by its name.
    sys.path.insert(0, str(path.parent))
    name = path.stem if path.stem not in sys.modules else f"_loaded_{path.stem}"
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
        raise _not_a_pipeline(name, "takes arguments" if callable(function) else f"is a {type(function).__name__}")
    pipeline = function()
    if not _is_pipeline(pipeline):
        raise click.BadParameter(
            f"{getattr(function, '__name__', name)!r} returned a {type(pipeline).__name__}, not a TFX pipeline."
        )
    return pipeline


def _not_a_pipeline(name: str | None, what: str) -> click.BadParameter:
    return click.BadParameter(f"{name!r} {what}. Give a pipeline, or a function that returns one without arguments.")


def _listed(module: ModuleType) -> str:
    functions = [_shown(name, not _takes_nothing(function)) for name, function in _functions(module).items()]
    return _sentence([*_pipelines(module), *functions])


def _shown(name: str, takes_arguments: bool) -> str:
    return f"{name}() (takes arguments)" if takes_arguments else f"{name}()"


def _sentence(found: Sequence[str]) -> str:
    """What there is to choose from."""
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
