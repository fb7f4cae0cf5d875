"""DPTrainer's interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from tfx import types
from tfx.components.util import udf_utils
from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration import data_types
from tfx.proto import trainer_pb2
from tfx.types import channel_utils, component_spec, standard_artifacts
from tfx.utils import json_utils

from tfx_privacy import _validate, training
from tfx_privacy.accounting.parameters import DPParameters
from tfx_privacy.attacks import reference_models as references
from tfx_privacy.components import accounts, artifacts, keys, splits
from tfx_privacy.components.dp_trainer import base_model as base_models
from tfx_privacy.components.dp_trainer import executor, releases, request
from tfx_privacy.errors import ParameterError
from tfx_privacy.records import strict_json

_Scalar: TypeAlias = float | data_types.RuntimeParameter


class DPTrainerSpec(component_spec.ComponentSpec):
    """Inputs and outputs as Trainer's, and the privacy parameters."""

    PARAMETERS = {
        request.PRIVACY_KEY: component_spec.ExecutionParameter(type=str),
        request.TARGET_EPSILON_KEY: component_spec.ExecutionParameter(type=float, optional=True),
        keys.LABEL_KEY: component_spec.ExecutionParameter(type=str, optional=True),
        request.CHECKPOINT_DIR_KEY: component_spec.ExecutionParameter(type=str, optional=True),
        request.DISTRIBUTION_KEY: component_spec.ExecutionParameter(type=str, optional=True),
        request.NUM_REFERENCE_MODELS_KEY: component_spec.ExecutionParameter(type=int, optional=True),
        request.ATTACKS_DURING_TRAINING_KEY: component_spec.ExecutionParameter(type=int, optional=True),
        keys.LEDGER: component_spec.ExecutionParameter(type=str, optional=True),
        accounts.DATASET_ID_KEY: component_spec.ExecutionParameter(type=str, optional=True),
        accounts.DATASET_BLOCKS_KEY: component_spec.ExecutionParameter(type=str, optional=True),
        base_models.BASE_MODEL_IS_PUBLIC_KEY: component_spec.ExecutionParameter(type=int, optional=True),
        request.HYPERPARAMETERS_ARE_PUBLIC_KEY: component_spec.ExecutionParameter(type=int, optional=True),
        request.SCHEMA_IS_PUBLIC_KEY: component_spec.ExecutionParameter(type=int, optional=True),
        keys.SPLITS_DISJOINT_FOR: component_spec.ExecutionParameter(type=str, optional=True),
        releases.NUM_RELEASES_KEY: component_spec.ExecutionParameter(type=int, optional=True),
        releases.SCHEMA_RELEASE_KEY: component_spec.ExecutionParameter(type=int, optional=True),
        "train_args": component_spec.ExecutionParameter(type=trainer_pb2.TrainArgs, use_proto=False),
        "eval_args": component_spec.ExecutionParameter(type=trainer_pb2.EvalArgs, use_proto=False),
        "module_file": component_spec.ExecutionParameter(type=str, optional=True),
        "module_path": component_spec.ExecutionParameter(type=str, optional=True),
        "custom_config": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        keys.EXAMPLES: component_spec.ChannelParameter(type=standard_artifacts.Examples),
        keys.TRANSFORM_GRAPH: component_spec.ChannelParameter(type=standard_artifacts.TransformGraph, optional=True),
        keys.SCHEMA: component_spec.ChannelParameter(type=standard_artifacts.Schema, optional=True),
        base_models.BASE_MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model, optional=True),
        base_models.BASE_MODEL_GUARANTEE_KEY: component_spec.ChannelParameter(
            type=artifacts.PrivacyGuarantee, optional=True
        ),
        request.HYPERPARAMETERS_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.HyperParameters, optional=True
        ),
        **{key: component_spec.ChannelParameter(type=artifacts.PrivacyRelease, optional=True) for key in releases.KEYS},
        releases.SOURCE_EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples, optional=True),
    }
    OUTPUTS = {
        keys.MODEL: component_spec.ChannelParameter(type=standard_artifacts.Model),
        keys.MODEL_RUN: component_spec.ChannelParameter(type=standard_artifacts.ModelRun),
        keys.PRIVACY_GUARANTEE: component_spec.ChannelParameter(type=artifacts.PrivacyGuarantee),
        keys.REFERENCE_MODELS: component_spec.ChannelParameter(type=artifacts.ReferenceModels),
    }


