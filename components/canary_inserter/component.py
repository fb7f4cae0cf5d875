"""CanaryInserter's interface."""

from __future__ import annotations

from collections.abc import Sequence

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel_utils, component_spec, standard_artifacts

from tfx_privacy.components import artifacts, keys
from tfx_privacy.components.canary_inserter import drawing, executor
from tfx_privacy.records import strict_json


class CanaryInserterSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters; lists as JSON, which is what Kubeflow passes."""

    PARAMETERS = {
        "mode": component_spec.ExecutionParameter(type=str),
        "split": component_spec.ExecutionParameter(type=str),
        keys.LABEL_KEY: component_spec.ExecutionParameter(type=str, optional=True),
        "num_canaries": component_spec.ExecutionParameter(type=int),
        "repetitions": component_spec.ExecutionParameter(type=str),
        "canaries_per_repetition": component_spec.ExecutionParameter(type=int),
        "num_references": component_spec.ExecutionParameter(type=int),
        "max_share": component_spec.ExecutionParameter(type=float),
        "text_feature": component_spec.ExecutionParameter(type=str, optional=True),
        "text_prefix": component_spec.ExecutionParameter(type=str),
        "secret_vocabulary": component_spec.ExecutionParameter(type=str),
        "secret_length": component_spec.ExecutionParameter(type=int),
    }
    INPUTS = {
        keys.EXAMPLES: component_spec.ChannelParameter(type=standard_artifacts.Examples),
        keys.SCHEMA: component_spec.ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS = {
        executor.OUTPUT_EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples),
        keys.CANARIES: component_spec.ChannelParameter(type=artifacts.Canaries),
    }


class CanaryInserter(base_component.BaseComponent):
    """Copies the examples and adds made-up records to the training split.

    A model trained on the copy is asked how much it remembers of them. Stands between ExampleGen and Transform; the
    model that is pushed should be trained without it.

    For example:

        inserter = CanaryInserter(
            examples=example_gen.outputs['examples'], schema=schema_gen.outputs['schema'], label_key='big_tipper')
        transform = Transform(examples=inserter.outputs['examples_with_canaries'], ...)

    Component `outputs` contains:

    - `examples_with_canaries`: `Examples`, every split copied, the training split with one more file.
    - `canaries`: `Canaries`, the records, inserted or not, and which of them are in.
    """

    SPEC_CLASS = CanaryInserterSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        schema: types.BaseChannel,
        label_key: str | None = None,
        mode: str = "tabular",
        split: str = "train",
        num_canaries: int = 200,
        repetitions: Sequence[int] = (1, 4, 16),
        canaries_per_repetition: int = 10,
        num_references: int = 10_000,
        max_share: float = 0.01,
        text_feature: str | None = None,
        text_prefix: str = "",
        secret_vocabulary: Sequence[str] = drawing.DIGITS,
        secret_length: int = 9,
    ) -> None:
        """Declares the component.

        Args:
          examples: Channel of `Examples` in the tf.Example format, usually ExampleGen's.
          schema: Channel of `Schema`; its domains are what canaries are drawn from where it has some.
          label_key: The label's name; drawn at random like every feature. None where records have none.
          mode: "tabular", a random combination of values; or "text", in addition a prefix and a random secret.
          split: Where canaries are inserted.
          num_canaries: Canaries that are in or out by a fair coin each; a bound on epsilon needs 100.
          repetitions: How often others are inserted.
          canaries_per_repetition: How many of each number of repetitions; exposure needs 10.
          num_references: Canaries that are never inserted; exposure cannot exceed log2 of it.
          max_share: Largest number of inserted records as a share of the split's.
          text_feature: The feature that holds the secret in mode "text".
          text_prefix: What comes before every secret.
          secret_vocabulary: Characters, or words, of which a secret is made.
          secret_length: Number of characters or words of a secret.

        Raises:
          ParameterError: If a number is out of its range, or the text's parameters do not go with the mode.
        """
        properties = {
            "mode": mode,
            "split": split,
            "label_key": label_key,
            "num_canaries": num_canaries,
            "repetitions": strict_json.dumps(list(repetitions), indent=None),
            "canaries_per_repetition": canaries_per_repetition,
            "num_references": num_references,
            "max_share": max_share,
            "text_feature": text_feature,
            "text_prefix": text_prefix,
            "secret_vocabulary": strict_json.dumps(list(secret_vocabulary), indent=None),
            "secret_length": secret_length,
        }
        executor.Settings.from_properties(properties)
        super().__init__(
            spec=CanaryInserterSpec(
                **properties,
                examples=examples,
                schema=schema,
                examples_with_canaries=channel_utils.as_channel([standard_artifacts.Examples()]),
                canaries=channel_utils.as_channel([artifacts.Canaries()]),
            )
        )
