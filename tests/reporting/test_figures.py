import re
from typing import Any
from xml.etree import ElementTree

import evaluations
import evidence
import numpy as np
import pytest
from scipy import stats

from tfx_privacy.attacks.evaluation import CONTROL, AttackResult
from tfx_privacy.guarantee.mechanism import NoMechanism
from tfx_privacy.reporting.facts import BudgetPoint
from tfx_privacy.reporting.figures import captions, curves, intervals, spending, svg

SVG = "{http://www.w3.org/2000/svg}"


def every_plot(**changes: Any) -> dict[str, str | None]:
    record = evaluations.make(**changes)
    claimed = evidence.make_guarantee()
    return {
        **{
            f"roc{index}": curves.roc(curve, claimed, prefix=f"roc{index}") for index, curve in enumerate(record.curves)
        },
        **{f"scores{n}": curves.score_histogram(curve, prefix=f"scores{n}") for n, curve in enumerate(record.curves)},
        "forest": intervals.forest(record, "loss", 0.55),
        "training": curves.over_training(record),
        "findings": intervals.findings(record),
    }


def texts(picture: str | None) -> list[str]:
    assert picture is not None
    return [element.text or "" for element in ElementTree.fromstring(picture).iter(f"{SVG}text")]


def test_all_pictures_can_stand_on_one_page() -> None:
    """No id twice, no reference out of the picture, no style for the page, nothing that runs or loads."""
    ids: list[str] = []
    pictures = every_plot()
    assert len(pictures) == 7
    for prefix, picture in pictures.items():
        assert picture is not None
        elements = list(ElementTree.fromstring(picture).iter())
        own = [element.attrib["id"] for element in elements if "id" in element.attrib]
        assert all(name.startswith(f"{prefix}-") for name in own)
        references = re.findall(r'(?:url\(|href=")#([^)"]+)', picture)
        assert references
        assert set(references) <= set(own)
        assert {element.tag for element in elements}.isdisjoint({f"{SVG}style", f"{SVG}script", f"{SVG}image"})
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", picture)
        ids += own
    assert len(ids) == len(set(ids))


def test_pictures_are_the_same_every_time_and_say_what_they_show() -> None:
    first, second = every_plot(), every_plot()
    assert first == second
    for picture in first.values():
        root = ElementTree.fromstring(picture or "")
        assert root.attrib["role"] == "img"
        assert root.attrib["aria-label"] == root.findtext(f"{SVG}title")
        assert len(root.findtext(f"{SVG}desc") or "") > 30
        assert "width" not in root.attrib


def test_the_users_settings_of_matplotlib_change_nothing_and_are_not_changed() -> None:
    import matplotlib

    before = every_plot()
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "svg.fonttype": "path"}):
        assert every_plot() == before
        assert matplotlib.rcParams["font.size"] == 30


def test_names_from_the_data_are_text() -> None:
    names = evaluations.NAMES
    picture = intervals.forest(evaluations.make(), "loss", 0.55)
    assert picture is not None
    assert "<script" not in picture
    shown = texts(picture)
    assert shown[shown.index("<script>alert(1)</s…") - 1] == "name="
    assert "name=\"&<>'" in shown
    assert "name=$x_1$ and $" in shown
    assert r"name=line\nbreak\x0b" in shown
    assert "name=中文" in shown
    assert sum(text.startswith("name=") for text in shown) == len(names)


@pytest.mark.parametrize("name", ["$", r"\$a$", r"\alpha", "a$b$c$", "\uffff\U0001f600", "\x00\x1b[0m", ""])
def test_no_name_breaks_a_picture(name: str) -> None:
    rows = [evaluations.row("loss", "name", name, 0.5)]
    (shown,) = [text for text in texts(forest(rows)) if text.startswith("name=")]
    assert shown == "name=" + re.sub(r"[\x00-\x1f\uffff]", lambda sign: ascii(sign[0])[1:-1], name)


def forest(rows: list[AttackResult]) -> str | None:
    return intervals.forest(evaluations.make(results=rows), "loss", 0.55)


