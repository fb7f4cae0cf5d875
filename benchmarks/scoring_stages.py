"""Where PrivacyEvaluator's scoring spends its processor time: ever more of the work, on the files that benchmarks.scoring made.

`python -m benchmarks.scoring_stages`, after `python -m benchmarks.scoring`. All stages run in turn in one process,
where the model is loaded.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import apache_beam as beam

from benchmarks import scoring_ways, usage
from tfx_privacy.components.privacy_evaluator import reader as reading
from tfx_privacy.components.privacy_evaluator import scoring

_FILES = [f".cache/benchmarks/scoring/150000/{number:02d}.gz" for number in range(5)]
_EXAMPLES = 150_000


def main() -> None:
    """Measures, and prints a table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scoring_stages", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    started = time.process_time()
    loaded = reading.load(scoring_ways.reader(fused=True))
    loading = time.process_time() - started
    stages = _stages(loaded)
    first = {name: _seconds(run) for name, run in stages.items()}
    seconds: dict[str, list[float]] = {name: [] for name in stages}
    for number in range(options.rounds):
        for name in list(stages) if number % 2 else list(stages)[::-1]:
            seconds[name].append(_seconds(stages[name]))
    print(f"Loading the model: {loading:.2f} CPU s. {_EXAMPLES:,} examples, CPU s a pass, {options.rounds} rounds\n")
    rows = [
        [name, usage.spread(found), f"{first[name] - statistics.median(found):.2f}"] for name, found in seconds.items()
    ]
    print(usage.table(["stage", "CPU s: median (smallest-largest)", "more in the first pass"], rows))


def _seconds(run: Callable[[], None]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def _stages(loaded: reading.LoadedReader) -> dict[str, Callable[[], None]]:
    tasks, score = scoring_ways.TASKS, scoring.ScoreFn(loaded.reader, scoring_ways.TASKS, scoring_ways.SAMPLE)
    return {
        "read the files": lambda: _each(lambda batch: None),
        "the plain loop: + served signature": lambda: _each(loaded.predict),
        "read + the fused graph": lambda: _each(loaded._parse),
        "the same + hashes, slices": lambda: _each(loaded.read),
        "the same + scores": lambda: _each(lambda batch: scoring.scored(loaded, tasks, batch)),
        "the same + counts, sample (ScoreFn)": lambda: _all(score),
        "the same in the pipeline, merged": lambda: _quietly(scoring_ways.WAYS["ours, fused"]),
        "a pipeline that does nothing": _nothing,
    }


def _each(work: Callable[[object], object]) -> None:
    for path in _FILES:
        for batch in scoring.dataset(path):
            work(batch)


def _all(score: scoring.ScoreFn) -> None:
    for path in _FILES:
        for _ in score.process((0, path), {}):
            pass


def _quietly(way: Callable[[Sequence[str]], int]) -> None:
    way(_FILES)


def _nothing() -> None:
    with beam.Pipeline(runner="DirectRunner") as pipeline:
        _ = pipeline | beam.Create([1]) | beam.Reshuffle() | beam.CombineGlobally(sum)


if __name__ == "__main__":
    main()
