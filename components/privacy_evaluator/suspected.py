"""Groups of records that nobody named, as far as the sampled records show them; and what to say of them."""

from __future__ import annotations

import os

import numpy as np

from tfx_privacy.attacks import canaries
from tfx_privacy.attacks.evaluation import AttackResult, SuspectedGroups
from tfx_privacy.attacks.membership import suspicion
from tfx_privacy.attacks.membership.suspicion import Repeats
from tfx_privacy.components.privacy_evaluator import scoring
from tfx_privacy.components.privacy_evaluator.reader import LoadedReader
from tfx_privacy.components.privacy_evaluator.sampled import SampledRecords


def find(
    loaded: LoadedReader,
    sides: tuple[SampledRecords, SampledRecords],
    records: np.ndarray,
    canaries_uri: str | None = None,
) -> list[SuspectedGroups]:
    """Groups that the data show, and that are not the ones that were named.

    Args:
      loaded: The model.
      sides: The samples of members and others.
      records: Number of records of both sides, sampled or not.
      canaries_uri: Of canaries, which repeat among members by design: they are left out.

    Returns:
      One for each feature that shows groups, those with most values first.
    """
    known = _canary_hashes(loaded, canaries_uri)
    kept = [~np.isin(side.sample.hashes, known) for side in sides]
    units, totals = _units(sides, kept), (int(records[0]), int(records[1]))
    columns = {
        name: (sides[0].integers[name][kept[0]], sides[1].integers[name][kept[1]]) for name in sorted(sides[0].integers)
    }
    patterns = {name: suspicion.repeats(values, units, totals) for name, values in columns.items()}
    # A sample by hash has all records that are equal to one of them.
    hashed = [side.sample.hashes[mask].view(np.int64) for side, mask in zip(sides, kept, strict=True)]
    patterns[""] = suspicion.repeats((hashed[0], hashed[1]), units, (len(hashed[0]), len(hashed[1])))
    found = [
        _described(name, pattern, loaded.reader.group_key) for name, pattern in patterns.items() if pattern is not None
    ]
    return sorted(found, key=lambda one: (-one.num_repeated, one.feature))


def _units(sides: tuple[SampledRecords, SampledRecords], kept: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """What is put on a side as a whole: the known group of each record, or the record itself."""
    members, others = (
        np.arange(int(mask.sum())).astype(np.uint64) if side.groups is None else side.groups[mask]
        for side, mask in zip(sides, kept, strict=True)
    )
    return members, others


def _canary_hashes(loaded: LoadedReader, uri: str | None) -> np.ndarray:
    if uri is None:
        return np.zeros(0, np.uint64)
    path = os.path.join(uri, canaries.RECORDS_FILE_NAME)
    return np.concatenate([np.zeros(0, np.uint64), *(loaded.read(batch).hashes for batch in scoring.dataset(path))])


def with_notice(rows: list[AttackResult], found: list[SuspectedGroups]) -> list[AttackResult]:
    """The rows; those that the control makes doubtful say that groups may be why."""
    if not found:
        return rows
    return [
        row.model_copy(update={"reason": f"{row.reason}. {found[0].notice}"}) if row.status == "CONFOUNDED" else row
        for row in rows
    ]


def _described(feature: str, pattern: Repeats, group_key: str | None) -> SuspectedGroups:
    what = f"Equal values of {feature!r}" if feature else "Identical records"
    unit = f"several groups of group_key={group_key!r}" if group_key else "several records"
    remedy = (
        f"Set group_key to the feature that says whom a record is of, or to {feature!r} if that is it"
        if feature
        else "Drop duplicates before the split, or set group_key to the feature that says whom a record is of"
    )
    notice = (
        f"{what} repeat within a side, and not across sides: of {pattern.num_repeated} that {unit} have, "
        f"{pattern.num_on_both_sides} are on both sides. Such records are not independent: the control finds a "
        f"difference between any two sets of groups, and intervals are too narrow. {remedy}"
    )
    return SuspectedGroups(
        feature=feature,
        num_repeated=pattern.num_repeated,
        num_on_both_sides=pattern.num_on_both_sides,
        notice=notice,
    )
