"""The values that some records have, as a query takes them."""

from __future__ import annotations

import dataclasses

import numpy as np

from tfx_privacy.errors import ParameterError


@dataclasses.dataclass(frozen=True)
class Column:
    """The values of some records, one after the other."""

    values: np.ndarray
    """Of shape (num_values,): numbers, or bytes as objects."""
    rows: np.ndarray
    """Which record each is of, int64 of shape (num_values,), never falling: what comes otherwise is put in order."""

    def __post_init__(self) -> None:
        # Values of one record in several places would count as those of several records.
        if not bool(np.all(self.rows[1:] >= self.rows[:-1])):
            order = np.argsort(self.rows, kind="stable")
            object.__setattr__(self, "values", self.values[order])
            object.__setattr__(self, "rows", self.rows[order])

    def first(self, max_values: int) -> Column:
        """At most so many values of each record."""
        if not len(self.rows):
            return self
        place = np.arange(len(self.rows))
        begins = np.concatenate([[True], self.rows[1:] != self.rows[:-1]])
        within = place - np.maximum.accumulate(np.where(begins, place, 0))
        return self.of(within < max_values)

    def of(self, kept: np.ndarray) -> Column:
        """The values where a mask is true."""
        return Column(self.values[kept], self.rows[kept])

    def known(self) -> Column:
        """Without NaN, which counts as missing."""
        return self.of(~np.isnan(self.values)) if self.values.dtype.kind == "f" else self

    def numbers(self, max_values: int) -> Column:
        """The numbers that count, as float64, at most so many of each record."""
        if self.values.dtype.kind not in "fiub":
            raise ParameterError(f"Expected numbers, not values of dtype {self.values.dtype}.")
        return Column(self.values.astype(np.float64), self.rows).known().first(max_values)
