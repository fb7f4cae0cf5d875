"""How often the gate refuses a harmless model for naming members: `python -m benchmarks.false_refusals --help`.

Scores of members and others are drawn from one distribution, several attacks with correlated scores each, and the rule
`attack_tpr` is held against what `statistics.tpr_intervals` says of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from tfx_privacy.attacks.membership import statistics
from tfx_privacy.attacks.membership.counts import of_scores
from tfx_privacy.gate.attack_limit import FALSE_REFUSALS
from tfx_privacy.gate.policy import DEFAULT_MAX_TPR_AT_FPR, FALSE_POSITIVE_RATE
from tfx_privacy.gate.rules.individuals import harmless_upper

_SIZES = ((300, 10_000), (3_000, 10_000), (20_000, 10_000), (100_000, 30_000))


def refusals(sizes: tuple[int, int], models: int, attacks: int, limit: float, seed: int) -> tuple[int, float]:
    """Of so many harmless models: how many are refused, and the largest upper bound of any attack."""
    random, refused, largest = np.random.default_rng(seed), 0, 0.0
    small = harmless_upper(*sizes, FALSE_REFUSALS / attacks) > limit
    for _ in range(models):
        common = [random.normal(size=size) for size in sizes]
        found = []
        for _ in range(attacks):
            scores = [part + random.normal(size=len(part)) for part in common]
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
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    print("| members | non-members | models refused | largest upper bound |")
    print("| ------- | ----------- | -------------- | ------------------- |")
    for sizes in _SIZES:
        refused, largest = refusals(sizes, options.models, options.attacks, options.limit, options.seed)
        print(f"| {sizes[0]} | {sizes[1]} | {refused} of {options.models} | {largest:.4f} |")


if __name__ == "__main__":
    main()
