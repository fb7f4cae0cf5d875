"""docs/adult.md, the first hour with data of one's own: does the guide's own text lead from the template to a verdict?

The data are the reader's. Made-up records of the same form stand in for them: text with spaces, "?" for what is missing, a
comment line, labels with a dot in the test file, and rows of the training file in it.
"""

from __future__ import annotations

import os
import pathlib
import random
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner
from places import ROOT

from tfx_privacy import cli

GUIDE = (ROOT / "docs" / "adult.md").read_text()
MOST_CHANGED_LINES = 41
NUM_TRAINING, NUM_TEST, NUM_REPEATED = 6000, 3000, 5

_TEXTS = {
    "workclass": ("Private", "Self-emp-not-inc", "State-gov", "?"),
    "education": ("Bachelors", "HS-grad", "11th"),
    "marital_status": ("Never-married", "Married-civ-spouse", "Divorced"),
    "occupation": ("Adm-clerical", "Exec-managerial", "Sales", "?"),
    "relationship": ("Husband", "Wife", "Own-child", "Not-in-family"),
    "race": ("White", "Black"),
    "sex": ("Female", "Male"),
    "native_country": ("United-States", "Mexico", "?"),
}


def block(language: str, containing: str) -> str:
    (found,) = (
        text
        for text in re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
        if containing in text
    )
    return str(found)


def columns() -> list[str]:
    return block("bash", "columns=").split("columns=", 1)[1].split("\n", 1)[0].split(",")


def row(source: random.Random) -> str:
    years = source.randrange(1, 17)
    gain = source.choice((0, 0, 0, 2174, 15024))
    rich = years + gain / 2000 + source.gauss(0, 5) > 11
    values = {
        "age": source.randrange(17, 91),
        "fnlwgt": source.randrange(12285, 1484705),
        "education_num": years,
        "capital_gain": gain,
        "capital_loss": source.choice((0, 0, 1902)),
        "hours_per_week": source.randrange(1, 100),
        "income": ">50K" if rich else "<=50K",
        **{name: source.choice(texts) for name, texts in _TEXTS.items()},
    }
    return ", ".join(str(values[name]) for name in columns())


def write_data(folder: pathlib.Path) -> None:
    """adult.data and adult.test as UCI has them."""
    source = random.Random(18)
    training = [row(source) for _ in range(NUM_TRAINING)]
    test = [row(source) for _ in range(NUM_TEST - NUM_REPEATED)] + training[:NUM_REPEATED]
    (folder / "adult.data").write_text("\n".join(training) + "\n\n")
    (folder / "adult.test").write_text("|1x3 Cross validator\n" + "".join(f"{line}.\n" for line in test) + "\n")


@pytest.fixture
def project(tmp_path: pathlib.Path) -> pathlib.Path:
    """A copy of the template with the guide's data and changes."""
    (arguments,) = re.findall(r"^tfx-privacy (template copy .*--destination-path) adult$", GUIDE, re.MULTILINE)
    folder = tmp_path / "adult"
    done = CliRunner().invoke(cli.cli, [*arguments.split(), str(folder)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    write_data(folder)
    (folder / "adult.diff").write_text(block("diff", "--- a/models/model.py"))
    subprocess.run(["bash", "-ec", block("bash", "columns=")], cwd=folder, check=True)
    subprocess.run(["git", "apply", "--unidiff-zero", "adult.diff"], cwd=folder, check=True)
    return folder


def test_the_changes_are_few_and_the_guide_counts_them() -> None:
    lines = block("diff", "--- a/models/model.py").splitlines()
    added = [line for line in lines if re.match(r"\+(?!\+\+ )", line)]
    removed = [line for line in lines if re.match(r"-(?!-- )", line)]
    assert len(added) + len(removed) <= MOST_CHANGED_LINES
    assert f"{len(added)} insertions(+), {len(removed)} deletions(-)" in GUIDE


def test_the_guides_commands_make_the_files_that_its_changes_read(project: pathlib.Path) -> None:
    for split, count in (("train", NUM_TRAINING), ("eval", NUM_TEST)):
        header, *rows = (project / "data" / split / "adult.csv").read_text().splitlines()
        assert header.split(",") == columns()
        assert len(rows) == count
        assert {len(line.split(",")) for line in rows} == {len(columns())}
        assert {line.rsplit(",", 1)[1] for line in rows} == {"<=50K", ">50K"}
        assert not any(", " in line for line in rows)
    config = (project / "pipeline" / "configs.py").read_text()
    assert 'SPLITS = {"train": "train/*", "eval": "eval/*"}' in config
    code = (project / "models" / "model.py").read_text()
    for name in re.findall(r'"([a-z_]+)"(?=: )', code.split("CATEGORIES =")[1].split("NUM_FEATURES")[0]):
        assert name in columns()


@pytest.mark.slow
def test_the_guide_leads_to_a_verdict(project: pathlib.Path) -> None:
    """Also with test rows that are in the training file, which ended the pipeline after the budget was spent."""
    environ = {name: value for name, value in os.environ.items() if name != "TFX_PRIVACY_LEDGER"}

    def python(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=project, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:]
        return done.stdout

    # The one number that is about how many people there are.
    config = project / "pipeline" / "configs.py"
    config.write_text(config.read_text().replace("POPULATION = 32_000", f"POPULATION = {NUM_TRAINING}"))
    assert "OK (skipped=1)" in python("-m", "unittest")
    text = python("local_runner.py")
    assert "\nBLESSED. " in text, text[-3000:]
    (report,) = re.findall(r"^report +(\S+)$", text, re.MULTILINE)
    markdown = CliRunner().invoke(cli.cli, ["report", str(pathlib.Path(report).parent), "--format", "md"]).stdout
    (utility,) = re.findall(r"^\| Utility \| (.*) \|$", markdown, re.MULTILINE)
    assert re.search(r"Auc 0\.\d+", utility), utility
