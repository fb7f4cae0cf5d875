"""A policy as a file: strict YAML or JSON.

A file cannot say two things at once, and nothing in it is ignored: duplicate keys, unknown keys, anchors, aliases, tags
and values that are nearly numbers are errors, and so are characters that no editor shows: YAML ends a line, and with it
a comment, where many editors do not. `on`, `yes` and `no` are text here. YAML 1.1 takes `1e-5` for text; here it is an
error that says how to write it.

>>> policy = loads('{"schema_version": 1, "max_epsilon": 3, "max_delta": 1e-6, "max_attack_auc": 0.6}', kind="json")
>>> policy.max_epsilon, policy.ledger
(3.0, 'required')
"""

from __future__ import annotations

import math
import os
import pathlib
import re
import stat
from typing import Any, Literal

import yaml

from tfx_privacy.errors import EvidenceError, ParameterError
from tfx_privacy.gate.policy import GatePolicy
from tfx_privacy.records import strict_json, visible

MAX_BYTES = 1 << 20

MAX_DEPTH = 16


def load(path: str | os.PathLike[str]) -> GatePolicy:
    """Reads a policy file.

    Args:
      path: A local file whose name ends in .yaml, .yml or .json.

    Returns:
      The policy; `ledger` is "required" unless the file says otherwise.

    Raises:
      ParameterError: If the file cannot be read, or breaks a rule; the message names the file and the place.
    """
    file = pathlib.Path(path)
    kinds: dict[str, Literal["yaml", "json"]] = {".yaml": "yaml", ".yml": "yaml", ".json": "json"}
    kind = kinds.get(file.suffix.lower())
    if kind is None:
        raise ParameterError(f"Expected the name of the policy file {str(file)!r} to end in {', '.join(kinds)}.")
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            # A pipe would be waited for, and a device may never end.
            raise ParameterError(
                f"Expected the policy file {str(file)!r} to be a file, not a folder, a device or a pipe."
            )
        with file.open("rb") as stream:
            text = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ParameterError(f"The policy file {str(file)!r} cannot be read: {error}.") from error
    try:
        return loads(text, kind=kind)
    except ParameterError as error:
        raise ParameterError(f"Policy file {str(file)!r}: {error}") from error


def loads(text: str | bytes, *, kind: Literal["yaml", "json"]) -> GatePolicy:
    """Reads a policy from its text.

    Args:
      text: UTF-8, at most 1 MiB, nested at most 16 deep.
      kind: How it is written.

    Raises:
      ParameterError: If it breaks a rule; the message names the key and the value.
    """
    raw = text.encode() if isinstance(text, str) else text
    if len(raw) > MAX_BYTES:
        raise ParameterError(f"A policy of more than {MAX_BYTES} bytes is too large.")
    document = _parsed(raw, kind)
    _check_plain(document, "the policy", MAX_DEPTH)
    if document is None or document == {}:
        raise ParameterError(
            "The policy is empty, and an empty policy would bless anything. Give max_epsilon, max_delta and "
            "max_attack_auc."
        )
    if not isinstance(document, dict):
        raise ParameterError(f"Expected the policy to be a mapping of keys to values, not {type(document).__name__}.")
    if "schema_version" not in document:
        raise ParameterError("The policy does not say its schema_version. Write schema_version: 1.")
    return GatePolicy(**{"ledger": "required", **document})


def _parsed(raw: bytes, kind: Literal["yaml", "json"]) -> Any:
    try:
        _check_visible(raw.decode("utf-8"))
        if kind == "json":
            return strict_json.loads(raw)
        return yaml.load(raw.decode("utf-8"), Loader=_StrictLoader)
    except EvidenceError as error:
        raise ParameterError(str(error)) from error
    except yaml.MarkedYAMLError as error:
        where = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ParameterError(f"Not readable as a policy{where}: {error.problem}.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ParameterError(f"Not readable as a policy: {error}.") from error


def _check_visible(text: str) -> None:
    """Refuses what readers of the file do not see, or see in another order than the parser does."""
    shown = text.replace("\r\n", "\n")
    place = visible.hidden_character(shown)
    if place is not None:
        line = shown.count("\n", 0, place) + 1
        raise ParameterError(
            f"The policy holds {visible.name_of(shown[place])} in line {line}. Line breaks that editors do not show, "
            "invisible and other special characters are not allowed. Delete it."
        )


class _StrictLoader(yaml.SafeLoader):
    """YAML without what makes a document say something else than it seems to."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's class attribute

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _refused("anchors and aliases (& and *) are not allowed. Write the value out", event)
        if getattr(event, "tag", None) is not None:
            raise _refused(f"the tag {event.tag!r} is not allowed. Write a plain value", event)
        if self._depth >= MAX_DEPTH:
            raise _refused(f"nested deeper than the limit of {MAX_DEPTH}", event)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                raise _refused("a key is not text", key)
            if key.value in seen:
                raise _refused(f"duplicate key {key.value!r}", key)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _refused(problem: str, where: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=where.start_mark)


for _tag, _pattern, _first in (
    ("null", r"~|null|", ["~", "n", ""]),
    ("bool", r"true|false", list("tf")),
    ("int", r"-?(?:0|[1-9][0-9]*)", list("-0123456789")),
    ("float", r"[-+]?(?:[0-9]+\.[0-9]*(?:[eE][-+][0-9]+)?|\.(?:inf|Inf|INF|nan|NaN|NAN))", list("-+0123456789.")),
):
    _StrictLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), _first)


def _check_plain(value: Any, where: str, left: int) -> None:
    """Refuses what no file should bring in: numbers that are not finite, text that is not UTF-8, and depth."""
    if left < 0:
        raise ParameterError(f"The policy is nested deeper than the limit of {MAX_DEPTH}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise ParameterError(f"Expected {where}={value!r} to be a finite number.")
    if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ParameterError(f"Expected {where} to be text that can be written as UTF-8.")
    if isinstance(value, dict):
        for key, item in value.items():
            _check_plain(key, "a key", left - 1)
            _check_plain(item, key, left - 1)
    elif isinstance(value, list):
        for item in value:
            _check_plain(item, where, left - 1)
