"""Splits one epsilon over preprocessing, statistics and training, before a record is read.

A share is what a release may spend by itself: with a share of 0.1 of epsilon 3 preprocessing alone has epsilon 0.3. The
training gets what all of it together leaves of the 3, which is more than 2.7: Gaussian mechanisms compose by their squares.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from tfx_privacy import _validate
from tfx_privacy.accounting.parameters import MIN_TARGET_EPSILON
from tfx_privacy.accounting.rounding import significant_up
from tfx_privacy.budget import planning
from tfx_privacy.budget.planning import NOISE_DIGITS, PlannedTraining
from tfx_privacy.errors import ParameterError
from tfx_privacy.releases.parameters import DPPreprocessing
from tfx_privacy.releases.plan import ReleasePlan
from tfx_privacy.releases.plan import plan as plan_release
from tfx_privacy.releases.queries import Presence, Query, Vocabulary

Part = Literal["preprocessing", "statistics"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Share:
    """What one release is to spend of the whole epsilon."""

    part: Part
    share: float
    """Of epsilon, in (0, 1): of the release by itself, at the whole target_delta."""
    answers: int = 1
    """Analyzers or statistics that share it evenly."""
    vocabularies: int = 1
    """How many of them are vocabularies; with none, no threshold spends anything of delta."""
    values_per_record: int = 1
    """Values that one record is counted for in a vocabulary at most."""
    max_records_per_user: int | None = None
    """With users as privacy unit; None for single records."""

    def __post_init__(self) -> None:
        _validate.open_interval(0.0, 1.0, "It is a share of epsilon.", **{f"{self.part}_share": self.share})
        answers: dict[str, Any] = {f"{self.part}_answers": self.answers}
        _validate.positive_integer(**answers)
        if not 0 <= self.vocabularies <= self.answers:
            raise ParameterError(
                f"Expected vocabularies={self.vocabularies} to be at most {self.part}_answers={self.answers}, of which they "
                "are a part. Give more answers, or fewer vocabularies."
            )

    def release(self, *, target_epsilon: float, target_delta: float) -> ReleasePlan:
        """The release, its noise multiplier rounded up to four digits as a training's is.

        Args:
          target_epsilon: Of everything together, in nats.
          target_delta: Likewise.

        Raises:
          ParameterError: If the share is too small for any use.
        """
        own = self.share * target_epsilon
        if not own >= MIN_TARGET_EPSILON:
            raise ParameterError(
                f"{self.part}_share={self.share:g} of target_epsilon={target_epsilon:g} is {own:.3g}, below the least epsilon, "
                f"{MIN_TARGET_EPSILON:g}. Give it a larger share."
            )
        common: dict[str, Any] = {"target_delta": target_delta}
        if self.max_records_per_user is not None:
            common |= {"privacy_unit": "user", "user_id_key": "user", "max_records_per_user": self.max_records_per_user}
        calibrated = plan_release(self._queries, DPPreprocessing(target_epsilon=own, **common))
        noise = significant_up(calibrated.noise_multiplier, NOISE_DIGITS)
        return plan_release(self._queries, DPPreprocessing(noise_multiplier=noise, **common))

    @property
    def _queries(self) -> list[Query]:
        words = [
            Vocabulary(name=f"vocabulary {place}", max_values=self.values_per_record)
            for place in range(self.vocabularies)
        ]
        return [*words, *(Presence(name=f"answer {place}") for place in range(self.answers - self.vocabularies))]


@dataclasses.dataclass(frozen=True)
class SharedTraining:
    """One possible training, and what is released beside it."""

    training: PlannedTraining
    """Its noise is what all of it together leaves; its epsilon is of all of it together."""
    alone: PlannedTraining
    """The same training with the whole epsilon for itself."""
    releases: Sequence[tuple[Share, ReleasePlan]]


def plan(shares: Sequence[Share], *, target_epsilons: Sequence[float], **asked: Any) -> list[SharedTraining]:
    """Accounts every combination of the arguments, with and without the shares.

    All releases and the training are of the same records, so they compose: by the accountant, at target_delta less what
    thresholds spend of it.

    Args:
      shares: At least one, each of another part.
      target_epsilons: Of everything together; at least one.
      **asked: The other arguments of `budget.planning.plan`; no noise multipliers.

    Returns:
      In the order of `budget.planning.plan`: batch sizes and epochs as they were given, and within them by falling noise.

    Raises:
      ParameterError: If a number breaks a rule, or the shares leave nothing for the training.
      AccountingError: If the accountants give no usable number.
    """
    population = _validate.positive_integer(population=asked["population"])
    target_delta = asked.pop("target_delta", None)
    target_delta = planning.suggest_delta(population) if target_delta is None else target_delta
    asked["target_delta"] = target_delta
    rows = [list(_of_target(shares, target, target_delta, asked)) for target in target_epsilons]
    return [
        row
        for group in zip(*rows, strict=True)
        for row in sorted(group, key=lambda each: -each.training.noise_multiplier)
    ]


def _of_target(
    shares: Sequence[Share], target: float, target_delta: float, asked: dict[str, Any]
) -> Iterator[SharedTraining]:
    """One for each batch size and number of epochs."""
    releases = [(share, share.release(target_epsilon=target, target_delta=target_delta)) for share in shares]
    alone = planning.plan(target_epsilons=[target], **asked)
    together = planning.plan(
        target_epsilons=[target],
        beside=[release.run.event for _, release in releases],
        delta_spent=sum(release.delta_spent for _, release in releases) * (1 + 2.0**-50),
        **asked,
    )
    for training, other in zip(together, alone, strict=True):
        yield SharedTraining(training, other, releases)
