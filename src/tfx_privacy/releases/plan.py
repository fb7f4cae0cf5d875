"""How much noise each answer of a release gets: the budget is split once, before a record is read.

Answers with weights w_j (summing to 1) get z_j = z / sqrt(w_j), so that all of them come to z: sum of z_j^-2 = z^-2.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from tfx_privacy.accounting.calibration import calibrate_noise_multiplier
from tfx_privacy.accounting.epsilon import EpsilonBounds, epsilon_bounds
from tfx_privacy.accounting.parameters import DPParameters
from tfx_privacy.budget.runs import PlannedRun
from tfx_privacy.errors import ParameterError
from tfx_privacy.releases.parameters import DPPreprocessing
from tfx_privacy.releases.queries import Query, Vocabulary
from tfx_privacy.releases.record import MAX_ANSWERS, Answer, Selection, least_threshold, together
from tfx_privacy.releases.rounded_gaussian import MAX_STANDARD_DEVIATION

# So much more noise than was asked for, that rounding never leaves less.
_HAIR = 1 + 2.0**-40


@dataclasses.dataclass(frozen=True)
class ReleasePlan:
    """A release in full, before a record was read."""

    queries: Sequence[Query]
    answers: Sequence[Answer]
    """Of each query, its noise and threshold."""
    noise_multiplier: float
    """Of all answers together, for one unit."""
    privacy: DPPreprocessing

    @property
    def run(self) -> PlannedRun:
        """What a ledger is charged: one Gaussian mechanism."""
        return PlannedRun.of(noise_multiplier=self.noise_multiplier, sampling_probability=1.0, steps=1)

    @property
    def delta_spent(self) -> float:
        """Of all thresholds together."""
        return math.fsum(answer.selection.delta for answer in self.answers if answer.selection) * (1 + 2.0**-50)

    @property
    def epsilon(self) -> EpsilonBounds:
        """Of the release by itself, at its target_delta."""
        return epsilon_bounds(self.run.event, target_delta=self.privacy.target_delta - self.delta_spent)


def plan(queries: Sequence[Query], privacy: DPPreprocessing) -> ReleasePlan:
    """Splits the budget over the queries.

    Args:
      queries: What is asked, each with its weight.
      privacy: How much noise the whole has; its `shares` go before the queries' own weights.

    Raises:
      ParameterError: If there is nothing to ask, a weight is of no query, or the noise is more or less than can be drawn.
    """
    if not 1 <= len(queries) <= MAX_ANSWERS:
        raise ParameterError(
            f"Expected 1 to {MAX_ANSWERS} analyzers or statistics to share the budget, not {len(queries)}."
        )
    names = {query.name for query in queries}
    if unknown := sorted(set(privacy.shares) - names):
        raise ParameterError(
            f"shares names {unknown[0]!r}, which nothing is asked of. There are: {', '.join(sorted(names))}."
        )
    selections = sum(isinstance(query, Vocabulary) for query in queries)
    assert privacy.selection_delta is not None
    delta = privacy.selection_delta / selections if selections else 0.0
    multiplier = _noise_multiplier(privacy, delta_spent=delta * selections)
    weights = [privacy.shares.get(query.name, query.share) for query in queries]
    total = math.fsum(weights)
    answers = [
        _answer(query, multiplier * _HAIR / math.sqrt(weight / total), delta, privacy.records_of_unit)
        for query, weight in zip(queries, weights, strict=True)
    ]
    return ReleasePlan(
        queries=queries,
        answers=answers,
        noise_multiplier=min(multiplier, together(answers) / privacy.records_of_unit),
        privacy=privacy,
    )


def _noise_multiplier(privacy: DPPreprocessing, *, delta_spent: float) -> float:
    if privacy.noise_multiplier is not None:
        return privacy.noise_multiplier
    assert privacy.target_epsilon is not None
    once = DPParameters(target_epsilon=privacy.target_epsilon, sampling_probability=1.0, steps=1)
    left = privacy.target_delta - delta_spent * (1 + 2.0**-50)
    return calibrate_noise_multiplier(once, target_epsilon=privacy.target_epsilon, target_delta=left)


def _answer(query: Query, noise_multiplier: float, delta: float, records_of_unit: int) -> Answer:
    # The unit's records move the sum by so much; the record states what one of them does.
    deviation = noise_multiplier * query.l2_sensitivity * records_of_unit
    if not deviation <= MAX_STANDARD_DEVIATION:
        raise ParameterError(
            f"The noise of {query.name!r} would have a standard deviation of {deviation:.3g} in units of its grid, more than "
            f"{MAX_STANDARD_DEVIATION:.3g}. Give it a larger share, or ask less: the budget allows no use of it."
        )
    selection = None
    if isinstance(query, Vocabulary):
        least = least_threshold(
            deviation,
            delta=delta,
            max_keys=query.max_values,
            l2_sensitivity=query.l2_sensitivity,
            records_of_unit=records_of_unit,
        )
        if not math.isfinite(least):
            raise ParameterError(
                f"Expected selection_delta to leave {query.name!r} more than {delta!r}. Give a larger one."
            )
        selection = Selection(threshold=math.ceil(least), delta=delta, max_keys=query.max_values)
    return Answer(
        kind=query.kind,
        features=[query.name],
        numbers=query.numbers,
        l2_sensitivity=query.l2_sensitivity,
        noise_standard_deviation=deviation,
        selection=selection,
    )
