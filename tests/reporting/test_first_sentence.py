"""The report's first sentence: what the one epsilon covers, and what it does not, in every form of the report."""

import html
from typing import Any, get_args

import evidence
import pytest

from tfx_privacy.gate.decide import decide
from tfx_privacy.guarantee import coverage
from tfx_privacy.guarantee.base_model import begin_from, declared_public
from tfx_privacy.guarantee.mechanism import NoMechanism
from tfx_privacy.guarantee.record import PrivacyGuarantee, ScopeItem
from tfx_privacy.reporting import model_card, wording
from tfx_privacy.reporting.build import build
from tfx_privacy.reporting.facts import ReportFacts

ARTIFACTS = get_args(ScopeItem.model_fields["artifact"].annotation)
ANALYZERS = "what Transform's analyzers took from the records"


def outside(*artifacts: str) -> list[ScopeItem]:
    return [ScopeItem(artifact=name, covered=False, detail="It was computed.") for name in artifacts]  # type: ignore[arg-type]


def facts(**changes: Any) -> ReportFacts:
    whole = evidence.charged_evidence(guarantee=evidence.charged_guarantee(**changes))
    policy = evidence.CHARGED_POLICY.model_copy(update={"allow_non_dp_preprocessing": True})
    return build(decide(whole, policy, now=evidence.NOW), whole)


def first(**changes: Any) -> str:
    return facts(**changes).plain[0].text


def on_private_base() -> PrivacyGuarantee:
    base = evidence.make_guarantee(model_digest=evidence.OTHER_DIGEST)
    begun = begin_from([(base, None)], evidence.OTHER_DIGEST)
    events = [evidence.mechanism().event, evidence.mechanism().event]
    bounds = evidence.bounds_together(events, target_delta=1e-5)
    return evidence.make_guarantee(base_model=begun, epsilon_pld=bounds.pld, epsilon_rdp=bounds.rdp)


def test_it_says_what_epsilon_covers() -> None:
    found = [ScopeItem(artifact="transform_graph", covered=True, detail="No analyzer ran.")]
    for changes in ({}, {"scope": found}):
        assert first(**changes) == (
            "epsilon = 2.5890 at delta = 1e-05 covers the training, with one example (record) as privacy unit."
        )


def test_it_says_in_the_same_sentence_what_is_not_covered() -> None:
    assert first(scope=outside("transform_graph")) == (
        "epsilon = 2.5890 at delta = 1e-05 covers the training alone, with one example (record) as privacy unit; "
        f"{ANALYZERS} is not covered."
    )
    two = first(scope=outside("transform_graph", "hyperparameters", "transform_graph"))
    assert two.endswith(f"; {ANALYZERS} and what the choice of hyperparameters took from the records are not covered.")


@pytest.mark.parametrize("artifact", ARTIFACTS)
def test_whatever_a_guarantee_does_not_cover_has_its_words(artifact: str) -> None:
    """An artifact without words would leave the sentence as if all were covered."""
    record = evidence.make_guarantee(scope=outside(artifact))
    assert len(coverage.uncovered(record)) == 1
    assert "alone" in wording.covers(record)
    assert "not covered" in wording.left_out(record)


def test_a_private_base_model_is_part_of_what_is_covered_and_a_public_one_is_not() -> None:
    assert coverage.covered(on_private_base()) == ["the base model's training", "the training"]
    assert wording.covers(on_private_base()) == "the base model's training and the training"
    assert first(base_model=declared_public(evidence.OTHER_DIGEST)).startswith(
        "epsilon = 2.5890 at delta = 1e-05 covers the training, "
    )


def on_base_without_privacy() -> PrivacyGuarantee:
    base = evidence.make_guarantee(NoMechanism(steps=10), model_digest=evidence.OTHER_DIGEST)
    begun = begin_from([(base, None)], evidence.OTHER_DIGEST)
    return evidence.make_guarantee(base_model=begun, epsilon_pld=None, epsilon_rdp="inf")


@pytest.mark.parametrize(
    "record",
    [
        evidence.make_guarantee(NoMechanism(steps=10)),
        evidence.make_guarantee(
            evidence.mechanism(noise_source="deterministic_test"), epsilon_pld=None, epsilon_rdp="inf"
        ),
        on_base_without_privacy(),
        # Not even where the file claims a number.
        evidence.make_guarantee(
            evidence.mechanism(noise_source="deterministic_test"), epsilon_pld=1.0, epsilon_rdp=1.0
        ),
    ],
    ids=["without", "test noise", "base", "claimed"],
)
def test_an_infinite_epsilon_covers_nothing(record: PrivacyGuarantee) -> None:
    assert coverage.covered(record) == []
    assert wording.covers(record) == ""
    whole = evidence.make_evidence(guarantee=record)
    shown = build(decide(whole, evidence.POLICY, now=evidence.NOW), whole)
    assert shown.plain[0].text.startswith("Nothing is promised")
    assert "covers" not in shown.summary[0].detail
    assert covered_uses(shown) == "None, as nothing bounds epsilon. All other uses stand in the list above."


def covered_uses(shown: ReportFacts) -> str:
    return next(row.answer for row in shown.disclosure if row.heading == "Uses of the data that are covered")


def test_every_form_that_needs_no_template_says_it() -> None:
    shown = facts(scope=outside("transform_graph"))
    assert shown.summary[0].detail.endswith("; covers the training alone")
    assert covered_uses(shown).startswith(f"The training alone; {ANALYZERS} is not covered.")
    assert shown.plain[0].text in model_card.build(shown)["model_details"]["overview"]


@pytest.mark.slow
def test_the_pages_say_it_before_anything_else_of_epsilon() -> None:
    from tfx_privacy.reporting import pages

    shown = facts(scope=outside("transform_graph"))
    said = shown.plain[0].text
    page = html.unescape(pages.to_html(shown)).split("<body>")[1]
    markdown = pages.to_markdown(shown)
    assert said in page
    assert said in markdown
    for text in (page, markdown):
        assert text.index("2.5890") == text.index(said) + said.index("2.5890")


def test_words_in_a_row() -> None:
    assert [coverage.listed(["a", "b", "c"][:count]) for count in range(4)] == ["", "a", "a and b", "a, b and c"]
