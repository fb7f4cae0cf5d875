"""Calibrates the noise, and states what was executed."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from typing import Any

from absl import logging
from tfx import types

from tfx_privacy import training
from tfx_privacy._version import __version__
from tfx_privacy.accounting.calibration import calibrate_noise_multiplier
from tfx_privacy.accounting.epsilon import dp_accounting_version
from tfx_privacy.accounting.parameters import ResolvedParameters
from tfx_privacy.components import _signatures, keys
from tfx_privacy.components.dp_trainer import scope
from tfx_privacy.guarantee.recomputation import stated_bounds
from tfx_privacy.guarantee.record import (
    FILE_NAME,
    Accountant,
    BaseModel,
    Population,
    PrivacyGuarantee,
    ReferenceTrainings,
    ScopeItem,
)
from tfx_privacy.guarantee.statement import write_statement
from tfx_privacy.records import base, statement
from tfx_privacy.training import keras_api

# Display copies in ML Metadata are text, because doubles are rounded there.
_SHOWN = ("run_id", "target_delta", "epsilon_pld", "epsilon_rdp", "model_digest")


def calibrated_noise(resolved: ResolvedParameters) -> float | None:
    """The noise multiplier as given, or calibrated to the target; None without privacy."""
    privacy = resolved.parameters
    if not privacy.enabled or privacy.noise_multiplier is not None:
        return privacy.noise_multiplier
    assert privacy.target_epsilon is not None
    assert privacy.target_delta is not None
    logging.info("DPTrainer: calibrating the noise to epsilon=%g", privacy.target_epsilon)
    # The calibration must see the same population, and so the same sampling probability and steps, that are executed.
    run = dataclasses.replace(privacy, population=resolved.population)
    return calibrate_noise_multiplier(
        run,
        target_epsilon=privacy.target_epsilon,
        target_delta=privacy.target_delta,
        accountant=privacy.accountant,
    )


def make_guarantee(
    outcome: training.Outcome,
    resolved: ResolvedParameters,
    model_digest: str,
    splits: list[str],
    scope_items: list[ScopeItem],
    engine: str,
    trainings: ReferenceTrainings | None,
    run_id: str,
    base_model: BaseModel | None = None,
    *,
    trained_records_digest: str | None = None,
) -> PrivacyGuarantee:
    """The guarantee of what was executed; epsilon is computed from the executed mechanism alone."""
    privacy = resolved.parameters
    assert privacy.target_delta is not None
    assert resolved.population is not None
    mechanism = outcome.mechanism
    bounds = stated_bounds(
        mechanism,
        privacy.target_delta,
        base_model=base_model,
        neighboring_relation=privacy.neighboring_relation,
        privacy_unit=privacy.privacy_unit,
    )
    record = PrivacyGuarantee(
        run_id=run_id,
        issued_at=base.utc_now(),
        mechanism=mechanism,
        target_delta=privacy.target_delta,
        neighboring_relation=privacy.neighboring_relation,  # type: ignore[arg-type] # one of the two literals
        privacy_unit=privacy.privacy_unit,  # type: ignore[arg-type]
        max_records_per_user=privacy.max_records_per_user,
        population=Population(
            records=resolved.population, source="declared" if resolved.population_is_declared else "counted"
        ),
        accountant=Accountant(version=dp_accounting_version()),
        engine=f"tfx-privacy {__version__}, {engine}",
        train_splits=splits,
        scope=scope_items,
        model_digest=model_digest,
        trained_records_digest=trained_records_digest,
        base_model=base_model,
        audit=outcome.audit,
        references=trainings,
        statement="",
        epsilon_pld=bounds.pld,
        epsilon_rdp=bounds.rdp,
    )
    return record.model_copy(update={"statement": write_statement(record)})


def write_guarantee(artifact: types.Artifact, record: PrivacyGuarantee) -> None:
    """Writes the file, signed where there is a key, and what people want to see into custom properties."""
    _signatures.write_signed_text(artifact.uri, FILE_NAME, statement.to_json(record))
    for name in _SHOWN:
        artifact.set_string_custom_property(name, str(getattr(record, name)))


def scope_of(
    input_dict: dict[str, list[types.Artifact]], fn_args: Any, *, hyperparameters_are_public: bool
) -> list[ScopeItem]:
    """What the model takes from upstream components, and whether the guarantee covers it; its base model apart."""
    items = _of_preprocessing(input_dict, fn_args)
    if fn_args.hyperparameters is not None:
        items.append(scope.of_hyperparameters(declared_public=hyperparameters_are_public))
    return items


def _of_preprocessing(input_dict: dict[str, list[types.Artifact]], fn_args: Any) -> list[ScopeItem]:
    if fn_args.transform_graph_path:
        return [scope.of_transform_graph(fn_args.transform_graph_path)]
    if input_dict.get(keys.SCHEMA):
        detail = "Names, types and shapes of the features were taken from it to parse the records; no values."
        return [ScopeItem(artifact="schema", covered=True, detail=detail)]
    return []


def keras_version(model: Any) -> str:
    """The model's generation of Keras, with its version."""
    distribution = "keras" if keras_api.is_keras_3(model) else "tf-keras"
    return f"{distribution} {importlib.metadata.version(distribution)}"
