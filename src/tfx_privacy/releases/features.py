"""What private statistics are asked of a feature: types and ranges come from the author, and never from the records."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

from tfx_privacy import _validate
from tfx_privacy.errors import ParameterError
from tfx_privacy.records import strict_json
from tfx_privacy.releases.queries import (
    MAX_VALUES,
    Counts,
    Moments,
    Presence,
    Quantiles,
    Query,
    Vocabulary,
    check_bounds,
)

NUM_EXAMPLES = "num_examples"
"""Name of the question how many records there are."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Number:
    """A feature of numbers: how many records have it, its mean and variance, its distribution between public bounds.

    >>> Number(bounds=(0, 24), integer=True).bounds
    (0.0, 24.0)
    """

    bounds: tuple[float, float]
    """Lowest and highest value that count, known without the records; values beyond them count as the bound itself."""
    integer: bool = False
    """Whether the values are whole numbers, as the examples hold them: a schema says INT then, and FLOAT otherwise."""
    max_values: int = 1
    """Values of one record that count at most; the first ones."""
    required: bool = False
    """Whether every record has the feature, and exactly one value of it where `max_values` is 1. It is believed."""
    share: float = 1.0
    """Weight of each of its answers beside those of the other features."""
    bins: int = 256
    """Of equal width between the bounds, a power of two: so fine are median, quantiles and histogram."""

    kind: ClassVar[str] = "number"

    def __post_init__(self) -> None:
        if isinstance(self.bounds, str):
            raise ParameterError(
                f"Expected bounds={self.bounds!r} to be two numbers: statistics search no bounds, as tfx_privacy.transform does "
                "for 'private'. Give the lowest and the highest value that count, known without the records."
            )
        _set(self, "bounds", check_bounds(self.bounds))
        if self.integer and not all(bound.is_integer() for bound in self.bounds):
            raise ParameterError(
                f"Expected bounds={self.bounds!r} of whole numbers, integer=True, to be whole numbers."
            )
        _check_common(self)
        _ = self.queries("feature")

    def queries(self, name: str) -> list[Query]:
        """What is asked of the feature of a name."""
        common: dict[str, Any] = {"name": name, "max_values": self.max_values, "share": self.share}
        return [
            *([] if self.required else [Presence(**common)]),
            Moments(bounds=self.bounds, **common),
            Quantiles(bounds=self.bounds, bins=self.bins, **common),
        ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Text:
    """A feature of texts: how many records have it, and its values that are common enough, or public values.

    >>> [type(query).__name__ for query in Text(keys=["Cash", "Credit Card"], required=True).queries("payment_type")]
    ['Counts']
    """

    max_values: int = 1
    """Different values of one record that count at most, or with `keys` its values; the first ones."""
    required: bool = False
    """Whether every record has the feature, and exactly one value of it where `max_values` is 1. It is believed."""
    share: float = 1.0
    """Weight of each of its answers beside those of the other features."""
    keys: Sequence[str] | None = None
    """Values that are counted, known without the records; left out, those above the release's threshold."""

    kind: ClassVar[str] = "text"

    def __post_init__(self) -> None:
        if self.keys is not None:
            if isinstance(self.keys, str) or not all(isinstance(key, str) for key in self.keys):
                raise ParameterError(f"Expected keys={_validate.short(self.keys)} to be a list of texts.")
            _set(self, "keys", tuple(self.keys))
        _check_common(self)
        _ = self.queries("feature")

    def queries(self, name: str) -> list[Query]:
        """What is asked of the feature of a name."""
        common: dict[str, Any] = {"name": name, "max_values": self.max_values, "share": self.share}
        values: Query = Vocabulary(**common)
        if self.keys is not None:
            values = Counts(keys=tuple(key.encode() for key in self.keys), **common)
        return [*([] if self.required else [Presence(**common)]), values]


Feature: TypeAlias = Number | Text
_KINDS: dict[str, type[Feature]] = {Number.kind: Number, Text.kind: Text}


def queries(features: Mapping[str, Feature]) -> list[Query]:
    """All that is asked of a split: how many records there are, and what each feature's entry says, in the order of names.

    Raises:
      ParameterError: As `check`.
    """
    asked: list[Query] = [Presence(name=NUM_EXAMPLES, everyone=True)]
    for name, feature in sorted(check(features).items()):
        asked += feature.queries(name)
    return asked


def check(features: Mapping[str, Feature]) -> Mapping[str, Feature]:
    """Features as they are.

    Raises:
      ParameterError: If there is none, a name is no text, or an entry is neither Number nor Text.
    """
    if not isinstance(features, Mapping) or not features:
        raise ParameterError(
            f"Expected features={_validate.short(features)} to name at least one feature, each with a Number or Text."
        )
    for name, feature in features.items():
        if not isinstance(name, str) or not name:
            raise ParameterError(f"Expected the feature's name {_validate.short(name)} to be a text, and not empty.")
        if not isinstance(feature, Number | Text):
            raise ParameterError(
                f"Expected features[{name!r}]={_validate.short(feature)} to be Number(bounds=...) or Text()."
            )
    return features


def to_json(features: Mapping[str, Feature]) -> str:
    """Writes features as canonical JSON."""
    entries = {name: {"kind": feature.kind, **dataclasses.asdict(feature)} for name, feature in check(features).items()}
    return strict_json.dumps(entries, indent=None)


def from_json(text: str) -> dict[str, Feature]:
    """Reads what `to_json` wrote.

    Raises:
      ParameterError: If it is not strict JSON, or an entry breaks a rule of its feature.
    """
    entries = strict_json.parameter(features=text)
    if not isinstance(entries, dict):
        raise ParameterError(
            f"Expected features={_validate.short(entries)} to be an object with an entry for each feature."
        )
    return dict(check({name: _feature(name, entry) for name, entry in entries.items()}))


def _feature(name: str, entry: Any) -> Feature:
    kind = _KINDS.get(str(entry.get("kind"))) if isinstance(entry, dict) else None
    if kind is None:
        raise ParameterError(f"Expected the kind of feature {name!r} to be one of {', '.join(_KINDS)}.")
    known = {field.name for field in dataclasses.fields(kind)}
    if unknown := sorted(set(entry) - known - {"kind"}):
        raise ParameterError(f"Unknown {unknown[0]!r} of feature {name!r}. Known: {', '.join(sorted(known))}.")
    arguments = {key: value for key, value in entry.items() if key != "kind"}
    try:
        return kind(**arguments)
    except TypeError:
        raise ParameterError(f"The entry of feature {name!r} lacks the bounds that a {kind.kind} needs.") from None


def _check_common(feature: Feature) -> None:
    for name in ("integer", "required"):
        value = getattr(feature, name, False)
        if not isinstance(value, bool):
            raise ParameterError(f"Expected {name}={value!r} to be True or False.")
    _set(feature, "max_values", _validate.positive_integer(maximum=MAX_VALUES, max_values=feature.max_values))
    _set(feature, "share", _validate.positive(share=feature.share))


def _set(feature: Feature, name: str, value: object) -> None:
    object.__setattr__(feature, name, value)
