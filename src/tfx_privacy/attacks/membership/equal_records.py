"""Non-members that equal a member, by the hashes of all records.

Such a record was trained on: compared as a non-member it would hide what the model tells of members. Only the non-member is
left out. To leave out the member too would be a way to keep a record from being attacked: by a copy among the non-members.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tfx_privacy.attacks.membership.tally import OTHERS


def common(found: Iterable[tuple[int, np.ndarray]]) -> np.ndarray:
    """The hashes that both sides have.

    Args:
      found: Side and hashes, uint64, of any number of parts.

    Returns:
      uint64, each once, ascending.
    """
    sides: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for side, hashes in found:
        sides[side].append(hashes)
    members, others = (np.concatenate([np.zeros(0, np.uint64), *parts]) for parts in sides)
    return np.intersect1d(members, others)


def compared(side: int, hashes: np.ndarray, on_both_sides: Iterable[np.ndarray]) -> np.ndarray:
    """Which records are compared: all members, and the non-members that equal none.

    Args:
      side: Of the records.
      hashes: Of the records, uint64 of shape (num_records,).
      on_both_sides: Hashes that both sides have, in any number of parts.

    Returns:
      bool of shape (num_records,).
    """
    if side != OTHERS:
        return np.ones(len(hashes), bool)
    return ~np.isin(hashes, np.concatenate([np.zeros(0, np.uint64), *on_both_sides]))
