"""Which pictures the report shows, and what is said of each: what is seen, and what it does not show."""

from __future__ import annotations

import dataclasses
import math

from tfx_privacy.accounting.gaussian_dp import GaussianDP
from tfx_privacy.attacks.evaluation import (
    CONTROL,
    WHOLE_SET,
    AttackResult,
    Curve,
    PrivacyEvaluation,
)
from tfx_privacy.guarantee.record import PrivacyGuarantee
from tfx_privacy.reporting.facts import ReportFacts
from tfx_privacy.reporting.figures import curves as plots
from tfx_privacy.reporting.figures import intervals, spending

LOSS_ATTACK = "loss"


@dataclasses.dataclass(frozen=True)
class Picture:
    """An inline SVG and its caption, which is plain text."""

    svg: str
    caption: str


def of_attacks(
    record: PrivacyEvaluation,
    guarantee: PrivacyGuarantee | None,
    limit: float,
    *,
    strongest: str | None = None,
    mu: GaussianDP | None = None,
) -> list[Picture]:
    """The pictures of membership attacks: slices, curves, scores.

    Args:
      record: The evaluation.
      guarantee: What is claimed for the model, if anything.
      limit: Largest AUC that is allowed.
      strongest: The attack whose curve stands out; where it has none, the one with the highest bound on the whole set.
      mu: The claim as Gaussian differential privacy.
    """
    made = [_forest(record, limit), _scores(record), _roc(record, guarantee, mu, strongest)]
    return [picture for picture in made if picture is not None]


def of_training(facts: ReportFacts) -> list[Picture]:
    """Epsilon over steps, where the gate established one."""
    record = facts.guarantee
    if record is None or not facts.is_established:
        return []
    made = _picture(
        spending.over_steps(
            facts.epsilon_over_steps, stated=record.stated_epsilon, limit=facts.verdict.policy.max_epsilon
        ),
        f"Epsilon at delta {record.target_delta:g} of all weights up to a step, by privacy loss distributions; the "
        "diamond is what is stated for the whole run."
        + (" What was released besides is in every point." if record.releases else ""),
    )
    return [] if made is None else [made]


def of_budget(facts: ReportFacts) -> list[Picture]:
    """What the dataset was charged over time, where the ledger's entries are known."""
    last_entry = 0 if facts.ledger is None else facts.ledger.head_sequence
    made = _picture(
        spending.over_time(facts.budget_history, last_entry=last_entry),
        "Epsilon of all runs that were charged to the dataset, by Renyi DP at its order. A point is an entry of its ledger "
        "that changed what is charged or allowed; the others tell how runs went on. A charge is made before a run reads a "
        "record, and given back only if it never started.",
    )
    return [] if made is None else [made]


def of_utility(record: PrivacyEvaluation) -> list[Picture]:
    """Attack AUC next to the model's accuracy, over training, where that was measured."""
    made = _training(record)
    return [] if made is None else [made]


def of_findings(record: PrivacyEvaluation) -> list[Picture]:
    """The picture of the attacks beyond membership, if there is one."""
    made = _picture(
        intervals.findings(record),
        f"Estimates with {_level(record)} intervals; the upright stroke is the value of a model that leaks nothing, "
        "and a square an estimate whose interval excludes it. Panels have different units and do not compare. Where an "
        "interval includes the stroke, no leak was shown; that is not the same as none.",
    )
    return [] if made is None else [made]


def _forest(record: PrivacyEvaluation, limit: float) -> Picture | None:
    attack = _widest_attack(record)
    if attack is None:
        return None
    return _picture(
        intervals.forest(record, attack, limit),
        f"AUC of the attack {attack} by slice with {_level(record)} intervals, the highest lower bound on top. A "
        "square is a slice with a bound beyond the general limit; an AUC below 0.5 counts by its mirror image. Hollow "
        "points with a question mark are CONFOUNDED. An AUC is an average over a slice: it does not show single "
        "records that are easier to find. Each interval is for itself, so of many slices some exclude 0.5 by chance: "
        "the table has p-values that account for it.",
    )


