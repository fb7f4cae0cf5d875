"""tfx's own examples, converted: how little changes, and does each reach a verdict? docs/existing_pipelines.md is the guide."""

from __future__ import annotations

import existing_examples
import existing_runs
import pytest
from existing_examples import EXAMPLES, Example
from existing_runs import Verdict
from places import ROOT

GUIDE = ROOT / "docs" / "existing_pipelines.md"
named = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)


# What changes.


@named
def test_few_lines_of_code_change(example: Example) -> None:
    lines = existing_examples.count(example)
    print(f"{example.name}: {lines}")
    assert 0 < lines.changed <= example.most_changed


@named
def test_the_licence_and_most_of_the_code_are_tfxs_own(example: Example) -> None:
    for file in example.files:
        original, converted = example.original(file), example.converted(file)
        assert converted.splitlines()[:13] == original.splitlines()[:13]
        assert "Licensed under the Apache License" in converted
    code = sum(len(existing_examples.code_lines(example.converted(file))) for file in example.files)
    assert existing_examples.count(example).changed < code / 5


@named
def test_no_file_is_left_out_of_the_count(example: Example) -> None:
    folder = existing_examples.CONVERTED / example.name
    found = {str(path.relative_to(folder)) for path in folder.rglob("*.py")}
    assert found == set(example.files)


def test_the_guide_shows_the_counts_of_these_files() -> None:
    assert existing_examples.table() in GUIDE.read_text(), (
        "run `python tests/helpers/existing_examples.py`, and put its table into the guide"
    )


@pytest.mark.parametrize(
    ("before", "after", "changed", "moved", "removed"),
    [
        ("a = 1\nb = 2\n", "a = 1\nb = 2\n", 0, 0, 0),
        ("a = 1\n", "a = 2\n", 1, 0, 1),
        ("a = 1\n", "a = 1\nb = 2\nc = 3\n", 2, 0, 0),
        ("a = 1\nb = 2\nc = 3\n", "b = 2\nc = 3\na = 1\n", 0, 1, 0),
        ("a = 1\n", "# why\n\na = 1  # because\n", 0, 0, 0),
        ("if a:\n  b = 2\n", "b = 2\n", 0, 0, 1),
        ("x(\n  1,\n  2)\n", 'x(\n  1,\n  y=""" two\n  lines""")\n', 2, 0, 1),
        ('def f():\n  """Old."""\n  a = 1\n', 'def f():\n  """New,\n\n  and longer."""\n  a = 1\n', 0, 0, 0),
        (
            "def run_fn(args):\n  model = make()\n  model.fit()\n  save(model)\n",
            "def model_fn(args):\n  model = make()\n  return model\n",
            2,
            1,
            3,
        ),
        ("def run_fn(args):\n  a = 1\n", "def input_fn(args):\n  a = 1\n  a = 1\n", 2, 1, 1),
    ],
)
def test_the_count_counts(
    before: str, after: str, changed: int, moved: int, removed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Example, "original", lambda self, file: before)
    monkeypatch.setattr(Example, "converted", lambda self, file: after)
    lines = existing_examples.count(Example("made_up", "nowhere", (), ("module.py",)))
    assert (lines.pipeline, lines.modules, lines.moved, lines.removed) == (0, changed, moved, removed)


# What comes of it: minutes, so each example runs once, and the tests below share it.


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Verdict]:
    """Every example, run by LocalDagRunner in this process.

    The modules are imported from their files: to package and install them before each use, as TFX does by default,
    takes longer, and tests/pipelines/test_pipeline.py shows it with another module.
    """
    root = tmp_path_factory.mktemp("existing")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNSUPPORTED_DO_NOT_PACKAGE_USER_MODULES", "1")
        found = {}
        for example in EXAMPLES:
            (root / example.name).mkdir()
            verdict = found[example.name] = existing_runs.run(example.name, root / example.name)
            print(f"{example.name}: accuracy {verdict.accuracy:.2f}, failed: {sorted(verdict.failed) or 'nothing'}")
    return found


@pytest.mark.slow
@named
def test_it_comes_to_a_verdict_and_pusher_obeys(example: Example, verdicts: dict[str, Verdict]) -> None:
    verdict = verdicts[example.name]
    assert verdict.blessed == (not verdict.failed)
    assert len(verdict.pushed) == int(verdict.blessed)


@pytest.mark.slow
@named
def test_epsilon_is_what_was_asked_for(example: Example, verdicts: dict[str, Verdict]) -> None:
    verdict = verdicts[example.name]
    assert 2.9 < verdict.epsilon <= 3.0
    assert verdict.rules["epsilon"]["passed"]
    assert verdict.rules["delta"]["passed"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["chicago_taxi_pipeline", "taxi_template"])
def test_the_taxi_models_are_blessed_and_pushed(name: str, verdicts: dict[str, Verdict]) -> None:
    assert verdicts[name].blessed, {rule: verdicts[name].rules[rule] for rule in verdicts[name].failed}
    assert len(verdicts[name].pushed) == 1


@pytest.mark.slow
def test_the_digits_are_learned_and_judged_by_all_rules(verdicts: dict[str, Verdict]) -> None:
    """Of 600 held-out digits some slices are so small that an attack's interval may cross the limit by chance."""
    assert verdicts["mnist"].accuracy > 0.7
    assert verdicts["mnist"].failed <= {"model_blessing", "attack_auc"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "threshold"),
    [("chicago_taxi_pipeline", 0.6), ("taxi_template", 0.6), ("mnist", 0.8), ("imdb", 0.01), ("penguin", 0.6)],
)
def test_the_evaluators_threshold_counts_as_before(name: str, threshold: float, verdicts: dict[str, Verdict]) -> None:
    """What Pusher asked of the Evaluator, BudgetValidator asks now."""
    assert verdicts[name].rules["model_blessing"]["passed"] == (verdicts[name].accuracy >= threshold)


@pytest.mark.slow
def test_the_taxi_model_learns_who_tips(verdicts: dict[str, Verdict]) -> None:
    """More than 77 in 100 trips are without a big tip, so an accuracy of 0.77 would mean nothing."""
    assert verdicts["chicago_taxi_pipeline"].accuracy > 0.82


@pytest.mark.slow
@pytest.mark.parametrize("name", ["imdb", "penguin"])
def test_too_few_records_to_attack_are_a_refusal(name: str, verdicts: dict[str, Verdict]) -> None:
    """100 reviews and 344 penguins: nobody can tell from so few whether the model leaks."""
    failed = verdicts[name].failed
    assert "attack_coverage" in failed
    assert failed <= {"attack_coverage", "attack_auc", "model_blessing"}
    assert "INSUFFICIENT" in verdicts[name].rules["attack_coverage"]["explanation"]


@pytest.mark.slow
@named
def test_the_transform_graph_is_covered(example: Example, verdicts: dict[str, Verdict]) -> None:
    """By what was released of the records, or because public constants took the place of analyzers."""
    assert verdicts[example.name].scope["transform_graph"]


@pytest.mark.slow
@named
def test_the_lint_finds_no_way_past_the_gate(example: Example, verdicts: dict[str, Verdict]) -> None:
    assert verdicts[example.name].findings == []
