"""What a run will state, before it is charged: whatever could not be stated afterwards is refused now."""

from __future__ import annotations

from tfx_privacy.accounting import lower_bound
from tfx_privacy.accounting.epsilon import EpsilonBounds
from tfx_privacy.errors import EvidenceError, ParameterError
from tfx_privacy.guarantee.recomputation import recomputed_epsilon
from tfx_privacy.guarantee.record import MAX_STATEMENT, PrivacyGuarantee
from tfx_privacy.guarantee.spending import Beside, delta_after_thresholds, spendings
from tfx_privacy.records import statement, strict_json

# Characters that an audit, lost steps and longer numbers may add to what was planned.
_ROOM = 2000


def check(planned: PrivacyGuarantee) -> None:
    """Refuses a run whose guarantee could not be written, read again, recomputed or believed.

    Args:
      planned: The guarantee of the run as it was planned, with stand-ins for what only a run gives: the model's digest,
        its ids, its entry in a ledger. Lost steps of a resumed run are no exception: it spends no more than was
        planned.

    Raises:
      ParameterError: If a reader would refuse it.
      AccountingError: If its epsilon is below what an attack shows.
    """
    text = statement.to_json(planned)
    too_long = len(planned.statement) + _ROOM > MAX_STATEMENT or len(text.encode()) + _ROOM > strict_json.MAX_BYTES
    try:
        if too_long:
            raise EvidenceError("It would be longer than a guarantee may be.")
        recomputed_epsilon(statement.from_json(PrivacyGuarantee, text))
    except EvidenceError as error:
        raise ParameterError(f"No valid guarantee could be written of this run, so it is not begun. {error}") from error
    found = spendings(planned.mechanism, Beside.of(planned))
    pld = None if planned.epsilon_pld is None else float(planned.epsilon_pld)
    stated = EpsilonBounds(pld=pld, rdp=float(planned.epsilon_rdp))
    for spending in found or ():
        left = delta_after_thresholds(planned.target_delta, spending.delta_spent)
        if left > 0.0:
            lower_bound.check(spending.event, stated, target_delta=left)
