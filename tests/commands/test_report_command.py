import pathlib
import subprocess
import sys

import evidence
import pytest
import yaml
from click.testing import CliRunner, Result

from tfx_privacy.cli import cli
from tfx_privacy.errors import EvidenceError
from tfx_privacy.guarantee.mechanism import NoMechanism
from tfx_privacy.guarantee.record import PrivacyGuarantee
from tfx_privacy.records import statement


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, ["report", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """BudgetValidator's folder after three executions: the last one refused."""
    root = tmp_path_factory.mktemp("run") / "BudgetValidator"
    evidence.write_report(root / "report" / "9")
    evidence.write_report(root / "report" / "10", max_epsilon=1.0)
    for number in ("9", "10", "11"):
        (root / "blessing" / number).mkdir(parents=True)
    return root


@pytest.mark.parametrize(
    ("path", "headline"),
    [
        ("report/9", "BLESSED"), ("report/9/report.json", "BLESSED"), ("report/9/report.html", "BLESSED"),
        ("blessing/9", "BLESSED"), ("report/10", "NOT BLESSED"), ("report", "NOT BLESSED"), (".", "NOT BLESSED"),
    ],
)  # fmt: skip
def test_a_report_is_found_from_each_of_its_parts(outputs: pathlib.Path, path: str, headline: str) -> None:
    lines = run(outputs / path).output.splitlines()
    assert lines[0] == headline
    # The report's own first sentences stand before anything else.
    assert lines[1].startswith("  Promise: epsilon = 2.5890 at delta = 1e-05 covers the training, ")
    assert [line.split(":")[0].strip() for line in lines[1:5]] == ["Promise", "Attacks", "Waived", "Budget"]
    assert any(line.startswith("  Epsilon: 2.5890; at delta 1e-05") for line in lines)
    assert any(line.startswith("  epsilon fails:") for line in lines) is (headline == "NOT BLESSED")
    assert lines[-1].endswith("report.json")


def test_an_address_of_a_local_file_is_its_path(outputs: pathlib.Path) -> None:
    assert run((outputs / "report" / "9").as_uri()).output == run(outputs / "report" / "9").output


@pytest.mark.parametrize(
    ("path", "message"),
    [("nowhere", "no file or folder"), ("blessing/11", "no report.json"), ("blessing", "no report.json")],
)
def test_what_is_no_report_is_said(outputs: pathlib.Path, path: str, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        run(outputs / path)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"schema_version": 1}', '{"schema_version": 1, "schema_version": 1}', "\xff"]
)
def test_what_is_not_readable_is_named(tmp_path: pathlib.Path, text: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(EvidenceError, match=r"report\.json"):
        run(path)


@pytest.mark.parametrize(
    ("form", "start"),
    [
        pytest.param("html", "<!DOCTYPE html>", marks=pytest.mark.slow),
        ("json", "{"),
        pytest.param("md", "# Privacy report: BLESSED", marks=pytest.mark.slow),
        ("model-card", "{"),
    ],
)
def test_it_is_rendered_in_every_form_and_never_over_a_file(
    outputs: pathlib.Path, tmp_path: pathlib.Path, form: str, start: str
) -> None:
    printed = run(outputs / "report/9", "--format", form).output
    assert printed.startswith(start)
    target = tmp_path / "made"
    run(outputs / "report/9", "--format", form, "--output", target)
    assert target.read_text() == printed
    target.write_text("mine")
    with pytest.raises(EvidenceError, match="exists, and is not overwritten"):
        run(outputs / "report/9", "--format", form, "--output", target)
    assert target.read_text() == "mine"


def guarantee_in(folder: pathlib.Path, record: PrivacyGuarantee) -> pathlib.Path:
    """As DPTrainer writes it."""
    path = folder / "privacy_guarantee.json"
    path.write_text(statement.to_json(record))
    return path


def test_an_entry_of_the_registry_is_written_from_a_report_and_from_a_guarantee(
    outputs: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    record = evidence.make_guarantee()
    path = guarantee_in(tmp_path, record)
    said = ("--deployment-name", "Taxi", "--curator", "X", "--curator", "Y")
    for place in (outputs / "report/9", path, path.parent):
        done = run(place, "--format", "registry", *said)
        read = yaml.safe_load(done.stdout)
        assert read["deployment"]["privacy_loss"]["privacy_parameters"]["epsilon"] == record.stated_epsilon
        assert read["deployment"]["basic"]["data_curators"] == ["X", "Y"]
    target = tmp_path / "entry.yaml"
    run(path, "--format", "registry", *said, "--output", target)
    assert yaml.safe_load(target.read_text()) == read
    assert oct(target.stat().st_mode & 0o777) == "0o600"


def test_what_is_to_be_filled_in_and_what_is_no_private_deployment_is_said(
    outputs: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def hear(text: str, *, err: bool = False) -> None:
        if err:
            said.append(text)

    monkeypatch.setattr("tfx_privacy.commands.terminal.echo", hear)
    run(outputs / "report/10", "--format", "registry", "--region", "X")
    assert said[0].startswith("REFUSED: The privacy gate refused this model (epsilon)")
    assert said[1] == (
        "To be filled in, or given: --deployment-name, --curator, --description, --intended-use, --registry-author."
    )
    said.clear()
    run(guarantee_in(tmp_path, evidence.make_guarantee(NoMechanism(steps=3))), "--format", "registry")
    assert said[0].startswith("NOT PRIVATE: Epsilon is infinite")


def test_an_entry_of_what_is_neither_report_nor_guarantee_is_refused(tmp_path: pathlib.Path) -> None:
    record = evidence.make_guarantee()
    path = guarantee_in(tmp_path, record.model_copy(update={"epsilon_pld": 0.125, "epsilon_rdp": 0.125}))
    with pytest.raises(EvidenceError, match="neither a report nor a guarantee that holds: .* its mechanism spends"):
        run(path, "--format", "registry")
    path.write_text("{}")
    with pytest.raises(EvidenceError, match="neither a report nor a guarantee that holds"):
        run(path, "--format", "registry")
    path.write_text(statement.to_json(evidence.make_evaluation()))
    with pytest.raises(EvidenceError, match="neither a report nor a guarantee that holds"):
        run(path, "--format", "registry")


def test_options_that_do_not_go_together_are_refused(outputs: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert run(outputs, "--output", tmp_path / "x").exit_code == 2
    assert run(outputs, "--open", "--format", "md").exit_code == 2
    for form in ([], ["--format", "md"]):
        refused = run(outputs, *form, "--intended-use", "x")
        assert refused.exit_code == 2
        assert "--intended-use is of an entry of the registry" in refused.output
    assert not (tmp_path / "x").exists()


def test_the_page_is_opened_only_when_asked_for(outputs: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def pretend(address: str) -> bool:
        opened.append(address)
        return True

    monkeypatch.setattr("webbrowser.open", pretend)
    run(outputs / "report/9")
    assert opened == []
    run(outputs / "report/9", "--open")
    assert opened == [(outputs / "report/9/report.html").as_uri()]


def test_names_from_a_report_cannot_command_a_terminal(tmp_path: pathlib.Path) -> None:
    folder = evidence.write_report(tmp_path / "report")
    path = folder / "report.json"
    path.write_text(path.read_text().replace('"value": "taxi"', '"value": "\\u001b[2Jtaxi\\nBLESSED"'))
    output = run(folder).output
    assert "\x1b" not in output
    assert r"\x1b[2Jtaxi BLESSED" in output


@pytest.mark.slow
def test_no_form_needs_tensorflow(outputs: pathlib.Path) -> None:
    code = (
        "import sys; from tfx_privacy.cli import cli; cli(sys.argv[1:], standalone_mode=False); "
        "assert not {'tensorflow', 'tfx', 'apache_beam'} & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", code, "report", str(outputs / "report/9"), "--format", "html"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
