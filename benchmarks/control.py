"""How often the control calls splits of text confounded: false alarms where they are alike, power where they are not.

`python -m benchmarks.control`, from the root of the repository; some minutes of processor time. Documents of twelve words
are in two languages without a common word; members are in the first one with one probability, non-members with another.
"""

from __future__ import annotations

import argparse

import numpy as np

from tfx_privacy.attacks import consistency
from tfx_privacy.attacks.membership import bags, counts, learned, statistics

_WORDS = 3000
_SHARES = ((0.5, 0.5), (0.45, 0.55), (0.4, 0.6), (0.3, 0.7))


def main() -> None:
    """Prints a table: rows are numbers of records, columns are shares of the first language."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.control", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--records", type=int, nargs="*", default=[300, 1000, 3000])
    options = parser.parse_args()
    print("records a side | " + " | ".join(f"{one:.0%} / {other:.0%}" for one, other in _SHARES))
    for size in options.records:
        rates = [np.mean([is_confounded(size, shares, seed) for seed in range(options.rounds)]) for shares in _SHARES]
        print(f"{size} | " + " | ".join(f"{rate:.1%}" for rate in rates), flush=True)


def is_confounded(size: int, shares: tuple[float, float], seed: int) -> bool:
    """Whether the control on all values calls two sides of `size` records shifted.

    It pays for the control on numbers, and for the slices.
    """
    random = np.random.default_rng(seed)
    values, folds = [], []
    for share in shares:
        words = random.integers(0, _WORDS, (size, 12)) + _WORDS * (random.random((size, 1)) < share)
        texts = [" ".join(map(str, row)).encode() for row in words.tolist()]
        values.append(bags.of_text("text", np.arange(size), texts, size))
        folds.append(random.integers(0, 2, size))
    scores = learned.cross_fitted(learned.LINEAR, values[0], values[1], folds[0], folds[1])
    strata = [
        counts.of_scores(*(side[own == fold] for side, own in zip(scores, folds, strict=True))) for fold in (0, 1)
    ]
    return 4 * statistics.p_value(strata, independent=False) <= consistency.CONTROL_SIGNIFICANCE


if __name__ == "__main__":
    main()
