"""`tfx-privacy report --format registry`: its options, and the entry that they and the evidence make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tfx_privacy.commands import terminal
from tfx_privacy.errors import EvidenceError

if TYPE_CHECKING:
    from tfx_privacy.reporting.registry.basis import Basis

GUARANTEE_NAME = "privacy_guarantee.json"

_Command = TypeVar("_Command", bound=Callable[..., Any])
_TEXTS = {
    "deployment_name": "the model's name.",
    "description": "what the model predicts, of whom.",
    "intended_use": "what it is to be used for.",
    "region": "whom the data describe, or whose laws apply.",
    "sector": "Technology, Healthcare, Education, Government, Energy or Finance.",
    "publication_date": "YYYY-MM-DD. Default: the day on which the model was trained.",
    "slug": "of the entry's address. Default: name, curator and year.",
}
_LISTS = {
    "curator": "who publishes the model; repeatable.",
    "source": "a link to a paper or a page of the model; repeatable.",
    "registry_author": "who writes the entry; repeatable.",
}


def options(command: _Command) -> _Command:
    """Adds the options for what only a person can say."""
    for name, text in reversed({**_TEXTS, **_LISTS}.items()):
        flag = f"--{name.replace('_', '-')}"
        command = click.option(flag, name, multiple=name in _LISTS, help=f"Registry: {text}")(command)
    return command


def check_unused(declared: Mapping[str, Any]) -> None:
    """Refuses what a person said of an entry where none is written."""
    given = [f"--{name.replace('_', '-')}" for name, value in declared.items() if value]
    if given:
        raise click.UsageError(f"{given[0]} is of an entry of the registry: give --format registry as well.")


def render(text: str, path: str, declared: Mapping[str, Any]) -> str:
    """The entry of a report's or a guarantee's text, as YAML; says on stderr what a person is to fill in.

    Raises:
      EvidenceError: If it is neither, or contradicts itself.
      ParameterError: If what was said breaks a rule.
    """
    from tfx_privacy.reporting.registry import entry
    from tfx_privacy.reporting.registry.declared import Declared

    said = Declared(**declared)
    with terminal.working("Accounting the run anew"):
        found = _basis(text, path)
    written = entry.to_yaml(entry.build(found, said))
    for word, why in found.objections.items():
        terminal.echo(f"{word}: {why} The entry says so, and has no parameters of differential privacy.", err=True)
    if said.missing:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in said.missing)
        terminal.echo(f"To be filled in, or given: {named}.", err=True)
    return written


def _basis(text: str, path: str) -> Basis:
    from tfx_privacy.guarantee.record import PrivacyGuarantee
    from tfx_privacy.records import statement, strict_json
    from tfx_privacy.reporting import facts
    from tfx_privacy.reporting.registry import basis

    try:
        value = strict_json.loads(text)
        if isinstance(value, dict) and "predicateType" in value:
            return basis.of_guarantee(statement.from_json(PrivacyGuarantee, text))
        return basis.of_report(facts.read(text))
    except EvidenceError as error:
        raise EvidenceError(f"{path!r} is neither a report nor a guarantee that holds: {error}") from error
