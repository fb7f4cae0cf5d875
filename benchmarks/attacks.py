"""The statistics of the attacks on the same scores: ours, and tensorflow-empirical-privacy's; and RMIA's score by sorting.

`python -m benchmarks.attacks`, from the root of the repository. Every way runs in a fresh process of one compute
thread. What is measured begins with the scores in memory: imports, and the scores themselves, come before.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Iterator, Mapping
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import numpy as np

from benchmarks import usage
from benchmarks.usage import Meter, Usage

_CLASSES, _BLIND = 10, 8
# How much more members' logits favour the label: a model that remembers a little.
_MEMORISED = 0.2
_CHUNK = 1 << 16  # as components/privacy_evaluator/scoring.py
_FILES_PER_SIDE = 10
_SAMPLE = 20_000
_RECORDS, _POPULATION = 20_000, 10_000
_OURS_TARGET, _MEMORY_TARGET, _RMIA_TARGET = 30.0, 500e6, 0.1


def main() -> None:
    """Measures, and prints the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attacks", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--size", type=int, default=1_000_000, help="records per side")
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000], help="smaller sizes, for all ways")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long one measurement may take on the clock")
    parser.add_argument("--learned-up-to", type=int, default=100_000, help="largest size for LOGISTIC_REGRESSION")
    options = parser.parse_args()
    ways = _ways([*options.sizes, options.size], options.learned_up_to)
    found = usage.interleaved(
        list(ways), options.rounds, lambda name: usage.in_process("spawn", *ways[name], seconds=options.seconds)
    )
    print(f"{options.rounds} rounds, CPU seconds: median (smallest-largest); MB: median\n")
    _print_statistics({name: rounds for name, rounds in found.items() if not name.startswith("rmia")})
    _print_rmia({name: rounds for name, rounds in found.items() if name.startswith("rmia")})
    _print_targets(found[f"ours, {options.size:,}"], found["rmia, sorting"])


def _ways(sizes: list[int], learned_up_to: int) -> dict[str, tuple[Any, ...]]:
    ways: dict[str, tuple[Any, ...]] = {}
    for size in sizes:
        ways[f"ours, {size:,}"] = (_ours, size, True)
        ways[f"ours, thresholds, {size:,}"] = (_ours, size, False)
        ways[f"empirical-privacy, thresholds, {size:,}"] = (_theirs, size, False)
        if size <= learned_up_to:
            ways[f"empirical-privacy, logistic regression, {size:,}"] = (_theirs, size, True)
    return ways | {"rmia, sorting": (_rmia_sorted,), "rmia, matrix": (_rmia_matrix,)}


@dataclasses.dataclass
class _Side:
    """Scored records of one side; `sampled` are places of the records with the smallest hashes, `blind` of those alone."""

    logits: np.ndarray | None
    labels: np.ndarray
    scores: Mapping[str, np.ndarray]
    log_likelihood: np.ndarray
    hashes: np.ndarray
    sampled: np.ndarray
    features: np.ndarray
    blind: np.ndarray


def _side(side: int, size: int, *, with_logits: bool) -> _Side:
    """Made in chunks, so no large array is left behind that the work did not ask for."""
    from tfx_privacy.attacks.membership import heads

    head = heads.Head(task="multiclass", from_logits=True)
    hashes = np.random.default_rng([side, 1]).integers(0, 2**64, size, dtype=np.uint64)
    sampled = np.argsort(hashes)[:_SAMPLE]
    chosen = np.zeros(size, bool)
    chosen[sampled] = True
    parts: dict[str, list[np.ndarray]] = {}
    for number, start in enumerate(range(0, size, _CHUNK)):
        logits, labels = _outputs(side, number, min(_CHUNK, size - start))
        signals = heads.signals(head, logits, labels)
        found = {"labels": labels, "loss": signals.loss, "modified_entropy": signals.modified_entropy}
        found |= {"label_only": signals.correct.astype(np.float64), "log_likelihood": signals.log_likelihood}
        found |= {"features": signals.features[chosen[start : start + _CHUNK]]}
        for name, values in (found | ({"logits": logits} if with_logits else {})).items():
            parts.setdefault(name, []).append(values)
    whole = {name: np.concatenate(parts.pop(name)) for name in list(parts)}
    sampled = np.sort(sampled)
    features = np.random.default_rng([side, 2]).normal(size=(len(sampled), _BLIND))
    return _Side(
        logits=whole.get("logits"),
        labels=whole["labels"],
        scores={name: whole[name] for name in ("loss", "modified_entropy", "label_only")},
        log_likelihood=whole["log_likelihood"],
        hashes=hashes,
        sampled=sampled,
        features=whole["features"],
        blind=np.column_stack([features, whole["labels"][sampled]]),
    )


