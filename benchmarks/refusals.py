"""How often the gate's rule on the attacks' AUC refuses a model that leaks nothing: the formula, and simulated evaluations.

`python -m benchmarks.refusals`, from the root of the repository; some minutes of processor time. The model guesses: a
binary classifier whose logits have nothing to do with the labels.
"""

from __future__ import annotations

import argparse

import numpy as np

from tfx_privacy.attacks.evaluation import CONTROL
from tfx_privacy.attacks.membership import evaluate, heads, sample, tally
from tfx_privacy.attacks.membership.evaluate import SampledSide
from tfx_privacy.attacks.membership.slice_values import SliceColumn
from tfx_privacy.attacks.membership.tally import Tally
from tfx_privacy.gate.false_refusals import Design

_LIMITS = (0.55, 0.6, 0.65)


def main() -> None:
    """Prints the table of the formula, and what simulated evaluations give on the whole set."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.refusals", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=300)
    options = parser.parse_args()
    print("| records a side | " + " | ".join(f"at {limit:.2f}" for limit in _LIMITS) + " | smallest limit for 5 % |")
    for size in (300, 600, 1000, 2000, 5000):
        design = Design.planned(size, size)
        shares = " | ".join(f"{design.probability(limit):.0%}" for limit in _LIMITS)
        print(f"| {size:,} | {shares} | {design.smallest_limit():.3f} |")
    for limit in _LIMITS:
        print(f"enough for {limit:.2f}: {Design.planned(1000, 1000).enough(limit)}")
    worst = np.array([strongest(300, seed) for seed in range(options.rounds)])
    simulated = ", ".join(f"{(worst > limit).mean():.1%} at {limit:.2f}" for limit in _LIMITS)
    print(f"{options.rounds} simulated evaluations of 300 a side, on the whole set: {simulated}")


def strongest(size: int, seed: int) -> float:
    """The largest upper bound of any attack on the whole set."""
    found = [_side(side, size, seed) for side in (tally.MEMBERS, tally.OTHERS)]
    merged = tally.merged([one[0] for one in found], 1)
    rows = evaluate.run(merged, (found[0][1], found[1][1]), evaluate.Settings()).results
    return max(
        row.attack_auc_upper
        for row in rows
        if row.slice_feature == "all" and row.attack != CONTROL and row.auc is not None
    )


def _side(side: int, size: int, seed: int) -> tuple[Tally, SampledSide]:
    random = np.random.default_rng([seed, side])
    labels = random.integers(0, 2, size)
    signals = heads.signals(heads.Head(task="binary", from_logits=True), random.normal(size=(size, 1)), labels)
    assert signals.correct is not None
    hashes = random.integers(0, 2**64, size, dtype=np.uint64)
    slices = {
        "class": SliceColumn(["0", "1"], labels),
        "correct": SliceColumn(["no", "yes"], signals.correct.astype(int)),
    }
    scores = {"loss": signals.loss, "modified_entropy": signals.modified_entropy, "label_only": signals.correct * 1.0}
    sampled = SampledSide(
        folds=sample.folds_of(hashes),
        usable=signals.usable,
        features=signals.features,
        blind=np.column_stack([random.normal(size=(size, 4)), labels]),
        scores={},
        loss=signals.loss,
        classes=labels,
        slices=slices,
    )
    return tally.of_records(side, scores, hashes, slices), sampled


if __name__ == "__main__":
    main()
