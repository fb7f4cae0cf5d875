"""What the attacks' findings have in common: rows without numbers, an exact interval of a share, checked arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from tfx_privacy.attacks.evaluation import Family, Finding, Status
from tfx_privacy.errors import ParameterError


def unavailable(family: Family, subject: str, status: Status, reason: str, **numbers: Any) -> Finding:
    """A finding that cannot be judged, and why; `numbers` are further fields of `Finding`."""
    return Finding(family=family, subject=subject, status=status, reason=reason, **numbers)


def share_interval(hits: int, total: int, *, confidence_level: float) -> tuple[float, float]:
    """Two-sided interval of Clopper and Pearson (1934) for a share of `hits` in `total` >= 1."""
    alpha = 1.0 - confidence_level
    low = 0.0 if hits == 0 else float(stats.beta.ppf(alpha / 2, hits, total - hits + 1))
    high = 1.0 if hits == total else float(stats.beta.ppf(1 - alpha / 2, hits + 1, total - hits))
    return low, high


def real_array(name: str, values: Any, *shape: int | None) -> np.ndarray:
    """The values as float64 of the given shape, of which None leaves a length open.

    Raises:
      ParameterError: If they are no real numbers, or of another shape.
    """
    array = np.asarray(values)
    wanted = (
        "(" + ", ".join("any" if size is None else str(size) for size in shape) + ("," if len(shape) == 1 else "") + ")"
    )
    fits = array.ndim == len(shape) and all(size in (None, have) for size, have in zip(shape, array.shape, strict=True))
    if array.dtype.kind not in "fiu" or not fits:
        raise ParameterError(f"Expected {name} of real numbers and shape {wanted}, not {array.dtype} of {array.shape}.")
    return array.astype(np.float64)


def whole_array(name: str, values: Any, size: int) -> np.ndarray:
    """The values as int64 of shape (size,).

    Raises:
      ParameterError: If they are no whole numbers, or of another shape.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "iub" or array.shape != (size,):
        raise ParameterError(
            f"Expected {name} of whole numbers and shape ({size},), not {array.dtype} of {array.shape}."
        )
    return array.astype(np.int64)
