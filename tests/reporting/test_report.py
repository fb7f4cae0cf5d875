import html
import json
import pathlib
import re
from html.parser import HTMLParser
from typing import Any

import evaluations
import evidence
import payloads
import pytest

from tfx_privacy._printable import printable
from tfx_privacy.accounting.gaussian_dp import GaussianDP
from tfx_privacy.accounting.rounding import rounded_up
from tfx_privacy.attacks.evaluation import CONTROL, Head, Interval, TprAtFpr
from tfx_privacy.errors import EvidenceError
from tfx_privacy.gate import shift
from tfx_privacy.gate.decide import decide
from tfx_privacy.gate.evidence import Evidence
from tfx_privacy.gate.policy import GatePolicy, PolicyException, SliceLimit
from tfx_privacy.gate.verdict import RuleResult, Verdict
from tfx_privacy.guarantee.record import ScopeItem
from tfx_privacy.reporting import pages
from tfx_privacy.reporting.build import build
from tfx_privacy.reporting.facts import BudgetPoint, Lineage, ReportFacts
from tfx_privacy.reporting.figures import spending

pytestmark = pytest.mark.slow

MISSING = EvidenceError("It is not there.")


def make_verdict(limit: float = 0.55) -> Verdict:
    rule = RuleResult(rule="epsilon", status="passed", value="2.6", limit="at most 3", explanation="It holds.")
    policy = GatePolicy(max_epsilon=3.0, max_delta=1e-5, max_attack_auc=limit)
    return Verdict(
        rules=evidence.rule_results(rule),
        policy=policy,
        decided_at="2026-01-02T12:00:00+00:00",
        model_digest=evidence.DIGEST,
    )


def make_evidence(**parts: Any) -> Evidence:
    values = {"model_digest": evidence.DIGEST, "guarantee": evidence.make_guarantee(), "evaluation": evaluations.make()}
    return Evidence(**{**values, **parts})


def to_html(verdict: Verdict, whole: Evidence) -> str:
    return pages.to_html(build(verdict, whole))


def render(limit: float = 0.55, **parts: Any) -> str:
    return to_html(make_verdict(limit), make_evidence(**parts))


