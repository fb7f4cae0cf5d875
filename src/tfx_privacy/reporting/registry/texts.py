"""The texts of an entry, from the evidence: Markdown, as the registry shows them, with what comes from the data escaped."""

from __future__ import annotations

from collections.abc import Iterator

from tfx_privacy.gate.verdict import Verdict
from tfx_privacy.guarantee import coverage
from tfx_privacy.guarantee.mechanism import DPMechanism
from tfx_privacy.guarantee.record import PrivacyGuarantee
from tfx_privacy.reporting import checklist, uses, wording
from tfx_privacy.reporting.markdown import escaped
from tfx_privacy.reporting.registry.basis import Basis

# What of the checklists belongs to the mechanism, in reading order.
_MECHANISM = (
    "Hyperparameters of the mechanism",
    "Assumptions of the accounting",
    "Is sensitivity bounded independently of the data?",
    "Noise and its generator",
    "Side channels",
    "Is the mechanism proved and tested?",
)


def description(found: Basis) -> str:
    """What trained the model, and why it is no private deployment where it is none."""
    return " ".join([*map(escaped, found.objections.values()), *map(escaped, _trained(found.guarantee))])


def _trained(record: PrivacyGuarantee | None) -> Iterator[str]:
    if record is None:
        return
    mechanism = record.mechanism
    how = "without differential privacy"
    if isinstance(mechanism, DPMechanism):
        known = "" if mechanism.is_private else ", with noise that whoever knows the seed can subtract,"
        how = f"by {'DP-SGD' if mechanism.kind == 'dp_sgd' else 'DP-FTRL'}{known}"
    units = "records" if record.privacy_unit == "example" else "users"
    named = f" of the dataset {record.dataset_id}" if record.dataset_id else ""
    yield (
        f"Trained {how} in {mechanism.steps} steps on {record.population.records} {units}{named}, splits "
        f"{', '.join(record.train_splits)}. Digest of the model: {record.model_digest}."
    )


def adjacent(record: PrivacyGuarantee) -> str:
    """Which data sets are neighbours, and what the unit leaves open."""
    unit = "one record" if record.privacy_unit == "example" else "all records of one user"
    bound = "" if record.privacy_unit == "example" else f", of which at most {record.max_records_per_user} are used"
    differ = (
        f"one has {unit} more than the other"
        if record.neighboring_relation == "ADD_OR_REMOVE_ONE"
        else f"one has nothing in the place of {unit} of the other (zero-out)"
    )
    note = checklist.unit_note(record)
    return escaped(f"{record.neighboring_relation}: two data sets are adjacent if {differ}{bound}. {note}")


def parameters(found: Basis) -> str:
    """What epsilon is of, how it was computed, and what is not in it."""
    if found.bounded is None:
        return escaped(" ".join(found.objections.values()))
    record, epsilon = found.bounded
    left_out = wording.left_out(record)
    said = [
        f"epsilon = {wording.epsilon(epsilon)} at delta = {record.target_delta!r} covers {wording.covers(record)}"
        f"{f'; {left_out}' if left_out else ''}.",
        f"{found.answers['Accounting']} An upper bound, recomputed from the mechanism that was executed.",
    ]
    said = [*found.objections.values(), *said]
    if record.audit is not None:
        said.append(found.answers["Is the mechanism proved and tested?"])
    return escaped(" ".join(said))


def unprotected(found: Basis) -> str:
    """Every use of the data that epsilon does not cover, and what nobody stated: in the model, and beside it."""
    rows = [(row.use, f"{_STANDING[row.covered]} {row.detail}") for row in found.coverage if row.covered != "yes"]
    return _list([*rows, *_evaluated(found), *_beside_the_model(found.guarantee)])


_STANDING = {"no": "Not protected.", "not stated": "Not stated whether protected."}


