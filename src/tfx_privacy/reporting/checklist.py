"""What should be disclosed of a private model.

The headings follow Ponomareva et al. 2023, "How to DP-fy ML", https://arxiv.org/abs/2303.00654, Section 5.3.3, and the
layers of NIST SP 800-226 (2025), https://doi.org/10.6028/NIST.SP.800-226. They are worded here; the documents are not
quoted. What no record of the pipeline says is answered "Not stated".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from tfx_privacy.attacks.evaluation import PrivacyEvaluation
from tfx_privacy.budget.runs import LedgerRun
from tfx_privacy.errors import EvidenceError
from tfx_privacy.guarantee.mechanism import DPMechanism
from tfx_privacy.guarantee.record import PrivacyGuarantee
from tfx_privacy.records.base import Record, Text
from tfx_privacy.reporting import wording
from tfx_privacy.reporting.uses import NOT_STATED, UNKNOWN, is_private

DP_FY: Literal["How to DP-fy ML, 5.3.3"] = "How to DP-fy ML, 5.3.3"
NIST: Literal["NIST SP 800-226"] = "NIST SP 800-226"
NOT_ESTABLISHED = f"{NOT_STATED}: the gate could not establish what the guarantee states."


class Answer(Record):
    """One heading of a checklist, and what the pipeline's records say to it."""

    source: Literal["How to DP-fy ML, 5.3.3", "NIST SP 800-226"]
    heading: str
    answer: str

    @property
    def is_stated(self) -> bool:
        """Whether anything is known."""
        return not self.answer.startswith(NOT_STATED)


class Metric(Record):
    """One metric of the task over all test records, as TFMA computed it."""

    name: Text
    value: float
    baseline: float | None = None
    """Of a model that was trained without privacy; None where none is given."""


def answers(
    record: PrivacyGuarantee | None,
    attacked: PrivacyEvaluation | None,
    run: LedgerRun | None,
    *,
    signatures: Mapping[str, str | EvidenceError | None],
    is_established: bool,
    utility: Sequence[Metric] = (),
) -> list[Answer]:
    """Both checklists, heading by heading.

    Args:
      record: The guarantee; None if there is no readable one.
      attacked: The evaluation; None likewise.
      run: What the ledger says of the run; None without one.
      signatures: As in the gate's evidence.
      is_established: Whether the gate could recompute the guarantee's epsilon.
      utility: Metrics of the task.
    """
    useful = _utility(attacked, utility)
    formal = UNKNOWN if record is None else _formal(record) if is_established else NOT_ESTABLISHED
    dp_fy = _dp_fy(record, signatures) | {
        "Formal statement": formal, "Utility, compared with a model without privacy": useful,
    }  # fmt: skip
    nist = {"Privacy parameters": formal} | _nist(record, run, attacked) | {"Utility": useful}
    return [
        *(Answer(source=DP_FY, heading=heading, answer=text) for heading, text in dp_fy.items()),
        *(Answer(source=NIST, heading=heading, answer=text) for heading, text in nist.items()),
    ]


def _dp_fy(record: PrivacyGuarantee | None, signatures: Mapping[str, str | EvidenceError | None]) -> dict[str, str]:
    if record is None:
        headings = (
            "Setting of differential privacy", "Uses of the data that are covered", "What the mechanism releases",
            "Unit of privacy",
            "Neighbouring relation", "Accounting", "Assumptions of the accounting", "Formal statement", "Tuning",
            "Hyperparameters of the mechanism", "Transparency",
        )  # fmt: skip
        return dict.fromkeys(headings, UNKNOWN)
    mechanism = record.mechanism
    return {
        "Setting of differential privacy": (
            "Central: the pipeline reads the raw records and is trusted with them; who receives the model is not."
        ),
        "Uses of the data that are covered": _covered(record),
        "What the mechanism releases": (
            "The weights after every step, so checkpoints are covered as well as the final model."
        )
        if is_private(record)
        else "A model without any guarantee.",
        "Unit of privacy": f"{_capital(wording.unit(record))}. {unit_note(record)}",
        "Neighbouring relation": f"{record.neighboring_relation}: {wording.relation(record)}.",
        "Accounting": (
            f"{record.accountant.library} {record.accountant.version}: privacy loss distributions, with Renyi DP as a "
            "check."
        ),
        "Assumptions of the accounting": _assumptions(mechanism)
        if isinstance(mechanism, DPMechanism)
        else "None is made.",
        "Formal statement": "",
        "Tuning": _tuning(record),
        "Hyperparameters of the mechanism": _hyperparameters(mechanism)
        if isinstance(mechanism, DPMechanism)
        else f"{mechanism.steps} steps without clipping or noise.",
        "Transparency": (
            f"Software: {record.engine}. The gate recomputes epsilon from the mechanism. {_signed(signatures)}"
        ),
    }