class Page(HTMLParser):
    """What a browser makes of the page: elements with attributes, the text of cells, and whether all are closed."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.cells: list[list[str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")
        if tag == "br" and self.cells:
            self.cells[-1][-1] += " | "
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and {"td", "th"} & set(self.open):
            self.cells[-1][-1] += data

    def row(self, *start: str) -> list[str]:
        (found,) = [cells for cells in self.cells if tuple(cells[: len(start)]) == start]
        return found


def test_names_from_the_data_are_text_wherever_they_stand() -> None:
    text = render()
    assert "<script" not in text
    page = Page(text)
    tags = {tag for tag, _ in page.elements}
    assert tags.isdisjoint({"script", "iframe", "object", "link", "img", "foreignobject", "animate", "form", "base"})
    assert all((attributes["href"] or "").startswith("#") for tag, attributes in page.elements if tag == "a")
    for _, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
    named = {cells[0].removeprefix("✗ ").removeprefix("? ") for cells in page.cells if cells and "name=" in cells[0]}
    shown = [printable(name, lines=True) for name in evaluations.NAMES]
    assert named == {f"name={name}" for name in (*shown, "<other>", "shifted")}
    assert html.escape(evaluations.NASTY) in text


def test_the_pages_pictures_share_no_id_and_load_nothing() -> None:
    text = render()
    page = Page(text)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids)) > 50
    references = re.findall(r'(?:url\(|href=")#([^)"]+)', text)
    assert set(references) <= set(ids)
    pictures = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert len(pictures) == 6  # epsilon over steps, slices, scores, all curves in one, training, findings
    assert all(picture["role"] == "img" and picture["aria-label"] for picture in pictures)
    assert text.count("<figcaption>") == len(pictures)
    assert "default-src 'none'; style-src 'unsafe-inline'" in text
    assert not re.search(r"(?:src|href)=\"(?!#)", text)


def test_what_pictures_do_not_show_is_said_and_a_confounded_attack_is_named_so() -> None:
    rows = [evaluations.row("loss", "all", "", 0.6, status="CONFOUNDED", reason=f"of {evaluations.NASTY}")]
    text = render(evaluation=evaluations.make(results=rows, curves=[evaluations.curve("loss", 0.2)]))
    assert "no proof of epsilon" in text
    assert text.count(f"<figcaption>loss is CONFOUNDED: of {html.escape(evaluations.NASTY)}. ") == 2
    assert "No finite epsilon is claimed" in render(guarantee=MISSING)
    assert "No finite epsilon is claimed" not in text


def test_the_table_has_every_number() -> None:
    row = Page(render()).row("✗ all records", "loss")
    assert row[2:] == [
        "4000 / 2000",
        "0.560 | 0.540 to 0.580",
        "1e-12",
        "0.120 | 0.100 to 0.140",
        "\u2013",
        "1.50 % | 0.50 to 4.00 %",
        "15.00 % | 5.00 to 40.00 %",
    ]


@pytest.mark.parametrize(
    ("estimate", "low", "high", "members", "shown"),
    [
        (0.0, 0.0, 0.9753, 4_000, "not told | too many equal scores, n = 2000"),
        (0.0, 0.0, 0.9753, 2, "not told | too few records, n = 2"),
        (0.6, 0.2, 0.9753, 4_000, "60.00 % | 20.00 to 97.53 %"),
        (0.0, 0.0, 0.02, 4_000, "0.00 % | 0.00 to 2.00 %"),
    ],
)
def test_an_interval_that_tells_nothing_is_not_shown_as_a_finding(
    estimate: float, low: float, high: float, members: int, shown: str
) -> None:
    rate = TprAtFpr(false_positive_rate=0.01, tpr=Interval(estimate=estimate, low=low, high=high))
    row = evaluations.row("label_only", "all", "", 0.52, num_members=members, tpr_at_fpr=[rate])
    assert Page(render(evaluation=evaluations.make(results=[row]))).row("all records", "label_only")[7] == shown


def test_what_rounds_to_zero_has_no_sign() -> None:
    row = evaluations.row("loss", "all", "", 0.5).model_copy(update={"advantage": evaluations.interval(-0.0002, 0.01)})
    assert Page(render(evaluation=evaluations.make(results=[row]))).row("all records", "loss")[5] == (
        "0.000 | -0.010 to 0.010"
    )


def test_the_page_and_its_markdown_begin_with_the_four_sentences() -> None:
    whole = evidence.charged_evidence()
    facts = build(decide(whole, evidence.CHARGED_POLICY, now=evidence.NOW), whole)
    page, markdown = html.unescape(pages.to_html(facts)), pages.to_markdown(facts)
    places = [page.index(sentence.text) for sentence in facts.plain]
    assert places == sorted(places)
    assert places[-1] < page.index(facts.summary[0].detail)
    assert all(f"* {sentence.about}: " in markdown for sentence in facts.plain)
    assert "nats are charged" in markdown.partition("## What the dataset has left")[2].partition("##")[0]


def test_mu_and_epsilon_are_rounded_one_way_everywhere() -> None:
    whole = evidence.charged_evidence(evaluation=evaluations.make())
    facts = build(decide(whole, evidence.CHARGED_POLICY, now=evidence.NOW), whole)
    assert isinstance(facts.gaussian_dp, GaussianDP)
    mu = rounded_up(facts.gaussian_dp.mu, 4)
    for text in (pages.to_html(facts), pages.to_markdown(facts)):
        assert set(re.findall(r"\bmu = ([\d.]*\d)", text)) == {mu}
        assert set(re.findall(r"(?<!_)epsilon ?= ?([\d.]*\d)", text)) == {"2.5890"}


def test_rows_that_were_not_judged_say_why_and_are_not_marked() -> None:
    page = Page(render(limit=0.5))
    confounded = page.row("name=shifted", "entropy")
    assert confounded[3].startswith("CONFOUNDED: the control's interval excludes 0.5")
    assert "must not be trusted: 0.610" in confounded[3]
    assert page.row("name=<other>", "loss")[3] == f"INSUFFICIENT: 9 members of {evaluations.NASTY}"


@pytest.mark.parametrize(
    ("status", "said"), [("OK", "no more than chance"), ("CONFOUNDED", "differ before any model is asked</strong>")]
)
def test_the_control_is_explained(status: str, said: str) -> None:
    rows = [
        evaluations.row(attack, "all", "", auc, status=status, reason="the splits differ")
        for attack, auc in (("loss", 0.56), ("entropy", 0.55), (CONTROL, 0.502))
    ]
    text = render(evaluation=evaluations.make(results=rows))
    assert said in text
    assert (shift.REMEDY in html.unescape(text)) == (status == "CONFOUNDED")
    assert not any(CONTROL in cells for cells in Page(text).cells)


def test_a_control_that_is_missing_or_gave_nothing_is_not_taken_for_a_good_one() -> None:
    rows = evaluations.rows()[:2]
    failed = evaluations.row(CONTROL, "all", "", None, status="INSUFFICIENT", reason="9 members")
    for results in (rows, [*rows, failed]):
        text = render(evaluation=evaluations.make(results=results))
        assert "is not known" in text
        assert "no more than chance" not in text


def test_findings_heads_and_references_are_there() -> None:
    text = render()
    page = Page(text)
    leak = page.row("✗ attribute inference", evaluations.NASTY)
    assert leak[2:] == ["member advantage (AUC)", "0.04 | 0.01 to 0.07", "0", "0.01", "2000", "baseline_auc: 0.84"]
    assert page.row("model inversion", "class 1")[2] == "UNSUPPORTED: inputs are no numbers"
    assert page.row("main", "binary") == ["main", "binary", "score", "label", "probabilities"]
    assert "3 members and 0 non-members: the output was not finite" in text
    assert "2, which know 99 % of the sampled members" in text


@pytest.mark.parametrize(
    "parts",
    [
        {"evaluation": MISSING},
        {"guarantee": MISSING},
        {"evaluation": MISSING, "guarantee": MISSING, "model_digest": MISSING},
        {"evaluation": evaluations.make(curves=[], findings=[], over_training=[], references=None, slice_features=[])},
        {
            "evaluation": evaluations.make(
                results=[evaluations.row("loss", "all", "", None, status="UNSUPPORTED", reason="why")], curves=[]
            )
        },
    ],
    ids=["no evaluation", "no guarantee", "nothing", "no pictures but slices", "no numbers"],
)
def test_what_is_absent_leaves_a_page(parts: dict[str, Any], tmp_path: pathlib.Path) -> None:
    from tfx_privacy.components.budget_validator import report

    report.write(str(tmp_path / "report"), make_verdict(), make_evidence(**parts))
    text = (tmp_path / "report" / "report.html").read_text()
    Page(text)
    assert ("There is no readable evaluation." in text) == (parts.get("evaluation") is MISSING)
    assert ("There is no readable guarantee." in text) == (parts.get("guarantee") is MISSING)
    assert "It holds." in text
    written = json.loads((tmp_path / "report" / "report.json").read_text())
    assert written["verdict"]["rules"][0]["explanation"] == "It holds."
    assert "It holds." in (tmp_path / "report" / "report.md").read_text()
    assert json.loads((tmp_path / "report" / "model_card.json").read_text())["schema_version"] == "0.0.2"


PAYLOADS = payloads.payloads()
HARMLESS = "harmless"


def named_everywhere(name: str) -> ReportFacts:
    """Facts with one text wherever names and words come from outside; without pictures, whose paths follow it."""
    rows = [
        *[
            evaluations.row("loss", "name", f"{name}{index}", None, status="INSUFFICIENT", reason=name)
            for index in range(2)
        ],
        evaluations.row(name, name, name, None, status="UNSUPPORTED", reason=name),
        evaluations.row(CONTROL, "all", "", None, status="INSUFFICIENT", reason=name),
    ]
    head = Head(name=name, task="binary", output_key=name, label_key=name, from_logits=False)
    finding = evaluations.findings()[0].model_copy(update={"subject": name, "metric": name, "details": {name: 0.84}})
    attacked = evaluations.make(
        results=rows, curves=[], findings=[], over_training=[], heads=[head], slice_features=["class", name], engine=name,
        member_splits=[name], nonmember_splits=[name],
    ).model_copy(update={"findings": [finding.model_copy(update={"status": "INSUFFICIENT", "reason": name})]})  # fmt: skip
    scope = [ScopeItem(artifact="transform_graph", covered=False, detail=name)]
    stated = evidence.charged_guarantee(engine=name, scope=scope, train_splits=[name])
    stated = stated.model_copy(update={"dataset_id": name, "statement": name})
    exception = PolicyException(rule="guarantee_scope", approver=f"A {name}", reason=f"R {name}", expires="2026-02-01")
    limits = GatePolicy(
        max_epsilon=3.0, max_delta=1e-5, max_attack_auc=0.6, required_attacks=[name], required_slices=[name], ledger="required",
        slice_limits=[SliceLimit(feature=name, value=name, max_attack_auc=0.5)], exceptions=[exception],
    )  # fmt: skip
    run = evidence.ledger_run(evidence.charged_guarantee()).model_copy(update={"dataset_id": name, "blocks": [name]})
    whole = Evidence(
        model_digest=EvidenceError(name), guarantee=stated, evaluation=attacked, upstream_blessing=name, ledger=run,
        signatures={"guarantee": name, "evaluation": EvidenceError(name)},
    )  # fmt: skip
    verdict = decide(whole, limits, now=evidence.NOW)
    assert not verdict.blessed
    assert any(rule.rule == "guarantee_scope" for rule in verdict.excused)
    lineage = Lineage(model_uri=name, pipeline=name, pipeline_run=name, producers={name: name})
    history = [BudgetPoint(sequence=1, at="2026", kind=name, spent_epsilon=1.0, budget_epsilon=2.0)]
    facts = build(verdict, whole, lineage=lineage, history=history, software=name)
    assert json.loads(facts.to_json())["evidence"]["upstream_blessing"] == name
    return facts.model_copy(update={"epsilon_over_steps": []})


# Those that a policy may hold: what nobody sees is refused there.
IN_POLICIES = [payload for payload in PAYLOADS if printable(payload) == payload]


def structure(page: Page) -> list[tuple[str, tuple[tuple[str, str | None], ...]]]:
    return [(tag, tuple(attributes.items())) for tag, attributes in page.elements]


def test_payloads_are_at_least_200() -> None:
    assert len(PAYLOADS) == len(set(PAYLOADS)) >= 200
    assert len(IN_POLICIES) >= 190


def test_no_payload_becomes_an_element_or_an_attribute_anywhere() -> None:
    """The page with a payload has, element by element and attribute by attribute, what it has with a harmless name."""
    expected = structure(Page(pages.to_html(named_everywhere(HARMLESS))))
    assert len(expected) > 100
    for payload in IN_POLICIES:
        text = pages.to_html(named_everywhere(payload))
        page = Page(text)
        assert structure(page) == expected, payload
        assert text.count(html.escape(payload).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")) >= 30, payload


def test_no_payload_becomes_markup_of_markdown() -> None:
    """Lines, cells, headings and lists are those of a harmless name; no HTML, link, code or address is left."""
    expected = [(line.count("|"), line[:2]) for line in pages.to_markdown(named_everywhere(HARMLESS)).splitlines()]
    assert len(expected) > 80
    for payload in IN_POLICIES:
        text = pages.to_markdown(named_everywhere(payload))
        bare = re.sub(r"\\.", "", text)
        lines = bare.splitlines()
        assert [line.count("|") for line in lines] == [bars for bars, _ in expected], payload
        assert [line[:2] in ("# ", "##", "* ") for line in lines] == [
            start in ("# ", "##", "* ") for _, start in expected
        ], payload
        assert not re.search(r"[<>\[\]$~!]", bare), payload
        assert "://" not in bare
        assert bare.count("`") == 6


def test_no_payload_becomes_an_element_in_a_picture() -> None:
    """Labels of pictures become paths; what stands in their titles and ids is checked by tags, attributes and references."""
    harmless = {tag for tag, _ in Page(render()).elements}
    for start in range(0, len(PAYLOADS), 40):
        names = PAYLOADS[start : start + 40]
        rows = [evaluations.row("loss", "all", "", 0.52), evaluations.row(CONTROL, "all", "", 0.502)]
        rows += [evaluations.row("loss", name, name, 0.6 + 0.001 * index) for index, name in enumerate(names)]
        findings = [
            evaluations.findings()[0].model_copy(update={"subject": name, "metric": name}) for name in names[:8]
        ]
        curves = [evaluations.curve(names[0], 0.2)]
        text = render(evaluation=evaluations.make(results=rows, findings=findings, curves=curves, over_training=[]))
        point = BudgetPoint(sequence=1, at=names[0], kind=names[0], spent_epsilon=1.0, budget_epsilon=2.0)
        page = Page(text + (spending.over_time([point]) or ""))
        assert {tag for tag, _ in page.elements} <= harmless
        attributes = [(name, value or "") for _, found in page.elements for name, value in found.items()]
        assert not any(name.startswith("on") for name, _ in attributes)
        assert all(value.startswith("#") for name, value in attributes if name.endswith(("href", "src")))
        assert not any(
            "javascript:" in value for name, value in attributes if name in ("style", "href", "src", "xlink:href")
        )


def test_the_page_allows_nothing_but_itself() -> None:
    elements = Page(render()).elements
    (content,) = [
        attributes["content"]
        for tag, attributes in elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert content == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    # A policy counts from where it stands: it must come before whatever could load.
    assert [tag for tag, _ in elements][:5] == ["html", "head", "meta", "meta", "meta"]


def charged_page(**changes: Any) -> str:
    whole = evidence.charged_evidence(**changes)
    return to_html(decide(whole, evidence.CHARGED_POLICY, now=evidence.NOW), whole)


def test_the_report_shows_what_the_dataset_has_left() -> None:
    text = charged_page()
    assert "epsilon 4.5000 of 8 is spent" in text
    assert "that of dataset taxi, at\ndelta 1e-06, of the fullest of these blocks" in text
    assert "of the fullest of these blocks" in text
    assert "7, COMMITTED, " + evidence.ENTRY_HASH in text
    assert "9, " + evidence.HEAD_HASH in text
    assert "signed by team-key" in text
    assert evidence.CHARGED_POLICY.digest in text


@pytest.mark.parametrize(
    "ledger", [None, EvidenceError("The environment variable <X> is not set.")], ids=["none", "error"]
)
def test_a_ledger_that_was_not_read_is_not_shown_as_empty(ledger: EvidenceError | None) -> None:
    text = charged_page(ledger=ledger)
    assert "nats are charged" not in text
    assert ("The environment variable &lt;X&gt; is not set." in text) is (ledger is not None)
    assert "✗ unknown" in text


def test_an_overspent_dataset_and_an_empty_budget_have_a_page() -> None:
    run = evidence.ledger_run(evidence.charged_guarantee(), charged=9_000, budget=0)
    assert "NOT BLESSED" in charged_page(ledger=run)


def test_the_prose_is_written_from_the_numbers() -> None:
    """A guarantee's own prose is no evidence: whoever edits it must not find it in the report."""
    record = evidence.charged_guarantee().model_copy(update={"statement": "This model has epsilon=0.1."})
    text = charged_page(guarantee=record)
    assert "epsilon=0.1." not in text
    assert "differentially private with epsilon=2.5890" in text


