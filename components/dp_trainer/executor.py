"""DPTrainer's work: read the records, train, save, and state what was executed."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import secrets
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from absl import logging
from tfx import types
from tfx.components.trainer import executor as trainer_executor
from tfx.components.util import udf_utils
from tfx.proto import trainer_pb2
from tfx.types import artifact_utils
from tfx.utils import proto_utils

from tfx_privacy import __version__, training
from tfx_privacy.components import _files
from tfx_privacy.components.dp_trainer import data, export, references, scope
from tfx_privacy.privacy import _records, _validate, accounting, attack_history, guarantee
from tfx_privacy.privacy import references as records_of_references
from tfx_privacy.privacy.errors import ParameterError
from tfx_privacy.privacy.evaluation import Checkpoint
from tfx_privacy.privacy.parameters import DPParameters, ResolvedParameters
from tfx_privacy.training import keras_api, over_training

PRIVACY_KEY = "privacy"
TARGET_EPSILON_KEY = "target_epsilon"
LABEL_KEY = "label_key"
CHECKPOINT_DIR_KEY = "checkpoint_dir"
DISTRIBUTION_KEY = "distribution"
DISTRIBUTIONS = ("none", "mirrored")
NUM_REFERENCE_MODELS_KEY = "num_reference_models"
ATTACKS_DURING_TRAINING_KEY = "attacks_during_training"
PRIVACY_GUARANTEE_KEY = "privacy_guarantee"
REFERENCE_MODELS_KEY = "reference_models"

_REPORTS_PER_RUN = 20
_MAX_ATTACKS = 1000
# Where display copies stand in ML Metadata: as text, because doubles are rounded there.
_SHOWN = ("run_id", "target_delta", "epsilon_pld", "epsilon_rdp", "model_digest")


@dataclasses.dataclass(frozen=True)
class _Request:
    """What a run was asked for, and the user's functions."""

    privacy: DPParameters
    label_key: str | None
    splits: list[str]
    held_out_splits: list[str]
    """Of records that the model does not see; none where neither reference models nor attacks need them."""
    num_references: int
    num_attacks: int
    """How often to attack the model while it trains."""
    strategy: Any
    fn_args: Any
    model_fn: Callable[..., Any]
    input_fn: Callable[..., Any] | None
    signatures_fn: Callable[..., Any] | None

    def make_model(self) -> Any:
        """A fresh model."""
        with self.strategy.scope() if self.strategy else contextlib.nullcontext():
            return self.model_fn(self.fn_args)

    def read(self, patterns: Sequence[str]) -> training.ColumnarDataset:
        """The records of some files."""
        records = data.read(self.fn_args, self.label_key, self.input_fn, patterns)
        return records if self.privacy.user_id_key is None else records.with_users(self.privacy.user_id_key)

    def read_held_out(self) -> training.ColumnarDataset | None:
        """Records that the model does not see; None where nothing needs them."""
        return self.read(self.fn_args.eval_files) if self.held_out_splits else None


