"""The report's facts as one self-contained HTML file, and as Markdown.

Knows no TFX, so a command can render at once.
"""

from __future__ import annotations

import functools
import importlib.resources
import math
from collections.abc import Callable
from typing import Any

import jinja2

from tfx_privacy._printable import printable
from tfx_privacy.accounting import gaussian_dp
from tfx_privacy.accounting.gaussian_dp import GaussianDP
from tfx_privacy.accounting.rounding import rounded_up
from tfx_privacy.attacks import exposure
from tfx_privacy.attacks.evaluation import (
    CONTROL,
    WHOLE_SET,
    AttackResult,
    Interval,
    PrivacyEvaluation,
)
from tfx_privacy.gate import shift
from tfx_privacy.gate.attack_limit import Standing
from tfx_privacy.gate.evidence import SIGNED_PARTS
from tfx_privacy.gate.policy import GatePolicy, SliceLimit
from tfx_privacy.gate.slice_limits import SliceLimits
from tfx_privacy.reporting import wording
from tfx_privacy.reporting.facts import Problem, ReportFacts, leaks, rows_by_risk
from tfx_privacy.reporting.figures import captions
from tfx_privacy.reporting.markdown import escaped

HTML_NAME = "report.html"
MARKDOWN_NAME = "report.md"
_TELLS_NOTHING = 0.5
"""An upper bound from which on a true-positive rate may be anything."""
_FEW = 100
"""Independent records of a side; with more, it is scores that many of them share which leave a rate open."""
_JudgedRow = tuple[AttackResult, Standing | None, float | None]


def to_html(facts: ReportFacts) -> str:
    """The report as one page without scripts, which loads nothing; whatever comes from the data is escaped."""
    guarantee, evaluation = facts.guarantee, facts.evaluation
    limit = facts.verdict.policy.max_attack_auc
    mu = facts.gaussian_dp if isinstance(facts.gaussian_dp, GaussianDP) else None
    strongest = None if facts.strongest_attack is None else facts.strongest_attack.row.attack
    # A curve that the gate could not establish limits nothing.
    claimed = guarantee if facts.is_established else None
    return _render(
        "report.html.j2",
        facts,
        autoescape=True,
        finalize=_html,
        pictures=captions.of_attacks(evaluation, claimed, limit, strongest=strongest, mu=mu) if evaluation else [],
        utility_pictures=captions.of_utility(evaluation) if evaluation else [],
        finding_pictures=captions.of_findings(evaluation) if evaluation else [],
        training_pictures=captions.of_training(facts),
        budget_pictures=captions.of_budget(facts),
    )


def to_markdown(facts: ReportFacts) -> str:
    """The same facts as Markdown, without pictures; whatever comes from the data is escaped."""
    return _render("report.md.j2", facts, autoescape=False, finalize=_markdown)


@functools.lru_cache(maxsize=2)
def _template(name: str, *, autoescape: bool, finalize: Callable[[Any], Any] | None) -> jinja2.Template:
    source = importlib.resources.files("tfx_privacy") / "templates" / "report" / name
    environment = jinja2.Environment(
        autoescape=autoescape, undefined=jinja2.StrictUndefined, trim_blocks=True, finalize=finalize
    )
    environment.filters.update(
        interval=_interval, three=_three, percent=_percent, tpr=_tpr, untold=_untold, bound=_bound, leaks=leaks,
        epsilon=wording.epsilon, up=rounded_up, short=wording.short, moment=wording.moment,
    )  # fmt: skip
    return environment.from_string(source.read_text(encoding="utf-8"))


def _render(
    name: str, facts: ReportFacts, *, autoescape: bool, finalize: Callable[[Any], Any] | None = None, **more: Any
) -> str:
    evidence, policy, gdp = facts.evidence, facts.verdict.policy, facts.gaussian_dp
    return _template(name, autoescape=autoescape, finalize=finalize).render(
        facts=facts,
        verdict=facts.verdict,
        policy=_policy_entries(policy),
        guarantee=facts.guarantee,
        guarantee_problem=_problem(evidence.guarantee),
        evaluation=facts.evaluation,
        evaluation_problem=_problem(evidence.evaluation),
        gdp=gdp if isinstance(gdp, GaussianDP) else None,
        gdp_problem=_problem(gdp),
        good_fit=gaussian_dp.GOOD_FIT,
        ledger=facts.ledger,
        ledger_problem=_problem(evidence.ledger),
        signatures=[(part, _signature(evidence.signatures.get(part))) for part in SIGNED_PARTS],
        rows=_attack_rows(facts.evaluation, policy),
        controls=_controls(facts.evaluation),
        shift_remedy=shift.REMEDY,
        limit=policy.max_attack_auc,
        lineage=_lineage(facts),
        **more,
    )


