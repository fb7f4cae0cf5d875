"""Calibrates the noise, and states what was executed."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import math
from collections.abc import Sequence
from typing import Any, Literal

import pydantic
import tensorflow as tf
from absl import logging
from tfx import types

from tfx_privacy import training
from tfx_privacy._version import __version__
from tfx_privacy.accounting.calibration import calibrate_noise_multiplier
from tfx_privacy.accounting.composition import composed
from tfx_privacy.accounting.epsilon import dp_accounting_version
from tfx_privacy.accounting.parameters import DPParameters, ResolvedParameters
from tfx_privacy.budget.runs import LedgerPosition
from tfx_privacy.components import _signatures, examples_read, keys
from tfx_privacy.components.accounts import Account
from tfx_privacy.components.dp_trainer import reference_models, scope
from tfx_privacy.components.dp_trainer.releases import SOURCE_EXAMPLES_KEY
from tfx_privacy.components.dp_trainer.releases import Read as Released
from tfx_privacy.errors import ParameterError
from tfx_privacy.guarantee import planned as planned_guarantee
from tfx_privacy.guarantee.mechanism import DPMechanism, NoMechanism
from tfx_privacy.guarantee.recomputation import stated_bounds
from tfx_privacy.guarantee.record import (
    FILE_NAME,
    Accountant,
    BaseModel,
    CoveredRelease,
    ParameterSource,
    Population,
    PrivacyGuarantee,
    ReferenceTrainings,
    ScopeItem,
    TrainedLabel,
)
from tfx_privacy.guarantee.spending import Beside, Group, Spending, delta_after_thresholds
from tfx_privacy.guarantee.statement import write_statement
from tfx_privacy.records import base, statement, strict_json
from tfx_privacy.releases.record import ExamplesRead
from tfx_privacy.training import keras_api

# Stand for what only a run gives.
_NO_DIGEST, _NO_RUN = f"sha256:{'0' * 64}", "0" * 32
# Display copies in ML Metadata are text, because doubles are rounded there.
_SHOWN = ("run_id", "target_delta", "epsilon_pld", "epsilon_rdp", "model_digest")


def calibrated_noise(resolved: ResolvedParameters, beside: Beside) -> float | None:
    """The noise multiplier as given, or calibrated to the target; None without privacy.

    Args:
      resolved: The run.
      beside: What was released of the same records: the target is for all of it together. A base model's trainings are
        left out, as the target is for what this pipeline spends.

    Raises:
      ParameterError: If the target cannot be reached beside the releases.
    """
    privacy = resolved.parameters
    if not privacy.enabled or privacy.noise_multiplier is not None:
        return privacy.noise_multiplier
    privacy.check_noise_is_known()
    assert privacy.target_epsilon is not None
    logging.info("DPTrainer: calibrating the noise to epsilon=%g", privacy.target_epsilon)
    # The calibration must see the same population, and so the same sampling probability and steps, that are executed.
    run = dataclasses.replace(privacy, population=resolved.population)
    released = dataclasses.replace(beside, base_model=None)
    groups = released.groups()
    if groups is None:
        raise ParameterError("What was released is not private, or not on this training's terms, so no noise would do.")
    _check_others(released, privacy)
    # More noise is never less private, so the largest does for every group of splits.
    return max(_noise_for(group, run, _target_delta(resolved)) for group in groups if group.is_trained_on)


def _noise_for(group: Group, run: DPParameters, target_delta: float) -> float:
    """For the records of some splits."""
    assert run.target_epsilon is not None
    return calibrate_noise_multiplier(
        run,
        target_epsilon=run.target_epsilon,
        target_delta=delta_after_thresholds(target_delta, group.delta_spent),
        accountant=run.accountant,
        beside=group.events,
    )


def _check_others(beside: Beside, privacy: DPParameters) -> None:
    """What was released of splits that are not trained on is in the target too."""
    assert privacy.target_epsilon is not None
    assert privacy.target_delta is not None
    for group in beside.groups() or ():
        if group.is_trained_on:
            continue
        bounds = Spending(composed(group.events), group.delta_spent).bounds(privacy.target_delta)
        if bounds is None or not (bounds.best if privacy.accountant == "pld" else bounds.rdp) <= privacy.target_epsilon:
            raise ParameterError(
                f"target_epsilon={privacy.target_epsilon:g} cannot be reached: what was released of the splits "
                f"{', '.join(group.splits)} spends epsilon={math.inf if bounds is None else bounds.best:.4g} without any "
                "training. Raise target_epsilon, or release it with more noise."
            )


@dataclasses.dataclass(frozen=True)
class Terms:
    """What a guarantee says besides what training did: known before a record is read."""

    splits: list[str]
    scope: list[ScopeItem]
    engine: str
    base_model: BaseModel | None
    account: Account | None
    num_references: int
    lost_references: int
    """Reference trainings that earlier attempts began."""
    sources: list[ParameterSource]
    """Of noise and clip."""
    labels: list[TrainedLabel]
    """Those that are known by then."""
    releases: list[CoveredRelease]
    """What was released of the same records, all of it in epsilon."""
    examples: list[ExamplesRead]
    """Which are trained on."""
    splits_disjoint_for: Literal["example", "user"] | None
    """Unit of which nobody is in two splits of these."""

    def beside(self, privacy: DPParameters) -> Beside:
        """What else epsilon is of."""
        return Beside(
            base_model=self.base_model,
            releases=self.releases,
            neighboring_relation=privacy.neighboring_relation,
            privacy_unit=privacy.privacy_unit,
            user_id_key=privacy.user_id_key,
            train_splits=self.splits,
            examples=self.examples,
            splits_disjoint_for=self.splits_disjoint_for,
        )


def check(terms: Terms, resolved: ResolvedParameters, planned: DPMechanism | NoMechanism) -> None:
    """Makes the statement that a run will make, before it is charged or reads a record: what it could not say ends it here.

    Of the record only the model's digest, the run's ids and what an audit will find are made up. A run that is
    resumed may have lost steps by its end, but never more of them than were planned, so it spends no more.

    Args:
      terms: What is known.
      resolved: The run.
      planned: Its mechanism, of `training.check_run`.

    Raises:
      ParameterError: If it could not be written, or not be read again.
      AccountingError: If there is no epsilon, or one that cannot be true.
    """
    references, (num, lost) = None, (terms.num_references, terms.lost_references)
    try:
        if num:
            beside = terms.beside(resolved.parameters)
            references = reference_models.stated(num, lost, planned, planned, _target_delta(resolved), beside)
        record = make_guarantee(
            training.Outcome(planned), resolved, terms, _NO_DIGEST, references, _NO_RUN, labels=terms.labels
        )
        if terms.account is not None:
            record = placed(record, terms.account, _position(terms.account))
    except pydantic.ValidationError as error:
        raise ParameterError(f"No valid guarantee could be written of this run, so it is not begun. {error}") from error
    planned_guarantee.check(record)


def placed(record: PrivacyGuarantee, account: Account, position: LedgerPosition) -> PrivacyGuarantee:
    """The guarantee with its place in the ledger."""
    found = record.model_copy(update={"dataset_id": account.dataset_id, "ledger": position})
    return found.model_copy(update={"statement": write_statement(found)})


def _position(account: Account) -> LedgerPosition:
    """As long as one can be."""
    return LedgerPosition(
        ledger_id=_NO_RUN,
        blocks=sorted(account.blocks),
        sequence=strict_json.MAX_INTEGER,
        entry_hash=_NO_DIGEST,
        reference_run_ids=[_NO_RUN],
    )


def _target_delta(resolved: ResolvedParameters) -> float:
    if resolved.parameters.target_delta is None:
        raise ParameterError("target_delta is not set. Choose one below 1 / number of records, e.g. 1e-6.")
    return resolved.parameters.target_delta


def make_guarantee(
    outcome: training.Outcome,
    resolved: ResolvedParameters,
    terms: Terms,
    model_digest: str,
    trainings: ReferenceTrainings | None,
    run_id: str,
    *,
    labels: Sequence[TrainedLabel],
    trained_records_digest: str | None = None,
) -> PrivacyGuarantee:
    """The guarantee of what was executed; epsilon is computed from the executed mechanism alone."""
    privacy, target_delta = resolved.parameters, _target_delta(resolved)
    if resolved.population is None:
        raise ParameterError("The number of records is not known. Declare population in DPParameters.")
    mechanism = outcome.mechanism
    bounds = stated_bounds(mechanism, target_delta, beside=terms.beside(privacy))
    record = PrivacyGuarantee(
        run_id=run_id,
        issued_at=base.utc_now(),
        mechanism=mechanism,
        target_delta=target_delta,
        neighboring_relation=privacy.neighboring_relation,  # type: ignore[arg-type] # one of the two literals
        privacy_unit=privacy.privacy_unit,  # type: ignore[arg-type]
        max_records_per_user=privacy.max_records_per_user,
        user_id_key=privacy.user_id_key,
        population=Population(
            records=resolved.population, source="declared" if resolved.population_is_declared else "counted"
        ),
        accountant=Accountant(version=dp_accounting_version()),
        engine=f"tfx-privacy {__version__}, {terms.engine}",
        sources=terms.sources,
        train_splits=terms.splits,
        examples=terms.examples,
        splits_disjoint_for=terms.splits_disjoint_for,
        releases=terms.releases,
        labels=list(labels),
        scope=terms.scope,
        declared_record_wise=list(outcome.declared_record_wise),
        model_digest=model_digest,
        trained_records_digest=trained_records_digest,
        base_model=terms.base_model,
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
    input_dict: dict[str, list[types.Artifact]],
    fn_args: Any,
    released: Released,
    *,
    hyperparameters_are_public: bool,
    schema_is_public: bool,
    names_classes: bool,
) -> list[ScopeItem]:
    """What the model takes from upstream components, and whether the guarantee covers it; its base model apart.

    Args:
      input_dict: Of DPTrainer.
      fn_args: TFX's FnArgs.
      released: What is in epsilon besides the training.
      hyperparameters_are_public: As the pipeline's author declared.
      schema_is_public: Likewise, or the schema was imported.
      names_classes: Whether texts of the schema are in the served model.
    """
    graph = fn_args.transform_graph_path
    # TFX's Transform hands nothing on, so what it was given is asked as well.
    sources = [*input_dict.get(SOURCE_EXAMPLES_KEY, []), *input_dict.get(keys.EXAMPLES, [])]
    items = scope.of_examples(examples_read.of(sources))
    if graph:
        items.append(scope.of_transform_graph(graph, released.all))
    if input_dict.get(keys.SCHEMA):
        items.append(
            scope.of_schema(
                parses_records=not graph,
                releases=released.of_schema,
                names_classes=names_classes,
                declared_public=schema_is_public,
            )
        )
    if fn_args.hyperparameters is not None:
        items.append(scope.of_hyperparameters(declared_public=hyperparameters_are_public))
    return items


def engine(model: Any) -> str:
    """TensorFlow and the model's generation of Keras, with their versions."""
    distribution = "keras" if keras_api.is_keras_3(model) else "tf-keras"
    return f"tensorflow {tf.__version__}, {distribution} {importlib.metadata.version(distribution)}"
