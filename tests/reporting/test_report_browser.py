"""The report in a real browser: the demo's three verdicts, at the widths of a phone, a laptop and paper."""

import html
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import evaluations
import evidence
import pytest

from tfx_privacy.attacks.evaluation import CONTROL, PrivacyEvaluation
from tfx_privacy.gate.decide import decide
from tfx_privacy.gate.evidence import Evidence
from tfx_privacy.gate.policy import GatePolicy
from tfx_privacy.guarantee.mechanism import NoMechanism
from tfx_privacy.reporting import pages
from tfx_privacy.reporting.build import build
from tfx_privacy.reporting.checklist import Metric
from tfx_privacy.reporting.facts import BudgetPoint, Lineage, ReportFacts

pytestmark = pytest.mark.slow

WIDTHS = {"phone": 390, "laptop": 1366, "paper": 794}
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def attacked(auc: float) -> PrivacyEvaluation:
    """Attacks on 10,000 members and 5,000 others, all judged; the loss attack has this AUC, more on one class."""
    names = ("logistic_regression", "modified_entropy", "class_normalised")
    size = {"num_members": 10_000, "num_nonmembers": 5_000}
    half = {"num_members": 5_000, "num_nonmembers": 2_500}
    rows = [
        evaluations.row("loss", "all", "", auc, half=0.01, **size),
        evaluations.row(CONTROL, "all", "", 0.502, half=0.01, **size),
        *[evaluations.row("loss", "class", str(index), auc + 0.01 * index, half=0.014, **half) for index in range(2)],
        *[evaluations.row("loss", "payment", name, auc, half=0.014, **half) for name in ("card", "cash")],
        *[evaluations.row(name, "all", "", auc, half=0.01, **size) for name in names],
        evaluations.row(
            "loss", "payment", evaluations.NASTY, None, status="INSUFFICIENT", reason="9 members", num_members=9
        ),
    ]
    return evaluations.make(
        num_members=10_000,
        num_nonmembers=5_000,
        num_unusable_members=0,
        num_compared=15_000,
        trained_records=evidence.trained_records(),
        results=rows,
        curves=[evaluations.curve("loss", 4 * (auc - 0.5))],
        slice_features=["class", "payment"],
        findings=evaluations.findings(),
    )


def history() -> list[BudgetPoint]:
    spent = (("register", 0.0), ("reserve", 2.6), ("reserve", 5.1), ("abort", 2.6), ("reserve", 4.5))
    return [
        BudgetPoint(sequence=index, at=f"2026-01-0{index}T10:00:00.000Z", kind=kind, spent_epsilon=epsilon, budget_epsilon=8.0)
        for index, (kind, epsilon) in enumerate(spent, start=1)
    ]  # fmt: skip


def facts_of(whole: Evidence, policy: GatePolicy) -> ReportFacts:
    lineage = Lineage(
        model_uri="/home/team/pipelines/chicago-taxi/artifacts/DPTrainer/model/10",
        pipeline="chicago-taxi",
        pipeline_run="2026-01-02T11:58:00.000000",
        producers={"model": "DPTrainer", "privacy_evaluation": "PrivacyEvaluator", "privacy_guarantee": "DPTrainer"},
    )
    verdict = decide(whole, policy, now=evidence.NOW)
    utility = [Metric(name="binary_accuracy", value=0.88142, baseline=0.9), Metric(name="auc", value=0.93824)]
    return build(verdict, whole, lineage=lineage, history=history(), utility=utility, software="tfx-privacy")


def charged(max_epsilon: float) -> ReportFacts:
    policy = evidence.CHARGED_POLICY.model_copy(update={"max_epsilon": max_epsilon})
    return facts_of(evidence.charged_evidence(evaluation=attacked(0.505)), policy)


def not_private() -> ReportFacts:
    stated = evidence.make_guarantee(NoMechanism(steps=16_000))
    return facts_of(evidence.make_evidence(guarantee=stated, evaluation=attacked(0.66)), evidence.POLICY)


