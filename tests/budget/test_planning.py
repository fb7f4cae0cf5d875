import csv
import io
import json
import pathlib
import re

import pytest
from click.testing import CliRunner, Result

from tfx_privacy import cli
from tfx_privacy.accounting import calibration
from tfx_privacy.accounting.composition import dp_sgd_event
from tfx_privacy.accounting.epsilon import rdp_epsilon
from tfx_privacy.accounting.rounding import significant_up
from tfx_privacy.budget import planning, renyi_filter
from tfx_privacy.budget.runs import PlannedRun
from tfx_privacy.errors import ParameterError

RUN = PlannedRun.of(noise_multiplier=1.0, sampling_probability=0.01, steps=1000)


def plan(*arguments: str) -> Result:
    return CliRunner().invoke(cli.cli, ["plan", *arguments])


def test_every_combination_is_a_row_with_less_noise_as_epsilon_grows() -> None:
    runs = planning.plan(
        population=10_000,
        target_epsilons=[1.0],
        noise_multipliers=[0.9, 8.0],
        expected_batch_sizes=[512, 128],
        epochs=[5],
    )
    assert [(run.expected_batch_size, run.noise_multiplier) for run in runs if run.target_epsilon is None] == [
        (512, 8.0), (512, 0.9), (128, 8.0), (128, 0.9),
    ]  # fmt: skip
    assert [run.target_epsilon for run in runs] == [None, 1.0, None] * 2
    assert [run.steps for run in runs] == [98, 98, 98, 391, 391, 391]
    by_large_batch, by_small_batch = runs[1], runs[4]
    assert 0.99 < by_large_batch.epsilon <= 1.0
    assert 0.99 < by_small_batch.epsilon <= 1.0
    # At the same epsilon a larger batch has the larger multiplier, and less noise on its mean.
    assert by_large_batch.noise_multiplier > by_small_batch.noise_multiplier
    assert by_large_batch.noise_of_mean_gradient < by_small_batch.noise_of_mean_gradient
    assert by_large_batch.noise_of_mean_gradient == by_large_batch.noise_multiplier / 512


def test_the_noise_shown_is_the_noise_accounted() -> None:
    """Four digits, so a number copied from the table spends what the table says."""
    (run,) = planning.plan(population=10_000, target_epsilons=[1.0], expected_batch_sizes=[256], epochs=[3])
    shown = float(f"{run.noise_multiplier:.4g}")
    assert shown == run.noise_multiplier
    assert run.run.terms == (shown, 0.0256, 118)
    assert run.epsilon == rdp_epsilon(run.run.event, target_delta=1e-5)


@pytest.mark.parametrize("value", [1.14741, 0.99999, 9999.99, 0.3, 1.0, 123456.0, 3.0001e-7])
def test_rounding_up_never_lowers_and_changes_little(value: float) -> None:
    rounded = significant_up(value, planning.NOISE_DIGITS)
    assert value <= rounded <= value * 1.001
    assert float(f"{rounded:.4g}") == rounded


def test_the_other_way_round_noise_gives_epsilon() -> None:
    (run,) = planning.plan(
        population=100_000, noise_multipliers=[1.0], expected_batch_sizes=[1000], epochs=[10], target_delta=1e-6
    )
    assert run.target_epsilon is None
    assert run.epsilon == rdp_epsilon(
        dp_sgd_event(noise_multiplier=1.0, sampling_probability=0.01, steps=1000), target_delta=1e-6
    )


def test_pld_calls_for_less_noise_than_rdp() -> None:
    arguments = {"population": 10_000, "target_epsilons": [0.3], "expected_batch_sizes": [1000], "epochs": [2]}
    (by_rdp,) = planning.plan(**arguments)  # type: ignore[arg-type]
    (by_pld,) = planning.plan(**arguments, accountant="pld")  # type: ignore[arg-type]
    assert 0.85 * by_rdp.noise_multiplier < by_pld.noise_multiplier < by_rdp.noise_multiplier


def test_passes_are_accounted_without_amplification() -> None:
    (run,) = planning.plan(
        population=10_000, target_epsilons=[3.0], expected_batch_sizes=[100], epochs=[7], sampling="shuffled"
    )
    assert run.run.terms == (run.noise_multiplier, 1.0, 7)
    assert run.steps == 700


