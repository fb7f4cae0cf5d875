"""The gate's verdict as a file: what stands beside a blessing, and what a Pusher that checks it holds against it."""

from __future__ import annotations

import datetime
from typing import Literal

import pydantic

from tfx_privacy.errors import EvidenceError, InternalError
from tfx_privacy.gate.verdict import Verdict
from tfx_privacy.records.base import Digest, Record, parse_time

FILE_NAME = "verdict.json"
CLOCK_SKEW = datetime.timedelta(minutes=5)


class VerdictRecord(Record):
    """What the file says of one model. The rules and the policy, which it has beside this, are for people."""

    model_config = pydantic.ConfigDict(extra="ignore")

    schema_version: Literal[2]
    blessed: bool
    message: str
    decided_at: str
    model_digest: Digest | None

    def refusal(self, *, model_digest: str, now: datetime.datetime, max_age: datetime.timedelta) -> str | None:
        """Why a model that is blessed elsewhere may not be pushed.

        Args:
          model_digest: Digest of the model's directory, taken now.
          now: The time, with its zone.
          max_age: How old the verdict may be.

        Returns:
          The reason if the verdict is too old or of the future; None if it lets this model pass.

        Raises:
          EvidenceError: If it is a refusal, or speaks of another model: then it is not what the blessing rests on.
        """
        if self.blessed is not True:
            raise EvidenceError(
                f"The blessing says yes, but its {FILE_NAME} does not: {self.message[:500]!r}. Find out who changed the blessing."
            )
        if self.model_digest != model_digest:
            raise EvidenceError(
                f"The verdict is of a model with digest {self.model_digest}, but this one has {model_digest}: the model was changed "
                "after the verdict, or the blessing belongs to another one. Wire model and model_blessing from the same run."
            )
        age = now - parse_time(self.decided_at)
        if -CLOCK_SKEW <= age <= max_age:
            return None
        if age > max_age:
            return f"the verdict of {self.decided_at} is older than {max_age}. Run BudgetValidator again"
        return f"the verdict of {self.decided_at} is dated in the future. Check the clocks"


def to_json(verdict: Verdict) -> str:
    """The verdict as strict JSON.

    Raises:
      InternalError: If a blessing would name no model.
    """
    if verdict.blessed and verdict.model_digest is None:
        raise InternalError("A model without a digest was blessed.")
    return verdict.to_json() + "\n"
