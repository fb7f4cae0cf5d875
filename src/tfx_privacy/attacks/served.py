"""What a SavedModel serves, signature by signature, and what the evaluation knows of each output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import pydantic

from tfx_privacy.records.base import Record, Text

Standing = Literal["attacked", "same", "transformed", "unattacked"]

_NO_NUMBERS = ("string", "none", "resource", "variant")
_UNKNOWN = "<unknown>"


class ServedTensor(Record):
    """One tensor that a signature takes or gives."""

    name: Text
    dtype: Text
    shape: Text
    """As TensorFlow writes it, e.g. "(None, 1)"."""


class ServedOutput(ServedTensor):
    """One output, and what is known of it.

    It is "attacked" itself; or the "same" as an attacked output, or as a feature of the transform graph where its
    signature reads no variable ("transformed"), on every sampled record; or "unattacked".
    """

    standing: Standing = "unattacked"
    same_as: Text = ""
    """The attacked output that it is the same as, as `signature/output`."""

    @pydantic.model_validator(mode="after")
    def _named(self) -> ServedOutput:
        if (self.standing == "same") != bool(self.same_as):
            raise ValueError(f"an output of standing {self.standing} is the same as {self.same_as!r}")
        return self


class ServedSignature(Record):
    """One signature. Those of another MetaGraph than the one that was attacked have its tags before their names."""

    name: Annotated[Text, pydantic.Field(min_length=1)]
    inputs: list[ServedTensor]
    outputs: Annotated[list[ServedOutput], pydantic.Field(min_length=1)]


def full_name(signature: str, output: str) -> str:
    """An output as a policy names it.

    >>> full_name("serving_default", "scores")
    'serving_default/scores'
    """
    return f"{signature}/{output}"


def outputs_of(served: Sequence[ServedSignature]) -> Iterator[tuple[str, ServedOutput]]:
    """Every output, with its full name."""
    for signature in served:
        for output in signature.outputs:
            yield full_name(signature.name, output.name), output


def unattacked(served: Sequence[ServedSignature]) -> list[str]:
    """Full names of what is served and was not attacked, in order."""
    return sorted(name for name, output in outputs_of(served) if output.standing == "unattacked")


def contradictions(served: Sequence[ServedSignature], attacked: Sequence[str], *, is_judged: bool) -> list[str]:
    """What cannot be true of what is served.

    Args:
      served: Every signature.
      attacked: Full names of the attacked outputs.
      is_judged: Whether an attack on them was judged.
    """
    outputs, found = dict(outputs_of(served)), []
    signatures = {name.rsplit("/", 1)[0] for name in attacked}
    for name, output in outputs.items():
        target = outputs.get(output.same_as)
        if output.standing == "transformed" and name.rsplit("/", 1)[0] in signatures:
            found.append(f"{name} is a transformed feature of the signature that was attacked")
        if target is not None and not (
            _kind(output.dtype) == _kind(target.dtype) and _fits(output.shape, target.shape)
        ):
            found.append(
                f"{name}, {output.dtype} {output.shape}, is the same as {output.same_as}, {target.dtype} {target.shape}"
            )
        if is_judged and name in attacked and output.dtype in _NO_NUMBERS:
            found.append(f"{name} was attacked, and its dtype is {output.dtype}")
    return found


def _kind(dtype: str) -> str:
    """The same for dtypes that numpy compares as one kind, such as float16 and float64."""
    return dtype.rstrip("0123456789")


def _fits(one: str, other: str) -> bool:
    """Whether tensors of two static shapes can have one shape."""
    if _UNKNOWN in (one, other):
        return True
    sides = [[size.strip() for size in shape.strip("()").split(",") if size.strip()] for shape in (one, other)]
    return len(sides[0]) == len(sides[1]) and all(
        first == second or "None" in (first, second) for first, second in zip(*sides, strict=True)
    )
