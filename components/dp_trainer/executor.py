"""DPTrainer's work: read the records, train, save, and state what was executed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from absl import logging
from tfx import types
from tfx.components.trainer import executor as trainer_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_component_specs

from tfx_privacy import compat, training
from tfx_privacy.accounting.parameters import ResolvedParameters
from tfx_privacy.attacks import history as attack_history
from tfx_privacy.attacks.evaluation import Checkpoint
from tfx_privacy.components import _files, _signatures, example_files, examples_read, keys
from tfx_privacy.components.dp_trainer import (
    base_model,
    charge,
    data,
    export,
    guarantee,
    reference_models,
    reference_training,
    releases,
    reporting,
    trained_labels,
    trained_records,
)
from tfx_privacy.components.dp_trainer import request as requests
from tfx_privacy.components.dp_trainer.guarantee import (
    Terms,
    calibrated_noise,
    engine,
    make_guarantee,
    scope_of,
    write_guarantee,
)
from tfx_privacy.components.dp_trainer.reference_models import Journal
from tfx_privacy.components.dp_trainer.request import Request
from tfx_privacy.errors import TFXPrivacyError
from tfx_privacy.guarantee.record import PrivacyGuarantee
from tfx_privacy.training import keras_api, over_training, precision, stated_privacy

_REPORTS_PER_RUN = 20


class Executor(trainer_executor.GenericExecutor):
    """Executor of DPTrainer; takes FnArgs from TFX's own Trainer."""

    @precision.restored()
    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Trains privately.

        Args:
          input_dict: `examples`, and optionally `transform_graph`, `schema`, `base_model`, `base_model_guarantee`,
            `hyperparameters` and `privacy_release_1` to `privacy_release_8`.
          output_dict: `model`, `model_run`, `privacy_guarantee` and `reference_models`.
          exec_properties: As DPTrainerSpec declares them.

        Raises:
          TFXPrivacyError: If a parameter, the model or the data breaks a rule; no guarantee is written then.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        request = self._request(input_dict, output_dict, exec_properties)
        for examples in input_dict[standard_component_specs.EXAMPLES_KEY]:
            _files.check_payload_format(examples, "DPTrainer")
        read = [*request.fn_args.train_files, *(request.fn_args.eval_files if request.held_out_splits else [])]
        example_files.check_beginnings(example_files.files_of(read))
        start = base_model.read(input_dict, exec_properties, request.privacy, request.account)
        reference_training.check_start(request, start)
        released = releases.read(input_dict, exec_properties)
        names_classes = False
        if request.input_fn is None:
            columns = data.check_columns(request.fn_args, request.label_key, request.privacy.user_id_key)
            names_classes = data.names_classes_by_schema(request.fn_args, *columns)
        scope_items = scope_of(
            input_dict,
            request.fn_args,
            released,
            hyperparameters_are_public=exec_properties.get(requests.HYPERPARAMETERS_ARE_PUBLIC_KEY) == 1,
            schema_is_public=exec_properties.get(requests.SCHEMA_IS_PUBLIC_KEY) == 1,
            names_classes=names_classes,
        )
        model, request = request.first_model()
        if request.signatures_fn is None and request.strategy is None and keras_api.is_model(model):
            export.check_signatures(model, request.fn_args, request.label_key)
        if request.num_attacks:
            over_training.check_model(model)
        labels, num_references = self._labels(), request.num_references
        with _checkpoints(exec_properties) as checkpoints:
            base_model.bind(start, checkpoints)
            releases.bind(released.all, checkpoints)
            terms = Terms(
                splits=request.splits,
                scope=[*scope_items, *start.scope],
                engine=engine(model),
                base_model=start.model,
                account=request.account,
                num_references=num_references,
                lost_references=Journal(checkpoints).lost,
                sources=list(request.sources),
                labels=trained_labels.planned(request),
                releases=released.all,
                examples=examples_read.of(input_dict.get(releases.SOURCE_EXAMPLES_KEY) or input_dict[keys.EXAMPLES]),
                splits_disjoint_for=exec_properties.get(keys.SPLITS_DISJOINT_FOR) or None,
            )
            releases.check(terms.beside(request.privacy), request.privacy, request.account)
            _files.check_writable([artifact.uri for found in output_dict.values() for artifact in found])

            def check(plan: charge.Plan) -> None:
                stated_privacy.check_microbatches(request.stated, plan.resolved.expected_batch_size)
                planned = training.check_run(model, plan.resolved, plan.noise_multiplier, strategy=request.strategy)
                guarantee.check(terms, plan.resolved, planned)

            def check_beforehand(plan: charge.Plan) -> None:
                check(plan)
                training.check_model_beforehand(model, request.made_up(), plan.resolved, request.declared())

            with charge.meter(
                request.account,
                request.privacy,
                num_references,
                checkpoints,
                labels,
                check_beforehand,
                terms.beside,
            ) as run:
                record = self._train_and_save(request, model, run, checkpoints, terms, check, output_dict)
                artifact = artifact_utils.get_single_instance(output_dict[keys.PRIVACY_GUARANTEE])
                write_guarantee(artifact, record)
                if checkpoints:
                    checkpoints.finish()
        logging.info("DPTrainer: %s", record.statement)

    def _train_and_save(
        self,
        request: Request,
        model: Any,
        run: charge.MeteredRun | charge.UnmeteredRun,
        checkpoints: training.Checkpoints | None,
        terms: Terms,
        check: Callable[[charge.Plan], None],
        output_dict: dict[str, list[types.Artifact]],
    ) -> PrivacyGuarantee:
        """From the first record that is read to the guarantee of a saved model."""
        records = request.read(request.fn_args.train_files, model)
        read = trained_records.read(request, records)
        read.bind(checkpoints)
        held_out = request.read_held_out(model)
        attack = over_training.LossAttack(model, records, held_out) if request.num_attacks and held_out else None
        pool = reference_training.pool(request, records, held_out)
        if pool is not None:
            records = pool.members
        plan = run.plan
        if plan is None:
            plan = _plan(request, records, terms)
            check(plan)
        if pool is not None:
            reference_models.check(plan.resolved, pool, request.num_references)
        outcome, history = self._train(
            model, records, plan.resolved, plan.noise_multiplier, request, attack, checkpoints=checkpoints
        )
        labels = trained_labels.found(request, model, records, read)
        artifact = artifact_utils.get_single_instance(output_dict[keys.MODEL])
        digest = _save(model, request, artifact, trained_labels.name_of(labels))
        if attack is not None:
            _write_history(request, attack, history, digest)
        references = artifact_utils.get_single_instance(output_dict[keys.REFERENCE_MODELS])
        run.start_references()
        trainings = reference_training.train(
            request,
            model,
            pool,
            plan,
            outcome.mechanism,
            digest,
            Journal(checkpoints),
            references,
            terms.beside(plan.resolved.parameters),
        )
        record = make_guarantee(
            outcome,
            plan.resolved,
            terms,
            digest,
            trainings,
            run.run_id,
            labels=labels,
            trained_records_digest=read.write(artifact.uri),
        )
        try:
            return run.commit(record)
        except TFXPrivacyError:
            # A model whose run the ledger does not know must not lie about for others to find.
            for uri in (artifact.uri, references.uri):
                fileio.rmtree(uri)
            raise

    def _labels(self) -> dict[str, str]:
        """Who asks, for people who read the ledger's log."""
        context = self._context
        if context is None:
            return {}
        found = {
            "pipeline": context.pipeline_info.id if context.pipeline_info else "",
            "pipeline_run_id": context.pipeline_run_id or "",
            "node": context.pipeline_node.node_info.id if context.pipeline_node else "",
            "execution_id": context._unique_id or "",
        }
        return {name: str(value)[:200] for name, value in found.items() if value}

    def _request(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> Request:
        """Reads what was asked for, and refuses what cannot be done before any record is read."""
        _signatures.check_signing_key()
        compat.repair_tensorflow_privacy()
        splits = requests.train_splits(input_dict, exec_properties)
        input_fn = requests.user_function(exec_properties, "input_fn")
        label_key, label_keys = requests.label_keys(exec_properties, input_fn)
        num_references = requests.num_reference_models(exec_properties, input_fn)
        num_attacks = requests.check_num_attacks(
            attacks_during_training=exec_properties.get(requests.ATTACKS_DURING_TRAINING_KEY) or 0
        )
        privacy = requests.read_parameters(exec_properties)
        reads_held_out = bool(num_references or num_attacks)
        held_out_splits = requests.eval_splits(input_dict, exec_properties, splits) if reads_held_out else []
        known = exec_properties if reads_held_out else requests.without_held_out(input_dict, exec_properties)
        fn_args = self._GetFnArgs(input_dict, output_dict, known)
        if known is not exec_properties:
            fn_args.eval_files = []
        return Request(
            privacy=privacy,
            account=requests.read_account(exec_properties, privacy),
            label_key=label_key,
            label_keys=label_keys,
            splits=splits,
            held_out_splits=held_out_splits,
            num_references=num_references,
            num_attacks=num_attacks,
            strategy=requests.distribution_strategy(exec_properties),
            fn_args=fn_args,
            model_fn=requests.required_function(exec_properties, "model_fn"),
            input_fn=input_fn,
            signatures_fn=requests.user_function(exec_properties, "signatures_fn"),
        )

    def _train(
        self,
        model: Any,
        records: training.ColumnarDataset,
        resolved: ResolvedParameters,
        noise_multiplier: float | None,
        request: Request,
        attack: over_training.LossAttack | None,
        **options: Any,
    ) -> tuple[training.Outcome, list[Checkpoint]]:
        report, every = reporting.reporter(resolved, noise_multiplier), resolved.steps // _REPORTS_PER_RUN
        history: list[Checkpoint] = []
        if attack is not None:
            measure, history = over_training.at_checkpoints(attack, steps=resolved.steps, times=request.num_attacks)
            every, report = min(every, resolved.steps // request.num_attacks), reporting.both(report, measure)
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
                may_be_noise=False,
                **options,
            )
        return outcome, history


def _write_history(
    request: Request, attack: over_training.LossAttack, checkpoints: list[Checkpoint], digest: str
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


def _save(model: Any, request: Request, artifact: types.Artifact, label: str) -> str:
    """Saves the model, and names the label where it is one; returns its digest."""
    texts = data.texts_of_classes(request.fn_args, request.label_key) if request.input_fn is None else None
    export.save(model, request.fn_args, request.label_key, request.signatures_fn, request.privacy.user_id_key)
    if label:
        artifact.set_string_custom_property(keys.LABEL_KEY, label)
    if texts:
        export.write_texts(request.fn_args.serving_model_dir, texts)
    if request.privacy.user_id_key is not None:
        artifact.set_string_custom_property(keys.GROUP_KEY, request.privacy.user_id_key)
    return _files.model_digest(artifact.uri)


def _plan(request: Request, records: training.ColumnarDataset, terms: Terms) -> charge.Plan:
    """The run in full, for the records that were counted."""
    resolved = request.privacy.resolve(population=records.num_units(request.privacy.privacy_unit))
    return charge.Plan(resolved, calibrated_noise(resolved, terms.beside(resolved.parameters)))


def _checkpoints(exec_properties: dict[str, Any]) -> contextlib.AbstractContextManager[training.Checkpoints | None]:
    folder = exec_properties.get(requests.CHECKPOINT_DIR_KEY)
    return training.Checkpoints(folder) if folder else contextlib.nullcontext()
