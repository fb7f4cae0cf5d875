"""DPStatisticsGen's interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.orchestration import data_types
from tfx.types import channel_utils, component_spec, standard_artifacts

from tfx_privacy.components import accounts, artifacts, keys, releasing
from tfx_privacy.components.dp_statistics_gen import executor
from tfx_privacy.records import strict_json
from tfx_privacy.releases import features as feature_list
from tfx_privacy.releases import plan as plans
from tfx_privacy.releases.features import Feature
from tfx_privacy.releases.parameters import DPPreprocessing


class DPStatisticsGenSpec(component_spec.ComponentSpec):
    """Inputs and outputs as StatisticsGen's, the privacy parameters and the release."""

    PARAMETERS = {
        executor.FEATURES_KEY: component_spec.ExecutionParameter(type=str),
        executor.SPLITS_KEY: component_spec.ExecutionParameter(type=str, optional=True),
        **releasing.PARAMETERS,
    }
    INPUTS = {keys.EXAMPLES: component_spec.ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS = {
        keys.STATISTICS: component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        keys.PRIVACY_RELEASE: component_spec.ChannelParameter(type=artifacts.PrivacyRelease),
    }


class DPStatisticsGen(base_beam_component.BaseBeamComponent):
    """Computes statistics of examples with differential privacy, in the place of StatisticsGen.

    The statistics are standard, so SchemaGen, ExampleValidator and TFDV's display work on them; and whatever is made of them,
    a schema above all, is as private as they are. Each split is one release of its own records.

    For example:

        statistics_gen = DPStatisticsGen(
            examples=example_gen.outputs['examples'],
            features={
                'fare': Number(bounds=(0, 200)),
                'trip_start_hour': Number(bounds=(0, 24), integer=True),
                'company': Text(),
            },
            privacy=DPPreprocessing(target_epsilon=0.1, target_delta=1e-6))
        schema_gen = SchemaGen(statistics=statistics_gen.outputs['statistics'])
        trainer = DPTrainer(privacy_releases=[statistics_gen.outputs['privacy_release'], ...], ...)

    Component `outputs` contains:

    - `statistics`: standard `ExampleStatistics`.
    - `privacy_release`: `PrivacyRelease`, what was released of each split, for DPTrainer's `privacy_releases`.
    """

    SPEC_CLASS = DPStatisticsGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        features: Mapping[str, Feature],
        privacy: DPPreprocessing,
        splits: Sequence[str] | None = None,
        target_epsilon: float | data_types.RuntimeParameter | None = None,
        ledger: str | None = None,
        dataset_id: str | None = None,
        dataset_blocks: Sequence[str] = (),
    ) -> None:
        """Declares the component.

        Args:
          examples: Channel of `Examples`, usually produced by an ExampleGen.
          features: What is asked of each feature, by its name: `Number` or `Text`. Others are in no statistics, and so in no
            schema.
          privacy: How much noise all statistics of one split get together, and whose presence is hidden.
          splits: Which are looked at; all if left out. Each is released, and charged, by itself.
          target_epsilon: Takes the place of `privacy.target_epsilon`; may be a RuntimeParameter.
          ledger: `env:VARIABLE`, the environment variable with the address of the budget ledger; the releases are charged
            there before a record is read.
          dataset_id: The dataset's name in the ledger, needed with it.
          dataset_blocks: The dataset's blocks that the examples are of, where it is charged by block.

        Raises:
          ParameterError: If an argument breaks its rule, or so many features cannot share the budget.
        """
        account = accounts.check(ledger, dataset_id, dataset_blocks)
        arguments = releasing.arguments(
            privacy,
            examples,
            target_epsilon=target_epsilon,
            ledger=ledger,
            dataset_id=dataset_id,
            dataset_blocks=strict_json.canonical(account.blocks) if account else None,
        )
        plans.plan(feature_list.queries(features), privacy)
        super().__init__(
            spec=DPStatisticsGenSpec(
                examples=examples,
                features=feature_list.to_json(features),
                splits=None if splits is None else strict_json.canonical(executor.distinct_splits(splits)),
                statistics=channel_utils.as_channel([standard_artifacts.ExampleStatistics()]),
                privacy_release=channel_utils.as_channel([artifacts.PrivacyRelease()]),
                **arguments,
            )
        )