def _roc(
    record: PrivacyEvaluation, guarantee: PrivacyGuarantee | None, mu: GaussianDP | None, strongest: str | None
) -> Picture | None:
    """All curves in one picture: apart they look alike, and take a screen each."""
    if not record.curves:
        return None
    curves = sorted(record.curves, key=lambda curve: _prominence(record, curve, strongest), reverse=True)
    first, others = curves[0], curves[1:]
    claimed = guarantee is not None and math.isfinite(guarantee.stated_epsilon)
    claim = (
        " The dash-dotted line is the most that the stated epsilon allows any attack on one privacy unit, in "
        "probability over training." + (" The dotted one is what mu says, which is closer." if mu is not None else "")
        if claimed
        else " No finite epsilon is claimed, so nothing limits the curve."
    )
    beside = f" Thin lines without a band: {', '.join(_named(curve.attack) for curve in others)}." if others else ""
    return _picture(
        plots.roc(first, guarantee, others=others, mu=mu),
        f"{''.join(_caution(record, curve.attack) for curve in curves)}Members that {_named(first.attack)} finds, for each "
        "share of non-members that it takes for members; both axes are logarithmic, the band is pointwise at "
        f"{_level(record)}.{beside}{claim} The picture shows these attacks on this model alone: a curve below the line is no "
        "proof of epsilon, and a stronger attack may come closer to it.",
    )


def _prominence(record: PrivacyEvaluation, curve: Curve, strongest: str | None) -> tuple[bool, bool, float]:
    """Attacks on the model before the control; the strongest one before all."""
    bounds = [row.attack_auc_upper for row in record.rows(attack=curve.attack, feature=WHOLE_SET) if row.status == "OK"]
    return curve.attack != CONTROL, curve.attack == strongest, max(bounds, default=0.0)


def _scores(record: PrivacyEvaluation) -> Picture | None:
    """Of the loss attack, or else of the first that asks the model."""
    curves = sorted(
        (curve for curve in record.curves if curve.attack != CONTROL), key=lambda curve: curve.attack != LOSS_ATTACK
    )
    if not curves:
        return None
    return _picture(
        plots.score_histogram(curves[0]),
        f"{_caution(record, curves[0].attack)}Scores that {_named(curves[0].attack)} gives to members and to "
        "non-members. Where the outlines coincide the attack sees no difference. The few records at the right end, "
        "which are surest to be found, are too few to be seen here: the left end of the ROC shows them.",
    )


def _training(record: PrivacyEvaluation) -> Picture | None:
    return _picture(
        plots.over_training(record),
        f"The loss attack's AUC with {_level(record)} intervals, against what the model was worth on test records, "
        "joined in order of steps; the square is the last. Up without going right is memorising without learning. It "
        "compares training with test records as they are: neither stratified nor controlled.",
    )


def _widest_attack(record: PrivacyEvaluation) -> str | None:
    """The attack with numbers on most slices; of several the one with the highest bound."""
    by_attack: dict[str, list[AttackResult]] = {}
    for row in record.results:
        if row.auc is not None and row.attack != CONTROL:
            by_attack.setdefault(row.attack, []).append(row)
    return max(by_attack, key=lambda attack: _reach(by_attack[attack]), default=None)


def _reach(rows: list[AttackResult]) -> tuple[int, float]:
    return len(rows), max(row.attack_auc_upper for row in rows)


def _caution(record: PrivacyEvaluation, attack: str) -> str:
    """What must be said first where the attack's numbers on the whole set must not be trusted."""
    return "".join(
        f"{attack} is {row.status}: {row.reason}. "
        for row in record.rows(attack=attack, feature=WHOLE_SET)
        if row.status != "OK"
    )


def _named(attack: str) -> str:
    return "the control, which sees no model," if attack == CONTROL else f"the attack {attack}"


def _level(record: PrivacyEvaluation) -> str:
    return f"{100 * record.confidence_level:g} % confidence"


def _picture(svg: str | None, caption: str) -> Picture | None:
    return None if svg is None else Picture(svg, caption)