def _covered(record: PrivacyGuarantee) -> str:
    covers, left_out = wording.covers(record), wording.left_out(record)
    said = f"{_capital(covers)}{f'; {left_out}' if left_out else ''}." if covers else "None, as nothing bounds epsilon."
    return f"{said} All other uses stand in the list above."


def _nist(record: PrivacyGuarantee | None, run: LedgerRun | None, attacked: PrivacyEvaluation | None) -> dict[str, str]:
    mechanism = None if record is None else record.mechanism
    private = mechanism if isinstance(mechanism, DPMechanism) else None
    without = UNKNOWN if record is None else "Without differential privacy there is none."
    return {
        "Is the unit a person?": UNKNOWN if record is None else unit_note(record),
        "Loss over all releases": _all_releases(record, run),
        "Were the attacked records trained on?": _trained_on(record, attacked),
        "Is the mechanism proved and tested?": without
        if private is None or record is None
        else _tested(record, private),
        "Is sensitivity bounded independently of the data?": without if private is None else _sensitivity(private),
        "Noise and its generator": without if private is None else _generator(private),
        "Side channels": without
        if private is None
        else (
            "Noise and sums are in float32: attacks on their last bits (Mironov 2012) are not excluded. The time of a "
            "step depends on the batch's size."
        ),
        "Utility": "",
        "Utility and bias by subgroup": (
            f"{NOT_STATED}: what differs between subgroups here is how well attacks find their records; see the "
            "Evaluator's metrics by slice."
        ),
        "Trust and threat model": (
            "Central. Whoever receives the model may know everything else; whoever can read the data, the logs or the "
            "pipeline's other artifacts is trusted."
        ),
        "Security of the data and access to it": f"{NOT_STATED}: it is outside of what the pipeline records.",
        "Collection, exposure and retention of the data": f"{NOT_STATED}: it is outside of what the pipeline records.",
    }


def _trained_on(record: PrivacyGuarantee | None, attacked: PrivacyEvaluation | None) -> str:
    found = None if attacked is None else attacked.trained_records
    if record is None or found is None or found.digest != record.trained_records_digest:
        return f"{NOT_STATED}: no evaluation held them against the trainer's own record of what it read."
    members, others = found.members, found.nonmembers
    return (
        f"{members.num_trained_on} of {members.num_sampled} sampled members were trained on; {found.num_seen} of "
        f"{found.sketch_size} sampled records that were trained on were attacked; {others.num_trained_on} of "
        f"{others.num_sampled} sampled non-members were trained on."
    )


def unit_note(record: PrivacyGuarantee) -> str:
    """What the privacy unit leaves open."""
    if record.privacy_unit == "example":
        return "Somebody with several records has weaker protection: no bound on records per person is enforced."
    return "The unit is all of a user's records that were used; a person with several user ids counts as several."


def _formal(record: PrivacyGuarantee) -> str:
    if not is_private(record):
        return "Epsilon is infinite: nothing is limited."
    return (
        f"Approximate differential privacy: epsilon = {wording.epsilon(record.stated_epsilon)} at delta = "
        f"{record.target_delta:g}, {_beside(record)}"
    )


def _beside(record: PrivacyGuarantee) -> str:
    units = "records" if record.privacy_unit == "example" else "users"
    share = record.target_delta * record.population.records
    return f"which is {share:.2g} / (number of {units})."


def _assumptions(mechanism: DPMechanism) -> str:
    if mechanism.sampling == "poisson":
        return "Poisson sampling is assumed, and is what was executed: each unit entered every batch by its own coin."
    return "Data were read in passes, each unit once in each; no amplification by sampling or shuffling is assumed."


def _tuning(record: PrivacyGuarantee) -> str:
    item = next((item for item in record.scope if item.artifact == "hyperparameters"), None)
    if item is not None:
        return f"{'Covered' if item.covered else 'Not covered'}. {item.detail}"
    if record.ledger is not None:
        return "Not in this epsilon. Trials that were charged to the ledger are in what the dataset has spent."
    return f"{NOT_STATED}: no Tuner's result was wired, and no ledger counts earlier runs."


