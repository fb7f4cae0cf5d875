"""What to attack, as users say it: which outputs are compared with which labels, and by what they are sliced."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tfx_privacy import _validate
from tfx_privacy.attacks.evaluation import CLASS_FEATURE, CORRECTNESS_FEATURE, WHOLE_SET
from tfx_privacy.attacks.membership import heads
from tfx_privacy.errors import ParameterError
from tfx_privacy.records import strict_json

_OWN_SLICES = (WHOLE_SET, CLASS_FEATURE, CORRECTNESS_FEATURE)
_SEPARATOR = "_X_"  # TFMA's, for crossed features


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadSpec:
    """One output of the model with its label; what is None is found out.

    Attributes:
      name: For the report; "" if there is one head.
      output_key: Name of the signature's output; needed if there are several.
      label_key: Name of the label; none for task "loss".
      task: One of `privacy.attacks.heads.TASKS`.
      from_logits: Whether outputs are logits.
      mask_key: For sequences: the feature that says which tokens count.
    """

    name: str = ""
    output_key: str | None = None
    label_key: str | None = None
    task: str | None = None
    from_logits: bool | None = None
    mask_key: str | None = None

    def __post_init__(self) -> None:
        if self.task is not None:
            _validate.one_of(heads.TASKS, task=self.task)
        for field in ("name", "output_key", "label_key", "mask_key"):
            value = getattr(self, field)
            if not (value is None or isinstance(value, str)):
                raise ParameterError(f"Expected {field}={value!r} of a head to be a name.")
        if self.from_logits not in (None, True, False):
            raise ParameterError(f"Expected from_logits={self.from_logits!r} of a head to be true or false.")

    def with_label(self, label_key: str) -> HeadSpec:
        """The head with a label."""
        return dataclasses.replace(self, label_key=label_key)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SliceSpec:
    """One way to slice: by the values of features, crossed if there are several, among records with given values."""

    keys: tuple[str, ...] = ()
    values: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The slices' feature in the report, as TFMA writes crossed ones."""
        return _SEPARATOR.join((*(f"{key}={value}" for key, value in self.values), *self.keys))

    @property
    def features(self) -> tuple[str, ...]:
        """All features that are read for it."""
        return (*self.keys, *(key for key, _ in self.values))

    @property
    def covers_everything(self) -> bool:
        """Whether every record is in one of its slices."""
        return not self.values


def parse_heads(text: str) -> tuple[HeadSpec, ...]:
    """Heads from an execution property.

    Raises:
      ParameterError: If it is no list of objects with the fields of `HeadSpec`, or names one head twice.
    """
    found = tuple(_head(item) for item in _list(text, "heads"))
    names = [head.name for head in found]
    if not found or len(set(names)) != len(names) or (len(found) > 1 and "" in names):
        raise ParameterError(f"Expected heads with names of their own, not {names}. Give each head a name.")
    return found


def parse_slices(text: str) -> tuple[SliceSpec, ...]:
    """Slices from an execution property, which holds TFMA SlicingSpecs as JSON; the empty one is there anyway.

    Raises:
      ParameterError: If it is no list of slicing specifications, or a slice has the name of those by class, by
        correctness, or of the whole.
    """
    found = tuple(_slice(item) for item in _list(text, "slicing_specs"))
    for spec in found:
        if spec.name in _OWN_SLICES:
            raise ParameterError(
                f"slice_features={spec.name!r} has the name of slices that are there anyway "
                f"({', '.join(_OWN_SLICES)}), and would take their place. Leave it out if it is the label, or rename "
                "the feature."
            )
    return tuple(spec for spec in dict.fromkeys(found) if spec.features)


def slicing_json(slice_features: Sequence[str], slicing_specs: Sequence[Any]) -> str:
    """Slices as an execution property.

    Args:
      slice_features: Features by each of which is sliced.
      slicing_specs: TFMA's `SlicingSpec` messages, with feature_keys and feature_values.

    Returns:
      JSON.

    Raises:
      ParameterError: If a specification uses SQL, or anything else but these fields.
    """
    specs: list[Mapping[str, Any]] = [{"feature_keys": [feature]} for feature in slice_features]
    for message in slicing_specs:
        if message.slice_keys_sql:
            raise ParameterError(
                "slicing_specs with slice_keys_sql cannot be used here. Name feature_keys or feature_values."
            )
        specs.append({"feature_keys": list(message.feature_keys), "feature_values": dict(message.feature_values)})
    return strict_json.dumps(specs, indent=None)


def _head(item: Any) -> HeadSpec:
    known = {field.name for field in dataclasses.fields(HeadSpec)}
    if not isinstance(item, dict) or not set(item) <= known:
        raise ParameterError(f"Expected each of heads to be an object with fields of {sorted(known)}, not {item!r}.")
    return HeadSpec(**item)


def _slice(item: Any) -> SliceSpec:
    if not isinstance(item, dict) or not set(item) <= {"feature_keys", "feature_values"}:
        raise ParameterError(f"Expected slicing_specs with feature_keys and feature_values, not {item!r}.")
    keys, values = item.get("feature_keys", []), item.get("feature_values", {})
    if not (isinstance(keys, list) and isinstance(values, dict)):
        raise ParameterError(f"Expected slicing_specs with feature_keys and feature_values, not {item!r}.")
    pairs = tuple(sorted((str(key), str(value)) for key, value in values.items()))
    return SliceSpec(keys=tuple(str(key) for key in keys), values=pairs)


def _list(text: str, name: str) -> list[Any]:
    values = strict_json.parameter(**{name: text})
    if not isinstance(values, list):
        raise ParameterError(f"Expected {name}={values!r} to be a list.")
    return values