def _attack_rows(evaluation: PrivacyEvaluation | None, policy: GatePolicy) -> list[_JudgedRow]:
    """The rows of attacks on the model, each with how it compares with its limit: the riskiest judged ones first.

    The third is the limit where the policy's slice_limits set one for the row's slice.
    """
    if evaluation is None:
        return []
    rows = rows_by_risk(row for row in evaluation.results if row.attack != CONTROL)
    limits = SliceLimits(evaluation, policy)
    return [
        (
            row,
            limits.standing(row) if row.status == "OK" else None,
            limits.limit(row) if limits.limit(row) != policy.max_attack_auc else None,
        )
        for row in rows
    ]


def _controls(evaluation: PrivacyEvaluation | None) -> list[AttackResult]:
    """The control on the whole set, and on the slices that it makes doubtful."""
    rows = [] if evaluation is None else [row for row in evaluation.results if row.attack == CONTROL]
    rows.sort(key=lambda row: (row.slice_feature != WHOLE_SET, row.slice_name))
    return [row for row in rows if row.slice_feature == WHOLE_SET or row.status == "CONFOUNDED"]


def _lineage(facts: ReportFacts) -> list[tuple[str, str]]:
    found = facts.lineage
    named = [
        ("Model's location", found.model_uri),
        ("Pipeline", found.pipeline),
        ("Run of the pipeline", found.pipeline_run),
    ]
    named += [(f"{name} comes from", producer) for name, producer in sorted(found.producers.items())]
    return [(name, value or "not stated") for name, value in named]


def _interval(value: Interval) -> str:
    return f"{_three(value.estimate)} ({_three(value.low)} to {_three(value.high)})"


def _three(value: float) -> str:
    """To three digits; what rounds to zero has no sign."""
    return f"{round(value, 3) + 0.0:.3f}"


def _tpr(row: AttackResult, rate: float) -> Interval | None:
    """The row's true-positive rate at `rate`; None where too few non-members allow none."""
    found = [point.tpr for point in row.tpr_at_fpr if math.isclose(point.false_positive_rate, rate)]
    return found[0] if found else None


def _untold(rate: Interval, row: AttackResult, false_positive_rate: float) -> str:
    """Why an interval of a true-positive rate tells nothing; empty where it tells something.

    It does not where it reaches from no more than guessing to half of all members.
    """
    if not (rate.low <= false_positive_rate and rate.high >= _TELLS_NOTHING):
        return ""
    smaller = min(row.independent_sizes)
    return f"too few records, n = {smaller}" if smaller < _FEW else f"too many equal scores, n = {smaller}"


def _bound(value: float) -> str:
    """One end of a finding's interval; a lower bound on epsilon has no upper end."""
    return "no end" if value >= exposure.NO_UPPER_END else f"{value:.4g}"


def _percent(rate: float) -> str:
    return f"{100 * rate:g} %"


def _policy_entries(policy: GatePolicy) -> list[tuple[str, str]]:
    """What the policy says, without its exceptions, as names and texts."""
    values = policy.model_dump(mode="json", exclude={"schema_version", "slice_limits", "exceptions"})
    # What is demanded of no name is demanded of any; what is accepted by no name is accepted of none.
    values["unattacked_outputs"] = values["unattacked_outputs"] or "none"
    entries = [(name, _policy_text(value)) for name, value in values.items()]
    return entries + [
        (f"limit on {limit.slice_name}", f"{limit.max_attack_auc:g} ({_compared(limit, policy)} than the general one)")
        for limit in policy.slice_limits
    ]


def _policy_text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "any"
    return "any" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _compared(limit: SliceLimit, policy: GatePolicy) -> str:
    return "looser" if limit.max_attack_auc > policy.max_attack_auc else "not looser"


def _signature(found: str | Problem | None) -> str:
    if isinstance(found, Problem):
        return f"not valid: {found.error}"
    return "unsigned" if found is None else f"signed by {found}"


def _problem(part: object) -> str:
    return part.error if isinstance(part, Problem) else ""


def _html(value: object) -> object:
    """Text as a page shows it; what is HTML already, the pictures, stays as it is."""
    return printable(value, lines=True) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _markdown(value: object) -> object:
    return escaped(value) if isinstance(value, str) else value
