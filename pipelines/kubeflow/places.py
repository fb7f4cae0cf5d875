"""Places in arguments, which the launcher neither downloads nor uploads: folders of the image, volumes, addresses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tfx.dsl.components.base import base_node
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.proto import pusher_pb2
from tfx.types import standard_component_specs
from tfx.utils import proto_utils

from tfx_privacy.errors import ParameterError
from tfx_privacy.pipelines.compile_arguments import Mount


def of_node(node: base_node.BaseNode) -> Iterator[tuple[str, str]]:
    """The places that a node's arguments name.

    Args:
      node: Any.

    Yields:
      What it is, and the place as it is written: `input_base` of an ExampleGen, a Pusher's destination.
    """
    base = node.exec_properties.get(standard_component_specs.INPUT_BASE_KEY)
    if isinstance(base, str) and base:
        yield standard_component_specs.INPUT_BASE_KEY, base
    destination = node.exec_properties.get(standard_component_specs.PUSH_DESTINATION_KEY)
    if isinstance(destination, str) and destination:
        parsed = pusher_pb2.PushDestination()
        proto_utils.json_to_proto(destination, parsed)
        if parsed.filesystem.base_directory:
            yield "push_destination", parsed.filesystem.base_directory


def receivers(mount: Mount, pipeline: tfx_pipeline.Pipeline) -> list[str]:
    """The steps that get a volume.

    Args:
      mount: The volume.
      pipeline: What is compiled.

    Raises:
      ParameterError: If the step does not exist, or no step names a place on the volume.
    """
    nodes = {node.id: node for node in pipeline.components}
    if mount.node is not None:
        if mount.node not in nodes:
            raise ParameterError(
                f"--mount {mount.node}={mount.claim}:{mount.path}: there is no step {mount.node!r}. Steps: "
                f"{', '.join(nodes)}."
            )
        return [mount.node]
    found = [name for name, node in nodes.items() if any(mount.holds(place) for _, place in of_node(node))]
    if not found:
        raise ParameterError(
            f"--mount {mount.claim}:{mount.path}: no step reads data from a place below {mount.path}, or pushes to one. "
            f"Name the step, as --mount STEP={mount.claim}:{mount.path}, or change --data-root or --serving-model-dir."
        )
    return found


def volumes(
    mounts: Sequence[Mount], pipeline: tfx_pipeline.Pipeline, spec: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """What the platform document says of steps that get volumes.

    Args:
      mounts: The volumes.
      pipeline: What was compiled.
      spec: The compiled PipelineSpec.

    Returns:
      Entries by the executor's label, as kfp-kubernetes' `mount_pvc` makes them.

    Raises:
      ParameterError: As `receivers`.
    """
    executors: dict[str, dict[str, Any]] = {}
    for mount in mounts:
        for node in receivers(mount, pipeline):
            entries = executors.setdefault(spec["components"][node]["executorLabel"], {"pvcMount": []})["pvcMount"]
            entries.append({"constant": mount.claim, "mountPath": mount.path})
    return executors
