"""Scored records for the tests of the attacks: a model that guesses, memorises, or sees another distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfx_privacy.attacks.membership import (
    evaluate,
    heads,
    sample,
    tally,
)
from tfx_privacy.attacks.membership.evaluate import SampledSide
from tfx_privacy.attacks.membership.slice_values import SliceColumn
from tfx_privacy.attacks.membership.tally import Tally

BINARY = heads.Head(task="binary", from_logits=True)


def one_side(
    side: int,
    size: int,
    seed: int,
    *,
    memorised: float = 0.0,
    shift: float = 0.0,
    num_groups: int = 4,
    sample_size: int = 20_000,
    broken: int = 0,
) -> tuple[Tally, SampledSide]:
    """Records of a binary task; `memorised` moves the logit to the label, `shift` the first feature."""
    random = np.random.default_rng([seed, side])
    labels = random.integers(0, 2, size)
    features = random.normal(size=(size, 4))
    features[:, 0] += shift
    logits = random.normal(size=size) + memorised * (2 * labels - 1)
    logits[:broken] = np.nan
    signals = heads.signals(BINARY, logits[:, None], labels)
    hashes = random.integers(0, 2**64, size, dtype=np.uint64)
    scores: dict[str, Any] = {
        "loss": signals.loss,
        "modified_entropy": signals.modified_entropy,
        "label_only": signals.correct.astype(float),  # type: ignore[union-attr]
    }
    scores = {name: np.where(signals.usable, values, np.nan) for name, values in scores.items()}
    usable = np.flatnonzero(signals.usable)
    slices = {
        "class": SliceColumn(["0", "1"], labels[usable], usable),
        "correct": SliceColumn(["no", "yes"], signals.correct[usable].astype(int), usable),  # type: ignore[index]
        "group": SliceColumn([f"g{index}" for index in range(num_groups)], random.integers(0, num_groups, size)),
    }
    chosen = np.argsort(hashes)[:sample_size]
    place = np.full(size, -1)
    place[chosen] = np.arange(len(chosen))
    sampled = SampledSide(
        folds=sample.folds_of(hashes[chosen]),
        usable=signals.usable[chosen],
        features=signals.features[chosen],
        blind=np.column_stack([features, labels])[chosen],
        scores={},
        loss=scores["loss"][chosen],
        classes=labels[chosen],
        slices={name: _picked(column, place, size) for name, column in slices.items()},
    )
    return tally.of_records(side, scores, hashes, slices), sampled


def both_sides(
    members: int, others: int, seed: int, *, num_groups: int = 4, **of_members: Any
) -> tuple[Tally, tuple[SampledSide, SampledSide]]:
    found = (
        one_side(tally.MEMBERS, members, seed, num_groups=num_groups, **of_members),
        one_side(tally.OTHERS, others, seed, num_groups=num_groups),
    )
    return tally.merged([found[0][0], found[1][0]], 1), (found[0][1], found[1][1])


def run(members: int, others: int, seed: int, settings: evaluate.Settings | None = None, **of_members: Any) -> Any:
    return evaluate.run(*both_sides(members, others, seed, **of_members), settings or evaluate.Settings())


def _picked(column: SliceColumn, place: np.ndarray, size: int) -> SliceColumn:
    rows = place[np.arange(size) if column.rows is None else column.rows]
    kept = rows >= 0
    return SliceColumn(column.values, column.codes[kept], rows[kept])