class Executor(trainer_executor.GenericExecutor):
    """Executor of DPTrainer; takes FnArgs from TFX's own Trainer."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Trains privately.

        Args:
          input_dict: `examples`, and optionally `transform_graph` and `schema`.
          output_dict: `model`, `model_run`, `privacy_guarantee` and `reference_models`.
          exec_properties: As DPTrainerSpec declares them.

        Raises:
          TFXPrivacyError: If a parameter, the model or the data breaks a rule; no guarantee is written then.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        request = self._request(input_dict, output_dict, exec_properties)
        model = request.make_model()
        records = request.read(request.fn_args.train_files)
        held_out = request.read_held_out()
        attack = over_training.LossAttack(model, records, held_out) if request.num_attacks and held_out else None
        pool = _pool(request, records, held_out)
        if pool is not None:
            records = pool.members
        resolved = request.privacy.resolve(population=records.num_units(request.privacy.privacy_unit))
        if pool is not None:
            references.check(resolved, pool, request.num_references)
        noise_multiplier = calibrated_noise(resolved)
        engine = f"tensorflow {tf.__version__}, {_keras(model)}"
        with _checkpoints(exec_properties) as checkpoints:
            outcome, history = self._train(
                model, records, resolved, noise_multiplier, request, attack, checkpoints=checkpoints
            )
            digest = _save(model, request, artifact_utils.get_single_instance(output_dict["model"]))
            if attack is not None:
                _write_history(request, attack, history, digest)
            trainings = _train_references(
                request,
                model,
                pool,
                resolved,
                outcome.mechanism,
                noise_multiplier,
                digest,
                exec_properties,
                output_dict,
            )
            record = make_guarantee(
                outcome, resolved, digest, request.splits, _scope(input_dict, request.fn_args), engine, trainings
            )
            write_guarantee(artifact_utils.get_single_instance(output_dict[PRIVACY_GUARANTEE_KEY]), record)
            if checkpoints:
                checkpoints.finish()
        logging.info("DPTrainer: %s", record.statement)

    def _request(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> _Request:
        """Reads what was asked for, and refuses what cannot be done before any record is read."""
        splits = train_splits(input_dict, exec_properties)
        input_fn = user_function(exec_properties, "input_fn")
        num_references = num_reference_models(exec_properties, input_fn)
        num_attacks = check_num_attacks(attacks_during_training=exec_properties.get(ATTACKS_DURING_TRAINING_KEY) or 0)
        reads_held_out = bool(num_references or num_attacks)
        return _Request(
            privacy=read_parameters(exec_properties),
            label_key=exec_properties.get(LABEL_KEY) or user_function(exec_properties, "LABEL_KEY"),
            splits=splits,
            held_out_splits=eval_splits(input_dict, exec_properties, splits) if reads_held_out else [],
            num_references=num_references,
            num_attacks=num_attacks,
            strategy=distribution_strategy(exec_properties),
            fn_args=self._GetFnArgs(input_dict, output_dict, exec_properties),
            model_fn=required_function(exec_properties, "model_fn"),
            input_fn=input_fn,
            signatures_fn=user_function(exec_properties, "signatures_fn"),
        )

    def _train(
        self,
        model: Any,
        records: training.ColumnarDataset,
        resolved: ResolvedParameters,
        noise_multiplier: float | None,
        request: _Request,
        attack: over_training.LossAttack | None,
        **options: Any,
    ) -> tuple[training.Outcome, list[Checkpoint]]:
        report, every = _reporter(resolved, noise_multiplier), resolved.steps // _REPORTS_PER_RUN
        history: list[Checkpoint] = []
        if attack is not None:
            measure, history = over_training.at_checkpoints(attack, steps=resolved.steps, times=request.num_attacks)
            every, report = min(every, resolved.steps // request.num_attacks), _both(report, measure)
        writer = tf.summary.create_file_writer(request.fn_args.model_run_dir)
        with writer.as_default():
            outcome = training.train(
                model,
                records,
                resolved,
                noise_multiplier=noise_multiplier,
                on_progress=report,
                progress_every=max(1, every),
                strategy=request.strategy,
                **options,
            )
        return outcome, history


def _both(
    report: Callable[[training.Progress], None], measure: Callable[[int], None]
) -> Callable[[training.Progress], None]:
    def both(progress: training.Progress) -> None:
        report(progress)
        measure(progress.step)

    return both


def _pool(
    request: _Request, records: training.ColumnarDataset, held_out: training.ColumnarDataset | None
) -> references.Pool | None:
    """What reference models are trained on; None without them."""
    if not request.num_references:
        return None
    assert held_out is not None
    assert request.label_key is not None
    return references.Pool.of(records, held_out, request.label_key, request.privacy.user_id_key)


def _write_history(
    request: _Request, attack: over_training.LossAttack, checkpoints: list[Checkpoint], digest: str
) -> None:
    """Writes what the attacks during training found: functions of the records without noise."""
    history = attack_history.AttackHistory(
        model_digest=digest,
        member_splits=request.splits,
        nonmember_splits=request.held_out_splits,
        num_members=len(attack.members),
        num_nonmembers=len(attack.nonmembers),
        confidence_level=over_training.CONFIDENCE_LEVEL,
        checkpoints=checkpoints,
    )
    _files.write_text(request.fn_args.model_run_dir, attack_history.FILE_NAME, history.to_json())


def _save(model: Any, request: _Request, artifact: types.Artifact) -> str:
    """Saves the model; returns its digest."""
    export.save(model, request.fn_args, request.label_key, request.signatures_fn, request.privacy.user_id_key)
    if request.label_key:
        artifact.set_string_custom_property(LABEL_KEY, request.label_key)
    return _files.directory_digest(artifact.uri)


def _train_references(
    request: _Request,
    model: Any,
    pool: references.Pool | None,
    resolved: ResolvedParameters,
    mechanism: guarantee.DPMechanism | guarantee.NoMechanism,
    noise_multiplier: float | None,
    digest: str,
    exec_properties: dict[str, Any],
    output_dict: dict[str, list[types.Artifact]],
) -> guarantee.ReferenceTrainings | None:
    """Trains the reference models and writes their record, which says so where there are none."""
    artifact = artifact_utils.get_single_instance(output_dict[REFERENCE_MODELS_KEY])
    privacy, trainings = resolved.parameters, None
    reference_set = records_of_references.no_references(model_digest=digest, train_splits=request.splits)
    if pool is not None:
        assert privacy.target_delta is not None
        references.start_afresh(model)
        trained = references.train(
            request.make_model,
            pool,
            resolved,
            noise_multiplier,
            num_models=request.num_references,
            folder=artifact.uri,
            specs=export.feature_specs(model, request.fn_args, request.label_key, privacy.user_id_key),
            journal=references.Journal(exec_properties.get(CHECKPOINT_DIR_KEY) or None),
            strategy=request.strategy,
        )
        trainings = references.trainings(trained, mechanism, privacy.target_delta)
        reference_set = references.record(
            trained,
            pool,
            model_digest=digest,
            train_splits=request.splits,
            eval_splits=request.held_out_splits,
            user_id_key=privacy.user_id_key,
        )
    _files.write_text(artifact.uri, records_of_references.FILE_NAME, reference_set.to_json())
    artifact.set_string_custom_property("num_models", str(reference_set.num_models))
    return trainings


def distribution_strategy(exec_properties: dict[str, Any]) -> Any:
    """The tf.distribute strategy that was asked for, or None.

    Raises:
      ParameterError: If its name is unknown.
    """
    name = exec_properties.get(DISTRIBUTION_KEY) or "none"
    _validate.one_of(DISTRIBUTIONS, distribution=name)
    return tf.distribute.MirroredStrategy() if name == "mirrored" else None


def _checkpoints(exec_properties: dict[str, Any]) -> contextlib.AbstractContextManager[training.Checkpoints | None]:
    folder = exec_properties.get(CHECKPOINT_DIR_KEY)
    return training.Checkpoints(folder) if folder else contextlib.nullcontext()


def _keras(model: Any) -> str:
    distribution = "keras" if keras_api.is_keras_3(model) else "tf-keras"
    return f"{distribution} {importlib.metadata.version(distribution)}"


def read_parameters(exec_properties: dict[str, Any]) -> DPParameters:
    """The privacy parameters, with `target_epsilon` replaced where it was given by itself.

    Raises:
      ParameterError: If they break a rule.
    """
    privacy = DPParameters.from_json(exec_properties[PRIVACY_KEY])
    if privacy.target_delta is None:
        raise ParameterError("target_delta is not set. Choose one below 1 / number of records, e.g. 1e-6.")
    replacement = exec_properties.get(TARGET_EPSILON_KEY)
    return privacy if replacement is None else dataclasses.replace(privacy, target_epsilon=replacement)


def train_splits(input_dict: dict[str, list[types.Artifact]], exec_properties: dict[str, Any]) -> list[str]:
    """The splits to train on, each of which the examples have.

    Raises:
      ParameterError: If a split is unknown or named twice.
    """
    arguments = trainer_pb2.TrainArgs()
    proto_utils.json_to_proto(exec_properties["train_args"], arguments)
    return _known_splits(input_dict, list(arguments.splits) or ["train"])


def eval_splits(
    input_dict: dict[str, list[types.Artifact]], exec_properties: dict[str, Any], trained_on: list[str]
) -> list[str]:
    """The splits whose records the model does not see, each of which the examples have.

    Raises:
      ParameterError: If a split is unknown, named twice, or trained on.
    """
    arguments = trainer_pb2.EvalArgs()
    proto_utils.json_to_proto(exec_properties["eval_args"], arguments)
    wanted = _known_splits(input_dict, list(arguments.splits) or ["eval"])
    both = sorted(set(wanted) & set(trained_on))
    if both:
        raise ParameterError(
            f"Split {both[0]!r} is trained on, and cannot stand for records that the model does not see. Set eval_args to other splits."
        )
    return wanted


def _known_splits(input_dict: dict[str, list[types.Artifact]], wanted: list[str]) -> list[str]:
    for artifact in input_dict["examples"]:
        present = sorted(artifact_utils.decode_split_names(artifact.split_names))
        for split in wanted:
            if split not in present:
                raise ParameterError(
                    f"Unknown split {split!r}. The examples artifact has splits: {', '.join(present)}."
                )
    if len(set(wanted)) != len(wanted):
        raise ParameterError(f"Splits {wanted} name one split twice; its records would be drawn twice.")
    return wanted


def num_reference_models(exec_properties: dict[str, Any], input_fn: Callable[..., Any] | None) -> int:
    """How many reference models to train.

    Raises:
      ParameterError: If that is no even number up to 128, or the records cannot be found again.
    """
    number = records_of_references.check_num_models(reference_models=exec_properties.get(NUM_REFERENCE_MODELS_KEY) or 0)
    if number and input_fn is not None:
        raise ParameterError(
            f"reference_models={number} does not go with an input_fn in the module: what it makes of a record is known to it alone, so that "
            "an attack cannot find out which half the record was in. Move its work into preprocessing_fn, or set reference_models=0."
        )
    return number


def check_num_attacks(**kwargs: Any) -> int:
    """Returns how often to attack during training: 0, or a whole number up to 1000.

    Raises:
      ParameterError: If it is something else; the message names the parameter.
    """
    ((_, value),) = kwargs.items()
    if value == 0 and not isinstance(value, bool):
        return 0
    return _validate.positive_integer("Or 0 for none.", maximum=_MAX_ATTACKS, **kwargs)


def user_function(exec_properties: dict[str, Any], name: str) -> Any:
    """A function (or a constant, such as LABEL_KEY) of the user's module; None where it has none of that name."""
    try:
        return udf_utils.get_fn(exec_properties, name)
    except AttributeError as error:
        if error.name != name:
            raise  # a mistake inside the module, not a function that it lacks
        return None


