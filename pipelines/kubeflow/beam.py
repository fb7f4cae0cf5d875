"""Which steps hand their work to other machines, and what their workers are made of."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

from tfx.dsl.components.base import base_component, base_node, executor_spec

# Whatever is not named here may have workers elsewhere.
_LOCAL_RUNNERS = ("directrunner", "switchingdirectrunner", "bundlebaseddirectrunner", "fnapirunner", "prismrunner")

# Beam's own rules (runners/portability/flink_runner.py, spark_runner.py): with these masters, or without one, the engine is
# started inside the step, and unless an environment is named, workers are in the submitting process.
_LOCAL_FLINK = re.compile(r"\[(local|auto)\]")
_LOCAL_SPARK = re.compile(r"local(\[.+\])?")

# What TFX takes for a word about workers' packages (utils/dependency_utils.py). Without one it packs itself into a file that
# workers install: into an environment that they may not write to, and from an sdist that lacks this package.
_PACKAGES = (
    "--extra_package", "--extra_packages", "--setup_file", "--requirements_file", "--worker_harness_container_image",
    "--sdk_container_image",
)  # fmt: skip


def remote_runner(node: base_node.BaseNode) -> str | None:
    """The Beam runner of a node, if its workers may be on other machines.

    Args:
      node: Any; only those with a Beam executor use Beam.

    Returns:
      Its name as given, or None. With `--environment_type=LOOPBACK` the workers are in the submitting process, and so
      they are with Flink and Spark that the step starts itself.
    """
    arguments = _arguments(node)
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--runner", default="DirectRunner")
    parser.add_argument("--environment_type", default="")
    parser.add_argument("--flink_master", default="[auto]")
    parser.add_argument("--spark_master_url", default="local[4]")
    given, _ = parser.parse_known_args(arguments)
    name = given.runner.rpartition(".")[2].lower()
    if name in _LOCAL_RUNNERS or given.environment_type.upper() == "LOOPBACK":
        return None
    starts_it = (name == "flinkrunner" and _LOCAL_FLINK.fullmatch(given.flink_master)) or (
        name == "sparkrunner" and _LOCAL_SPARK.fullmatch(given.spark_master_url)
    )
    return None if starts_it and not given.environment_type else str(given.runner)


def image_argument(node: base_node.BaseNode, image: str) -> list[str]:
    """The argument that says that workers run the step's own image, which has everything.

    Args:
      node: Any.
      image: Container image of the step.

    Returns:
      One argument; none if the node gives Beam no arguments, or says itself what workers install.
    """
    arguments = _arguments(node)
    if not arguments or any(argument.partition("=")[0] in _PACKAGES for argument in arguments):
        return []
    return [f"--sdk_container_image={image}"]


def _arguments(node: base_node.BaseNode) -> Sequence[str]:
    """A node's arguments for Beam; a placeholder has no text that anybody knows yet."""
    if not isinstance(node, base_component.BaseComponent) or not isinstance(
        node.executor_spec, executor_spec.BeamExecutorSpec
    ):
        return []
    return [argument for argument in node.executor_spec.beam_pipeline_args if isinstance(argument, str)]
