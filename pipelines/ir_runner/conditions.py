"""Trigger conditions, in the part of the Common Expression Language that TFX's compiler writes.

Comparisons (==, <, >) of metadata and URIs of input artifacts, with numbers and texts, combined by &&, || and !.
Written so, an expression is one of Python's as well, once these three are spelled out; what else it holds is refused,
not guessed.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Mapping
from typing import Any

from tfx_privacy.errors import ParameterError

_TOKEN = re.compile(r"'(?:[^'\\]|\\.)*'|&&|\|\||!(?!=)")
_SPELLED = {"&&": " and ", "||": " or ", "!": " not "}
_COMPARISONS = {ast.Eq: operator.eq, ast.Lt: operator.lt, ast.Gt: operator.gt}


def holds(condition: str, executor_input: Mapping[str, Any]) -> bool:
    """Whether a task is to run.

    Args:
      condition: Of its trigger policy.
      executor_input: In proto3's JSON; metadata are read as they arrive.

    Raises:
      ParameterError: If the condition asks for what is not there, or is of another form; the backend
        fails such a task as well.
    """
    text = _TOKEN.sub(lambda match: _SPELLED.get(match[0], match[0]), condition).strip()
    try:
        value = _value(ast.parse(text, mode="eval").body, {"inputs": executor_input.get("inputs", {})})
    except (SyntaxError, KeyError, IndexError, TypeError) as error:
        raise ParameterError(
            f"The condition {condition!r} cannot be decided: {type(error).__name__}: {error}. It may compare metadata "
            "and URIs of inputs."
        ) from error
    if not isinstance(value, bool):
        raise ParameterError(f"The condition {condition!r} is {value!r}, neither true nor false.")
    return value


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float):
        return node.value
    if isinstance(node, ast.Name):
        return names[node.id]
    if isinstance(node, ast.Attribute):
        return _value(node.value, names)[node.attr]
    if isinstance(node, ast.Subscript):
        return _value(node.value, names)[_value(node.slice, names)]
    if isinstance(node, ast.BoolOp):
        decided = (_truth(_value(part, names)) for part in node.values)
        return all(decided) if isinstance(node.op, ast.And) else any(decided)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return not _truth(_value(node.operand, names))
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARISONS:
        left, right = _value(node.left, names), _value(node.comparators[0], names)
        if isinstance(left, str) != isinstance(right, str):
            raise TypeError(f"{left!r} and {right!r} cannot be compared")
        return _COMPARISONS[type(node.ops[0])](left, right)
    raise TypeError(f"{ast.unparse(node)!r} is not part of what TFX compiles")


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value