def required_function(exec_properties: dict[str, Any], name: str) -> Callable[..., Any]:
    """A function of the user's module.

    Raises:
      ParameterError: If the module has none of that name.
    """
    function: Callable[..., Any] | None = user_function(exec_properties, name)
    if function is None:
        raise ParameterError(f"The module has no function {name!r}. {name}(fn_args) is required.")
    return function


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
    return accounting.calibrate_noise_multiplier(
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
    scope_items: list[guarantee.ScopeItem],
    engine: str,
    trainings: guarantee.ReferenceTrainings | None = None,
) -> guarantee.PrivacyGuarantee:
    """The guarantee of what was executed; epsilon is computed from the executed mechanism alone."""
    privacy = resolved.parameters
    assert privacy.target_delta is not None
    assert resolved.population is not None
    mechanism = outcome.mechanism
    bounds = guarantee.stated_bounds(mechanism, privacy.target_delta)
    record = guarantee.PrivacyGuarantee(
        run_id=secrets.token_hex(16),
        issued_at=_records.utc_now(),
        mechanism=mechanism,
        target_delta=privacy.target_delta,
        neighboring_relation=privacy.neighboring_relation,  # type: ignore[arg-type] # one of the two literals
        privacy_unit=privacy.privacy_unit,  # type: ignore[arg-type]
        max_records_per_user=privacy.max_records_per_user,
        population=guarantee.Population(
            records=resolved.population, source="declared" if resolved.population_is_declared else "counted"
        ),
        accountant=guarantee.Accountant(version=accounting.dp_accounting_version()),
        engine=f"tfx-privacy {__version__}, {engine}",
        train_splits=splits,
        scope=scope_items,
        model_digest=model_digest,
        audit=outcome.audit,
        references=trainings,
        statement="",
        epsilon_pld=bounds.pld,
        epsilon_rdp=bounds.rdp,
    )
    return record.model_copy(update={"statement": guarantee.write_statement(record)})


