"""The one row of an evaluation whose records no attack is judged on, with the reason and what to do."""

from __future__ import annotations

from tfx_privacy.attacks.evaluation import WHOLE_SET, AttackResult
from tfx_privacy.attacks.membership import evaluate
from tfx_privacy.attacks.membership.tally import MEMBERS, OTHERS, Tally


def row(total: Tally, max_overlap: float, failed: str) -> AttackResult | None:
    """Why no attack is judged on these records; None if attacks are tried.

    Args:
      total: Of all records that could be scored.
      max_overlap: Largest share of the non-members that may equal a member.
      failed: Why some could not be; empty if all could.
    """
    if failed:
        return unsupported(total, failed)
    if not total.num_left_out <= max_overlap * (total.records[OTHERS] + total.num_left_out):
        return _insufficient(total, _overlapping(total, max_overlap))
    if not total.records.min() > 0:
        return _insufficient(
            total,
            f"there are {total.records[MEMBERS]} members and {total.records[OTHERS]} non-members, and both are needed: give "
            "the splits records, or name others in member_splits and nonmember_splits",
        )
    return None


def unsupported(total: Tally, reason: str) -> AttackResult:
    """Of records that cannot be read as the attacks need them."""
    return evaluate.unsupported_row(evaluate.LOSS, total, reason.rstrip("."))


def _overlapping(total: Tally, max_overlap: float) -> str:
    others = int(total.records[OTHERS]) + total.num_left_out
    return (
        f"{total.num_left_out} of {others} non-members ({total.num_left_out / others:.1%}) equal a member, feature by feature; "
        f"at most max_overlap={max_overlap:.1%} may, which are left out of the comparison. Drop duplicates before the data "
        "are split, and train again; or give nonmember_splits records that were not trained on"
    )


def _insufficient(total: Tally, reason: str) -> AttackResult:
    usable = total.records - total.unusable
    return AttackResult(
        attack=evaluate.LOSS,
        slice_feature=WHOLE_SET,
        slice_value="",
        num_members=int(usable[MEMBERS]),
        num_nonmembers=int(usable[OTHERS]),
        status="INSUFFICIENT",
        reason=reason,
    )
