"""Which steps hand their work to other machines."""

from __future__ import annotations

import argparse

from tfx.dsl.components.base import base_component, base_node, executor_spec

# Whatever is not named here may have workers elsewhere.
_LOCAL_RUNNERS = ("directrunner", "switchingdirectrunner", "bundlebaseddirectrunner", "fnapirunner", "prismrunner")


def remote_runner(node: base_node.BaseNode) -> str | None:
    """The Beam runner of a node, if its workers may be on other machines.

    Args:
      node: Any; only those with a Beam executor use Beam.

    Returns:
      Its name as given, or None. With `--environment_type=LOOPBACK` the workers are in the submitting process.
    """
    if not isinstance(node, base_component.BaseComponent) or not isinstance(
        node.executor_spec, executor_spec.BeamExecutorSpec
    ):
        return None
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--runner", default="DirectRunner")
    parser.add_argument("--environment_type", default="")
    # An argument may be a placeholder, whose text nobody knows yet.
    arguments = [argument for argument in node.executor_spec.beam_pipeline_args if isinstance(argument, str)]
    given, _ = parser.parse_known_args(arguments)
    name = given.runner.rpartition(".")[2].lower()
    return None if name in _LOCAL_RUNNERS or given.environment_type.upper() == "LOOPBACK" else str(given.runner)