@pytest.mark.parametrize("population", [1, 7, 10, 99, 10_000, 10_001, 10**9])
def test_suggestions_fit_the_population(population: int) -> None:
    assert 0.01 / population < planning.suggest_delta(population) <= 0.1 / population * (1 + 1e-9)
    assert all(1 <= size <= population for size in planning.suggest_batch_sizes(population))


@pytest.mark.parametrize("delta", [1e-4, 0.5, float("nan"), 0.0])
def test_a_delta_that_would_publish_a_record_is_refused(delta: float) -> None:
    with pytest.raises(ParameterError, match="target_delta"):
        planning.plan(population=10_000, target_delta=delta)


def test_an_impossible_row_is_refused_before_anything_is_calibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "calibrate_noise_multiplier", None)
    with pytest.raises(ParameterError, match="expected_batch_size=2000 <= population=1000"):
        planning.plan(population=1000, expected_batch_sizes=[10, 2000])


def test_runs_allowed_are_those_that_the_filter_admits() -> None:
    """The golden case of the ledger: 11 such runs in (8, 1e-6), and a twelfth would be over."""
    assert planning.runs_in_budget(RUN, epsilon=8.0, delta=1e-6) == 11
    order = renyi_filter.best_order(epsilon=8.0, delta=1e-6)
    cost = renyi_filter.cost(order, RUN.event)
    counts = [planning.runs_allowed(left, order, RUN) for left in (-cost, 0, cost - 1, cost, 3 * cost - 1, 3 * cost)]
    assert counts == [0, 0, 0, 1, 2, 3]


@pytest.mark.parametrize("left", [True, 1.5, float("nan"), "3", None])
def test_what_is_left_is_a_whole_number(left: object) -> None:
    with pytest.raises(ParameterError, match="left_units"):
        planning.runs_allowed(left, 4.0, RUN)  # type: ignore[arg-type]


def test_the_command_prints_a_table() -> None:
    done = plan(
        "--population", "10000", "--target-epsilon", "3", "--expected-batch-size", "512", "--budget-epsilon", "8"
    )
    assert done.exit_code == 0, done.output
    assert "population=10000, delta=1e-05, accountant RDP" in done.output
    assert re.search(r"^ +3 +512 +0\.0512 +10 +196 +1\.386 +0\.00271 +2\.999 +6 *$", done.output, re.MULTILINE)