def _hyperparameters(mechanism: DPMechanism) -> str:
    clip = f"clip {mechanism.l2_norm_clip:g}" + (", adaptive" if mechanism.adaptive_clipping is not None else "")
    rounds = mechanism.steps * mechanism.sampling_probability
    return (
        f"{'DP-SGD' if mechanism.kind == 'dp_sgd' else 'DP-FTRL'}, noise multiplier {mechanism.noise_multiplier:.6g}, "
        f"{clip}, expected batch {mechanism.expected_batch_size:g}, sampling probability "
        f"{mechanism.sampling_probability:.6g}, {mechanism.steps} steps, which is {rounds:.3g} times through the data."
    )


def _signed(signatures: Mapping[str, str | EvidenceError | None]) -> str:
    words = []
    for part in ("guarantee", "evaluation"):
        found = signatures.get(part)
        state = (
            "unsigned"
            if found is None
            else "its signature is not valid"
            if isinstance(found, EvidenceError)
            else f"signed by {found}"
        )
        words.append(f"{part} {state}")
    return f"{_capital('; '.join(words))}."


def _utility(attacked: PrivacyEvaluation | None, utility: Sequence[Metric]) -> str:
    if utility:
        shown = "; ".join(_shown_metric(metric) for metric in utility)
        beside = (
            "" if any(metric.baseline is not None for metric in utility) else " Of a model without privacy: not given."
        )
        return f"{_capital(shown)}.{beside}"
    points = [] if attacked is None else [point for point in attacked.over_training if point.test_accuracy is not None]
    baseline = "Of a model without privacy: not given."
    if not points:
        return f"{NOT_STATED}: the gate is given no metrics of the task. See the Evaluator's."
    last = max(points, key=lambda point: point.step)
    return f"Test accuracy {last.test_accuracy:.3f} at step {last.step}. {baseline}"


def _shown_metric(metric: Metric) -> str:
    beside = "" if metric.baseline is None else f" ({metric.baseline:.4g} without privacy)"
    return f"{metric.name} {metric.value:.4g}{beside}"


def _all_releases(record: PrivacyGuarantee | None, run: LedgerRun | None) -> str:
    if run is not None:
        return (
            f"All runs that were charged to dataset {run.dataset_id!r}: epsilon {wording.epsilon(run.spent_epsilon)} of "
            f"a budget of {run.budget_epsilon:g} at delta {run.budget_delta:g}. Uses that nobody charged are not in it."
        )
    if record is None:
        return UNKNOWN
    released = " and of what was released besides" if record.releases else ""
    return f"{NOT_STATED}: no ledger was read. This epsilon is of one training run{released}."


def _tested(record: PrivacyGuarantee, mechanism: DPMechanism) -> str:
    source = "Abadi et al. (2016)" if mechanism.kind == "dp_sgd" else "Kairouz et al. (2021)"
    if record.audit is None:
        return f"Proved: {source}. This run was not audited with canaries."
    return (
        f"Proved: {source}. An audit of this run with {record.audit.num_canaries} canaries shows epsilon >= "
        f"{record.audit.epsilon_lower_bound:.3g} with confidence {record.audit.confidence:g}, which does not "
        "contradict what is stated."
        if record.audit.epsilon_lower_bound <= record.stated_epsilon
        else (
            "An audit of this run CONTRADICTS the stated epsilon: it shows at least "
            f"{record.audit.epsilon_lower_bound:.3g}."
        )
    )


def _sensitivity(mechanism: DPMechanism) -> str:
    if mechanism.adaptive_clipping is not None:
        return (
            "Yes: each unit's gradient is clipped; the clip follows a count that is released with its own noise, which "
            "is accounted."
        )
    return f"Yes: each unit's gradient is clipped to the constant {mechanism.l2_norm_clip:g}."


def _generator(mechanism: DPMechanism) -> str:
    if not mechanism.is_private:
        return "NOT PRIVATE: a deterministic stream for tests, which whoever knows the seed can subtract."
    more = (
        ", with four numbers added for each (Holohan and Braghin 2021)"
        if mechanism.noise_source == "os_entropy_secure"
        else ""
    )
    return f"Gaussian noise from AES-256 in counter mode, under a key of the operating system that was not kept{more}."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
