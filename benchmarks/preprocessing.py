"""Preprocessing and statistics with private answers, next to TFX's own Transform and StatisticsGen on the same records.

`python -m benchmarks.preprocessing`, from the root of the repository: the Chicago taxi trips that ship with tfx, again and
again, in compressed TFRecords. The taxi pipeline's `preprocessing_fn` is run as it is by DPTransform, and with tft's
analyzers in the place of ours by Transform; both on the same Beam runner, in turn, each time in a fresh process, forked from
one that has imported everything. What is written (transform graph, transformed examples, statistics) is the same on both
sides; "analysis" is Transform without transformed examples.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import statistics
import sys
from collections.abc import Sequence

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

from multiprocessing import forkserver

from benchmarks import usage
from benchmarks.usage import Usage

_PAIRS = {
    "analysis": ("Transform, analysis", "DPTransform, analysis"),
    "all": ("Transform", "DPTransform"),
    "statistics": ("StatisticsGen", "DPStatisticsGen"),
}
_TARGET = 1.3
_DATA = pathlib.Path(".cache/benchmarks/preprocessing")


def main() -> None:
    """Makes the data if need be, measures, and prints a table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.preprocessing", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[150_000, 1_500_000], help="records")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", nargs="*", default=list(_PAIRS), choices=list(_PAIRS))
    parser.add_argument("--seconds", type=float, default=1800.0, help="how long one measurement may take on the clock")
    options = parser.parse_args()
    forkserver.set_forkserver_preload(["benchmarks.preprocessing_ways"])
    for size in options.sizes:
        if usage.in_process("forkserver", _made, str(_DATA), size, seconds=options.seconds) is None:
            sys.exit("The examples could not be written.")
    ways = {
        f"{way}, {size} records": (way, size) for size in options.sizes for work in options.work for way in _PAIRS[work]
    }
    found = usage.interleaved(
        list(ways),
        options.rounds,
        lambda name: usage.in_process("forkserver", _measured, str(_DATA), *ways[name], seconds=options.seconds),
    )
    rows = [
        _row(size, ours, *(found[f"{way}, {size} records"] for way in (theirs, ours)))
        for work in options.work
        for theirs, ours in [_PAIRS[work]]
        for size in options.sizes
    ]
    print(
        usage.table(("records", "way", "CPU s", "TFX's own, CPU s", "ratio", f"<= {_TARGET}", "peak MB", "TFX's"), rows)
    )


def _row(size: int, way: str, theirs: Sequence[Usage], ours: Sequence[Usage]) -> list[str]:
    if not (theirs and ours):
        return [str(size), way, *["-"] * 6]
    ratio = statistics.median(each.total for each in ours) / statistics.median(each.total for each in theirs)
    seconds = [usage.spread([each.total for each in side], 1) for side in (ours, theirs)]
    peaks = [usage.megabytes([each.growth_bytes for each in side]) for side in (ours, theirs)]
    return [str(size), way, *seconds, f"{ratio:.2f}", "yes" if ratio <= _TARGET else "no", *peaks]


def _made(folder: str, size: int) -> Usage:
    from benchmarks import preprocessing_ways

    return preprocessing_ways.write(pathlib.Path(folder), size)


def _measured(folder: str, way: str, size: int) -> Usage:
    from benchmarks import preprocessing_ways

    return preprocessing_ways.measure(pathlib.Path(folder), way, size)


if __name__ == "__main__":
    main()
