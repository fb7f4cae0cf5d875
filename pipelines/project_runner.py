"""What `local_runner.py` and `kubeflow_v2_runner.py` of a project from a template do.

The wiring, the settings and the model are in the project; how it is run, shown and compiled is here.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Sequence

import rich.console
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration.pipeline import Pipeline

from tfx_privacy.errors import EvidenceError
from tfx_privacy.ledger import source
from tfx_privacy.pipelines import lint, local_runner, progress, results


@dataclasses.dataclass(frozen=True)
class LocalProject:
    """A project on this machine. It writes where TFX's own templates write, below one folder."""

    pipeline_name: str
    output_dir: str
    ledger: str
    """`env:VARIABLE`, as DPTrainer takes it."""

    @property
    def pipeline_root(self) -> str:
        """Folder of the artifacts."""
        return os.path.join(self.output_dir, "tfx_pipeline_output", self.pipeline_name)

    @property
    def serving_model_dir(self) -> str:
        """Folder that Pusher writes models to."""
        return os.path.join(self.pipeline_root, "serving_model")

    def metadata(self) -> metadata_store_pb2.ConnectionConfig:
        """Connection to the project's ML Metadata store."""
        return local_runner.sqlite_metadata(self._metadata_path)

    def provide_ledger(
        self, dataset_id: str, *, epsilon: float, delta: float, population: int, threshold_delta: float = 0.0
    ) -> None:
        """Keeps the demonstration's budget in `privacy_ledger.db`, unless the environment names a ledger.

        Args:
          dataset_id: Name of the dataset in the ledger.
          epsilon: The budget of all trainings together.
          delta: The budget's delta.
          population: Declared number of training records.
          threshold_delta: What thresholds of private vocabularies may spend of delta.
        """
        variable = source.check_name(self.ledger)
        if os.environ.get(variable):
            return
        local_runner.sqlite_ledger(
            os.path.join(self.output_dir, "privacy_ledger.db"),
            variable,
            dataset_id,
            epsilon=epsilon,
            delta=delta,
            population=population,
            threshold_delta=threshold_delta,
            approver="local_runner.py",
        )

    def run(self, create_pipeline: Callable[[str], Pipeline]) -> results.RunResult | None:
        """Lints and runs the pipeline, shows how it proceeds, and prints the verdict.

        Args:
          create_pipeline: Makes the pipeline, given `output_dir`. What it prints goes to the log file too.

        Returns:
          The verdict, or None if nothing was run: `tfx pipeline create` only registers a pipeline.

        Raises:
          ParameterError: If the lint finds a way past the gate; nothing is run then.
        """
        before = self._latest_result()
        log = os.path.join(self.output_dir, "local_run.log")
        print(f"Logs of TFX, TensorFlow and Beam: {log}")
        with progress.output_in_file(log) as terminal, progress.component_times(rich.console.Console(file=terminal)):
            pipeline = create_pipeline(self.output_dir)
            lint.require(pipeline)
            local_runner.run_locally(pipeline)
        result = self._latest_result()
        # Each run judges anew, in its own folder. `tfx pipeline create` puts a function that does
        # nothing in the runner's place.
        if result is None or (before is not None and result.report == before.report):
            print("Nothing was run: the pipeline was only registered.")
            return None
        self._show(result)
        return result

    @property
    def _metadata_path(self) -> str:
        return os.path.join(self.output_dir, "tfx_metadata", self.pipeline_name, "metadata.db")

    def _latest_result(self) -> results.RunResult | None:
        if not os.path.exists(self._metadata_path):
            return None
        try:
            return results.read(self._metadata_path, self.pipeline_name)
        except EvidenceError:
            return None  # no run has ended yet

    def _show(self, result: results.RunResult) -> None:
        models = results.pushed_models(self.serving_model_dir)
        print(f"\n{'BLESSED' if result.blessed else 'NOT BLESSED'}. {result.message}")
        print(f"epsilon           {result.epsilon}")
        print(f"strongest attack  {result.attack_auc}")
        print(f"report            {result.report}")
        print(f"pushed            {models[-1] if result.pushed and models else 'nothing'}")
        print(f"budget            {self._shown_ledger()} tfx-privacy ledger show")

    def _shown_ledger(self) -> str:
        """The variable with the address of a file; the address of a server may hold a password."""
        variable = source.check_name(self.ledger)
        address = os.environ[variable]
        return f"{variable}={address if address.startswith('sqlite:') else '...'}"


def compile_for_kubeflow(pipeline: Pipeline, output: str, *, image: str, secrets: Sequence[str] = ()) -> None:
    """Compiles a project's pipeline, and prints what was written; warnings go to the error output.

    Args:
      pipeline: The pipeline; it is used up.
      output: File to write: `.yaml` for open-source Kubeflow Pipelines, `.json` for Vertex AI.
      image: Container image of every step.
      secrets: Environment variables from Kubernetes secrets, as VARIABLE=SECRET:KEY; Vertex AI has none, and there
        they are left out.

    Raises:
      ImportError: If the packages of tfx-privacy[kubeflow] are missing.
      ParameterError: If something in the pipeline cannot run on Kubeflow, or the lint finds a way past the gate.
    """
    from tfx_privacy.pipelines import kubeflow

    is_open_source = kubeflow.platform_of(output) == kubeflow.OPEN_SOURCE
    parsed = [kubeflow.Secret.parse(text) for text in secrets] if is_open_source else []
    for warning in kubeflow.compile(pipeline, output, image=image, secrets=parsed):
        print(warning, file=sys.stderr)
    print(f"Wrote {output}, for the image {image}.")
