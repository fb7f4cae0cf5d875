"""Slices by a feature of many values: whatever is large enough is judged, or the gate's coverage fails and says so."""

from __future__ import annotations

import evaluations
import evidence
import numpy as np
import pytest

from tfx_privacy.attacks.evaluation import AttackResult, PrivacyEvaluation
from tfx_privacy.attacks.membership import evaluate, sample, slice_values, tally
from tfx_privacy.attacks.membership.evaluate import SampledSide
from tfx_privacy.attacks.membership.slice_values import SliceColumn
from tfx_privacy.attacks.membership.tally import Tally
from tfx_privacy.gate.decide import decide
from tfx_privacy.gate.verdict import Verdict
from tfx_privacy.guarantee.record import Population

# Of the loss in the shop that leaks: an AUC of Phi(2.1 / sqrt 2) = 0.93.
LEAK = 2.1


def shops(side: int, sizes: dict[str, int], *, leaky: str = "", sampled: int = 2000) -> tuple[Tally, SampledSide]:
    """One side of regression records of some shops; the loss tells the members of one shop."""
    random = np.random.default_rng([30, side])
    values = list(sizes)
    codes = np.repeat(np.arange(len(values)), list(sizes.values()))
    scores = random.normal(size=len(codes))
    if side == tally.MEMBERS and leaky:
        scores[codes == values.index(leaky)] += LEAK
    hashes = random.integers(0, 2**64, len(codes), dtype=np.uint64)
    column = SliceColumn(values, codes)
    chosen = np.argsort(hashes)[:sampled]
    found = SampledSide(
        folds=sample.folds_of(hashes[chosen]),
        usable=np.ones(len(chosen), bool),
        features=scores[chosen, None],
        blind=random.normal(size=(len(chosen), 2)),
        scores={},
        loss=scores[chosen],
        classes=None,
        slices={"shop": SliceColumn(values, codes[chosen])},
    )
    return tally.of_records(side, {"loss": scores}, hashes, {"shop": column}), found


def record(
    members: dict[str, int], others: dict[str, int], *, leaky: str = "", min_slice_size: int = 100
) -> PrivacyEvaluation:
    settings = evaluate.Settings(min_slice_size=min_slice_size)
    found = shops(tally.MEMBERS, members, leaky=leaky), shops(tally.OTHERS, others)
    run = evaluate.run(tally.merged([found[0][0], found[1][0]], 1), (found[0][1], found[1][1]), settings)
    return evidence.make_evaluation(
        run.results,
        num_members=sum(members.values()),
        num_nonmembers=sum(others.values()),
        slice_features=["shop"],
        min_slice_size=min_slice_size,
        heads=[evaluations.head(task="regression", from_logits=None)],
    )


def verdict(found: PrivacyEvaluation) -> Verdict:
    guarantee = evidence.make_guarantee(population=Population(records=found.num_members, source="counted"))
    return decide(evidence.make_evidence(evaluation=found, guarantee=guarantee), evidence.POLICY, now=evidence.NOW)


def failures(found: PrivacyEvaluation) -> dict[str, str]:
    """Of the rules on attacks: with so many members delta would have to be smaller."""
    of_delta = ("delta", "trained_records")
    return {rule.rule: rule.explanation for rule in verdict(found).failures if rule.rule not in of_delta}


def of_shop(found: PrivacyEvaluation, shop: str) -> AttackResult:
    (row,) = (row for row in found.rows(attack="loss", feature="shop") if row.slice_value == shop)
    return row


def equal(count: int, size: int) -> dict[str, int]:
    return {f"shop {index}": size for index in range(count)}


@pytest.mark.slow
@pytest.mark.parametrize("count", [51, 300])
def test_a_large_shop_beyond_the_fiftieth_is_judged(count: int) -> None:
    """Each of the other shops is larger."""
    found = record({**equal(count, 2100), "leaky": 2000}, {**equal(count, 1050), "leaky": 1000}, leaky="leaky")
    row = of_shop(found, "leaky")
    assert (row.status, row.num_members) == ("OK", 2000)
    assert row.auc is not None
    assert row.auc.low > 0.91
    assert "shop=leaky" in failures(found)["attack_auc"]


def test_many_shops_of_a_harmless_model_are_no_refusal() -> None:
    assert failures(record(equal(300, 400), equal(300, 200))) == {}


@pytest.mark.slow
@pytest.mark.parametrize(("members", "others"), [(2000, 40), (2000, 99), (120, 60)])
def test_a_shop_with_few_others_is_judged_and_not_pooled(members: int, others: int) -> None:
    sizes = {**equal(60, 2100), **{f"rare {index}": 50 for index in range(20)}, "leaky": members}
    found = record(sizes, {**{shop: size // 2 for shop, size in sizes.items()}, "leaky": others}, leaky="leaky")
    assert of_shop(found, "<other>").num_members == 1000
    assert of_shop(found, "leaky").status == "OK"
    assert "shop=leaky" in failures(found)["attack_auc"]


@pytest.mark.slow
@pytest.mark.parametrize(("members", "fails"), [(1001, True), (1000, False)])
def test_a_large_shop_with_hardly_any_others_fails_coverage_whatever_its_share(members: int, fails: bool) -> None:
    found = record({**equal(60, 2100), "leaky": members}, {**equal(60, 1050), "leaky": 19}, leaky="leaky")
    row = of_shop(found, "leaky")
    assert (row.status, row.num_members) == ("INSUFFICIENT", members)
    assert row.num_members < 0.05 * found.num_members
    expected = {"attack_coverage": "shop=leaky, 1001 members, is INSUFFICIENT: 1001 members and 19 non-members"}
    assert set(failures(found)) == (set(expected) if fails else set())
    assert all(expected[rule] in text for rule, text in failures(found).items())


@pytest.mark.slow
def test_more_shops_than_can_be_judged_fail_coverage_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slice_values, "MAX_JUDGED", 40)
    sizes = {**equal(40, 1000), "leaky": 900}
    found = record(sizes, {shop: size // 2 for shop, size in sizes.items()}, leaky="leaky")
    row = of_shop(found, "<not judged>")
    assert (row.status, row.num_members, row.auc) == ("INSUFFICIENT", 900, None)
    assert row.num_members < 0.05 * found.num_members
    assert [other.attack for other in found.results if other.slice_value == "<not judged>"] == ["loss"]
    (explanation,) = failures(found).values()
    assert (
        "shop=<not judged>, 900 members, is INSUFFICIENT: more than 40 values have 100 members or more" in explanation
    )
    assert "raise min_slice_size" in explanation
    assert failures(record(sizes, sizes, min_slice_size=950)) == {}


def test_no_more_than_a_thousand_values_are_judged_each_by_itself() -> None:
    values = equal(slice_values.MAX_JUDGED + 1, 2)
    found = record(values, values, min_slice_size=2)
    shops_of = {row.slice_value for row in found.rows(attack="loss", feature="shop")}
    assert len(shops_of) == 1001
    assert of_shop(found, "<not judged>").num_members == 2
