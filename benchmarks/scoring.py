"""Scoring examples with a saved model: PrivacyEvaluator's pipeline next to a plain loop, plain Beam, TFMA and RunInference.

`python -m benchmarks.scoring`, from the root of the repository, after `make demo` (it reads demo_output/). Every
measurement runs in a separate process, forked from one that has imported everything: imports are not measured,
loading the model is.
"""

from __future__ import annotations

import argparse
import itertools
import os
import pathlib
import statistics
import sys
from collections.abc import Iterator, Mapping

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

from multiprocessing import forkserver

from benchmarks import usage
from benchmarks.usage import Usage

_WAYS = ("tf.data", "ours, fused", "ours, not fused", "Beam DoFn", "TFMA", "RunInference")
_BASELINE, _OURS, _TARGET = "tf.data", "ours, fused", 0.7
_SHARDS = 5
_DATA = pathlib.Path(".cache/benchmarks/scoring")
_TIMESTAMP = "trip_start_timestamp"


def main() -> None:
    """Makes the data if need be, measures, and prints a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scoring", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--size", type=int, default=150_000, help="examples, in five files")
    parser.add_argument("--times", type=int, default=5, help="also measured on so many times the examples")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", nargs="*", default=list(_WAYS), choices=_WAYS)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long one measurement may take on the clock")
    options = parser.parse_args()
    forkserver.set_forkserver_preload(["benchmarks.scoring_ways"])
    files = _files(options.size, options.times, options.seconds)
    few, many = files[:_SHARDS], files
    measured = {f"{way}, {len(part)} files": (way, part) for way in options.ways for part in (few, many)}
    found = usage.interleaved(
        list(measured),
        options.rounds,
        lambda name: usage.in_process("forkserver", _measure, *measured[name], seconds=options.seconds),
    )
    by_way = {way: (found[f"{way}, {len(few)} files"], found[f"{way}, {len(many)} files"]) for way in options.ways}
    _print(by_way, options.times)


def _measure(way: str, files: list[str]) -> Usage:
    from benchmarks import scoring_ways

    return scoring_ways.measure(way, files)


def _files(size: int, times: int, seconds: float) -> list[str]:
    """The demo's examples again and again, in `times` times five compressed files."""
    target = _DATA / str(size)
    files = [str(target / f"{number:02d}.gz") for number in range(_SHARDS * times)]
    if not all(os.path.exists(path) for path in files):
        target.mkdir(parents=True, exist_ok=True)
        if usage.in_process("spawn", _write, files, size // _SHARDS, seconds=seconds) is None:
            sys.exit("The examples could not be written; run `make demo` first.")
    return files


def _write(files: list[str], size: int) -> Usage:
    import tensorflow as tf

    records = _distinct()
    options = tf.io.TFRecordOptions(compression_type="GZIP")
    for path in files:
        with tf.io.TFRecordWriter(path + ".part", options) as writer:
            for record in itertools.islice(records, size):
                writer.write(record)
        os.rename(path + ".part", path)
    return Usage()


def _distinct() -> Iterator[bytes]:
    """The demo's examples, a second later in each repetition: equal records would cost the sample what real data does not."""
    import tensorflow as tf

    from benchmarks import scoring_ways

    records = tf.data.TFRecordDataset(scoring_ways.examples(), compression_type="GZIP")
    found = [tf.train.Example.FromString(record) for record in records.as_numpy_iterator()]
    while True:
        for example in found:
            yield example.SerializeToString()
            values = example.features.feature[_TIMESTAMP].int64_list.value
            values[:] = [value + 1 for value in values]


def _print(found: Mapping[str, tuple[list[Usage], list[Usage]]], times: int) -> None:
    first = next(usages[0] for usages, _ in found.values() if usages)
    size = int(first.found)
    print(f"{size:,} examples in {_SHARDS} files, and {times} times as many; CPU seconds: median (smallest-largest)\n")
    header = ["way", f"{size:,}", f"{times * size:,}", "more per 100,000", "without loading: examples a CPU second"]
    header += [f"speed, {_BASELINE} = 1", "speed, without what is fixed"]
    base = found.get(_BASELINE, ([], []))
    rows = []
    for way, (few, many) in found.items():
        marginal = _marginal(few, many)
        speed = f"{1e5 / marginal:,.0f}" if marginal else "-"
        cells = [way, usage.spread([item.total for item in few]), usage.spread([item.total for item in many])]
        cells += [f"{marginal:.2f}" if marginal else "-", speed]
        rows.append([*cells, _ratio(_median(base[0]), _median(few)), _ratio(_marginal(*base), marginal)])
    print(usage.table(header, rows))
    if len({item.found for few, _ in found.values() for item in few}) > 1:
        print("\nThe ways did not score the same number of examples: nothing can be compared.")
    _print_target(found)


def _print_target(found: Mapping[str, tuple[list[Usage], list[Usage]]]) -> None:
    if not (all(found.get(_BASELINE, ())) and all(found.get(_OURS, ()))):
        return
    base, ours = found[_BASELINE], found[_OURS]
    speeds = {
        "with loading": _median(base[0]) / _median(ours[0]),
        "without what is fixed": _marginal(*base) / _marginal(*ours),
    }
    for name, speed in speeds.items():
        verdict = "hit" if speed >= _TARGET else "missed"
        print(f"\nTarget: {_OURS!r} at {_TARGET:.2f} of the speed of {_BASELINE!r}; {name}: {speed:.2f}, {verdict}.")


def _median(rounds: list[Usage]) -> float | None:
    return statistics.median(item.total for item in rounds) if rounds else None


def _marginal(few: list[Usage], many: list[Usage]) -> float | None:
    """CPU seconds of 100,000 more examples."""
    if not few or not many:
        return None
    more = int(many[0].found) - int(few[0].found)
    return (_median(many) - _median(few)) / more * 1e5


def _ratio(base: float | None, seconds: float | None) -> str:
    return f"{base / seconds:.2f}" if base and seconds else "-"


if __name__ == "__main__":
    main()
