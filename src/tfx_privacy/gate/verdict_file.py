"""The gate's verdict as a file: what is next to a blessing, and what a Pusher that checks it holds against it."""

from __future__ import annotations

import datetime

from tfx_privacy.errors import EvidenceError
from tfx_privacy.gate.verdict import Verdict
from tfx_privacy.records.base import parse_time

FILE_NAME = "verdict.json"
CLOCK_SKEW = datetime.timedelta(minutes=5)


def refusal(
    verdict: Verdict,
    *,
    model_digest: str,
    now: datetime.datetime,
    max_age: datetime.timedelta,
    policy_digest: str | None = None,
) -> str | None:
    """Why a model that is blessed elsewhere may not be pushed.

    Args:
      verdict: As it was read.
      model_digest: Digest of the model's directory, taken now.
      now: The time, with its zone.
      max_age: How old the verdict may be.
      policy_digest: Digest of the only policy that the verdict may have been made under; None takes any.

    Returns:
      The reason if the verdict was made under another policy, is too old, or of the future; None if it lets this model
      pass.

    Raises:
      EvidenceError: If it is a refusal, or about another model: then it is not what the blessing rests on.
    """
    if verdict.blessed is not True:
        raise EvidenceError(
            f"The blessing says yes, but its {FILE_NAME} does not: {verdict.message[:500]!r}. Find out who changed the "
            "blessing."
        )
    if verdict.model_digest != model_digest:
        raise EvidenceError(
            f"The verdict is about a model with digest {verdict.model_digest}, but this one has {model_digest}: the "
            "model was changed after the verdict, or the blessing belongs to another one. Wire model and "
            "model_blessing from the same run."
        )
    if policy_digest is not None and verdict.policy_digest != policy_digest:
        return (
            f"the verdict was made under the policy with digest {verdict.policy_digest}, but policy_digest demands "
            f"{policy_digest}. Give BudgetValidator the policy that was agreed on, or Pusher the digest of its policy"
        )
    age = now - parse_time(verdict.decided_at)
    if -CLOCK_SKEW <= age <= max_age:
        return None
    if age > max_age:
        return f"the verdict of {verdict.decided_at} is older than {max_age}. Run BudgetValidator again"
    return f"the verdict of {verdict.decided_at} is dated in the future. Check the clocks"
