"""What cannot be true together in an evaluation: never in what the attacks write, always in what was put together."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import evaluations
import evidence
import numpy as np
import pytest
from scipy import stats

from tfx_privacy.attacks import consistency, served
from tfx_privacy.attacks.evaluation import AttackResult, Groups, Head, Interval, PrivacyEvaluation, TprAtFpr
from tfx_privacy.attacks.membership import evaluate, statistics, tally, weighted
from tfx_privacy.attacks.membership.counts import of_scores
from tfx_privacy.attacks.membership.evaluate import SampledSide, Settings
from tfx_privacy.attacks.membership.slice_values import SliceColumn
from tfx_privacy.attacks.membership.tally import Tally
from tfx_privacy.attacks.served import ServedOutput, ServedSignature
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


@pytest.mark.slow
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
GROUPS = Groups(group_key="user", num_member_groups=3_000, num_nonmember_groups=1_000, num_on_both_sides=0)


def in_groups(**changes: int) -> list[AttackResult]:
    rows = [evidence.in_groups(row, GROUPS) for row in evidence.rows()]
    return [rows[0].model_copy(update=changes), *rows[1:]]


def interval_below(estimate: float, half: float) -> Interval:
    return Interval(estimate=estimate, low=estimate - half, high=estimate + half)


def serving(*, attacked: str = "float32", **changes: str) -> list[ServedSignature]:
    """Beside the attacked output another of the same signature."""
    same = {"standing": "same", "same_as": "serving_default/outputs"}
    other = {
        "name": "emb",
        "dtype": "float32",
        "shape": "(None, 1)",
        **({} if "standing" in changes else same),
        **changes,
    }
    outputs = [
        ServedOutput(name="outputs", dtype=attacked, shape="(None, 1)", standing="attacked"),
        ServedOutput(**other),  # type: ignore[arg-type]
    ]
    return [ServedSignature(name="serving_default", inputs=[], outputs=outputs)]


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
    "more records of another attack than were read": (
        [*evidence.rows(), evidence.row("entropy", members=10_002)], {}, "10002 and 5001 records, of 10000 and 5000 that were",
    ),
    "a shift that the control does not see": (
        [*evidence.rows(), evidence.row("entropy", auc=(0.95, 0.94, 0.96), status="CONFOUNDED", reason="r")], {},
        "it is CONFOUNDED, and the control is OK there",
    ),
    "a shift on a slice that the control did not see": (
        [*evidence.rows(), evidence.row("entropy"),
         evidence.row("entropy", "class", "0", (0.9, 0.8, 0.95), 7_500, "CONFOUNDED", "r")], {}, "the control is missing there",
    ),
    "a shift that concerns one attack alone": (
        [*evidence.rows(), *[evidence.row(attack, "class", "0", (0.9, 0.8, 0.95), 7_500, "CONFOUNDED", "r") for attack in
                             ("blind", "entropy")], evidence.row("entropy")], {}, "loss on class=0: it is OK, and the control",
    ),
    "too few records, of 10,000": (
        [*evidence.rows(), evidence.row("entropy", auc=None, status="INSUFFICIENT", reason="r")], {}, "records are enough",
    ),
    "too few records, of a slice that has enough": (
        [*evidence.rows(), evidence.row("loss", "payment", "vip", None, 400, "INSUFFICIENT", "r")], {}, "400 and 200 records are",
    ),
    "too few groups, of enough": (
        [*in_groups(), evidence.row("entropy", auc=None, status="INSUFFICIENT", reason="r").model_copy(
            update={"num_member_groups": 3_000, "num_nonmember_groups": 1_000})], {"groups": GROUPS}, "records are enough",
    ),
    "slices of an attack on no whole": ([*evidence.rows(), evidence.row("entropy", "class", "0", members=7_500)], {}, "none of"),
    "two heads, and no attack on either": (
        evidence.rows(), {"heads": [HEAD, HEAD.model_copy(update={"name": "b"})]}, "the loss of head 'b' was not attacked",
    ),
    "intervals that know no groups": (evidence.rows(), {"groups": GROUPS}, "does not say how many groups"),
    "one group a side": (in_groups(num_member_groups=1, num_nonmember_groups=1), {"groups": GROUPS}, "judged on 1 and 1 groups"),
    "more groups on a slice than there are": (in_groups(num_member_groups=10_000), {"groups": GROUPS.model_copy(
        update={"num_member_groups": 40})}, "compared records of"),
    "more groups than records": (
        in_groups(), {"groups": GROUPS.model_copy(update={"num_nonmember_groups": 5_001})}, "do not go with 10000 and 5000",
    ),
    "more groups on both sides than on one": (
        in_groups(), {"groups": GROUPS.model_copy(update={"num_on_both_sides": 1_001})}, "do not go with 10000 and 5000",
    ),
    "an advantage that no such AUC has": (changed(0, advantage=interval(0.9, 0.1)), {}, "advantage of 0.9 does not go"),
    "a mirrored advantage that no such AUC has": (changed(0, advantage=interval_below(-0.9, 0.1)), {}, "advantage of -0.9 does"),
    "an advantage for certain": (changed(0, advantage=interval(0.0, 0.0)), {}, "advantage is surer"),
    "a rate for certain": (changed(0, tpr_at_fpr=tpr((0.01, 0.01))[:1], auc=interval(0.5, 0.02)), {}, "surer than 10000 members"),
    "a leak by p-value, none by AUC": (changed(0, adjusted_p_value=1e-300), {}, "it is at least"),
    "a curve that no such AUC has": (evidence.rows(), {"curves": [evaluations.curve("loss", 3.0)]}, "the curve of loss does not"),
    "a curve of nothing": (evidence.rows(), {"curves": [evaluations.curve("rmia", 0.0)]}, "the curve of rmia is of"),
    "more compared than read": (evidence.rows(), {"num_compared": 15_001}, "compared on 15001 records"),
    "more compared than drawn": (evidence.rows(), {"sample_size": 10_000, "num_compared": 20_001}, "compared on 20001 records"),
    "a transformed feature in what is attacked": (evidence.rows(), {"served": serving(standing="transformed")}, "a transformed"),
    "the same in another shape": (evidence.rows(), {"served": serving(shape="(None, 64)")}, "is the same as"),
    "the same in another rank": (evidence.rows(), {"served": serving(shape="(None, 1, 1)")}, "is the same as"),
    "the same in another dtype": (evidence.rows(), {"served": serving(dtype="string")}, "emb, string"),
    "text that was attacked": (evidence.rows(), {"served": serving(attacked="string")}, "its dtype is string"),
    "judged beside too many that were left out": (evidence.rows(), {"num_overlapping": 264}, "on both sides"),
    "judged with more left out than it says": (evidence.rows(), {"num_overlapping": 6, "max_overlap": 0.001}, "on both sides"),
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


@pytest.mark.parametrize(
    "shapes", [("(None, 1)", "(None, None)"), ("<unknown>", "(3,)"), ("()", "()"), ("(2, None)", "(None, 3)")]
)
def test_static_shapes_that_may_be_one_are(shapes: tuple[str, str]) -> None:
    target = ServedOutput(name="a", dtype="float32", shape=shapes[0], standing="attacked")
    same = ServedOutput(name="b", dtype="float64", shape=shapes[1], standing="same", same_as="s/a")
    signature = ServedSignature(name="s", inputs=[], outputs=[target, same])
    assert served.contradictions([signature], ["s/a"], is_judged=True) == []


def test_weights_that_rest_on_few_records_do_not_make_an_interval_narrow() -> None:
    """A strong leak beside a shift: nearly all replicates say the same."""
    random = np.random.default_rng(1)
    for odds in (np.zeros(1_500), 20.0 * random.normal(size=1_500)):
        for shift in (0.0, 5.0, 100.0):
            scores = random.normal(size=4_000) + shift, random.normal(size=1_500)
            found = weighted.auc_interval(scores, odds, None, confidence_level=0.95)
            row = evidence.row("loss_weighted", status="CONFOUNDED", reason="a shift", members=4_000)
            row = row.model_copy(update={"auc": found, "num_nonmembers": 1_500})
            assert found.high - found.low >= consistency.smallest_width(row, float(stats.norm.isf(0.025)))
            assert found.low < found.high


def test_equal_scores_of_few_records_have_no_narrow_interval() -> None:
    """DeLong's variance alone would take it for certain that none of the non-members ever differs."""
    members = np.r_[np.zeros(9_998), -1.0, 1.0]
    found = statistics.auc_interval(of_scores(members, np.zeros(100)), confidence_level=0.95)
    assert found.high - found.low >= 2 * 0.9 * float(stats.norm.isf(0.025)) * 0.5 / 101
    assert consistency.least_variance(10_000, 100) == pytest.approx(101 / 102**3, rel=1e-3)
