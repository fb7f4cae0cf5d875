"""What cannot be true together in an evaluation: never in what the attacks write, always in what was put together."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import evidence
import numpy as np
import pytest
from scipy import stats

from tfx_privacy.attacks import consistency
from tfx_privacy.attacks.evaluation import AttackResult, Head, Interval, PrivacyEvaluation, TprAtFpr
from tfx_privacy.attacks.membership import evaluate, statistics, tally
from tfx_privacy.attacks.membership.counts import of_scores
from tfx_privacy.attacks.membership.evaluate import SampledSide, Settings
from tfx_privacy.attacks.membership.slice_values import SliceColumn
from tfx_privacy.attacks.membership.tally import Tally
from tfx_privacy.errors import EvidenceError
from tfx_privacy.gate.decide import decide

Side = dict[str, np.ndarray]
SETTINGS = Settings(min_records=100, min_slice_size=40, sample_size=400)

SCORES: dict[str, Callable[[np.random.Generator, np.ndarray], np.ndarray]] = {
    "normal": lambda random, shift: random.normal(size=len(shift)) + shift,
    "a few values": lambda random, shift: np.floor(random.normal(size=len(shift)) + 2 * shift),
    "nearly constant": lambda random, shift: np.sum(random.random((2, len(shift))) < 0.01, axis=0, dtype=float),
    "constant": lambda random, shift: np.zeros(len(shift)),
    "separated": lambda random, shift: random.normal(size=len(shift)) + 100 * shift,
    "tails": lambda random, shift: random.standard_cauchy(len(shift)) * (1 + 3 * shift),
}  # fmt: skip


def made(kind: str, seed: int, shift: float, sizes: tuple[int, int], unusable: float) -> PrivacyEvaluation:
    """An evaluation as PrivacyEvaluator makes it, of made-up scores."""
    random = np.random.default_rng(seed)
    parts, sides = [], []
    for side, size in enumerate(sizes):
        loss = SCORES[kind](random, np.full(size, shift * (side == 0)))
        loss[random.random(size) < unusable] = np.nan
        usable = np.isfinite(loss)
        hashes = random.integers(0, 2**63, size).astype(np.uint64)
        classes, group = random.integers(0, 3, size), random.integers(0, 40, size) % random.integers(1, 40)
        right = np.where(usable, loss, 0.0) > 0.0
        rows = np.flatnonzero(usable)
        slices = {
            "class": SliceColumn(("0", "1", "2"), classes[rows], rows),
            "correct": SliceColumn(("no", "yes"), right[rows].astype(np.int64), rows),
            "group": SliceColumn(tuple(map(str, range(40))), group),
        }
        scores = {"loss": loss, "label_only": np.where(usable, right.astype(float), np.nan)}
        parts.append(tally.of_records(side, scores, hashes, slices))
        features = np.column_stack([np.nan_to_num(loss), classes])
        sides.append(
            SampledSide(
                folds=(hashes % np.uint64(2)).astype(np.int64),
                usable=usable,
                features=features,
                blind=random.normal(size=(size, 2)),
                scores={},
                loss=loss,
                classes=classes,
                slices=slices,
            )
        )
    total: Tally = tally.merged(parts, SETTINGS.sample_size)
    run = evaluate.run(total, (sides[0], sides[1]), Settings(**{**vars(SETTINGS), "sample_size": max(sizes)}))
    return evidence.make_evaluation(
        run.results, num_members=sizes[0], num_nonmembers=sizes[1], num_unusable_members=int(total.unusable[0]),
        num_unusable_nonmembers=int(total.unusable[1]), min_records=SETTINGS.min_records,
        min_slice_size=SETTINGS.min_slice_size, slice_features=["class", "group"], sample_size=max(sizes),
        num_compared=sum(sizes), curves=run.curves,
    )  # fmt: skip


@pytest.mark.parametrize("kind", SCORES)
@pytest.mark.parametrize("shift", [0.0, 0.4])
def test_what_the_attacks_write_never_contradicts_itself(kind: str, shift: float) -> None:
    for seed, (sizes, unusable) in enumerate((((700, 300), 0.0), ((150, 900), 0.05), ((400, 400), 0.01))):
        record = made(kind, seed, shift, sizes, unusable)
        assert record.contradictions == []
        assert PrivacyEvaluation.from_json(record.to_json()) == record


def changed(index: int, **changes: Any) -> list[AttackResult]:
    rows = evidence.rows()
    rows[index] = rows[index].model_copy(update=changes)
    return rows


def interval(estimate: float, half: float) -> Interval:
    return Interval(estimate=estimate, low=max(0.0, estimate - half), high=min(1.0, estimate + half))


def tpr(*rates: tuple[float, float]) -> list[TprAtFpr]:
    return [TprAtFpr(false_positive_rate=rate, tpr=interval(value, 0.001)) for rate, value in rates]


def few(count: int) -> list[AttackResult]:
    return [row.model_copy(update={"num_nonmembers": count}) for row in evidence.rows()]


HEAD = evidence.make_evaluation().heads[0]
CONTRADICTIONS: dict[str, tuple[list[AttackResult], dict[str, Any], str]] = {
    "a control that finds a difference": (changed(1, auc=interval(0.9, 0.05)), {}, "its status is OK"),
    "a control that finds its mirror": (changed(1, auc=interval(0.1, 0.05)), {}, "its status is OK"),
    "a control that finds a small difference": (changed(1, auc=interval(0.54, 0.02)), {}, "its status is OK"),
    "a control with a p-value": (changed(1, adjusted_p_value=0.001), {}, "its status is OK"),
    "a control of few": (
        [
            *changed(1, num_members=400, num_nonmembers=400, auc=interval(0.5, 0.06)),
            evidence.row("logistic_regression", members=1_000, auc=(0.5, 0.45, 0.55)),
        ],
        {}, "logistic_regression compared more",
    ),
    "a head that is unsupported": (
        evidence.rows(), {"heads": [HEAD.model_copy(update={"task": "unsupported"})]}, "output of a head is unsupported",
    ),
    "a second head that is unsupported": (
        evidence.rows(),
        {"heads": [HEAD, Head(name="b", task="unsupported", output_key="o", label_key="l")]}, "output of a head is unsupported",
    ),
    "a head that does not exist": ([*evidence.rows(), evidence.row("loss[b]")], {}, "no head 'b'"),
    "every member unusable": (evidence.rows(), {"num_unusable_members": 10_000}, "0 and 5000 have a score"),
    "one member unusable": (evidence.rows(), {"num_unusable_members": 1}, "of which 9999 and 5000 have a score"),
    "more unusable than read": (evidence.rows(), {"num_unusable_nonmembers": 5_001}, "more records are unusable"),
    "fewer compared than have a score": (changed(0, num_members=9_000), {}, "and not all 10000 and 5000"),
    **{
        f"{count} non-members": (few(count), {"num_nonmembers": count, "min_records": 1, "min_slice_size": 1}, "narrower than")
        for count in (1, 2, 5, 20, 40)
    },
    "fewer than its own minimum": (evidence.rows(), {"min_records": 5_001}, "5001 of each are needed"),
    "slices with more than all": (changed(2, num_members=8_000), {}, "do not add up"),
    "slices with fewer than all": (changed(3, num_nonmembers=1_200), {}, "do not add up"),
    "a slice larger than all": (changed(4, num_members=10_001), {}, "more than 10000 and 5000"),
    "nearly all records leak, all do not": (
        changed(4, num_members=9_900, num_nonmembers=4_950, auc=interval(0.7, 0.02)), {}, "does not go with 0.5",
    ),
    "more of a sample than was drawn": ([*evidence.rows(), evidence.row("rmia")], {"sample_size": 9_999}, "of a sample"),
    "reference models that are not there": ([*evidence.rows(), evidence.row("rmia")], {}, "without reference models"),
    "a rate that was not asked for": (changed(0, tpr_at_fpr=tpr((0.5, 0.5))), {}, "not asked for"),
    "a rate twice": (changed(0, tpr_at_fpr=tpr((0.01, 0.01), (0.01, 0.02))), {}, "there twice"),
    "a rate that falls": (changed(0, tpr_at_fpr=tpr((0.001, 0.05), (0.01, 0.01))), {}, "falls"),
    "a rate that no such AUC has": (changed(0, tpr_at_fpr=tpr((0.001, 0.9))), {}, "does not go with its AUC"),
    "no leak by p-value, a leak by AUC": (changed(0, auc=interval(0.7, 0.02), adjusted_p_value=1.0), {}, "p=1 does not go"),
    "a whole set with a value": ([*evidence.rows(), evidence.row(value="x")], {}, "has no value"),
    "numbers without an AUC": (
        [*evidence.rows()[:-1], evidence.rows()[-1].model_copy(update={"adjusted_p_value": 0.5})], {}, "no auc",
    ),
    "an overlap of more than there are": (evidence.rows(), {"num_overlapping": 5_001}, "on both sides"),
}  # fmt: skip


def test_the_records_that_others_are_made_of_are_consistent() -> None:
    assert evidence.make_evaluation().contradictions == []


@pytest.mark.parametrize(("rows", "changes", "words"), CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_a_record_that_contradicts_itself_is_neither_read_nor_blessed(
    rows: list[AttackResult], changes: dict[str, Any], words: str
) -> None:
    record = evidence.make_evaluation(rows, **changes)
    assert words in "; ".join(record.contradictions)
    with pytest.raises(EvidenceError, match="it contradicts itself"):
        PrivacyEvaluation.from_json(record.to_json())
    verdict = decide(evidence.make_evidence(evaluation=record), evidence.POLICY, now=evidence.NOW)
    assert "evaluation" in {rule.rule for rule in verdict.failures}
    assert words in verdict.message or verdict.message.count("; and ")


def test_what_came_past_the_schema_is_not_consistent() -> None:
    for bad in (math.nan, math.inf, -1.0):
        broken = evidence.rows()[0].model_copy(
            update={"auc": Interval(estimate=0.5, low=0.4, high=0.6).model_copy(update={"low": bad})}
        )
        record = evidence.make_evaluation().model_copy(update={"results": [broken, *evidence.rows()[1:]]})
        verdict = decide(evidence.make_evidence(evaluation=record), evidence.POLICY, now=evidence.NOW)
        assert "evaluation" in {rule.rule for rule in verdict.failures}


@pytest.mark.parametrize("value", [-0.5, 1.5])
def test_a_rate_is_a_probability(value: float) -> None:
    document = json.loads(evidence.make_evaluation(changed(0, tpr_at_fpr=tpr((0.01, 0.01)))).to_json())
    document["results"][0]["tpr_at_fpr"][0]["tpr"].update(estimate=value, low=value, high=value)
    with pytest.raises(EvidenceError, match="tpr"):
        PrivacyEvaluation.from_json(json.dumps(document))


def test_equal_scores_of_few_records_have_no_narrow_interval() -> None:
    """DeLong's variance alone would take it for certain that none of the non-members ever differs."""
    members = np.r_[np.zeros(9_998), -1.0, 1.0]
    found = statistics.auc_interval(of_scores(members, np.zeros(100)), confidence_level=0.95)
    assert found.high - found.low >= 2 * 0.9 * float(stats.norm.isf(0.025)) * 0.5 / 101
    assert consistency.least_variance(10_000, 100) == pytest.approx(101 / 102**3, rel=1e-3)
