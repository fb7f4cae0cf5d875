"""What the runners of all projects share: places, the demonstration's ledger, what is shown, secrets."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

pytestmark = pytest.mark.slow

SECRET = "TFX_PRIVACY_LEDGER=privacy-ledger:address"


@pytest.fixture
def project(tmp_path: pathlib.Path) -> Any:
    from tfx_privacy.pipelines.project_runner import LocalProject

    return LocalProject("my-pipeline", str(tmp_path), "env:MY_LEDGER")


def provide(project: Any) -> None:
    project.provide_ledger("people", epsilon=3.0, delta=1e-5, population=1000)


def test_all_places_are_below_one_folder(project: Any, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "tfx_pipeline_output" / "my-pipeline"
    assert project.pipeline_root == str(folder)
    assert project.serving_model_dir == str(folder / "serving_model")
    database = tmp_path / "tfx_metadata" / "my-pipeline" / "metadata.db"
    assert project.metadata().sqlite.filename_uri == str(database)
    assert database.parent.is_dir()


def test_a_ledger_of_the_environment_is_left_alone(
    project: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_LEDGER", "postgresql://me:hidden@host/database")
    provide(project)
    assert list(tmp_path.iterdir()) == []


def test_without_a_ledger_a_file_holds_the_budget(
    project: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once: the second run in the same environment finds it named."""
    from tfx_privacy.ledger import Ledger

    monkeypatch.setenv("MY_LEDGER", "")
    provide(project)
    provide(project)
    assert (tmp_path / "privacy_ledger.db").is_file()
    with Ledger("env:MY_LEDGER") as ledger:
        assert [entry.body.kind for entry in ledger.log("people")] == ["register"]


@pytest.mark.parametrize(
    ("address", "shown"),
    [("sqlite:////srv/ledger.db", "sqlite:////srv/ledger.db"), ("postgresql://me:hidden@host/database", "...")],
)
def test_no_password_is_shown(
    address: str, shown: str, project: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tfx_privacy.pipelines import results

    monkeypatch.setenv("MY_LEDGER", address)
    project._show(
        results.RunResult(
            blessed=False, pushed=False, message="Refused.", epsilon="3.0", attack_auc="0.7", report="report.html",
            metrics={}, transform_graph="", transformed_examples="", covers="",
        )
    )  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "NOT BLESSED. Refused."
    assert lines[-2:] == ["pushed            nothing", f"budget            MY_LEDGER={shown} tfx-privacy ledger show"]


@pytest.mark.parametrize(("output", "expected"), [("a.yaml", [SECRET]), ("a.json", [])])
def test_kubernetes_secrets_are_for_open_source_alone(
    output: str, expected: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tfx_privacy.pipelines import kubeflow, project_runner

    given: dict[str, Any] = {}

    def compile(pipeline: Any, output: str, **options: Any) -> list[str]:
        given.update(options)
        return ["a warning"]

    monkeypatch.setattr(kubeflow, "compile", compile)
    project_runner.compile_for_kubeflow(object(), output, image="image:1", secrets=[SECRET])
    assert given == {"image": "image:1", "secrets": [kubeflow.Secret.parse(text) for text in expected]}
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (f"Wrote {output}, for the image image:1.\n", "a warning\n")
