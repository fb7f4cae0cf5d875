"""All values of records as one sparse matrix, for the control: text by its words and characters, numbers by their size.

Values are hashed into columns (Weinberger et al. 2009, https://arxiv.org/abs/0902.2206), feature by feature, so nothing is
learned from the data and each record's row depends on that record alone. What trees get (`learned.compact`) are some
numbers of each feature; here nothing is left out.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse
from sklearn import preprocessing
from sklearn.feature_extraction.text import HashingVectorizer

from tfx_privacy.attacks.membership import hashing
from tfx_privacy.attacks.record_keys import mixed

NUM_COLUMNS = 1 << 18
MAX_ENTRIES = 1000
"""Entries of one record: of more, those with the smallest hashes are kept, in all records the same, so memory is bounded."""
_MAX_CHARACTERS = 2000
"""Of one value; its words are taken in full."""
_FIRST_POSITIONS = 16
_NOT_A_NUMBER = 10_000
_WORD = re.compile(r"\w+")


def of_text(name: str, rows: np.ndarray, texts: Sequence[bytes], size: int) -> sparse.csr_matrix:
    """Bags of words, of characters and of three characters in a row, and the values themselves.

    Args:
      name: The feature's.
      rows: Record of each value, int64 of shape (num_values,).
      texts: The values.
      size: Number of records.

    Returns:
      float32 of shape (size, NUM_COLUMNS); rows have length one, or are empty.
    """
    values: list[list[str]] = [[] for _ in range(size)]
    for row, text in zip(rows.tolist(), texts, strict=True):
        values[row].append(text.decode("utf-8", "backslashreplace"))
    found = _vectorizer().transform(values)
    # Equal words of two features are different facts.
    found.indices ^= np.int32(_start(name) % NUM_COLUMNS)
    found.has_sorted_indices = False
    return found


def of_numbers(
    name: str, rows: np.ndarray, positions: np.ndarray, values: np.ndarray, size: int, *, by_position: bool
) -> sparse.csr_matrix:
    """Whole numbers as they are, such as the numbers of tokens or categories; others by sign and magnitude.

    Args:
      name: The feature's.
      rows: Record of each value, int64 of shape (num_values,).
      positions: Its place among the record's values, of the same shape.
      values: Integers or floats, of the same shape.
      size: Number of records.
      by_position: Whether each place means something of its own, as in an image. Else values are a bag, and the first
        sixteen places count as well.

    Returns:
      float32 of shape (size, NUM_COLUMNS); rows have length one, or are empty.
    """
    facts = values.astype(np.int64) if values.dtype.kind in "iub" else _magnitudes(values)
    placed = np.ones(len(facts), bool) if by_position else positions < _FIRST_POSITIONS
    columns, of_rows = [_columns(name, positions[placed] + 1, facts[placed])], [rows[placed]]
    if not by_position:
        columns.append(_columns(name, np.zeros_like(positions), facts))
        of_rows.append(rows)
    where, entries = np.concatenate(of_rows), np.concatenate(columns)
    found = sparse.csr_matrix(
        (np.ones(len(entries), np.float32), (where, entries)), shape=(size, NUM_COLUMNS), dtype=np.float32
    )
    return preprocessing.normalize(found, copy=False)


def joined(blocks: Sequence[sparse.csr_matrix], size: int) -> sparse.csr_matrix:
    """All features' matrices of the same records as one."""
    nothing = sparse.csr_matrix((size, NUM_COLUMNS), dtype=np.float32)
    return _thinned(functools.reduce(lambda one, other: one + other, blocks, nothing))


def _thinned(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort([mixed(matrix.indices.astype(np.uint64)), rows])
    # The place of each entry among those of its record.
    places = np.arange(len(order)) - np.repeat(matrix.indptr[:-1], np.diff(matrix.indptr))
    kept = np.sort(order[places < MAX_ENTRIES])
    return sparse.csr_matrix((matrix.data[kept], (rows[kept], matrix.indices[kept])), shape=matrix.shape)


def stacked(parts: Sequence[sparse.csr_matrix]) -> sparse.csr_matrix | None:
    """Successive records' matrices as one; None where no record has an entry."""
    found = sparse.vstack(parts, format="csr") if parts else None
    return found if found is not None and found.nnz else None


def _magnitudes(values: np.ndarray) -> np.ndarray:
    """Sign and half octave of each number, as integers."""
    with np.errstate(divide="ignore"):
        octaves = np.clip(np.round(2 * np.log2(np.abs(values.astype(np.float64)))), -200, 200)
    return np.where(np.isnan(values), _NOT_A_NUMBER, np.sign(values) * (octaves + 500)).astype(np.int64)


def _columns(name: str, positions: np.ndarray, facts: np.ndarray) -> np.ndarray:
    seeds = hashing.seeds(name, positions)
    return np.asarray(mixed(mixed(facts.view(np.uint64)) ^ seeds) % np.uint64(NUM_COLUMNS)).astype(np.int64)


def _start(name: str) -> int:
    return int(hashing.seeds(name, np.zeros(1, np.int64))[0])


def _tokens(values: Sequence[str]) -> list[str]:
    found = []
    for value in values:
        beginning = value[:_MAX_CHARACTERS]
        found += [f"={value}", *_WORD.findall(value.lower()), *beginning]
        found += [f"#{beginning[at : at + 3]}" for at in range(len(beginning) - 2)]
    return found


@functools.cache
def _vectorizer() -> Any:
    return HashingVectorizer(
        analyzer=_tokens, n_features=NUM_COLUMNS, alternate_sign=False, norm="l2", dtype=np.float32
    )
