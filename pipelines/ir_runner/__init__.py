"""Runs a compiled pipeline on this machine, step by step, as Kubeflow would: `tfx-privacy run-ir`.

A test of what was compiled, not another way to run pipelines: each step sees its command line, its ExecutorInput and
its environment, and nothing else. `launcher` says what of Kubeflow is imitated, from which source, and what is not.

* `spec`: the compiled file, as far as it is used;
* `conditions`: the trigger conditions that TFX compiles;
* `store`: the object store, in a folder;
* `launcher`: driver and launcher of one step;
* `processes`: one process a step, fresh or forked from one that has imported TFX (`zygote`).
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import uuid
from collections.abc import Callable, Mapping

from tfx_privacy.errors import ParameterError
from tfx_privacy.pipelines.ir_runner import launcher, processes, spec, store
from tfx_privacy.pipelines.ir_runner.launcher import TaskError, TaskResult

__all__ = ["Run", "TaskError", "TaskResult", "run"]


@dataclasses.dataclass(frozen=True)
class Run:
    """What came of a run that reached its end."""

    tasks: Mapping[str, TaskResult]
    """By name, in the order in which they ran."""
    store: store.Store

    def folder(self, task: str, output: str) -> pathlib.Path:
        """The folder in which an output artifact lies now."""
        return self.store.path(self.tasks[task].outputs[output].uri)


def run(
    path: str | os.PathLike[str],
    root: str | os.PathLike[str],
    *,
    pipeline_root: str | None = None,
    parameters: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    preload: bool = True,
    keep_pods: bool = False,
    announce: Callable[[str], None] = lambda line: None,
) -> Run:
    """Runs every step of a compiled pipeline.

    Args:
      path: What `tfx-privacy compile` wrote: YAML (open-source Kubeflow Pipelines) or JSON (Vertex AI).
      root: Folder for the object store, the steps' own folders, and their logs. What earlier runs
        left in the store stays.
      pipeline_root: Where artifacts go, as an address of the object store; by default where an installation of Kubeflow
        Pipelines puts them, or the job's own root.
      parameters: Values of runtime parameters, as text.
      env: Environment variables of every step, as an image would set them.
      secrets: Values of variables that the compiled pipeline takes from Kubernetes secrets; only
        steps that it names get them.
      preload: Fork each step from a process that has imported TFX, which saves half a minute a
        step. Else start each afresh.
      keep_pods: Whether to keep the steps' own folders, with what was downloaded to them, their
        ExecutorInputs (`executor_input.json`) and logs, if all goes well.
      announce: Called with a line before and after each step.

    Returns:
      What the steps put out.

    Raises:
      ParameterError: If open-source Kubeflow Pipelines does not run such a file, or a parameter is missing or unknown;
        nothing ran then.
      TaskError: If a step fails; the message names its log.
    """
    compiled = spec.load(path, pipeline_root)
    values = compiled.parameter_values(parameters or {})
    missing = sorted(compiled.secret_variables() - set(secrets or {}))
    if missing:
        raise ParameterError(
            f"The pipeline takes {', '.join(missing)} from Kubernetes secrets, and there is none here. Set the "
            "variable, or leave it out of what is compiled."
        )
    place = pathlib.Path(root).resolve()
    objects = store.Store(place / "store", mirrored=compiled.mirrored)
    cluster = launcher.Cluster(
        compiled=compiled,
        store=objects,
        root=place / "pods" / uuid.uuid4().hex[:8],
        run_id=uuid.uuid4().hex,
        parameters=values,
        env=dict(env or {}),
        secrets=dict(secrets or {}),
    )
    results: dict[str, TaskResult] = {}
    with processes.starter(compiled.executor_classes() if preload else None) as start:
        for name in compiled.order():
            announce(f"{name} ...")
            results[name] = cluster.launch(name, results, start)
            announce(f"{name} {results[name].state}, {results[name].seconds:.0f} s")
    if not keep_pods:
        cluster.clean()
    return Run(results, objects)
