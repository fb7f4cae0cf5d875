"""Terms of a guarantee as a report words them; numbers that limit something are rounded to the safe side."""

from __future__ import annotations

import datetime

from tfx_privacy.accounting.rounding import rounded_up
from tfx_privacy.attacks.evaluation import AttackResult
from tfx_privacy.errors import EvidenceError
from tfx_privacy.guarantee import coverage
from tfx_privacy.guarantee.record import PrivacyGuarantee
from tfx_privacy.records.base import parse_time

RELATIONS = {
    "ADD_OR_REMOVE_ONE": "add or remove one",
    "REPLACE_SPECIAL": "replace one by an empty one (zero-out)",
}


def unit(record: PrivacyGuarantee) -> str:
    """The unit of privacy."""
    if record.privacy_unit == "example":
        return "one example (record)"
    return f"one user (at most {record.max_records_per_user} records)"


def covers(record: PrivacyGuarantee) -> str:
    """What the epsilon covers, such as "the vocabulary and the training"; what it leaves out is `left_out`."""
    found = coverage.covered(record)
    alone = " alone" if len(found) == 1 and coverage.uncovered(record) else ""
    return coverage.listed(found) + alone


def left_out(record: PrivacyGuarantee) -> str:
    """A clause on what is in the model and not covered; empty where nothing is."""
    found = coverage.uncovered(record)
    return f"{coverage.listed(found)} {'is' if len(found) == 1 else 'are'} not covered" if found else ""


def epsilon(value: float) -> str:
    """Epsilon or mu as every part of a report shows it: to four decimals, never below what it is."""
    return rounded_up(value, 4)


def sides(row: AttackResult) -> str:
    """How many records an attack compared."""
    return f"{row.num_members} members, {row.num_nonmembers} others"


def relation(record: PrivacyGuarantee) -> str:
    """Which datasets are neighbours."""
    return RELATIONS[record.neighboring_relation]


def short(digest: str) -> str:
    """The beginning of a digest, enough to compare by eye."""
    return f"{digest[:19]}\u2026" if len(digest) > 20 else digest


def moment(text: str) -> str:
    """A time as people read it: to the minute, in UTC. Unparsable text is returned unchanged."""
    try:
        return parse_time(text).astimezone(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    except EvidenceError:
        return text
