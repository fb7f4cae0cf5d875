"""How often the gate refuses a harmless model for naming members: `python -m benchmarks.false_refusals --help`.

Scores of members and others are drawn from one distribution, several attacks with correlated scores each, and the rule
`attack_tpr` is held against what `statistics.tpr_intervals` says of them. Scores are continuous, of a few values, or of two:
many records then share the highest one. `--named` makes a share of the members stand out, to show what the rule finds.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tfx_privacy.attacks.membership import statistics
from tfx_privacy.attacks.membership.counts import of_scores
from tfx_privacy.gate.attack_limit import FALSE_REFUSALS
from tfx_privacy.gate.policy import DEFAULT_MAX_TPR_AT_FPR, FALSE_POSITIVE_RATE
from tfx_privacy.gate.rules.individuals import harmless_upper

_SIZES = ((300, 10_000), (3_000, 10_000), (20_000, 10_000), (100_000, 30_000))
_OUTLIER = 20.0

SCORES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "continuous": lambda scores: scores,
    "coarse": np.round,
    "two values, 60 % high": lambda scores: (scores > -0.36).astype(float),
    "two values, 95 % high": lambda scores: (scores > -2.33).astype(float),
    "two values, 0.5 % high": lambda scores: (scores > 3.64).astype(float),
}
"""By kind, of the sum of two standard normal scores."""


def refusals(
    sizes: tuple[int, int], kind: str, models: int, attacks: int, limit: float, seed: int, named: float = 0.0
) -> tuple[int, float]:
    """Of so many models: how many are refused, and the largest upper bound of any attack."""
    random, refused, largest = np.random.default_rng(seed), 0, 0.0
    small = harmless_upper(*sizes, FALSE_REFUSALS / attacks) > limit
    for _ in range(models):
        common = [random.normal(size=size) for size in sizes]
        found = []
        for _ in range(attacks):
            scores = [SCORES[kind](part + random.normal(size=len(part))) for part in common]
            scores[0][: round(named * sizes[0])] += _OUTLIER
            (entry,) = statistics.tpr_intervals(of_scores(*scores), (FALSE_POSITIVE_RATE,), confidence_level=0.95)
            found.append(entry.tpr)
        refused += any(not (rate.low if small else rate.high) <= limit for rate in found)
        largest = max(largest, *(rate.high for rate in found))
    return refused, largest


def main(argv: Sequence[str] | None = None) -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--attacks", type=int, default=6)
    parser.add_argument("--limit", type=float, default=DEFAULT_MAX_TPR_AT_FPR)
    parser.add_argument("--named", type=float, default=0.0, help="share of the members that stand out")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    print("| scores | members | non-members | models refused | largest upper bound |")
    print("| ------ | ------- | ----------- | -------------- | ------------------- |")
    for kind in SCORES:
        for sizes in _SIZES:
            refused, largest = refusals(
                sizes, kind, options.models, options.attacks, options.limit, options.seed, options.named
            )
            print(f"| {kind} | {sizes[0]} | {sizes[1]} | {refused} of {options.models} | {largest:.4f} |")


if __name__ == "__main__":
    main()
