"""The gate: the only place in the project that decides whether a model is blessed.

`decide` holds every rule against the evidence. It fails closed:

* a rule passes only if its check returns the object True; an error in a check is a failure;
* comparisons are written `isfinite(x) and x <= limit`, so that NaN fails them;
* epsilon is recomputed from the mechanism, never read;
* attacks are judged by the upper confidence bound of the worst slice. The largest of the
  per-slice 95 % upper bounds is itself a 95 % upper bound on the largest true AUC (the slice
  with the largest true AUC exceeds its own bound in at most 5 % of cases), so that the rule
  needs no correction for the number of slices to be safe. Refusals are what many slices make
  more frequent: on a slice so small that a harmless model would exceed the limit by chance, a
  bound above it is no refusal, unless the lower bound, corrected for the number of rows, is
  above it as well; such slices of a feature must keep the limit together, by their mean.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Callable

from tfx_privacy.privacy import _validate, guarantee, standing, strict_json
from tfx_privacy.privacy._records import parse_time
from tfx_privacy.privacy.errors import EvidenceError, ParameterError, TFXPrivacyError
from tfx_privacy.privacy.evaluation import CLASS_FEATURE, CONTROL, WHOLE_SET, AttackResult, PrivacyEvaluation
from tfx_privacy.privacy.guarantee import PrivacyGuarantee
from tfx_privacy.privacy.standing import Bar, Standing

LOSS = "loss"
REQUIRED_ATTACKS = (LOSS, CONTROL)
"""What must have been run on the whole set: the attack that every task has, and the control for splits that differ."""
_TASKS_WITH_CLASSES = ("binary", "multiclass")
MIN_CONFIDENCE_LEVEL = 0.95
MAX_SLICE_SIZE_POOLED = 1000
"""Larger slices must not be pooled: what leaks in one of them would be diluted by the others."""
MAX_OVERLAP = 0.01
"""Share of the smaller side that may stand on both sides: between equal records an attack finds nothing."""
_CLOCK_SKEW = datetime.timedelta(minutes=5)

# What the Evaluator (or whoever stands before the gate) said of the model.
UPSTREAM_NOT_WIRED = "not wired"
UPSTREAM_BLESSED = "blessed"


@dataclasses.dataclass(frozen=True, kw_only=True)
class GatePolicy:
    """The limits that a model must keep; all of them are checked, there is no empty policy."""

    max_epsilon: float
    """Largest epsilon (nats) at the guarantee's delta; compared without tolerance."""
    max_delta: float
    """Largest delta at which epsilon may be stated."""
    max_attack_auc: float
    """Largest upper confidence bound on the AUC of any attack on any slice, in [0.5, 1]."""
    min_slice_coverage: float = 0.95
    """Share of the members that must lie in slices large enough to judge, for every sliced feature."""
    allow_non_dp_preprocessing: bool = False
    """Accept a transform graph that holds results of analyzers, which the guarantee does not cover."""

    def __post_init__(self) -> None:
        self._set("max_epsilon", _validate.positive(max_epsilon=self.max_epsilon))
        self._set("max_delta", _validate.open_interval(0.0, 1.0, max_delta=self.max_delta))
        self._set(
            "max_attack_auc",
            _validate.closed_interval(
                0.5, 1.0, "An AUC of 0.5 is guessing, 1 is certainty.", max_attack_auc=self.max_attack_auc
            ),
        )
        self._set(
            "min_slice_coverage",
            _validate.half_open_interval(0.0, 1.0, min_slice_coverage=self.min_slice_coverage),
        )
        if not isinstance(self.allow_non_dp_preprocessing, bool):
            raise ParameterError(
                f"Expected allow_non_dp_preprocessing={self.allow_non_dp_preprocessing!r} to be True or False."
            )

    def _set(self, name: str, value: float) -> None:
        object.__setattr__(self, name, value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that is known of one model. A part that could not be read is the error that says why."""

    model_digest: str | EvidenceError
    """Digest of the model's directory, taken now."""
    guarantee: PrivacyGuarantee | EvidenceError
    evaluation: PrivacyEvaluation | EvidenceError
    upstream_blessing: str | EvidenceError = UPSTREAM_NOT_WIRED
    """"not wired", "blessed", or what else the blessing says."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RuleResult:
    """One rule: what was found, what is allowed, and what that means."""

    rule: str
    passed: bool
    value: str
    limit: str
    explanation: str
    """One sentence; for a failure it says what to do."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """The gate's decision with every rule explained."""

    rules: tuple[RuleResult, ...]
    policy: GatePolicy
    decided_at: str

    @property
    def blessed(self) -> bool:
        """True only if there are rules and every one of them passed."""
        return bool(self.rules) and all(rule.passed is True for rule in self.rules)

    @property
    def failures(self) -> tuple[RuleResult, ...]:
        """The rules that failed."""
        return tuple(rule for rule in self.rules if rule.passed is not True)

    @property
    def message(self) -> str:
        """One line: what the blessing says."""
        if self.blessed:
            return "Blessed: " + " ".join(
                rule.explanation for rule in self.rules if rule.rule in ("epsilon", "attack_auc")
            )
        return "Not blessed: " + " ".join(rule.explanation for rule in self.failures)

    def to_json(self) -> str:
        """The verdict as strict JSON."""
        return strict_json.dumps(
            {
                "schema_version": 1,
                "blessed": self.blessed,
                "message": self.message,
                "decided_at": self.decided_at,
                "policy": dataclasses.asdict(self.policy),
                "rules": [dataclasses.asdict(rule) for rule in self.rules],
            }
        )


@dataclasses.dataclass(frozen=True)
class _Finding:
    passed: bool
    value: str
    explanation: str


_Check = Callable[[Evidence, GatePolicy, datetime.datetime], _Finding]


def decide(evidence: Evidence, policy: GatePolicy, *, now: datetime.datetime) -> Verdict:
    """Decides whether a model may be deployed.

    Args:
      evidence: What is known of the model.
      policy: The limits.
      now: The time, with its zone.

    Returns:
      The verdict; its `blessed` is True only if every rule passed.
    """
    rules = tuple(_apply(name, limit(policy), check, evidence, policy, now) for name, limit, check in _RULES)
    return Verdict(rules=rules, policy=policy, decided_at=now.isoformat())


def _apply(
    name: str, limit: str, check: _Check, evidence: Evidence, policy: GatePolicy, now: datetime.datetime
) -> RuleResult:
    try:
        finding = check(evidence, policy, now)
    except TFXPrivacyError as error:
        finding = _Finding(False, "unknown", str(error))
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in a rule, the model is not blessed by it
        finding = _Finding(False, "unknown", f"The rule could not be checked: {type(error).__name__}: {error}.")
    return RuleResult(
        rule=name, passed=finding.passed is True, value=finding.value, limit=limit, explanation=finding.explanation
    )


def _known(part: object) -> object:
    if isinstance(part, EvidenceError):
        raise part
    return part


def _guarantee(evidence: Evidence) -> PrivacyGuarantee:
    part = _known(evidence.guarantee)
    assert isinstance(part, PrivacyGuarantee)
    return part


def _evaluation(evidence: Evidence) -> PrivacyEvaluation:
    part = _known(evidence.evaluation)
    assert isinstance(part, PrivacyEvaluation)
    return part


def _check_epsilon(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> _Finding:
    record = _guarantee(evidence)
    epsilon = guarantee.recomputed_epsilon(record)
    if math.isfinite(epsilon) and epsilon <= policy.max_epsilon:
        return _Finding(
            True,
            _rounded_up(epsilon),
            f"epsilon={_rounded_up(epsilon)} at delta={record.target_delta:g} is within max_epsilon={policy.max_epsilon:g}.",
        )
    if not math.isfinite(epsilon):
        reason = (
            "was trained without differential privacy"
            if record.mechanism.kind == "none"
            else "was trained with a test's noise"
        )
        return _Finding(
            False,
            "infinite",
            f"epsilon is infinite, because the model {reason}; max_epsilon={policy.max_epsilon:g}. "
            "Train with DPParameters that give a noise_multiplier or a target_epsilon.",
        )
    return _Finding(
        False,
        _rounded_up(epsilon),
        f"epsilon={_rounded_up(epsilon)} at delta={record.target_delta:g} is above max_epsilon={policy.max_epsilon:g}. "
        "Train with a lower target_epsilon: more noise, or fewer steps.",
    )


def _check_delta(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> _Finding:
    record = _guarantee(evidence)
    delta, size = record.target_delta, record.population.records
    if not (math.isfinite(delta) and delta <= policy.max_delta):
        return _Finding(
            False,
            f"{delta:g}",
            f"delta={delta:g} is above max_delta={policy.max_delta:g}. State epsilon at a smaller target_delta.",
        )
    if not delta < 1.0 / size:
        return _Finding(
            False,
            f"{delta:g}",
            f"delta={delta:g} is not below 1 / {size} records. State epsilon at a smaller target_delta.",
        )
    return _Finding(True, f"{delta:g}", f"delta={delta:g} is within max_delta={policy.max_delta:g}.")


def _check_scope(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> _Finding:
    uncovered = [item for item in _guarantee(evidence).scope if not item.covered]
    names = ", ".join(item.artifact for item in uncovered)
    if not uncovered:
        return _Finding(True, "covered", "The guarantee covers what the model takes from upstream components.")
    if policy.allow_non_dp_preprocessing:
        return _Finding(
            True, f"not covered: {names}", f"Not covered by the guarantee, and allowed by the policy: {names}."
        )
    details = " ".join(f"{item.artifact}: {item.detail}" for item in uncovered)
    return _Finding(
        False,
        f"not covered: {names}",
        f"The model contains results that were computed from the data without differential privacy. {details} "
        "Use public constants in preprocessing_fn, or set allow_non_dp_preprocessing.",
    )


def _check_attack_auc(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> _Finding:
    record = _evaluation(evidence)
    judged = standing.attacked(record)
    if not judged:
        raise EvidenceError("No attack could be judged on any slice. Give PrivacyEvaluator more records.")
    bar = Bar.of(record, policy.max_attack_auc)
    by_standing: dict[Standing, list[AttackResult]] = {kind: [] for kind in Standing}
    for row in judged:
        by_standing[bar.standing(row)].append(row)
    refusing, left_open = by_standing[Standing.ABOVE], by_standing[Standing.OPEN]
    worst = max(refusing or by_standing[Standing.WITHIN] or judged, key=standing.upper_bound)
    upper, level = standing.upper_bound(worst), record.confidence_level
    value = f"{_show_auc(worst)}, {worst.slice_name}"
    text = f"{worst.attack} on {worst.slice_name} has attack_auc={_show_auc(worst)}, {level:.0%} confidence"
    if not refusing:
        more = f" {len(left_open)} rows are of slices too small to tell by themselves." if left_open else ""
        return _Finding(
            True, value, f"The strongest attack, {text}, is within max_attack_auc={policy.max_attack_auc:g}.{more}"
        )
    slices = sorted({row.slice_name for row in refusing})
    more = f" Slices above the limit: {', '.join(slices)}." if len(slices) > 1 else ""
    return _Finding(
        False,
        value,
        f"The attack {text}: the upper bound {upper:.4f} is above max_attack_auc={policy.max_attack_auc:g}.{more} "
        "Train with more noise or less over-fitting; or, if the interval is wide, give PrivacyEvaluator more records.",
    )


def _check_coverage(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> _Finding:
    record = _evaluation(evidence)
    problems, smallest = [], 1.0
    if not record.confidence_level >= MIN_CONFIDENCE_LEVEL:
        problems.append(f"intervals are at {record.confidence_level:g} confidence, below {MIN_CONFIDENCE_LEVEL:g}")
    if not record.min_slice_size <= MAX_SLICE_SIZE_POOLED:
        problems.append(
            f"slices of fewer than min_slice_size={record.min_slice_size} records were pooled; at most {MAX_SLICE_SIZE_POOLED} may be"
        )
    if record.task in _TASKS_WITH_CLASSES and CLASS_FEATURE not in record.slice_features:
        problems.append("the attacks were not run by class")
    for attack in REQUIRED_ATTACKS:
        whole = record.rows(attack=attack, feature=WHOLE_SET)
        if not (len(whole) == 1 and whole[0].status == "OK"):
            reason = f"{whole[0].status}, {whole[0].reason}" if whole else "the attack was not run"
            problems.append(f"{attack} on all records gave no result: {reason}")
    for feature in (WHOLE_SET, *record.slice_features):
        share = _coverage(record, feature, policy)
        smallest = min(smallest, share)
        if not share >= policy.min_slice_coverage:
            problems.append(f"{LOSS} could judge only {share:.1%} of the members by {feature}")
    problems += [
        f"{row.attack} on {row.slice_name} is {row.status}: {row.reason}"
        for row in record.results
        if row.status == "UNSUPPORTED" or (row.status == "CONFOUNDED" and row.attack in REQUIRED_ATTACKS)
    ]
    if problems:
        return _Finding(False, f"{smallest:.1%}", f"The evidence is partial: {'; '.join(dict.fromkeys(problems))}.")
    return _Finding(
        True, f"{smallest:.1%}", f"Every sliced feature is judged for at least {smallest:.1%} of the members."
    )


def _coverage(record: PrivacyEvaluation, feature: str, policy: GatePolicy) -> float:
    """Share of the members in slices of a feature that the loss was judged on, small ones together.

    A record with several values is in several slices: the share then is of all that are in any, or judged slices that hold
    records several times would make up for others that were not judged.
    """
    rows = record.rows(attack=LOSS, feature=feature)
    total = max(record.num_members, sum(row.num_members for row in rows))
    found = [row for row in rows if row.status == "OK"]
    if not (total > 0 and found):
        return 0.0
    bar = Bar.of(record, policy.max_attack_auc)
    small = [row for row in found if bar.is_small(row)]
    judged = sum(row.num_members for row in found if not bar.is_small(row))
    if small and bar.jointly_within(small):
        judged += sum(row.num_members for row in small)
    return judged / total


def _check_splits(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> _Finding:
    trained, record = _guarantee(evidence), _evaluation(evidence)
    members, others = set(record.member_splits), set(record.nonmember_splits)
    value = f"members {sorted(members)}, others {sorted(others)}"
    if members != set(trained.train_splits):
        return _Finding(
            False,
            value,
            f"The attack took {sorted(members)} for members, but the model was trained on {sorted(trained.train_splits)}. "
            "Set PrivacyEvaluator's member_splits.",
        )
    if members & others:
        return _Finding(False, value, f"Split {min(members & others)!r} is on both sides of the attack.")
    smaller = min(record.num_members, record.num_nonmembers)
    if not record.num_overlapping <= MAX_OVERLAP * smaller:
        return _Finding(
            False,
            f"{record.num_overlapping} on both sides",
            f"{record.num_overlapping} records stand on both sides of the attack, more than {MAX_OVERLAP:.0%} of the smaller one "
            f"({smaller}). Split the data without duplicates.",
        )
    size = trained.population
    if trained.privacy_unit == "user":
        if not record.num_members >= size.records:
            return _Finding(
                False,
                f"{record.num_members} members",
                f"The attack scored {record.num_members} members, but the model was trained on {size.records} users. Give "
                "PrivacyEvaluator the examples that the trainer read.",
            )
    elif size.source == "counted" and record.num_members != size.records:
        return _Finding(
            False,
            f"{record.num_members} members",
            f"The attack scored {record.num_members} members, but the model was trained on {size.records} records. Give "
            "PrivacyEvaluator the examples that the trainer read; where input_fn drops records, declare population.",
        )
    return _Finding(True, value, "The attack's members are the splits that the model was trained on.")


def _check_digest(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> _Finding:
    digest = _known(evidence.model_digest)
    assert isinstance(digest, str)
    for name, stated in (
        ("guarantee", _guarantee(evidence).model_digest),
        ("evaluation", _evaluation(evidence).model_digest),
    ):
        if stated != digest:
            return _Finding(
                False,
                _short(digest),
                f"The {name} is of another model ({_short(stated)}), not of this one ({_short(digest)}). "
                "Wire model, privacy_guarantee and privacy_evaluation from the same run.",
            )
    return _Finding(True, _short(digest), "Guarantee, evaluation and model directory have one digest.")


def _check_time(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> _Finding:
    stated = {"guarantee": _guarantee(evidence).issued_at, "evaluation": _evaluation(evidence).issued_at}
    for name, text in stated.items():
        if not parse_time(text) <= now + _CLOCK_SKEW:
            return _Finding(False, text, f"The {name} is dated {text}, in the future. Check the clocks.")
    return _Finding(True, max(stated.values()), "No evidence is dated in the future.")


def _check_upstream(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> _Finding:
    state = _known(evidence.upstream_blessing)
    if state == UPSTREAM_NOT_WIRED:
        return _Finding(True, UPSTREAM_NOT_WIRED, "No other validator is wired to model_blessing.")
    if state == UPSTREAM_BLESSED:
        return _Finding(True, UPSTREAM_BLESSED, "The validator wired to model_blessing blessed this model.")
    return _Finding(False, str(state), f"The validator wired to model_blessing did not bless this model: {state}.")


def _show_auc(row: AttackResult) -> str:
    assert row.auc is not None
    return f"{row.auc.estimate:.3f} ({row.auc.low:.3f}-{row.auc.high:.3f})"


def _short(digest: str) -> str:
    return f"{digest[:19]}..."


def _rounded_up(value: float) -> str:
    return f"{math.ceil(value * 1e4) / 1e4:.4f}"


_RULES: tuple[tuple[str, Callable[[GatePolicy], str], _Check], ...] = (
    ("epsilon", lambda policy: f"at most {policy.max_epsilon:g}", _check_epsilon),
    ("delta", lambda policy: f"at most {policy.max_delta:g}", _check_delta),
    ("attack_auc", lambda policy: f"upper bound at most {policy.max_attack_auc:g}", _check_attack_auc),
    ("attack_coverage", lambda policy: f"at least {policy.min_slice_coverage:.0%}", _check_coverage),
    ("attack_splits", lambda policy: "the splits trained on", _check_splits),
    ("model_digest", lambda policy: "one model", _check_digest),
    ("issued_at", lambda policy: "not in the future", _check_time),
    (
        "guarantee_scope",
        lambda policy: "anything" if policy.allow_non_dp_preprocessing else "all covered",
        _check_scope,
    ),
    ("model_blessing", lambda policy: "blessed, where wired", _check_upstream),
)