def _outputs(side: int, number: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng([side, 0, number])
    labels = random.integers(0, _CLASSES, size)
    logits = random.standard_normal((size, _CLASSES), dtype=np.float32)
    logits[np.arange(size), labels] += 2.0 + (_MEMORISED if side == 0 else 0.0)
    return logits, labels


def _ours(size: int, learned: bool) -> Usage:
    """Three threshold attacks on the whole set and by class; `learned` adds classifiers and control, on the samples."""
    from tfx_privacy.attacks.membership import evaluate, tally

    sides = [_side(side, size, with_logits=False) for side in (tally.MEMBERS, tally.OTHERS)]
    samples = _sampled(sides[0]), _sampled(sides[1])
    settings = evaluate.Settings(sample_size=_SAMPLE)
    meter = Meter()
    of_files = [
        _of_file(meter, side, sides[side], rows)
        for side in (tally.MEMBERS, tally.OTHERS)
        for rows in np.array_split(np.arange(size), _FILES_PER_SIDE)
    ]
    with meter.part("merging"):
        total = tally.merged(of_files, _SAMPLE)
    with meter.part("judging"):
        rows = evaluate.run(total, samples, settings).results if learned else _judged(total, settings)
    (row,) = (row for row in rows if row.attack == evaluate.LOSS and row.slice_feature == "all")
    shown = f"{len(rows)} rows; loss: AUC {row.auc.estimate:.4f} ({row.auc.low:.4f}-{row.auc.high:.4f})"
    return meter.usage(shown)


def _judged(total: Any, settings: Any) -> list[Any]:
    """What `evaluate.run` makes of the counts, without the samples and without the adjustment for many tests."""
    from tfx_privacy.attacks.membership import evaluate

    slices = evaluate._Slices(total, settings.min_slice_size)
    return [evaluate._judge(item, settings) for item in evaluate._from_tally(total, slices)]


def _of_file(meter: Meter, side: int, data: _Side, rows: np.ndarray) -> Any:
    """The tally of a file's records, counted chunk by chunk as `ScoreFn` does."""
    from tfx_privacy.attacks.membership import tally

    total = tally.empty()
    for chunk in _chunks(rows):
        with meter.part("counting"):
            scores = {name: values[chunk] for name, values in data.scores.items()}
            counted = tally.of_records(side, scores, data.hashes[chunk], {"class": _by_class(data.labels[chunk])})
        with meter.part("merging"):
            total = tally.merged([total, counted], _SAMPLE)
    return total


def _chunks(rows: np.ndarray) -> Iterator[slice]:
    for start in range(int(rows[0]), int(rows[-1]) + 1, _CHUNK):
        yield slice(start, min(start + _CHUNK, int(rows[-1]) + 1))


def _by_class(labels: np.ndarray) -> Any:
    from tfx_privacy.attacks.membership.slice_values import SliceColumn

    return SliceColumn([str(value) for value in range(_CLASSES)], labels)


def _sampled(side: _Side) -> Any:
    from tfx_privacy.attacks.membership import sample
    from tfx_privacy.attacks.membership.evaluate import SampledSide

    return SampledSide(
        folds=sample.folds_of(side.hashes[side.sampled]),
        usable=np.ones(len(side.sampled), bool),
        features=side.features,
        blind=side.blind,
        scores={},
        loss=side.scores["loss"][side.sampled],
        classes=side.labels[side.sampled],
        slices={"class": _by_class(side.labels[side.sampled])},
    )


def _theirs(size: int, learned: bool) -> Usage:
    """Threshold attacks on loss and modified entropy, or logistic regression; on the whole set and by class."""
    import sys

    sys.skip_tf_privacy_import = True  # type: ignore[attr-defined] # both packages share a name: without it the other's optimizers load
    from tensorflow_privacy.privacy.privacy_tests.membership_inference_attack import data_structures
    from tensorflow_privacy.privacy.privacy_tests.membership_inference_attack import membership_inference_attack as mia

    np.seterr(all="ignore")  # their bound on epsilon divides by zero, and says so hundreds of times
    members, others = (_side(side, size, with_logits=learned) for side in (0, 1))
    kinds = data_structures.AttackType
    attacks = [kinds.LOGISTIC_REGRESSION] if learned else [kinds.THRESHOLD_ATTACK, kinds.THRESHOLD_ENTROPY_ATTACK]
    given = data_structures.AttackInputData(
        labels_train=members.labels,
        labels_test=others.labels,
        loss_train=-members.log_likelihood,
        loss_test=-others.log_likelihood,
        entropy_train=-members.scores["modified_entropy"],
        entropy_test=-others.scores["modified_entropy"],
        logits_train=members.logits,
        logits_test=others.logits,
    )
    slicing = data_structures.SlicingSpec(entire_dataset=True, by_class=True)
    meter = Meter()
    with meter.part("judging"):
        results = mia.run_attacks(given, slicing, attacks).single_attack_results
        found = [(item.get_auc(), item.get_attacker_advantage(), item.get_ppv()) for item in results]
    name = "logistic regression" if learned else "loss"
    return meter.usage(f"{len(found)} rows; {name}: AUC {found[0][0]:.4f}")


def _ratios() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.normal(size=_RECORDS), random.normal(size=_POPULATION)


def _rmia_sorted() -> Usage:
    from tfx_privacy.attacks.membership import reference

    records, population = _ratios()
    meter = Meter()
    with meter.part("all"):
        scores = reference.rmia(records, population)
    return meter.usage(f"sum {scores.sum():.6f}")


def _rmia_matrix() -> Usage:
    """Every ratio of two records, as the definition says it."""
    records, population = _ratios()
    meter = Meter()
    with meter.part("all"):
        scores = (records[:, None] - population[None, :] >= np.log(2.0)).mean(axis=1)
    return meter.usage(f"sum {scores.sum():.6f}")


def _print_statistics(found: Mapping[str, list[Usage]]) -> None:
    rows = []
    for name, rounds in found.items():
        cells = [name, usage.spread([item.total for item in rounds])]
        parts = ("counting", "merging", "judging") if name.startswith("ours") else ()
        cells += [usage.spread([item.cpu_seconds[part] for item in rounds]) for part in parts] or ["-"] * 3
        cells += [usage.megabytes([item.base_bytes for item in rounds])]
        cells += [usage.megabytes([item.growth_bytes for item in rounds]), rounds[0].found if rounds else "no result"]
        rows.append(cells)
    header = [
        "way, records per side",
        "CPU s",
        "counting",
        "merging",
        "judging",
        "base MB",
        "peak MB above it",
        "gives",
    ]
    print(usage.table(header, rows) + "\n")


def _print_rmia(found: Mapping[str, list[Usage]]) -> None:
    print(f"RMIA's score of {_RECORDS:,} records against a population of {_POPULATION:,}\n")
    rows = [
        [
            name,
            usage.spread([item.total for item in rounds], 4),
            usage.megabytes([item.growth_bytes for item in rounds]),
            rounds[0].found if rounds else "no result",
        ]
        for name, rounds in found.items()
    ]
    print(usage.table(["way", "CPU s", "peak MB above the base", "gives"], rows) + "\n")


def _print_targets(ours: list[Usage], rmia: list[Usage]) -> None:
    """The worst round counts."""
    seconds, growth = max(item.total for item in ours), max(item.growth_bytes for item in ours)
    rows = [
        ["ours, CPU s", f"{seconds:.2f}", f"{_OURS_TARGET:g}", _verdict(seconds < _OURS_TARGET)],
        ["ours, peak MB", f"{growth / 1e6:.0f}", f"{_MEMORY_TARGET / 1e6:g}", _verdict(growth < _MEMORY_TARGET)],
    ]
    slowest = max(item.total for item in rmia)
    rows.append(["RMIA, CPU s", f"{slowest:.4f}", f"{_RMIA_TARGET:g}", _verdict(slowest < _RMIA_TARGET)])
    print(usage.table(["target", "worst round", "below", ""], rows))


def _verdict(hit: bool) -> str:
    return "hit" if hit else "missed"


if __name__ == "__main__":
    main()
