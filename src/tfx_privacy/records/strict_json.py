"""JSON that cannot say two things at once.

The standard parser accepts NaN, Infinity and duplicate keys (the last one wins), so that
`{"epsilon": 99, "epsilon": 1}` reads as 1. Evidence is read with this module only.
"""

from __future__ import annotations

import json
from typing import Any

from tfx_privacy.errors import EvidenceError

MAX_BYTES = 8 << 20
MAX_DEPTH = 32


def loads(text: str | bytes) -> Any:
    """Parses strict JSON.

    Args:
      text: UTF-8 JSON of at most 8 MiB, nested at most 32 deep.

    Returns:
      The parsed value.

    Raises:
      EvidenceError: On NaN, Infinity, a duplicate key, wrong UTF-8, or a size or depth beyond the limit.
    """
    raw = text.encode() if isinstance(text, str) else text
    if len(raw) > MAX_BYTES:
        raise EvidenceError(f"JSON of {len(raw)} bytes is larger than the limit of {MAX_BYTES} bytes.")
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise EvidenceError(f"Not readable as strict JSON: {error}.") from error
    _check_depth(value, MAX_DEPTH)
    return value


def dumps(value: Any, *, indent: int | None = 2) -> str:
    """Writes JSON with sorted keys; NaN and infinities raise ValueError."""
    return json.dumps(value, indent=indent, sort_keys=True, allow_nan=False, ensure_ascii=False)


def canonical(value: Any) -> str:
    """The one text of a value, for digests: sorted keys, no spaces, ASCII; NaN and infinities raise ValueError."""
    return json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number of JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        raise ValueError(f"duplicate key {twice[0]!r}")
    return result


def _check_depth(value: Any, left: int) -> None:
    if left < 0:
        raise EvidenceError(f"JSON is nested deeper than the limit of {MAX_DEPTH}.")
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        _check_depth(child, left - 1)