CASES = {"blessed": (lambda: charged(3.0), set[str]()), "over_budget": (lambda: charged(1.0), {"epsilon"}),
         "not_private": (not_private, {"epsilon", "attack_auc"})}  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("There is no Chromium on the PATH: install the system's package `chromium`.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module", params=CASES)
def page_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    make, failing = CASES[request.param]
    facts = make()
    assert {rule.rule for rule in facts.verdict.failures} == failing
    path = tmp_path_factory.mktemp("page") / f"{request.param}.html"
    path.write_text(pages.to_html(facts), encoding="utf-8")
    return path


def opened(
    browser: Any, path: pathlib.Path, width: int, media: str = "screen", scheme: str = "light"
) -> tuple[Any, list[str]]:
    """The page, and everything that the browser complained of or asked the network for."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url) if request.url != path.as_uri() else None)
    page.emulate_media(media=media, color_scheme=scheme)
    page.goto(path.as_uri())
    return page, complaints


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", WIDTHS)
def test_the_page_is_whole_at_every_width(
    browser: Any, page_file: pathlib.Path, device: str, scheme: str, tmp_path: pathlib.Path
) -> None:
    from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]

    media = "print" if device == "paper" else "screen"
    page, complaints = opened(browser, page_file, WIDTHS[device], media, scheme)
    page.screenshot(path=tmp_path / f"{page_file.stem}_{device}_{scheme}.png", full_page=True)
    assert complaints == []
    across, width = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert across <= width
    # Nothing is cut off on the right, but for tables that scroll by themselves.
    cut = page.evaluate(
        "[...document.querySelectorAll('body *')].filter(e => !e.closest('.wide, svg, thead') && "
        "e.getBoundingClientRect().right > document.documentElement.clientWidth + 1).map(e => e.outerHTML.slice(0, "
        "120))"
    )
    assert cut == []
    # Last, because it brings a script into the page.
    found = Axe().run(page).response
    assert [(problem["id"], problem["nodes"][0]["html"]) for problem in found["violations"]] == []
    assert len(found["passes"]) > 15
    page.close()


def test_the_first_screen_of_a_laptop_has_verdict_and_facts(browser: Any, page_file: pathlib.Path) -> None:
    page, _ = opened(browser, page_file, WIDTHS["laptop"])
    headline = "BLESSED" if page_file.stem == "blessed" else "NOT BLESSED"
    assert page.locator(".mark").inner_text().endswith(headline)
    for about in ("Promise", "Attacks", "Waived", "Budget"):
        assert page.locator(".said div", has=page.get_by_text(about, exact=True)).bounding_box()["y"] <= 700
    for label in (
        "Epsilon",
        "Strongest attack, AUC",
        "Served outputs",
        "Budget left",
        "Model",
        "Dataset",
        "Privacy unit",
    ):
        tile = page.locator(".tile", has=page.get_by_text(label, exact=True))
        box = tile.bounding_box()
        assert box["y"] + box["height"] <= 900
    page.close()


_COLOURS = """() => {
  const of = (selector, property) => getComputedStyle(document.querySelector(selector))[property];
  return {page: of("body", "backgroundColor"), text: of("body", "color"), panel: of(".tile", "backgroundColor"),
    paper: of("figure svg g path", "fill"), label: of("figure svg text", "fill")};
}"""


def test_the_page_follows_the_readers_setting_and_paper_is_light(browser: Any, page_file: pathlib.Path) -> None:
    found = {}
    for media, scheme in (("screen", "light"), ("screen", "dark"), ("print", "light"), ("print", "dark")):
        page, _ = opened(browser, page_file, WIDTHS["laptop"], media, scheme)
        found[media, scheme] = page.evaluate(_COLOURS)
        page.close()
    light, dark = found["screen", "light"], found["screen", "dark"]
    assert {light["page"], light["paper"]} == {"rgb(255, 255, 255)"}
    for name in ("page", "text", "panel", "paper", "label"):
        assert light[name] != dark[name], name
    # The pictures' text is the page's own, the pages' ground not white.
    assert dark["label"] == dark["text"]
    assert found["print", "dark"] == found["print", "light"]
    assert found["print", "dark"]["page"] == light["page"]


_BROKEN = """() => [...document.querySelectorAll(".name")].filter(name => {
  const words = name.textContent.trim().split(/[^\\p{L}\\p{N}_]+/u), range = document.createRange(), node = name.firstChild;
  return words.some(word => {
    const start = node.textContent.indexOf(word);
    if (!word || start < 0 || word.length > (name.closest('.rules') ? 16 : 24)) return false;
    range.setStart(node, start); range.setEnd(node, start + word.length);
    const rows = new Set([...range.getClientRects()].map(box => Math.round(box.top)));
    return rows.size > 1;
  });
}).map(name => name.textContent)"""


@pytest.mark.parametrize("device", WIDTHS)
def test_names_are_not_broken_in_the_middle_of_a_word(browser: Any, page_file: pathlib.Path, device: str) -> None:
    page, _ = opened(browser, page_file, WIDTHS[device], "print" if device == "paper" else "screen")
    assert page.locator(".name").count() > 20
    assert page.evaluate(_BROKEN) == []
    page.close()


def test_a_table_that_scrolls_says_so(browser: Any, page_file: pathlib.Path) -> None:
    for device, width in WIDTHS.items():
        page, _ = opened(browser, page_file, width, "print" if device == "paper" else "screen")
        wide = page.evaluate(
            "[...document.querySelectorAll('.wide')].map(table => [table.scrollWidth > table.clientWidth + 1, "
            "getComputedStyle(table.previousElementSibling).display !== 'none', table.previousElementSibling.innerText])"
        )
        assert len(wide) == 2
        for scrolls, is_cued, cue in wide:
            assert scrolls == is_cued == (device == "phone")
            assert not is_cued or "scroll it sideways" in cue
        page.close()


def test_it_prints_on_paper(browser: Any, page_file: pathlib.Path, tmp_path: pathlib.Path) -> None:
    page, complaints = opened(browser, page_file, WIDTHS["paper"], "print")
    document = page.pdf(path=tmp_path / "report.pdf", format="A4")
    assert document.startswith(b"%PDF")
    assert 3 <= document.count(b"/Type /Page\n") <= 14
    assert complaints == []
    page.close()


def test_no_script_runs_and_nothing_is_loaded(browser: Any, page_file: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """What would run, were the page's text not escaped or its policy not there: both are tried."""
    page, _ = opened(browser, page_file, WIDTHS["laptop"])
    assert page.evaluate("document.scripts.length") == 0
    page.close()
    broken = tmp_path / "broken.html"
    script = (
        "<script>document.title = 'it ran'</script><img src='http://127.0.0.1:9/x.png' onerror=\"document.title='it "
        "ran'\">"
    )
    broken.write_text(page_file.read_text(encoding="utf-8").replace("</main>", f"{script}</main>"), encoding="utf-8")
    page = browser.new_page()
    refused: list[str] = []
    page.on("requestfailed", lambda request: refused.append(request.failure))
    page.goto(broken.as_uri())
    assert page.title().endswith("privacy report")
    assert refused == ["csp"]
    page.close()


def test_the_notebooks_frame_shows_the_page_and_nothing_of_it_gets_out(
    browser: Any, page_file: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    shown = html.escape(page_file.read_text(encoding="utf-8"))
    path = tmp_path / "notebook.html"
    path.write_text(
        f'<!DOCTYPE html><title>n</title><body><iframe sandbox style="width:100%;height:800px" srcdoc="{shown}"></iframe>'
    )
    page, _ = opened(browser, path, WIDTHS["laptop"])
    assert "BLESSED" in page.frame_locator("iframe").locator(".mark").inner_text()
    assert page.evaluate("getComputedStyle(document.body).maxWidth") == "none"
    page.close()