class DPTrainer(base_component.BaseComponent):
    """Trains a Keras model with differential privacy, in the place of Trainer.

    The component owns the data path, the loss reduction, the optimizer step and the saving, because that is what makes
    epsilon true. The user's module gives `model_fn(fn_args)`, a compiled `tf.keras.Model`, and optionally
    `input_fn(file_pattern, fn_args)` and `signatures_fn(model, fn_args)`.

    For example:

        trainer = DPTrainer(
            examples=transform.outputs['transformed_examples'], transform_graph=transform.outputs['transform_graph'],
            schema=schema_gen.outputs['schema'], module_file='model.py', label_key='tips_xf',
            privacy=DPParameters(target_epsilon=3.0, target_delta=1e-6, expected_batch_size=512, epochs=10))

    Component `outputs` contains:

    - `model`: standard `Model`, a SavedModel with signatures.
    - `model_run`: standard `ModelRun`, TensorBoard logs without any un-noised value. With
      `attacks_during_training` also `attack_history.json`, whose values are functions of the records without
      noise: it is then as private as they are.
    - `privacy_guarantee`: `PrivacyGuarantee`, what was executed and what follows from it.
    - `reference_models`: `ReferenceModels`, for attacks that compare the model with others; never to be published.
      Without `reference_models=` it holds a record that says so.
    """

    SPEC_CLASS = DPTrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        privacy: DPParameters,
        transform_graph: types.BaseChannel | None = None,
        schema: types.BaseChannel | None = None,
        module_file: str | None = None,
        module_path: str | None = None,
        label_key: str | None = None,
        target_epsilon: _Scalar | None = None,
        train_args: trainer_pb2.TrainArgs | None = None,
        eval_args: trainer_pb2.EvalArgs | None = None,
        custom_config: dict[str, Any] | data_types.RuntimeParameter | None = None,
        checkpoint_dir: str | None = None,
        distribution: str = "none",
        reference_models: int = 0,
        attacks_during_training: int = 0,
        ledger: str | None = None,
        dataset_id: str | None = None,
        dataset_blocks: Sequence[str] = (),
        base_model: types.BaseChannel | None = None,
        base_model_guarantee: types.BaseChannel | None = None,
        base_model_is_public: bool = False,
        hyperparameters: types.BaseChannel | None = None,
        hyperparameters_are_public: bool = False,
        privacy_releases: types.BaseChannel | Sequence[types.BaseChannel] | None = None,
        schema_is_public: bool = False,
    ) -> None:
        """Declares the component.

        Args:
          examples: Channel of `Examples`, usually Transform's `transformed_examples`.
          privacy: What to spend and how; `target_delta` is required. Algorithm, sampling, clipping, privacy unit,
            secure noise and the audit are chosen there. Noise and clip may be left out where the model states them by a
            class of tensorflow-privacy; if both state them, they must be the same.
          transform_graph: Channel of `TransformGraph`, usually produced by Transform.
          schema: Channel of `Schema`, usually produced by SchemaGen; needed without a transform graph.
          module_file: Python file with the user's functions, alone in its folder.
          module_path: Importable module with them, instead of `module_file`.
          label_key: Name of the label; else the module's LABEL_KEY. Needed unless the module gives an `input_fn`; then it
            says which feature has the labels, where their values do not tell. The guarantee states it.
          target_epsilon: Takes the place of `privacy.target_epsilon`; may be a RuntimeParameter.
          train_args: Splits to train on ("train" by default).
          eval_args: Splits for the user's functions ("eval" by default). They are read here only for `reference_models`
            and `attacks_during_training`.
          custom_config: Passed on in `fn_args.custom_config`.
          checkpoint_dir: Local folder of this run alone, in which a killed run is found again: it goes on from its last
            checkpoint, and every step that it executed counts, also the lost ones. Emptied when the run ends.
          distribution: "none", or "mirrored" for a tf.distribute.MirroredStrategy over all local
            devices; the noise is the same.
          reference_models: How many models to train next to this one, by the same mechanism, on halves of the training
            and evaluation records: calibrated membership attacks compare with them. 0, or an even number from 2 to 128.
            Each costs about half a training. The guarantee states what all of them together reveal; its epsilon stays
            that of the model.
          attacks_during_training: About how often to attack the model while it trains, by the loss of at most 5,000
            training and as many held-out records (`eval_args`); 0 for never. The result, `attack_history.json` in
            `model_run`, is as private as the records, and not covered by the guarantee.
          ledger: `env:VARIABLE`, the environment variable that holds the address of the budget ledger, e.g.
            `env:TFX_PRIVACY_LEDGER`. The run is charged there before it reads a record, and refused where the budget
            does not suffice; whatever becomes of it, it stays charged. A result from TFX's cache costs nothing. None:
            no ledger, and the guarantee says so.
          dataset_id: The dataset's name in the ledger, needed with it.
          dataset_blocks: The dataset's blocks that the examples are of, where it is charged by block.
          base_model: Channel of `Model` to begin from, whose path is `fn_args.base_model` (None where the channel is
            empty). It must carry its guarantee or be declared public.
          base_model_guarantee: Channel of `PrivacyGuarantee`, of the DPTrainer that made the base model. Its training
            is added to this one: the guarantee's epsilon is of both together. Of several guarantees the one with the
            model's digest counts.
          base_model_is_public: No private record was used for the base model; the guarantee says
            that this was declared.
          hyperparameters: Channel of `HyperParameters`, usually Tuner's `best_hyperparameters`; in
            `fn_args.hyperparameters`. Tuner's trials are not private: the guarantee says that it does not cover them,
            and the gate refuses, unless its policy allows it.
          hyperparameters_are_public: No private record had a part in choosing them, e.g. because the Tuner ran on
            public data.
          privacy_releases: Channel of `PrivacyRelease`, or up to 8 of them: what DPTransform, DPStatisticsGen and others
            released of the same records. `target_epsilon` at `target_delta` is then the epsilon of all of it together with
            the training, and the guarantee states it so. A component's release must be wired here, or the gate refuses
            what the model took from it.
          schema_is_public: No private record had a part in `schema`, which matters where the label is text: the served
            model then holds the values of the label's domain. One that Importer or ImportSchemaGen brings in counts as
            public without it, and one that SchemaGen makes of DPStatisticsGen's released statistics is covered by these.

        Raises:
          ParameterError: If `target_delta` is missing, not exactly one module is given, the examples are a Transform's and
            `transform_graph` is not, or another argument breaks its rule.
        """
        if privacy.target_delta is None:
            raise ParameterError("target_delta is not set. Choose one below 1 / number of records, e.g. 1e-6.")
        if bool(module_file) == bool(module_path):
            raise ParameterError(
                f"Expected exactly one of module_file={module_file!r} and module_path={module_path!r}. Give one of "
                "them."
            )
        if target_epsilon is not None and privacy.target_epsilon is None:
            raise ParameterError(
                f"target_epsilon={target_epsilon!r} is given, but privacy sets none to replace. Set privacy's "
                "target_epsilon."
            )
        if isinstance(target_epsilon, int | float):
            target_epsilon = _validate.positive(target_epsilon=target_epsilon)
        account = request.check_account(ledger, dataset_id, dataset_blocks, privacy)
        _validate.one_of(request.DISTRIBUTIONS, distribution=distribution)
        references.check_num_models(reference_models=reference_models)
        request.check_num_attacks(attacks_during_training=attacks_during_training)
        if checkpoint_dir is not None:
            training.Checkpoints(checkpoint_dir)  # refuses what cannot be locked
        base_models.check_arguments(model=base_model, guarantee=base_model_guarantee, is_public=base_model_is_public)
        if hyperparameters is None and hyperparameters_are_public:
            raise ParameterError(
                "hyperparameters_are_public is about a channel of hyperparameters, and there is none. Give "
                "hyperparameters, or leave it out."
            )
        splits.check_transform_graph(examples, transform_graph)
        if schema is None and schema_is_public:
            raise ParameterError(
                "schema_is_public is about a channel of a schema, and there is none. Give schema, or leave it out."
            )
        wired = releases.channels(privacy_releases)
        train_args = train_args or trainer_pb2.TrainArgs()
        if train_args.num_steps:
            raise ParameterError(
                f"train_args.num_steps={train_args.num_steps} has no meaning here. Set steps or epochs in DPParameters."
            )
        super().__init__(
            spec=DPTrainerSpec(
                privacy=privacy.to_json(),
                target_epsilon=target_epsilon,
                label_key=label_key,
                train_args=train_args,
                eval_args=eval_args or trainer_pb2.EvalArgs(),
                checkpoint_dir=checkpoint_dir,
                distribution=distribution,
                num_reference_models=reference_models,
                attacks_during_training=attacks_during_training,
                ledger=ledger,
                dataset_id=dataset_id,
                dataset_blocks=strict_json.canonical(account.blocks) if account else None,
                module_file=module_file,
                module_path=module_path,
                custom_config=custom_config
                if isinstance(custom_config, data_types.RuntimeParameter)
                else json_utils.dumps(custom_config),
                examples=examples,
                transform_graph=transform_graph,
                schema=schema,
                base_model=base_model,
                base_model_guarantee=base_model_guarantee,
                base_model_is_public=1 if base_model_is_public else None,
                hyperparameters=hyperparameters,
                hyperparameters_are_public=1 if hyperparameters_are_public else None,
                schema_is_public=1 if schema_is_public or releases.is_imported(schema) else None,
                splits_disjoint_for=_disjoint_for(examples, privacy, wired),
                num_privacy_releases=len(wired) or None,
                schema_release=releases.schemas_release(schema, wired),
                **wired,
                source_examples=splits.transformed_from(examples),
                model=channel_utils.as_channel([standard_artifacts.Model()]),
                model_run=channel_utils.as_channel([standard_artifacts.ModelRun()]),
                privacy_guarantee=channel_utils.as_channel([artifacts.PrivacyGuarantee()]),
                reference_models=channel_utils.as_channel([artifacts.ReferenceModels()]),
            )
        )
        if module_file and udf_utils.should_package_user_modules():
            udf_utils.add_user_module_dependency(self, "module_file", "module_path")


def _disjoint_for(
    examples: types.BaseChannel, privacy: DPParameters, wired: dict[str, types.BaseChannel]
) -> str | None:
    """Only of what was released besides the training it matters which records are in which split."""
    return splits.disjoint_for(examples, privacy.user_id_key, beside=list(wired.values())) if wired else None