def test_csv_and_json_say_the_same() -> None:
    arguments = ["--population", "5000", "--noise-multiplier", "2.5", "--noise-multiplier", "5", "--epochs", "2"]
    as_json = json.loads(plan(*arguments, "--format", "json").stdout)
    as_csv = list(csv.DictReader(io.StringIO(plan(*arguments, "--format", "csv").stdout)))
    assert len(as_json) == len(as_csv) == 4
    for row, text in zip(as_json, as_csv, strict=True):
        assert {name: "" if value is None else str(value) for name, value in row.items()} == text
    assert [row["noise_multiplier"] for row in as_json] == [5.0, 2.5, 5.0, 2.5]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--population", "0"], "population=0"),
        (["--population", "1000", "--noise-multiplier", "nan"], "noise_multiplier=nan"),
        (["--population", "1000", "--budget-delta", "1e-6"], "Give budget_epsilon as well"),
        (["--population", "1000", "--budget-epsilon", "-1"], "budget_epsilon=-1.0 > 0"),
        (["--population", "1000", "--budget-epsilon", "1e-9"], "allows nothing at any Renyi order"),
        (["--population", "1000", "--plot", "plot.gif"], "to end in .svg, .png, .pdf"),
        (["--population", "1000", "--algorithm", "dp_ftrl"], "Set sampling='shuffled'"),
    ],
)
def test_bad_input_is_one_clear_line(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["tfx-privacy", "plan", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: ")
    assert message in line


def test_the_plot_names_every_line(tmp_path: pathlib.Path) -> None:
    output = tmp_path / "noise.svg"
    options = ["--noise-multiplier", "4", "--epochs", "3", "--epochs", "9"]
    done = plan("--population", "4000", *options, "--plot", str(output))
    assert done.exit_code == 0, done.output
    drawn = output.read_text()
    for batch in planning.suggest_batch_sizes(4000):
        for epochs in (3, 9):
            assert f"batch {batch}, {epochs} epochs" in drawn


def test_a_plot_that_cannot_be_written_is_an_error(tmp_path: pathlib.Path) -> None:
    done = plan("--population", "4000", "--noise-multiplier", "4", "--plot", str(tmp_path / "no" / "noise.png"))
    assert isinstance(done.exception, ParameterError)
    assert "cannot be written" in str(done.exception)


@pytest.mark.parametrize("num_models", [2, 6])
def test_reference_models_cost_half_a_training_each_and_all_together_have_the_guarantee_s_epsilon(
    num_models: int,
) -> None:
    arguments = ["--population", "10000", "--noise-multiplier", "2", "--expected-batch-size", "128", "--format", "json"]
    alone, together = (
        json.loads(plan(*arguments, "--budget-epsilon", "8", *more).stdout)[0]
        for more in ([], ["--reference-models", str(num_models)])
    )
    assert together["runs_in_budget"] == alone["runs_in_budget"] // (1 + num_models // 2)
    assert together["epsilon"] == alone["epsilon"]
    event = dp_sgd_event(
        noise_multiplier=2.0,
        sampling_probability=alone["sampling_probability"],
        steps=alone["steps"] * (1 + num_models // 2),
    )
    assert together["epsilon_with_references"] == rdp_epsilon(event, target_delta=alone["target_delta"])
    assert together["epsilon_with_references"] > 1.2 * alone["epsilon"]
    shown = plan(*arguments[:-2], "--reference-models", str(num_models)).output
    assert f"its {num_models} reference models together" in " ".join(shown.split())


def test_an_odd_number_of_reference_models_is_refused() -> None:
    found = plan("--population", "10000", "--reference-models", "3")
    assert found.exit_code != 0
    assert "reference_models=3" in str(found.output) + str(found.exception)


def test_the_plan_says_which_limit_on_attacks_the_records_support() -> None:
    arguments = ["--population", "600", "--target-epsilon", "3", "--expected-batch-size", "64", "--nonmembers", "300"]
    text = " ".join(plan(*arguments, "--max-attack-auc", "0.6").output.split())
    assert "Attacks on 600 members and 300 non-members: max_attack_auc=0.6" in text
    assert re.search(
        r"max_attack_auc=0\.6 refuses up to \d+\.\d%; \d{4} members and \d{3} non-members are enough", text
    )
    (row,) = json.loads(plan(*arguments, "--max-attack-auc", "0.6", "--format", "json").stdout)
    assert row["enough_members"] == pytest.approx(2 * row["enough_nonmembers"], abs=2)
    assert row["smallest_attack_limit"] > 0.6
    assert row["refused_without_a_leak"] > 0.05
    (fewer,) = json.loads(plan(*arguments, "--members", "300", "--format", "json").stdout)
    assert fewer["smallest_attack_limit"] > row["smallest_attack_limit"]
    assert "refused_without_a_leak" not in fewer
    (plain,) = json.loads(plan(*arguments[:-2], "--format", "json").stdout)
    assert "nonmembers" not in plain
    (guessing,) = json.loads(plan(*arguments, "--max-attack-auc", "0.5", "--format", "json").stdout)
    assert guessing["enough_members"] is None


def test_a_limit_on_attacks_without_records_is_an_error() -> None:
    arguments = ["--population", "600", "--target-epsilon", "3", "--expected-batch-size", "64", "--max-attack-auc"]
    assert "needs records to judge" in str(plan(*arguments, "0.6").exception)
    for name, numbers in (("nonmembers", ["--nonmembers", "0"]), ("members", ["--nonmembers", "10", "--members", "0"])):
        assert f"Expected {name}=0 " in str(plan(*arguments[:-1], *numbers).exception)
    assert "max_attack_auc=1.2" in str(plan(*arguments, "1.2", "--nonmembers", "300").exception)
