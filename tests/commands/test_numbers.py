"""Numbers on the command line are finite, whichever option takes them."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from tfx_privacy.cli import cli
from tfx_privacy.errors import ParameterError


def options(command: click.Command, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], str]]:
    """The commands' options that take a float."""
    if isinstance(command, click.Group):
        return [found for name, each in command.commands.items() for found in options(each, (*path, name))]
    return [(path, option.opts[0]) for option in command.params if isinstance(option.type, click.types.FloatParamType)]


FLOATS = options(cli)


def test_there_are_options_that_take_a_float() -> None:
    assert len(FLOATS) >= 10


@pytest.mark.parametrize(
    ("path", "option"), FLOATS, ids=lambda value: " ".join(value) if isinstance(value, tuple) else value
)
@pytest.mark.parametrize("number", ["1e400", "-1e400", "nan", "inf", "-Infinity"])
def test_a_number_that_is_not_finite_is_refused(path: tuple[str, ...], option: str, number: str) -> None:
    found = CliRunner().invoke(cli, [*path, f"{option}={number}"])
    assert isinstance(found.exception, ParameterError)
    assert f"{option.removeprefix('--').replace('-', '_')}={number} to be a finite number" in str(found.exception)
