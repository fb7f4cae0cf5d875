import json
import pathlib
import subprocess
import sys

import evidence
import pytest
import yaml
from click.testing import CliRunner

from tfx_privacy import cli
from tfx_privacy.gate.decide import decide
from tfx_privacy.gate.policy import GatePolicy


def test_epsilon_by_both_accountants() -> None:
    arguments = ["epsilon", "--noise-multiplier", "1", "--sampling-probability", "0.01", "--steps", "1000"]
    done = CliRunner().invoke(cli.cli, [*arguments, "--target-delta", "1e-5"])
    assert done.exit_code == 0
    assert done.output.splitlines() == ["epsilon=1.82824 at delta=1e-05 (PLD)", "epsilon=2.10137 at delta=1e-05 (RDP)"]


def test_errors_are_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["epsilon", "--noise-multiplier", "nan", "--sampling-probability", "0.01", "--steps", "1"]
    monkeypatch.setattr("sys.argv", ["tfx-privacy", *arguments, "--target-delta", "1e-5"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 1
    assert capsys.readouterr().err.startswith("Error: Expected noise_multiplier=nan to be a finite number.")


def test_help_answers_at_once() -> None:
    """Without the libraries that take seconds to import."""
    code = """
import sys
from click.testing import CliRunner
from tfx_privacy import cli
for command in ([], ["lint"], ["plan"], ["policy-digest"]):
    done = CliRunner().invoke(cli.cli, [*command, "--help"])
    assert done.exit_code == 0 and "Usage:" in done.output, done.output
print(*{"tfx_privacy.third_party.dp_accounting", "matplotlib", "rich", "sqlalchemy", "tensorflow", "tfx"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_policys_digest_is_the_one_that_verdicts_name(tmp_path: pathlib.Path) -> None:
    text = "schema_version: 1\nmax_epsilon: 3\nmax_delta: 1.0e-6\nmax_attack_auc: 0.6\nledger: none\n"
    (tmp_path / "policy.yaml").write_text(text)
    (tmp_path / "other.yaml").write_text("# Agreed on in May.\n" + "\n".join(reversed(text.splitlines())))
    expected = GatePolicy(max_epsilon=3.0, max_delta=1e-6, max_attack_auc=0.6).digest
    for name in ("policy.yaml", "other.yaml"):
        done = CliRunner().invoke(cli.cli, ["policy-digest", str(tmp_path / name)])
        assert (done.exit_code, done.output) == (0, f"{expected}\n")
    (tmp_path / "other.yaml").write_text(text.replace("0.6", "0.61"))
    assert CliRunner().invoke(cli.cli, ["policy-digest", str(tmp_path / "other.yaml")]).output.strip() != expected
    verdict = decide(
        evidence.make_evidence(), GatePolicy(max_epsilon=3.0, max_delta=1e-6, max_attack_auc=0.6), now=evidence.NOW
    )
    assert verdict.policy_digest == expected


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_the_taxi_pipeline_compiles_for_kubeflow(suffix: str, tmp_path: pathlib.Path) -> None:
    output = tmp_path / f"taxi.{suffix}"
    arguments = ["compile", "--output", str(output), "--image", "an-image"]
    if suffix == "json":
        arguments += ["--pipeline-root", "gs://bucket/root", "--data-root", "gs://bucket/data"]
    done = CliRunner().invoke(cli.cli, arguments)
    assert done.exit_code == 0, done.output
    text = output.read_text()
    spec = yaml.safe_load(text) if suffix == "yaml" else json.loads(text)["pipelineSpec"]
    tasks = spec["root"]["dag"]["tasks"]
    assert {"DPTrainer", "PrivacyEvaluator", "BudgetValidator", "Pusher"} <= set(tasks)
    blessing = tasks["Pusher"]["inputs"]["artifacts"]["model_blessing"]["taskOutputArtifact"]
    assert blessing == {"producerTask": "BudgetValidator", "outputArtifactKey": "blessing"}
    # A verdict must not come from a cache.
    assert not tasks["BudgetValidator"].get("cachingOptions", {}).get("enableCache", False)
    assert "tfx_privacy.PrivacyGuarantee" in text
    executors = spec["deploymentSpec"]["executors"]
    assert all(
        executor["container"]["image"] == "an-image" for executor in executors.values() if "container" in executor
    )


@pytest.mark.slow
def test_compile_refuses_other_endings(tmp_path: pathlib.Path) -> None:
    done = CliRunner().invoke(cli.cli, ["compile", "--output", str(tmp_path / "taxi.txt")])
    assert "to end in .yaml" in str(done.exception)
