"""Which outputs that are served say the same as one that is attacked, or as a transformed feature, on many records."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from tfx_privacy.attacks import served
from tfx_privacy.attacks.served import Standing

_TOLERANCE = 1e-4
_ROUNDING = 1e-5
"""Of the mean size of outputs: what is lost where large numbers cancel."""
_PROBABILITY_ROUNDING = 4e-7
"""Some units in the last place of a float32 near 1."""

Way = tuple[Standing, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answers:
    """What signatures say of some records; arrays have num_records rows.

    Attributes:
      outputs: By signature, then by output; signatures that could not be asked are left out.
      attacked: Outputs of the signature that is attacked, by their full names.
      features: Dense features by name, the transformed ones in the place of raw ones.
      weightless: Signatures that read no variable of the model.
    """

    outputs: Mapping[str, Mapping[str, np.ndarray]]
    attacked: Mapping[str, np.ndarray]
    features: Mapping[str, np.ndarray]
    weightless: frozenset[str]


class Comparison:
    """What each output was the same as on every record so far."""

    def __init__(self) -> None:
        self._known: dict[str, set[Way]] | None = None

    def add(self, batch: Answers) -> None:
        """Takes further records into account; an output that is missing there was not the same."""
        ways = _ways(batch)
        known = ways if self._known is None else self._known
        self._known = {name: found & ways.get(name, set()) for name, found in known.items()}

    def is_open(self, signature: str) -> bool:
        """Whether further records could still change what is known of a signature's outputs."""
        return self._known is None or any(
            found for name, found in self._known.items() if name.startswith(served.full_name(signature, ""))
        )

    def standings(self) -> dict[str, Way]:
        """By full name; outputs that were not always the same are left out."""
        return {name: min(found) for name, found in (self._known or {}).items() if found}


def _ways(batch: Answers) -> dict[str, set[Way]]:
    found = {}
    for signature, outputs in batch.outputs.items():
        for key, values in outputs.items():
            ways: set[Way] = {("same", name) for name, attacked in batch.attacked.items() if same(values, attacked)}
            # Weights may stand in a graph as constants: that no variable is read is not enough.
            if signature in batch.weightless and key in batch.features and same(values, batch.features[key]):
                ways.add(("transformed", ""))
            found[served.full_name(signature, key)] = ways
    return found


def same(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two arrays are equal up to what float32 arithmetic in another order makes of them; NaN is equal to NaN.

    Values between 0 and 1 are probabilities, of which small differences from 0 and from 1 tell most of a record.
    """
    if first.shape != second.shape or first.dtype.kind != second.dtype.kind:
        return False
    if first.dtype.kind != "f":
        return bool(np.array_equal(first, second))
    wide = first.astype(np.float64)
    size = np.abs(wide[np.isfinite(wide)])
    if np.all((wide >= 0.0) & (wide <= 1.0)):
        relative, absolute = np.minimum(wide, 1.0 - wide), _PROBABILITY_ROUNDING
    else:
        relative, absolute = np.abs(wide), _ROUNDING * (float(size.mean()) if len(size) else 0.0)
    with np.errstate(invalid="ignore"):
        close = np.isfinite(wide) & (np.abs(wide - second) <= _TOLERANCE * relative + absolute)
    # The difference of two infinities is no number, nor is that of two NaN.
    return bool(np.all(close | (first == second) | (np.isnan(first) & np.isnan(second))))