def test_what_the_gate_could_not_establish_is_no_claim() -> None:
    record = evidence.make_guarantee().model_copy(update={"epsilon_pld": 0.125, "epsilon_rdp": 0.125})
    whole = evidence.make_evidence(guarantee=record, evaluation=evaluations.make())
    text = to_html(decide(whole, evidence.POLICY, now=evidence.NOW), whole)
    assert "could not establish what this guarantee states" in text
    assert "limit by epsilon" not in text
    assert "limit by mu" not in text
    assert "Epsilon over the steps" not in text
    honest = charged_page(evaluation=evaluations.make())
    assert "could not establish" not in honest
    assert "limit by epsilon = 2.5890, delta = 1e-05" in honest
    (mu,) = set(re.findall(r"mu = ([\d.]+)", honest))
    assert re.fullmatch(r"0\.6\d{3}", mu)
    assert "Epsilon over the steps" in honest


def test_limits_of_slices_are_shown_where_they_count() -> None:
    limits = GatePolicy(
        max_epsilon=3.0, max_delta=1e-5, max_attack_auc=0.6,
        slice_limits=[SliceLimit(feature="payment", value="card", max_attack_auc=0.51)],
    )  # fmt: skip
    whole = evidence.make_evidence()
    page = Page(to_html(decide(whole, limits, now=evidence.NOW), whole))
    assert page.row("✗ payment=card", "loss")[3] == "0.500 | 0.480 to 0.520 | limit 0.510"
    assert page.row("class=0", "loss")[3] == "0.500 | 0.480 to 0.520"
