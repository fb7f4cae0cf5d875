"""Private vocabularies under tft's names; arguments besides tft's are explained in `analyzers`."""

from __future__ import annotations

import os
import re
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from tfx_privacy import _validate
from tfx_privacy.errors import ParameterError
from tfx_privacy.releases.noisy import Values
from tfx_privacy.releases.queries import Vocabulary
from tfx_privacy.transform import analyzers, tensors
from tfx_privacy.transform import session as sessions

_MAX_TOP_K = 10_000_000


def compute_vocabulary(
    x: Any,
    *,
    top_k: int | None = None,
    frequency_threshold: int | None = None,
    vocab_filename: str | None = None,
    max_values: int | None = None,
    share: float = 1.0,
    name: str | None = None,
) -> str:
    """The values that are common enough, the most common first, as `tft.vocabulary`.

    A value's count is of the records that have it. Which values pass is decided with noise and a threshold: a value of one
    record alone passes with probability `selection_delta` of all vocabularies at most. Partition selection with Gaussian
    noise: facts in `docs/preprocessing.md`.

    Args:
      x: Texts or whole numbers with records along the first dimension.
      top_k: How many are kept.
      frequency_threshold: Least noisy count of a value that is kept, if above the release's own threshold.
      vocab_filename: Of the vocabulary's file; made of its number where it is left out.
      max_values: Different values of one record that count.
      share: Weight of its part of the budget.
      name: In the release's record.

    Returns:
      Path of the file, for `tft.apply_vocabulary`.
    """
    session, place, _ = _ask_vocabulary(x, max_values, share, name)
    path = _vocabulary_file(session, place, x, vocab_filename, top_k, frequency_threshold)
    if session.answer(place) is None:
        session.wait_for_all(place)
    return path


vocabulary = compute_vocabulary


def compute_and_apply_vocabulary(
    x: Any,
    *,
    default_value: int = -1,
    top_k: int | None = None,
    frequency_threshold: int | None = None,
    num_oov_buckets: int = 0,
    vocab_filename: str | None = None,
    max_values: int | None = None,
    share: float = 1.0,
    name: str | None = None,
) -> Any:
    """Each value's place in the vocabulary of `compute_vocabulary`, as `tft.compute_and_apply_vocabulary`.

    Args:
      x: Texts or whole numbers with records along the first dimension.
      default_value: Of values that are not in it.
      top_k: How many values are kept.
      frequency_threshold: Least noisy count of a value that is kept.
      num_oov_buckets: Further places, by hash, of values that are not in it.
      vocab_filename: Of the vocabulary's file.
      max_values: Different values of one record that count.
      share: Weight of its part of the budget.
      name: In the release's record.

    Returns:
      int64, of the shape and kind of x.
    """
    session, place, values = _ask_vocabulary(x, max_values, share, name)
    path = _vocabulary_file(session, place, x, vocab_filename, top_k, frequency_threshold)
    if values is None:
        waiting = session.stand_in(place, np.int64(0))
        return tensors.like(x, tf.zeros_like(tensors.flat(x), dtype=tf.int64) + waiting)
    return tft.apply_vocabulary(x, path, default_value=default_value, num_oov_buckets=num_oov_buckets)


def _ask_vocabulary(
    x: Any, max_values: int | None, share: float, name: str | None
) -> tuple[sessions.Session, int, Any]:
    query = Vocabulary(name=name or "vocabulary()", max_values=tensors.max_values_of(x, max_values), share=share)
    return analyzers.ask("compute_vocabulary", query, x)


def _vocabulary_file(
    session: sessions.Session,
    place: int,
    x: Any,
    vocab_filename: str | None,
    top_k: int | None,
    frequency_threshold: int | None,
) -> str:
    for option, value in (("top_k", top_k), ("frequency_threshold", frequency_threshold)):
        if value is not None:
            _validate.positive_integer("", _MAX_TOP_K, **{option: value})
    if vocab_filename is not None and not _is_file_name(vocab_filename):
        raise ParameterError(
            f"Expected vocab_filename={vocab_filename!r} to be made of letters, digits, dots, dashes and underscores, and not to "
            "begin with a dot."
        )
    values = session.answer(place)
    kept = values
    if isinstance(values, Values):
        common = [
            (key, count)
            for key, count in zip(values.keys, values.counts, strict=True)
            if frequency_threshold is None or count >= frequency_threshold
        ][:top_k]
        kept = Values([key for key, _ in common], [count for _, count in common])
    path = session.vocabulary_file(
        place, vocab_filename, (top_k, frequency_threshold), kept, numbers=tensors.flat(x).dtype != tf.string
    )
    file_name = os.path.basename(path)
    tft.annotate_asset(file_name, file_name)
    return path


def _is_file_name(name: Any) -> bool:
    return isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}", name) is not None
