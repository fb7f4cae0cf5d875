"""The whole compiled taxi pipeline, with a ledger and signatures, step by step as Kubeflow would run it: pushed, then refused."""

import dataclasses
import pathlib
from typing import Any

import compiled_summary
import pytest
import yaml

from tfx_privacy.ledger import Ledger
from tfx_privacy.pipelines import ir_runner
from tfx_privacy.records import signing

pytestmark = pytest.mark.slow

LEDGER = "TFX_PRIVACY_LEDGER"
SIGNED = (
    "privacy_release.json",
    "privacy_release-eval.json",
    "privacy_guarantee.json",
    "privacy_evaluation.json",
    "verdict.json",
)


@dataclasses.dataclass(frozen=True)
class Bench:
    """One compiled file, and what the cluster around it holds."""

    compiled: pathlib.Path
    root: pathlib.Path
    secrets: dict[str, str]

    @property
    def serving(self) -> pathlib.Path:
        return self.root / "serving"

    def run(self, **parameters: str) -> ir_runner.Run:
        return ir_runner.run(
            self.compiled, self.root / "run", parameters=parameters, secrets=self.secrets, keep_pods=True
        )

    def budgets(self) -> Any:
        with Ledger(f"env:{LEDGER}", self.secrets) as ledger:
            return ledger.verify().datasets


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    from tfx_privacy.pipelines import taxi

    root = tmp_path_factory.mktemp("taxi")
    keys = signing.new_key("ed25519", "taxi")
    secrets = {
        LEDGER: f"sqlite:///{root}/ledger.db",
        signing.SIGNING_KEY_VARIABLE: keys.signing,
        signing.VERIFICATION_KEYS_VARIABLE: keys.verification,
    }
    with Ledger(f"env:{LEDGER}", secrets) as ledger:
        ledger.initialise()
        # Nothing is cached on Kubeflow, so each run releases statistics and vocabularies anew.
        budget = {**taxi.BUDGET, "delta": 2e-5, "threshold_delta": 1e-5}
        ledger.register(taxi.DATASET_ID, approver="the test", **budget)
    compiled = root / "taxi.yaml"
    # Without a place for the data: they are in the image, which is this environment.
    compiled_summary.compile_taxi(
        compiled, secrets=compiled_summary.secrets(), pipeline_root=None, data_root=None,
        serving_model_dir=str(root / "serving"),
    )  # fmt: skip
    return Bench(compiled, root, secrets)


@pytest.fixture(scope="module")
def pushed(bench: Bench) -> ir_runner.Run:
    return bench.run()


def test_a_model_is_pushed_that_answers(bench: Bench, pushed: ir_runner.Run) -> None:
    from tfx_privacy.pipelines import taxi

    assert pushed.tasks["BudgetValidator"].outputs["blessing"].metadata["blessed"] == 1.0
    assert pushed.tasks["Pusher"].outputs["pushed_model"].metadata["pushed"] == 1.0
    (version,) = bench.serving.iterdir()
    answers = taxi.predict(str(version), taxi.raw_examples(200))
    assert len(answers) == 200
    assert all(0 < answer < 1 for answer in answers)
    assert max(answers) - min(answers) > 0.5


def test_the_blessing_is_of_the_pushed_model_under_kubeflows_name(bench: Bench, pushed: ir_runner.Run) -> None:
    model = pushed.tasks["DPTrainer"].outputs["model"]
    for task in ("BudgetValidator", "Evaluator"):
        metadata = pushed.tasks[task].outputs["blessing"].metadata
        assert metadata["current_model"] == model.uri
        assert metadata["current_model_id"] == str(model.number)


def test_what_is_reported_is_remote(bench: Bench, pushed: ir_runner.Run) -> None:
    """No path of a container gets into metadata, where the next container would look for it."""
    for result in pushed.tasks.values():
        for artifact in result.outputs.values():
            assert artifact.uri.startswith("minio://")
            assert "/pods/" not in str(artifact.metadata)


def test_the_drivers_fingerprint_is_reported(pushed: ir_runner.Run) -> None:
    assert "num_files:1" in pushed.tasks["CsvExampleGen"].outputs["examples"].metadata["input_fingerprint"]


def test_evidence_is_signed_and_the_run_is_charged(bench: Bench, pushed: ir_runner.Run) -> None:
    from tfx_privacy.guarantee.record import PrivacyGuarantee
    from tfx_privacy.records import statement

    folder = pushed.folder("DPTrainer", "privacy_guarantee")
    guarantee = statement.from_json(PrivacyGuarantee, (folder / "privacy_guarantee.json").read_bytes())
    places = {
        "privacy_release.json": pushed.folder("DPTransform", "privacy_release"),
        "privacy_release-eval.json": pushed.folder("DPStatisticsGen", "privacy_release"),
        "privacy_guarantee.json": folder,
        "privacy_evaluation.json": pushed.folder("PrivacyEvaluator", "privacy_evaluation"),
    }
    places["verdict.json"] = pushed.folder("BudgetValidator", "blessing")
    for name in SIGNED:
        assert (places[name] / name.replace(".json", ".intoto.jsonl")).exists()
    (dataset,) = bench.budgets().values()
    assert len(guarantee.releases) == 3
    for run_id in [guarantee.run_id, *(release.run_id for release in guarantee.releases)]:
        assert dataset.runs[run_id].state == "COMMITTED"
    # They are of the training's examples, by what ExampleGen's driver says of them.
    assert all(release.examples == guarantee.examples != [] for release in guarantee.releases)
    assert {item.artifact: item.covered for item in guarantee.scope} == {"transform_graph": True, "schema": True}


def test_a_lower_limit_is_a_refusal_and_nothing_is_pushed(bench: Bench, pushed: ir_runner.Run) -> None:
    before = sorted(bench.serving.iterdir())
    refused = bench.run(max_epsilon="1")
    blessing = refused.tasks["BudgetValidator"].outputs["blessing"]
    assert blessing.metadata["blessed"] == 0.0
    assert "is above max_epsilon=1" in blessing.metadata["blessing_message"]
    assert {path.name for path in refused.folder("BudgetValidator", "blessing").iterdir()} >= {
        "NOT_BLESSED",
        "verdict.json",
    }
    assert refused.tasks["Evaluator"].outputs["blessing"].metadata["blessed"] == 1.0
    assert refused.tasks["Pusher"].outputs["pushed_model"].metadata["pushed"] == 0.0
    assert sorted(bench.serving.iterdir()) == before


def test_a_step_without_its_secret_does_not_start(bench: Bench, tmp_path: pathlib.Path) -> None:
    """In a process of its own, as in a container: named, and in one line."""
    spec, platform = yaml.safe_load_all(bench.compiled.read_text())
    tasks = spec["root"]["dag"]["tasks"]
    spec["root"]["dag"]["tasks"] = {"DPTrainer": {**tasks["DPTrainer"], "inputs": {}, "dependentTasks": []}}
    del platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["DPTrainer_executor"]
    path = tmp_path / "alone.yaml"
    path.write_text(yaml.safe_dump_all([spec, platform]))
    with pytest.raises(
        ir_runner.TaskError, match="exit code 2(.|\n)*Error: The environment variable TFX_PRIVACY_LEDGER is not set"
    ) as caught:
        ir_runner.run(path, tmp_path / "run", secrets=bench.secrets, preload=False)
    assert "Traceback" not in str(caught.value)