def _evaluated(found: Basis) -> Iterator[tuple[str, str]]:
    """The evaluation's own results, which are of the records and have no noise: named here, and not given."""
    attacked = found.evaluation
    if attacked is not None:
        results = ["rows of attacks by slice, whose names are values of features"]
        results += ["other estimates"] if attacked.findings else []
        results += ["curves and distributions of scores"] if attacked.curves else []
        results += ["losses and accuracies during training"] if attacked.over_training else []
        yield (
            "Results of this model's evaluation",
            f"Not protected: {coverage.listed(results)}, computed without noise. None of them is in this entry.",
        )
    if found.utility:
        names = ", ".join(metric.name for metric in found.utility)
        yield (
            "Metrics of the task",
            f"Not protected: {names}, of all test records, without noise. None is in this entry.",
        )


def _beside_the_model(record: PrivacyGuarantee | None) -> Iterator[tuple[str, str]]:
    if record is not None and record.trained_records_digest is not None:
        yield (
            "File of the records that were trained on",
            "Not protected. A private file next to the model tells by keyed hashes which records were read; it is not to be "
            "published.",
        )


def composition(found: Basis) -> str:
    """How the steps, other trainings and other runs add up."""
    record = found.guarantee
    rows = [("Steps", f"Sequential composition. {found.answers['Accounting']}")]
    rows += [(row.use, row.detail) for row in found.coverage if row.is_release]
    if record is not None and record.base_model is not None:
        rows += [(row.use, row.detail) for row in found.coverage if row.use == uses.BASE_MODEL]
    rows.append(("All releases", found.answers["Loss over all releases"]))
    rows += [(row.use, row.detail) for row in found.coverage if row.use == uses.OTHER_TRAININGS]
    return _list(rows)


def before_training(found: Basis) -> str:
    """What preprocessing, exploration and tuning took from the records, and whether epsilon covers it."""
    rows = [("Covered by epsilon", _covers(found))]
    rows += [
        (row.use, f"{_COVERED[row.covered]} {row.detail}")
        for row in found.coverage
        if row.is_before_training or row.use == uses.OTHER_TRAININGS
    ]
    return _list(rows)


def _covers(found: Basis) -> str:
    if found.bounded is None:
        return "Nothing."
    record, _ = found.bounded
    return "; ".join(filter(None, [wording.covers(record), wording.left_out(record)])) + "."


_COVERED = {"yes": "Covered.", "no": "Not covered.", "not stated": "Not stated."}


def mechanisms(found: Basis) -> str:
    """The mechanism, its software, and what was done against attacks on the implementation."""
    rows = [(heading, found.answers[heading]) for heading in _MECHANISM]
    rows += [(row.use, row.detail) for row in found.coverage if row.is_release]
    if found.guarantee is not None:
        software = found.answers["Transparency"] if found.verdict is not None else f"{found.guarantee.engine}."
        rows.append(("Software", software.removeprefix("Software: ")))
    if found.guarantee is not None and found.guarantee.declared_record_wise:
        names = ", ".join(found.guarantee.declared_record_wise)
        rows.append(("On the author's word", f"These treat each record by itself, which nothing proved: {names}."))
    return _list(rows)


def notes(found: Basis) -> str:
    """What the gate said; or that there was none."""
    verdict = found.verdict
    if verdict is None:
        return (
            "Made from the guarantee alone: no gate looked at it. Whether it is of the model that is deployed, who signed it, "
            "and what attacks find was not checked."
        )
    return _list(list(_verdict(verdict)))


def _verdict(verdict: Verdict) -> Iterator[tuple[str, str]]:
    """Without what the rules found: that is of the records, and has no noise."""
    yield "Verdict of the privacy gate", f"{verdict.headline}, {verdict.decided_at}, policy {verdict.policy_digest}."
    refused = [*(rule.rule for rule in verdict.failures), *verdict.missing]
    if refused:
        yield "Refused by", f"{', '.join(refused)}. The gate's report says why."
    for used in verdict.exceptions_used:
        yield f"Excepted: {used.rule}", f"Limit {used.limit}, by {used.approver} until {used.expires}: {used.reason}"


def _list(rows: list[tuple[str, str]]) -> str:
    return "\n".join(f"- **{escaped(name)}**: {escaped(text)}" for name, text in rows)
