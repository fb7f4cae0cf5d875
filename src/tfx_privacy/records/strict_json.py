"""JSON that cannot say two things at once.

The standard parser accepts NaN, Infinity and duplicate keys (the last one wins), so
`{"epsilon": 99, "epsilon": 1}` reads as 1. Evidence is read with this module only.
"""

from __future__ import annotations

import json
import math
from typing import Any

import rfc8785

from tfx_privacy.errors import EvidenceError, ParameterError

MAX_BYTES = 8 << 20
MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1
"""Largest whole number that every reader of JSON keeps exactly."""


def loads(text: str | bytes, *, max_bytes: int = MAX_BYTES) -> Any:
    """Parses strict JSON.

    Args:
      text: UTF-8 JSON, nested at most 32 deep.
      max_bytes: Its largest size.

    Returns:
      The parsed value.

    Raises:
      EvidenceError: On NaN, Infinity, a number that no double holds, a duplicate key, text that is no UTF-8, or a size or
        depth beyond the limit.
    """
    try:
        raw = text.encode() if isinstance(text, str) else text
        if len(raw) > max_bytes:
            raise EvidenceError(f"JSON of {len(raw)} bytes is larger than the limit of {max_bytes} bytes.")
        value = json.loads(
            raw.decode("utf-8"),
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_whole,
            object_pairs_hook=_unique,
        )
    except (ValueError, RecursionError) as error:
        raise EvidenceError(f"Not readable as strict JSON: {error}.") from error
    _check_depth(value, MAX_DEPTH)
    return value


def parameter(**kwargs: str | bytes) -> Any:
    """Parses the strict JSON that an argument holds.

    Args:
      **kwargs: The argument's name and its text.

    Raises:
      ParameterError: If it is not strict JSON; the message names the argument.
    """
    ((name, text),) = kwargs.items()
    try:
        return loads(text)
    except EvidenceError as error:
        raise ParameterError(f"Expected {name} to be strict JSON. {error}") from error


def dumps(value: Any, *, indent: int | None = 2) -> str:
    """Writes JSON with sorted keys; NaN and infinities raise ValueError."""
    return json.dumps(value, indent=indent, sort_keys=True, allow_nan=False, ensure_ascii=False)


def canonical(value: Any) -> str:
    """The one text of a value, for digests and comparisons: RFC 8785, https://www.rfc-editor.org/rfc/rfc8785.

    Raises:
      ValueError: If the value holds NaN, an infinity, a whole number beyond `MAX_INTEGER`, or text that is no UTF-8.
    """
    try:
        return rfc8785.dumps(value).decode()
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise ValueError(f"There is no canonical JSON (RFC 8785) of this value: {error}.") from error


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:40]} is beyond what a double holds")
    return number


def _whole(text: str) -> int:
    _finite(text)
    return int(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"duplicate key {key!r}")
        result[key] = value
    return result


def _check_depth(value: Any, left: int) -> None:
    if left < 0:
        raise EvidenceError(f"JSON is nested deeper than the limit of {MAX_DEPTH}.")
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        _check_depth(child, left - 1)
