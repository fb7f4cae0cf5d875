"""A ledger as text: one line of canonical JSON for each entry, and its heads at the end.

An export needs no database to be verified, and shows what budget was spent to whoever may see it.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from tfx_privacy.budget.runs import RunId
from tfx_privacy.errors import EvidenceError, LedgerError
from tfx_privacy.ledger import replay
from tfx_privacy.ledger.entries import Entry
from tfx_privacy.ledger.state import DatasetRow
from tfx_privacy.ledger.verification import Verified
from tfx_privacy.records import digest, strict_json
from tfx_privacy.records.base import Count, Digest, VersionedRecord


class Summary(VersionedRecord):
    """The last line of an export."""

    ledger_id: RunId
    num_entries: Count
    digest: Digest
    """Of all lines before."""


def lines(verified: Verified) -> Iterable[str]:
    """The export of a verified ledger, line by line."""
    texts = [strict_json.canonical(entry.model_dump(mode="json")) + "\n" for entry in verified.log]
    yield from texts
    summary = Summary(ledger_id=verified.ledger_id, num_entries=len(texts), digest=digest.text_digest("".join(texts)))
    yield strict_json.canonical(summary.model_dump(mode="json")) + "\n"


def verify(text: str) -> Verified:
    """Reads an export.

    Raises:
      LedgerError: If it is not whole, was changed, or breaks a rule of the ledger.
    """
    # Not `splitlines`: it breaks lines at U+2028 as well, which canonical JSON leaves as it is.
    *texts, last = [*io.StringIO(text, newline="\n")] or [""]
    try:
        summary = Summary.from_json(last)
        log = [Entry.from_json(line) for line in texts]
    except EvidenceError as error:
        raise LedgerError(f"This is no whole export of a ledger: {error}") from error
    canonical = [strict_json.canonical(record.model_dump(mode="json")) + "\n" for record in [*log, summary]]
    if canonical != [*texts, last]:
        raise LedgerError("A line of the export is not the canonical text of its content: it was changed.")
    if (summary.num_entries, summary.digest) != (len(log), digest.text_digest("".join(texts))):
        raise LedgerError("The export's last line is of other lines than these: it was changed, or lines are missing.")
    datasets = _replay(log, summary)
    return Verified(summary.ledger_id, datasets, log)


def _replay(log: Sequence[Entry], summary: Summary) -> dict[str, DatasetRow]:
    if any(entry.ledger_id != summary.ledger_id for entry in log):
        raise LedgerError("The export's last line is of another ledger than its entries.")
    return replay.replay(log)
