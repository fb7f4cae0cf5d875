"""Trains reference models for a request, next to the model itself, and writes their record."""

from __future__ import annotations

from typing import Any

from tfx import types

from tfx_privacy import training
from tfx_privacy.attacks.reference_models import FILE_NAME, no_references
from tfx_privacy.components import _files
from tfx_privacy.components.dp_trainer import base_model, charge, export, reference_models
from tfx_privacy.components.dp_trainer.reference_models import Journal, Pool
from tfx_privacy.components.dp_trainer.request import Request
from tfx_privacy.errors import InternalError, ParameterError
from tfx_privacy.guarantee.mechanism import DPMechanism, NoMechanism
from tfx_privacy.guarantee.record import ReferenceTrainings
from tfx_privacy.guarantee.spending import Beside


def check_start(request: Request, start: base_model.Start) -> None:
    """Refuses reference models that would begin from a model trained on private records.

    Raises:
      ParameterError: If both were asked for.
    """
    if request.num_references and start.is_private:
        raise ParameterError(
            f"reference_models={request.num_references} is not supported with a base model that was trained on private "
            "records: reference models would begin from it and have seen records that they must not see. Set "
            "reference_models=0, or begin from a public model."
        )


def pool(request: Request, records: training.ColumnarDataset, held_out: training.ColumnarDataset | None) -> Pool | None:
    """What reference models are trained on; None without them."""
    if not request.num_references:
        return None
    assert held_out is not None
    assert request.label_key is not None
    return Pool.of(records, held_out, request.label_key, request.privacy.user_id_key)


def train(
    request: Request,
    model: Any,
    pool: Pool | None,
    plan: charge.Plan,
    mechanism: DPMechanism | NoMechanism,
    digest: str,
    journal: Journal,
    artifact: types.Artifact,
    beside: Beside,
) -> ReferenceTrainings | None:
    """Trains the reference models and writes their record, which says so where there are none."""
    privacy, trainings = plan.resolved.parameters, None
    reference_set = no_references(model_digest=digest, train_splits=request.splits)
    if pool is not None:
        if privacy.target_delta is None:
            raise InternalError(f"A guarantee needs target_delta={privacy.target_delta!r}.")
        reference_models.clear_keras_session(model)
        trained = reference_models.train(
            request.make_model,
            pool,
            plan.resolved,
            plan.noise_multiplier,
            num_models=request.num_references,
            folder=artifact.uri,
            specs=export.feature_specs(model, request.fn_args, request.label_key, privacy.user_id_key),
            journal=journal,
            strategy=request.strategy,
        )
        trainings = reference_models.stated(
            len(trained.digests), trained.lost, mechanism, trained.mechanism, privacy.target_delta, beside
        )
        reference_set = reference_models.record(
            trained,
            pool,
            model_digest=digest,
            train_splits=request.splits,
            eval_splits=request.held_out_splits,
            user_id_key=privacy.user_id_key,
        )
    _files.write_text(artifact.uri, FILE_NAME, reference_set.to_json())
    artifact.set_string_custom_property("num_models", str(reference_set.num_models))
    return trainings
