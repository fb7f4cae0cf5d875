"""Groups of records that nobody named, as far as the sampled records show them; and what to say of them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfx_privacy.attacks import canaries
from tfx_privacy.attacks.evaluation import AttackResult, SuspectedGroups
from tfx_privacy.attacks.membership import suspicion
from tfx_privacy.attacks.membership.suspicion import Repeats
from tfx_privacy.attacks.membership.tally import MEMBERS, OTHERS, Tally
from tfx_privacy.components.privacy_evaluator import scoring
from tfx_privacy.components.privacy_evaluator.reader import BATCH_SIZE, LoadedReader
from tfx_privacy.components.privacy_evaluator.sampled import SampledRecords


def find(
    loaded: LoadedReader,
    sides: tuple[SampledRecords, SampledRecords],
    total: Tally,
    canaries_uri: str | None = None,
) -> list[SuspectedGroups]:
    """Groups that the data show, and that are not the ones that were named.

    Args:
      loaded: The model.
      sides: The samples of members and others.
      total: Of all records. The non-members that equal a member are taken back here: without them no identical records
        would be on both sides, as if a rule had put them apart.
      canaries_uri: Of canaries, which repeat among members by design: they are left out.

    Returns:
      One for each feature that shows groups, those with most values first.
    """
    known = _canary_hashes(loaded, canaries_uri)
    seen = [_Seen(side.sample.hashes, side.integers, side.groups) for side in sides]
    seen[OTHERS] = _with_left_out(loaded, seen[OTHERS], total)
    members, others = (side.where(~np.isin(side.hashes, known)) for side in seen)
    units, totals = (members.units, others.units), (int(total.records[MEMBERS]), _num_others(total))
    patterns = {
        name: suspicion.repeats((members.integers[name], others.integers[name]), units, totals)
        for name in sorted(members.integers)
    }
    # A sample by hash has all records that are equal to one of them.
    hashed = members.hashes.view(np.int64), others.hashes.view(np.int64)
    patterns[""] = suspicion.repeats(hashed, units, (len(hashed[0]), len(hashed[1])))
    found = [
        _described(name, pattern, loaded.reader.group_key) for name, pattern in patterns.items() if pattern is not None
    ]
    return sorted(found, key=lambda one: (-one.num_repeated, one.feature))


@dataclasses.dataclass(frozen=True)
class _Seen:
    """Sampled records of one side: hashes, raw features as numbers, groups where they are known."""

    hashes: np.ndarray
    integers: Mapping[str, np.ndarray]
    groups: np.ndarray | None

    @property
    def units(self) -> np.ndarray:
        """What is put on a side as a whole: the known group of each record, or the record itself."""
        return np.arange(len(self.hashes)).astype(np.uint64) if self.groups is None else self.groups

    def where(self, mask: np.ndarray) -> _Seen:
        """The records of a mask."""
        integers = {name: values[mask] for name, values in self.integers.items()}
        return _Seen(self.hashes[mask], integers, None if self.groups is None else self.groups[mask])


def _with_left_out(loaded: LoadedReader, seen: _Seen, total: Tally) -> _Seen:
    """The non-members with those that equal a member, as far as both are samples up to the same hash."""
    if not total.num_left_out:
        return seen
    parts = [seen]
    for start in range(0, len(total.left_out.records), BATCH_SIZE):
        records = tf.constant(np.array(total.left_out.records[start : start + BATCH_SIZE], dtype=object))
        batch = loaded.read(records)
        parts.append(_Seen(batch.hashes, loaded.raw_integers(records), batch.groups))
    joined = _Seen(
        np.concatenate([part.hashes for part in parts]),
        {name: np.concatenate([part.integers[name] for part in parts]) for name in seen.integers},
        None if seen.groups is None else np.concatenate([np.asarray(part.groups) for part in parts]),
    )
    cuts = [
        sample.hashes[-1]
        for sample, size in ((total.samples[OTHERS], total.records[OTHERS]), (total.left_out, total.num_left_out))
        if len(sample.hashes) < size
    ]
    return joined.where(joined.hashes <= min(cuts)) if cuts else joined


def _num_others(total: Tally) -> int:
    return int(total.records[OTHERS]) + total.num_left_out


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
