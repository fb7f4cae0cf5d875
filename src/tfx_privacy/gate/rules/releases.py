"""Rule of the gate on what preprocessing and statistics released: it is of the training's records, and on its terms.

That all of it is in epsilon is for the rule `epsilon`, which recomputes it; that the ledger knows of it, for `ledger`.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from tfx_privacy.gate.evidence import Evidence, Finding
from tfx_privacy.gate.policy import GatePolicy
from tfx_privacy.guarantee.coverage import covered, listed
from tfx_privacy.guarantee.record import BaseModel, CoveredRelease, PrivacyGuarantee, has_canaries
from tfx_privacy.guarantee.spending import identities
from tfx_privacy.releases.record import are_same_users

_REMEDY = (
    "Wire DPTrainer's privacy_releases from the same run, made of the examples that it trains on, with the same privacy unit, "
    "user_id_key, neighbouring relation, ledger and dataset."
)
_UNKNOWN_EXAMPLES = (
    "The span, version and input_fingerprint that ExampleGen gives to its examples must reach DPTrainer. A component of your "
    "own between them must copy these custom properties to the examples that it makes."
)


def check_releases(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """Each release has private noise, is on the training's terms and charged where it is, and is of the same examples."""
    record = evidence.known_guarantee
    inherited = [] if record.base_model is None else record.base_model.releases
    if not record.releases and not inherited:
        return Finding(
            True, "none", "The guarantee is of a training alone: nothing was released of the records besides."
        )
    value = f"{len(record.releases)} release{'' if len(record.releases) == 1 else 's'}"
    if inherited:
        value += f", {len(inherited)} of the base model"
    problems = [
        f"{_name(release)}: {problem}" for release in record.releases for problem in _problems_of_own(record, release)
    ]
    if record.base_model is not None:
        problems += [
            f"{_name(release)}, of the base model: {problem}"
            for release in inherited
            for problem in _problems_of_base(record, record.base_model, release)
        ]
    if problems:
        return Finding(
            False, value, f"What was released does not belong to this training: {'; '.join(problems)}. {_REMEDY}"
        )
    words = covered(record)
    return Finding(
        True,
        value,
        "What was released has private noise, is on the training's terms and of its records"
        + (f": epsilon covers {listed(words)}." if words else ", but epsilon is infinite."),
    )


def _problems_of_own(record: PrivacyGuarantee, release: CoveredRelease) -> Iterator[str]:
    yield from _other_terms(record, release)
    own, stated = record.ledger, release.ledger
    for name, of_training, of_release in (
        ("dataset_id", record.dataset_id, release.dataset_id),
        ("ledger", own and own.ledger_id[:8], stated and stated.ledger_id[:8]),
        ("blocks", own and sorted(own.blocks), stated and sorted(stated.blocks)),
    ):
        if of_release != of_training:
            yield f"{name} is {of_release!r}, and {of_training!r} of the training"
    yield from _other_examples(record, release)


def _problems_of_base(record: PrivacyGuarantee, base: BaseModel, release: CoveredRelease) -> Iterator[str]:
    """A base model may be of other records, which its epsilon allows for; its ledger is that of its training."""
    yield from _other_terms(record, release)
    ledger_id = None if release.ledger is None else release.ledger.ledger_id
    if ledger_id != base.ledger_id:
        yield f"its ledger is {ledger_id!r}, and {base.ledger_id!r} of the base model's training"


def _other_terms(record: PrivacyGuarantee, release: CoveredRelease) -> Iterator[str]:
    if has_canaries(release.examples):
        yield (
            "it is of examples with canaries, which CanaryInserter made of the records' values, so its epsilon is not of one "
            "record. Release of the examples without them"
        )
    if release.is_private is not True:
        yield f"its noise is {release.noise_source}, which whoever knows the seed can subtract"
    for name in ("privacy_unit", "neighboring_relation"):
        if getattr(release, name) != getattr(record, name):
            yield f"{name} is {getattr(release, name)!r}, and {getattr(record, name)!r} of the training"
    own, theirs = record.user_id_key, release.user_id_key
    if not are_same_users(release.privacy_unit, own, theirs):
        yield (
            f"it tells users apart by user_id_key={theirs!r}, and the training by {own!r}"
            + ("" if own and theirs else ", so it is not known to be the same people")
            + ". Give both the same feature, which preprocessing_fn must hand on under its name"
        )


def _other_examples(record: PrivacyGuarantee, release: CoveredRelease) -> Iterator[str]:
    """A release of other records is none of these, and of what does not say which it is nobody knows.

    Where neither says anything, all is added up, which holds whatever was read; that is no contradiction.
    """
    own, read = identities(record.examples), identities(release.examples)
    if not own and not read:
        return
    if not own or not read:
        silent = "release" if own else "training"
        yield f"it is not known to be of the training's examples, as the {silent} does not say which it read. {_UNKNOWN_EXAMPLES}"
    elif own != read:
        yield "it is of other examples than the training (span, version or input_fingerprint differ)"


def _name(release: CoveredRelease) -> str:
    return f"release {release.run_id[:8]} of {release.component}"
