"""DPTransform's interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from tfx import types
from tfx.components.util import udf_utils
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.orchestration import data_types
from tfx.proto import transform_pb2
from tfx.types import channel_utils, component_spec, standard_artifacts, standard_component_specs
from tfx.utils import json_utils

from tfx_privacy.components import accounts, artifacts, keys, releasing
from tfx_privacy.components.dp_transform import executor
from tfx_privacy.errors import ParameterError
from tfx_privacy.records import strict_json
from tfx_privacy.releases.parameters import DPPreprocessing

_Scalar: TypeAlias = float | data_types.RuntimeParameter


class DPTransformSpec(component_spec.ComponentSpec):
    """Inputs and outputs as Transform's, the privacy parameters and the release."""

    PARAMETERS = {
        standard_component_specs.MODULE_FILE_KEY: component_spec.ExecutionParameter(type=str, optional=True),
        standard_component_specs.MODULE_PATH_KEY: component_spec.ExecutionParameter(type=str, optional=True),
        standard_component_specs.PREPROCESSING_FN_KEY: component_spec.ExecutionParameter(type=str, optional=True),
        standard_component_specs.SPLITS_CONFIG_KEY: component_spec.ExecutionParameter(
            type=transform_pb2.SplitsConfig, use_proto=True, optional=True
        ),
        standard_component_specs.CUSTOM_CONFIG_KEY: component_spec.ExecutionParameter(type=str, optional=True),
        standard_component_specs.DISABLE_STATISTICS_KEY: component_spec.ExecutionParameter(type=int),
        executor.ALLOW_UNCOVERED_KEY: component_spec.ExecutionParameter(type=int, optional=True),
        **releasing.PARAMETERS,
    }
    INPUTS = {
        keys.EXAMPLES: component_spec.ChannelParameter(type=standard_artifacts.Examples),
        keys.SCHEMA: component_spec.ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS = {
        keys.TRANSFORM_GRAPH: component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
        standard_component_specs.TRANSFORMED_EXAMPLES_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.Examples, optional=True
        ),
        keys.PRIVACY_RELEASE: component_spec.ChannelParameter(type=artifacts.PrivacyRelease),
    }


class DPTransform(base_beam_component.BaseBeamComponent):
    """Transforms examples with analyzers that are differentially private, in the place of Transform.

    The same `preprocessing_fn`, with the analyzers of `tfx_privacy.transform` in the place of tft's. It is traced first, to
    count them and split the budget; where there is a ledger, that is charged; then the records are summed up once, the
    sums get their noise once, and Transform's own work follows with the results as constants.

    For example:

        transform = DPTransform(
            examples=example_gen.outputs['examples'], schema=schema_gen.outputs['schema'], module_file='preprocessing.py',
            privacy=DPPreprocessing(target_epsilon=0.3, target_delta=1e-6))
        trainer = DPTrainer(
            examples=transform.outputs['transformed_examples'], transform_graph=transform.outputs['transform_graph'],
            privacy_releases=[transform.outputs['privacy_release']], ...)

    Component `outputs` contains:

    - `transform_graph`: standard `TransformGraph`.
    - `transformed_examples`: standard `Examples`, if `materialize`.
    - `privacy_release`: `PrivacyRelease`, what was released, for DPTrainer's `privacy_releases`.
    """

    SPEC_CLASS = DPTransformSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        schema: types.BaseChannel,
        privacy: DPPreprocessing,
        module_file: str | data_types.RuntimeParameter | None = None,
        preprocessing_fn: str | data_types.RuntimeParameter | None = None,
        splits_config: transform_pb2.SplitsConfig | None = None,
        materialize: bool = True,
        custom_config: dict[str, Any] | None = None,
        target_epsilon: _Scalar | None = None,
        ledger: str | None = None,
        dataset_id: str | None = None,
        dataset_blocks: Sequence[str] = (),
        allow_uncovered_analyzers: bool = False,
    ) -> None:
        """Declares the component.

        Args:
          examples: Channel of `Examples`.
          schema: Channel of `Schema`: of a DPStatisticsGen, or one that was written by hand. What another StatisticsGen
            found is in it without noise.
          privacy: How much noise all analyzers get together, and whose presence is hidden.
          module_file: Python file with `preprocessing_fn`, alone in its folder.
          preprocessing_fn: Path of the function, instead of `module_file`.
          splits_config: Splits to analyze ("train" by default) and to transform (all by default), as Transform's.
          materialize: Whether transformed examples are written.
          custom_config: Passed to a `preprocessing_fn` that takes it.
          target_epsilon: Takes the place of `privacy.target_epsilon`; may be a RuntimeParameter.
          ledger: `env:VARIABLE`, the environment variable with the address of the budget ledger; the release is charged
            there before a record is read.
          dataset_id: The dataset's name in the ledger, needed with it.
          dataset_blocks: The dataset's blocks that the examples are of, where it is charged by block.
          allow_uncovered_analyzers: Take tft's own analyzers too: what they find has no noise, the release names them, and
            the gate refuses unless its policy allows uncovered preprocessing.

        Raises:
          ParameterError: If not exactly one function is given, or another argument breaks its rule.
        """
        if bool(module_file) == bool(preprocessing_fn):
            raise ParameterError(
                f"Expected exactly one of module_file={module_file!r} and preprocessing_fn={preprocessing_fn!r}. Give one of "
                "them."
            )
        account = accounts.check(ledger, dataset_id, dataset_blocks)
        transformed = types.Channel(type=standard_artifacts.Examples) if materialize else None
        if transformed is not None:
            transformed.matching_channel_name = keys.EXAMPLES
        super().__init__(
            spec=DPTransformSpec(
                examples=examples,
                schema=schema,
                module_file=module_file,
                preprocessing_fn=preprocessing_fn,
                splits_config=splits_config,
                custom_config=json_utils.dumps(custom_config),
                # Transform would compute statistics of every split, without noise.
                disable_statistics=1,
                allow_uncovered_analyzers=1 if allow_uncovered_analyzers else None,
                transform_graph=channel_utils.as_channel([standard_artifacts.TransformGraph()]),
                transformed_examples=transformed,
                privacy_release=channel_utils.as_channel([artifacts.PrivacyRelease()]),
                **releasing.arguments(
                    privacy,
                    examples,
                    target_epsilon=target_epsilon,
                    ledger=ledger,
                    dataset_id=dataset_id,
                    dataset_blocks=strict_json.canonical(account.blocks) if account else None,
                ),
            )
        )
        if udf_utils.should_package_user_modules():
            udf_utils.add_user_module_dependency(
                self, standard_component_specs.MODULE_FILE_KEY, standard_component_specs.MODULE_PATH_KEY
            )