def test_the_forest_is_sorted_by_lower_bound_and_says_what_it_leaves_out() -> None:
    rows = [evaluations.row("loss", "class", f"{index:03d}", 0.4 + 0.002 * index) for index in range(75)]
    shown = texts(forest(rows))
    labels = [text for text in shown if text.startswith("class=")]
    assert labels == [f"class={index:03d}" for index in range(74, 44, -1)]
    assert "45 slices with lower bounds are left out" in shown
    assert not any("left out" in text for text in texts(forest(rows[:30])))


def test_nothing_to_draw_is_none() -> None:
    record = evaluations.make(results=[evaluations.row("loss", "all", "", None, status="UNSUPPORTED", reason="why")])
    assert intervals.forest(record, "loss", 0.55) is None
    assert intervals.forest(evaluations.make(), "unknown", 0.55) is None
    assert curves.over_training(evaluations.make(over_training=[])) is None
    assert intervals.findings(evaluations.make(findings=[])) is None
    assert intervals.findings(evaluations.make(findings=evaluations.findings()[2:])) is None
    empty = evaluations.curve("loss", 0.1).model_dump()
    rates = ("false_positive_rate", "true_positive_rate", "true_positive_rate_low", "true_positive_rate_high")
    curve = type(record.curves[0])(**{**empty, **{name: [] for name in rates}, "score_edges": [0.0], **_no_bins()})
    assert curves.roc(curve) is None
    assert curves.score_histogram(curve) is None


def _no_bins() -> dict[str, list[float]]:
    return {"member_share": [], "nonmember_share": []}


def test_the_claim_is_drawn_only_where_it_is_finite() -> None:
    curve = evaluations.curve("loss", 0.2)
    claim = "limit by epsilon"
    assert any(claim in text for text in texts(curves.roc(curve, evidence.make_guarantee())))
    without = evidence.make_guarantee(NoMechanism(steps=3))
    for absent in (None, without):
        assert not any(claim in text for text in texts(curves.roc(curve, absent)))


def test_all_attacks_are_in_one_picture_and_the_strongest_stands_out() -> None:
    stated, names = evidence.make_guarantee(), ("loss", "entropy", CONTROL, "gradient_boosting")
    record = evaluations.make(curves=[evaluations.curve(name, 0.2) for name in names])
    for strongest, expected in (("gradient_boosting", "gradient_boosting"), ("label_only", "loss"), (None, "loss")):
        found = captions.of_attacks(record, stated, 0.6, strongest=strongest)
        (picture,) = [made for made in found if 'aria-label="ROC' in made.svg]
        shown = texts(picture.svg)
        assert f"{expected}, with confidence band" in shown
        assert "other attacks (3)" in shown
        assert all(name in picture.svg for name in names)
        assert f"Members that the attack {expected} finds" in picture.caption
        assert "the control, which sees no model" in picture.caption.partition("Thin lines")[2]
    (alone,) = [
        made
        for made in captions.of_attacks(evaluations.make(curves=record.curves[:1]), stated, 0.6)
        if "ROC" in made.svg
    ]
    assert "Thin lines" not in alone.caption
    assert not any("other attacks" in text for text in texts(alone.svg))


def test_the_budget_is_drawn_up_to_the_ledgers_last_entry() -> None:
    points = [
        BudgetPoint(sequence=index, at="2026-01-01T10:00:00Z", kind=kind, spent_epsilon=spent, budget_epsilon=8.0)
        for index, kind, spent in ((1, "register", 0.0), (2, "reserve", 4.15239))
    ]
    picture = spending.over_time(points, last_entry=4)
    assert {"1", "2", "3", "4"} <= set(texts(picture))
    assert picture is not None
    assert "2 of the entries up to 4 changed it" in picture
    assert "epsilon 4.1524 of 8 is spent" in picture
    assert "2 of the entries up to 2 changed it" in (spending.over_time(points) or "")


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 3.0, 5_000.0])
@pytest.mark.parametrize("delta", [0.0, 1e-5, 0.1])
def test_the_trade_off_is_the_region_of_both_errors(epsilon: float, delta: float) -> None:
    """Against the definition: the largest TPR for which neither event's odds exceed (epsilon, delta)."""
    rates = np.geomspace(1e-4, 1.0, 50)
    grid = np.linspace(0.0, 1.0, 200_001)
    with np.errstate(over="ignore"):
        factor = np.exp(min(epsilon, 700.0))
    for rate, found in zip(rates, curves.trade_off(rates, epsilon, delta), strict=True):
        allowed = (grid <= factor * rate + delta) & (1.0 - rate <= factor * (1.0 - grid) + delta + 1e-12)
        assert found == pytest.approx(grid[allowed].max(), abs=1e-5)


