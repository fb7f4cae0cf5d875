"""What a report says where epsilon is of preprocessing and statistics too."""

from __future__ import annotations

from typing import Any

import evidence

from tfx_privacy.accounting.rounding import rounded_up
from tfx_privacy.gate.decide import decide
from tfx_privacy.guarantee.record import CoveredRelease, PrivacyGuarantee, ScopeItem
from tfx_privacy.reporting import their_statement
from tfx_privacy.reporting.build import build
from tfx_privacy.reporting.facts import Problem, ReportFacts

GRAPH = ScopeItem(artifact="transform_graph", covered=True, detail="Released.", covered_by=["5" * 32])


def guarantee(*releases: CoveredRelease, **changes: Any) -> PrivacyGuarantee:
    values = {"releases": list(releases), "examples": [evidence.EXAMPLES], "scope": [GRAPH], **changes}
    return evidence.make_guarantee(**values)


def report(record: PrivacyGuarantee) -> ReportFacts:
    found = evidence.make_evidence(guarantee=record)
    return build(decide(found, evidence.POLICY, now=evidence.NOW), found)


def test_the_first_sentence_says_what_the_one_epsilon_covers() -> None:
    record = guarantee(evidence.release(), evidence.release("statistics"))
    promise = report(record).plain[0].text
    assert promise.startswith(
        f"epsilon = {rounded_up(record.stated_epsilon)} at delta = 1e-05 covers the vocabulary, the scaling, the statistics "
        "and the training, with"
    )
    assert " covers the training, with" in report(evidence.make_guarantee()).plain[0].text


def test_each_release_is_a_row_and_other_statistics_are_another() -> None:
    facts = report(guarantee(evidence.release(), evidence.release("statistics")))
    rows = {row.use: row for row in facts.coverage}
    of_transform = rows["Released by transform: moments, vocabulary of train"]
    assert of_transform.covered == "yes"
    assert "noise multiplier 20, and thresholds spent delta 1e-07" in of_transform.detail
    assert rows["Released by statistics: counts of train, eval"].covered == "yes"
    assert rows["Other statistics (StatisticsGen), validation (ExampleValidator)"].covered == "no"
    plain = {row.use for row in report(evidence.make_guarantee()).coverage}
    assert "Statistics (StatisticsGen), validation (ExampleValidator)" in plain
    (uses,) = (each.answer for each in facts.disclosure if each.heading == "Uses of the data that are covered")
    assert uses.startswith("The vocabulary, the scaling, the statistics and the training.")


def test_nothing_is_covered_by_an_epsilon_that_there_is_not() -> None:
    facts = report(guarantee(evidence.release(noise_source="deterministic_test"), scope=[]))
    assert not [row.use for row in facts.coverage if row.covered == "yes"]
    assert "epsilon is infinite" in facts.plain[0].text


def test_epsilon_over_steps_has_the_releases_in_every_point_and_mu_is_of_none() -> None:
    record = guarantee(evidence.release(noise_multiplier=4.0))
    facts = report(record)
    alone = report(evidence.make_guarantee())
    assert len(facts.epsilon_over_steps) == len(alone.epsilon_over_steps) > 1
    assert all(
        point.epsilon > plain.epsilon
        for point, plain in zip(facts.epsilon_over_steps, alone.epsilon_over_steps, strict=True)
    )
    assert record.stated_epsilon <= facts.epsilon_over_steps[-1].epsilon <= record.stated_epsilon * 1.001
    assert isinstance(facts.gaussian_dp, Problem)
    assert "released besides" in facts.gaussian_dp.error


def test_tensorflow_privacy_is_not_asked_of_what_it_does_not_know() -> None:
    assert their_statement.arguments(evidence.make_guarantee()) is not None
    assert their_statement.arguments(guarantee(evidence.release())) is None
