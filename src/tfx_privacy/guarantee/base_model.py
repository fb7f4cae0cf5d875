"""Training that begins from another model's weights: what that model's guarantee adds to the new one.

Differential privacy composes: whoever sees the new model sees a function of the base model, and so of the
records that one was trained on. Nothing shows that these are not the records of the new training, so both are
added up as if they were.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tfx_privacy.accounting.parameters import DPParameters
from tfx_privacy.errors import EvidenceError, ParameterError
from tfx_privacy.guarantee.recomputation import recomputed_epsilon
from tfx_privacy.guarantee.record import (
    MAX_RELEASES,
    BaseModel,
    CoveredRelease,
    PrivacyGuarantee,
    ScopeItem,
    guarantee_digest,
)
from tfx_privacy.releases.record import are_same_users


def declared_public(model_digest: str) -> BaseModel:
    """A base model of which the pipeline's author says that no private record was used for it."""
    return BaseModel(model_digest=model_digest, source="public")


def begin_from(records: Sequence[tuple[PrivacyGuarantee, str | None]], model_digest: str) -> BaseModel:
    """What a guarantee states of the private model that training begins from.

    Args:
      records: Guarantees that may be the base model's, each with the key of its signature, None without one.
      model_digest: Of the base model's directory, taken now.

    Returns:
      The base model with all trainings that are in its weights, those of its own base models first.

    Raises:
      EvidenceError: If not exactly one of the guarantees is of this model, or it states less than
        its own mechanism spends.
    """
    own = [(record, signed_by) for record, signed_by in records if record.model_digest == model_digest]
    if len(own) != 1:
        stated = ", ".join(record.model_digest for record, _ in records) or "none"
        raise EvidenceError(
            f"Expected exactly one guarantee of the base model {model_digest}; {len(own)} of {len(records)} are (they "
            f"are of: {stated}). Wire base_model and base_model_guarantee from the same run of a DPTrainer."
        )
    ((record, signed_by),) = own
    recomputed_epsilon(record)
    earlier = record.base_model
    return BaseModel(
        model_digest=model_digest,
        source="private",
        run_id=record.run_id,
        guarantee_digest=guarantee_digest(record),
        epsilon="inf" if math.isinf(record.stated_epsilon) else record.stated_epsilon,
        target_delta=record.target_delta,
        trainings=[*(earlier.trainings if earlier is not None else []), record.mechanism],
        releases=_releases(record),
        neighboring_relation=record.neighboring_relation,
        privacy_unit=record.privacy_unit,
        user_id_key=record.user_id_key,
        ledger_id=None if record.ledger is None else record.ledger.ledger_id,
        signed_by=signed_by,
    )


def _releases(record: PrivacyGuarantee) -> list[CoveredRelease]:
    """All that are in a model's epsilon; what one release gave to it and to its own base model is there once."""
    earlier = record.base_model.releases if record.base_model is not None else []
    own = {(release.run_id, release.release_digest) for release in record.releases}
    found = [*(each for each in earlier if (each.run_id, each.release_digest) not in own), *record.releases]
    if len({release.run_id for release in found}) != len(found) or len(found) > MAX_RELEASES:
        raise EvidenceError(
            f"The base model's guarantee has {len(found)} releases, its own base models' included: more than "
            f"{MAX_RELEASES}, or two of one run_id. Begin from a model with fewer, or from fresh weights."
        )
    return found


def scope_of(base: BaseModel, record: PrivacyGuarantee | None) -> list[ScopeItem]:
    """What a base model brings with it: itself, and what its own guarantee does not cover."""
    if not base.is_private or record is None:
        detail = "Declared public by the pipeline's author (base_model_is_public); nothing checked it."
        return [ScopeItem(artifact="base_model", covered=True, detail=detail)]
    added = ScopeItem(artifact="base_model", covered=True, detail="Its training is part of epsilon.")
    return [added, *(_inherited(item) for item in record.scope if not item.covered)]


def check_composable(base: BaseModel, privacy: DPParameters) -> None:
    """Refuses a training of which nothing could be said afterwards.

    Args:
      base: What it would begin from.
      privacy: What it was asked for.

    Raises:
      ParameterError: If the base model was trained without privacy, or for another privacy unit or
        neighbouring relation.
    """
    if not base.is_private or not privacy.enabled:
        return
    if any(part.kind == "none" or not part.is_private for part in base.trainings) or not all(
        release.is_private for release in base.releases
    ):
        raise ParameterError(
            f"The base model {base.model_digest} was trained without differential privacy (epsilon is infinite), and "
            "any model fine-tuned from it would be too. Begin from a model that DPTrainer trained with privacy, or "
            "from fresh weights; if all of its training data are public, set base_model_is_public=True in place of "
            "base_model_guarantee."
        )
    for name, of_base, wanted in (
        ("privacy_unit", base.privacy_unit, privacy.privacy_unit),
        ("neighboring_relation", base.neighboring_relation, privacy.neighboring_relation),
    ):
        if of_base != wanted:
            raise ParameterError(
                f"The base model's guarantee is for {name}={of_base!r}, this training for {wanted!r}: their epsilons "
                f"cannot be added up. Train both with the same {name}, or begin from fresh weights."
            )
    if not are_same_users(privacy.privacy_unit, base.user_id_key, privacy.user_id_key):
        raise ParameterError(
            f"The base model's guarantee is for users by user_id_key={base.user_id_key!r}, this training for users by "
            f"{privacy.user_id_key!r}: their epsilons cannot be added up. Train both with the same user_id_key, or begin from "
            "fresh weights."
        )


def _inherited(item: ScopeItem) -> ScopeItem:
    return item.model_copy(update={"detail": f"Of the base model: {item.detail}"})
