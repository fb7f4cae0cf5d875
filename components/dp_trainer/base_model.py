"""The model that training begins from: whose it is, and what it brings with it."""

from __future__ import annotations

import dataclasses
from typing import Any

from tfx import types

from tfx_privacy import training
from tfx_privacy.accounting.parameters import DPParameters
from tfx_privacy.components import _files, _signatures
from tfx_privacy.components.accounts import Account
from tfx_privacy.errors import (
    CheckpointError,
    EvidenceError,
    LedgerError,
    ParameterError,
)
from tfx_privacy.guarantee.base_model import (
    begin_from,
    check_composable,
    declared_public,
    scope_of,
)
from tfx_privacy.guarantee.record import FILE_NAME, BaseModel, PrivacyGuarantee, ScopeItem, guarantee_digest
from tfx_privacy.records import statement

BASE_MODEL_KEY = "base_model"
BASE_MODEL_GUARANTEE_KEY = "base_model_guarantee"
BASE_MODEL_IS_PUBLIC_KEY = "base_model_is_public"

_NOTE = "base_model.json"


@dataclasses.dataclass(frozen=True)
class Start:
    """What training begins from."""

    model: BaseModel | None = None
    """None: fresh weights."""
    scope: tuple[ScopeItem, ...] = ()

    @property
    def is_private(self) -> bool:
        """Whether another private training is in the weights."""
        return self.model is not None and self.model.is_private


def check_arguments(*, model: Any, guarantee: Any, is_public: Any) -> None:
    """Checks what is wired: a base model has a guarantee, or is declared public.

    Raises:
      ParameterError: If it has neither, or both, or there is none to have one.
    """
    if model is None:
        if guarantee is not None or is_public:
            raise ParameterError(
                "base_model_guarantee and base_model_is_public are about a base model, and there is none. Give "
                "base_model, or leave them out."
            )
        return
    if (guarantee is not None) == bool(is_public):
        raise ParameterError(
            "A base model must carry its guarantee, or be declared public: what it was trained on is in the new model "
            "too. Give base_model_guarantee=trainer.outputs['privacy_guarantee'] of the DPTrainer that made it, or "
            "base_model_is_public=True if no private record was used for it; one of both."
        )


def read(
    input_dict: dict[str, list[types.Artifact]],
    exec_properties: dict[str, Any],
    privacy: DPParameters,
    account: Account | None,
) -> Start:
    """Reads what training begins from, before any record is read.

    An empty channel is a resolver that found no model yet: training begins from fresh weights.

    Raises:
      ParameterError: If the base model has no guarantee and was not declared public, or nothing could
        be said of the new model.
      EvidenceError: If its guarantee cannot be read, is of another model, or its ledger does not bear it out.
    """
    models = input_dict.get(BASE_MODEL_KEY) or []
    if not models:
        return Start()
    is_public = exec_properties.get(BASE_MODEL_IS_PUBLIC_KEY) == 1
    check_arguments(model=models, guarantee=input_dict.get(BASE_MODEL_GUARANTEE_KEY), is_public=is_public)
    digest = _files.model_digest(_files.single(input_dict, BASE_MODEL_KEY).uri)
    if is_public:
        base = declared_public(digest)
        return Start(base, tuple(scope_of(base, None)))
    records = [_record(artifact) for artifact in input_dict[BASE_MODEL_GUARANTEE_KEY]]
    base = begin_from(records, digest)
    check_composable(base, privacy)
    (record,) = (record for record, _ in records if record.run_id == base.run_id)
    if account is not None and record.ledger is not None:
        _check_ledger(account, record)
    return Start(base, tuple(scope_of(base, record)))


def bind(start: Start, checkpoints: training.Checkpoints | None) -> None:
    """Ties the attempts at a run to one start: what an earlier one began from is in its weights, and goes on in this one.

    Raises:
      CheckpointError: If an earlier attempt began from something else, e.g. because a resolver has
        found a newer model since.
    """
    if checkpoints is None:
        return
    began_from = "none" if start.model is None else start.model.to_json()
    if not checkpoints.has_journal:
        checkpoints.write_note(_NOTE, began_from)
    elif (checkpoints.read_note(_NOTE) or "none") != began_from:
        raise CheckpointError(
            "An earlier attempt in checkpoint_dir began from another base model than "
            f"{'fresh weights' if start.model is None else start.model.model_digest}, and its weights are resumed. "
            "Begin from the same model, or use another folder; what the earlier attempt spent stays spent."
        )


def _record(artifact: types.Artifact) -> tuple[PrivacyGuarantee, str | None]:
    read_text = _signatures.read_signed_text(artifact.uri, FILE_NAME)
    if isinstance(read_text.signer, EvidenceError):
        raise EvidenceError(f"The signature of the base model's guarantee is not valid: {read_text.signer}")
    return statement.from_json(PrivacyGuarantee, read_text.text), read_text.signer


def _check_ledger(account: Account, record: PrivacyGuarantee) -> None:
    """Where both trainings have a ledger, it must know the base model's run as its guarantee states it."""
    from tfx_privacy.ledger import read_runs

    assert record.ledger is not None
    try:
        run = read_runs(account.source, [record.run_id])[record.run_id]
    except LedgerError as error:
        raise EvidenceError(
            f"The base model's guarantee names run {record.run_id} of ledger {record.ledger.ledger_id[:8]}, which the "
            f"ledger of {account.source} does not bear out: {error} Train both with one ledger."
        ) from error
    stated = (record.ledger.ledger_id, "COMMITTED", record.model_digest, guarantee_digest(record))
    if (run.ledger_id, run.state, run.model_digest, run.guarantee_digest) != stated:
        raise EvidenceError(
            f"The ledger of {account.source} does not bear out the base model's guarantee: run {record.run_id} is "
            f"{run.state} there, of model {run.model_digest}. Begin from a model that was trained, committed and "
            "evaluated in one run."
        )