def test_the_trade_off_is_tight_for_randomised_response_and_above_the_gaussian_mechanism() -> None:
    for epsilon in (0.5, 1.0, 2.0):
        lie = 1.0 / (1.0 + np.exp(epsilon))
        assert curves.trade_off(np.array([lie]), epsilon, 0.0)[0] == pytest.approx(1.0 - lie)
        # Balle and Wang (2018), Theorem 8: delta of a Gaussian mechanism with sensitivity / standard deviation 1.
        delta = stats.norm.cdf(0.5 - epsilon) - np.exp(epsilon) * stats.norm.cdf(-0.5 - epsilon)
        rates = np.geomspace(1e-6, 1.0, 1_000)
        gap = curves.trade_off(rates, epsilon, delta) - stats.norm.cdf(1.0 + stats.norm.ppf(rates))
        assert gap.min() > -1e-9
        assert gap.min() < 1e-4


def test_training_without_classes_is_drawn_over_the_loss() -> None:
    plain = [point.model_copy(update={"test_accuracy": None}) for point in evaluations.over_training()]
    assert "test loss" in texts(curves.over_training(evaluations.make(over_training=plain)))
    assert "test accuracy" in texts(curves.over_training(evaluations.make()))


def test_findings_have_a_panel_for_each_unit() -> None:
    many = [
        evaluations.findings()[0].model_copy(update={"subject": f"feature {index}", "metric": metric})
        for index, metric in enumerate(["advantage (AUC)"] * 14 + ["advantage (TPR)"])
    ]
    shown = texts(intervals.findings(evaluations.make(findings=many)))
    assert shown.count("attribute inference") == 2
    assert "2 more are in the table" in shown
    assert {"advantage (AUC)", "advantage (TPR)", "feature 11", "feature 14"} <= set(shown)


def test_bins_of_unequal_width_are_drawn_by_area() -> None:
    curve = evaluations.curve("loss", 0.2)
    assert "share of records" in texts(curves.score_histogram(curve))
    edges = [*curve.score_edges[:-1], curve.score_edges[-1] + 1.0]
    assert "density" in texts(curves.score_histogram(curve.model_copy(update={"score_edges": edges})))


def test_degenerate_numbers_are_drawn() -> None:
    curve = evaluations.curve('a\x00<b>&"', 0.2)
    flat = {
        "true_positive_rate": [0.0] * 61,
        "true_positive_rate_low": [0.0] * 61,
        "true_positive_rate_high": [1.0] * 61,
    }
    empty = {"member_share": [0.0] * 40, "nonmember_share": [0.0] * 40}
    for changes in (flat, empty, {"score_edges": [7.0] * 41}):
        changed = curve.model_copy(update=changes)
        assert 'score of the attack a\\x00<b>&"' in texts(curves.score_histogram(changed))
        assert "guessing" in texts(curves.roc(changed))
    (point,) = (row for row in evaluations.over_training() if row.step == 100)
    assert "step 100" in texts(curves.over_training(evaluations.make(over_training=[point])))
    huge = evaluations.findings()[1].model_copy(update={"estimate": 1e300, "low": -1e300, "high": 1e300})
    assert "canary exposure" in texts(intervals.findings(evaluations.make(findings=[huge])))
    certain = [evaluations.row("loss", "all", "", 1.0, half=0.0)]
    assert "all records" in texts(forest(certain))


def test_labels_are_shortened() -> None:
    assert svg.label("x" * 30, 10) == "x" * 9 + "…"
    assert svg.label("x" * 10, 10) == "x" * 10