def write_guarantee(artifact: types.Artifact, record: guarantee.PrivacyGuarantee) -> None:
    """Writes the file, and what people want to see into custom properties."""
    _files.write_text(artifact.uri, guarantee.FILE_NAME, record.to_json())
    for name in _SHOWN:
        artifact.set_string_custom_property(name, str(getattr(record, name)))


def _scope(input_dict: dict[str, list[types.Artifact]], fn_args: Any) -> list[guarantee.ScopeItem]:
    if fn_args.transform_graph_path:
        return [scope.of_transform_graph(fn_args.transform_graph_path)]
    if input_dict.get("schema"):
        detail = "Names, types and shapes of the features were taken from it to parse the records; no values."
        return [guarantee.ScopeItem(artifact="schema", covered=True, detail=detail)]
    return []


def _reporter(resolved: ResolvedParameters, noise_multiplier: float | None) -> Callable[[training.Progress], None]:
    """Logs progress and writes TensorBoard scalars; nothing un-noised is among them."""
    privacy = resolved.parameters

    def report(progress: training.Progress) -> None:
        share = f"step {progress.step} of {progress.steps}"
        if noise_multiplier is not None and privacy.target_delta is not None:
            so_far = dataclasses.replace(resolved, steps=progress.step)
            spent = accounting.rdp_epsilon(
                noise_multiplier=noise_multiplier, **so_far.composition, target_delta=privacy.target_delta
            )
            tf.summary.scalar("privacy/epsilon_rdp", spent, step=progress.step)
            tf.summary.scalar("privacy/noise_multiplier", noise_multiplier, step=progress.step)
            share += f", epsilon at most {spent:.3f}"
        if progress.update_norm is not None:
            tf.summary.scalar("privacy/noisy_update_norm", progress.update_norm, step=progress.step)
        logging.info("DPTrainer: %s", share)

    return report
