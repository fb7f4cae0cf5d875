"""`tfx-privacy plan` with shares for preprocessing and statistics."""

import csv
import io
import json
import re

import pytest
from click.testing import CliRunner, Result

from tfx_privacy import cli
from tfx_privacy.errors import ParameterError
from tfx_privacy.releases import shares
from tfx_privacy.releases.shares import Share

COMMON = ("--population", "10000", "--target-delta", "1e-6", "--expected-batch-size", "512", "--target-epsilon", "3")
SHARED = ("--preprocessing-share", "0.1", "--preprocessing-answers", "9", "--statistics-share", "0.05")


def plan(*arguments: str) -> Result:
    return CliRunner().invoke(cli.cli, ["plan", *arguments])


def test_the_command_says_what_the_library_plans() -> None:
    (row,) = json.loads(plan(*COMMON, *SHARED, "--format", "json").stdout)
    asked = [
        Share(part="preprocessing", share=0.1, answers=9),
        Share(part="statistics", share=0.05),
    ]
    (found,) = shares.plan(
        asked, target_epsilons=[3.0], population=10_000, target_delta=1e-6, expected_batch_sizes=[512]
    )
    (_, preprocessing), (_, statistics) = found.releases
    assert row["noise_multiplier"] == found.training.noise_multiplier
    assert row["noise_multiplier_alone"] == found.alone.noise_multiplier < row["noise_multiplier"]
    assert row["epsilon"] == found.training.epsilon <= 3.0
    assert row["preprocessing_noise_multiplier"] == preprocessing.noise_multiplier
    assert row["statistics_noise_multiplier"] == statistics.noise_multiplier
    assert preprocessing.answers[0].selection is not None
    assert row["preprocessing_threshold"] == preprocessing.answers[0].selection.threshold
    assert row["preprocessing_epsilon"] == preprocessing.epsilon.best <= 0.3
    assert row["preprocessing_count_noise"] == pytest.approx(3 * preprocessing.noise_multiplier)
    (text,) = csv.DictReader(io.StringIO(plan(*COMMON, *SHARED, "--format", "csv").stdout))
    assert {name: "" if value is None else str(value) for name, value in row.items()} == text


def test_a_table_shows_the_training_with_and_without_and_each_release() -> None:
    shown = plan(*COMMON, *SHARED, "--target-epsilon", "1").output
    (row,) = json.loads(plan(*COMMON, *SHARED, "--format", "json").stdout)
    assert re.search(rf" 3 .* {row['noise_multiplier']:g} .* {row['noise_multiplier_alone']:g} *$", shown, re.MULTILINE)
    numbers = (
        rf"3 +0\.1 +0\.\d{{4}} +{row['preprocessing_noise_multiplier']:g} +9 +\S+ +{row['preprocessing_threshold']}"
    )
    assert re.search(rf"^preprocessing +{numbers} *$", shown, re.MULTILINE)
    assert len(re.findall(r"^(?:preprocessing|statistics) ", shown, re.MULTILINE)) == 4
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert "of preprocessing, statistics and training together" in " ".join(shown.split())


def test_without_a_target_the_usual_ones_are_shared() -> None:
    rows = json.loads(plan(*COMMON[:-2], "--preprocessing-share", "0.1", "--format", "json").stdout)
    assert [row["target_epsilon"] for row in rows] == [1.0, 3.0, 8.0]
    without = plan(*COMMON, "--statistics-share", "0.1", "--vocabularies", "0")
    assert re.search(r"^statistics .* none *$", without.output, re.MULTILINE)


def test_without_shares_nothing_is_different() -> None:
    (row,) = json.loads(plan(*COMMON, "--format", "json").stdout)
    assert not any("share" in name or "alone" in name for name in row)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--vocabularies", "2"], "vocabularies=2 is of a release. Give preprocessing_share"),
        (["--max-records-per-user", "2"], "max_records_per_user=2 is of a release"),
        ([*SHARED, "--noise-multiplier", "2"], r"noise_multiplier=\(2.0,\) does not go together"),
        ([*SHARED, "--budget-epsilon", "8"], "budget_epsilon=8.0 does not go together with preprocessing_share=0.1"),
        ([*SHARED, "--ledger", "env:X", "--dataset-id", "x"], "ledger='env:X' does not go together"),
        ([*SHARED, "--reference-models", "2"], "reference_models=2 does not go together"),
        (["--statistics-share", "1.5"], r"statistics_share=1\.5 in \(0, 1\)"),
        (["--statistics-share", "nan"], "statistics_share=nan"),
    ],
)
def test_options_that_make_no_sense_are_one_clear_error(arguments: list[str], message: str) -> None:
    done = plan(*COMMON, *arguments)
    assert isinstance(done.exception, ParameterError)
    assert re.search(message, str(done.exception))
