"""How long one decision of the gate takes: `python -m benchmarks.gate --help`.

The evidence is that of the tests, with as many rows and limits as are asked for.
"""

from __future__ import annotations

import argparse
import pathlib
import statistics
import sys
import time
from collections.abc import Sequence

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "helpers"))

import evidence

from tfx_privacy.gate.decide import decide
from tfx_privacy.gate.policy import GatePolicy, SliceLimit


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the median and the range of some decisions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=1000)
    parser.add_argument("--attacks", type=int, default=7)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(argv)
    names = [str(index) for index in range(options.slices)]
    attacks = ["loss", *(f"attack {index}" for index in range(1, options.attacks))]
    rows = [evidence.row(attack, "shop", name, (0.5, 0.45, 0.55), 400) for attack in attacks for name in names]
    record = evidence.make_evaluation([*evidence.rows(), *rows], slice_features=["class", "payment", "shop"])
    limits = [SliceLimit(feature="shop", value=name, max_attack_auc=0.7) for name in names]
    policy = GatePolicy(max_epsilon=3.0, max_delta=1e-5, max_attack_auc=0.6, slice_limits=limits[:1000])
    whole, seconds = evidence.make_evidence(evaluation=record), []
    for _ in range(options.rounds):
        start = time.perf_counter()
        decide(whole, policy, now=evidence.NOW)
        seconds.append(time.perf_counter() - start)
    found = f"{statistics.median(seconds):.2f} s ({min(seconds):.2f}-{max(seconds):.2f})"
    print(f"{len(record.results)} rows, {len(policy.slice_limits)} limits: {found}")


if __name__ == "__main__":
    main()
