"""Beam's local runner, named where a pipeline names none."""

from __future__ import annotations

from tfx.dsl.components.base import executor_spec
from tfx.orchestration import pipeline

from tfx_privacy import compat

ARGUMENT = f"--runner={compat.LOCAL_BEAM_RUNNER}"


def name_local_runner(tfx_pipeline: pipeline.Pipeline) -> None:
    """Puts the local runner before the Beam arguments of each node, so that any other that is given there counts."""
    for node in tfx_pipeline.components:
        spec = getattr(node, "executor_spec", None)
        if isinstance(spec, executor_spec.BeamExecutorSpec) and ARGUMENT not in spec.beam_pipeline_args:
            spec.beam_pipeline_args = [ARGUMENT, *spec.beam_pipeline_args]
