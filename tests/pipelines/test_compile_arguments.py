import pytest

from tfx_privacy.errors import ParameterError
from tfx_privacy.pipelines import compile_arguments
from tfx_privacy.pipelines.compile_arguments import Mount, Secret


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], None),
        (["models.model"], "models.model"),
        (["Transform=a.b", "DPTrainer=a.c"], {"Transform": "a.b", "DPTrainer": "a.c"}),
        (["Evaluator.my-eval=a"], {"Evaluator.my-eval": "a"}),
    ],
)
def test_modules_are_for_all_steps_or_for_each(texts: list[str], expected: object) -> None:
    assert compile_arguments.parse_modules(texts) == expected


@pytest.mark.parametrize(
    "texts",
    [["a", "b"], ["a", "Transform=b"], ["Transform=a", "Transform=b"], ["=a"], ["Transform="], ["a b"], ["a/b.py"]],
)
def test_no_step_has_two_modules_or_none(texts: list[str]) -> None:
    with pytest.raises(ParameterError, match="--module"):
        compile_arguments.parse_modules(texts)


@pytest.mark.parametrize(
    ("output", "secrets", "env", "message"),
    [
        ("p.txt", [], {}, "to end in .yaml"),
        ("p.json", [Secret("A", "b", "c")], {}, "Vertex AI has no Kubernetes secrets"),
        ("p.yaml", [], {"A": "postgresql://me:hunter2@db/x"}, "^A holds a secret"),
        ("p.yaml", [], {"TFX_PRIVACY_SIGNING_KEY": "hunter2"}, "TFX_PRIVACY_SIGNING_KEY holds a secret"),
        ("p.yaml", [], {"A B": "c"}, "env name 'A B'"),
    ],
)
def test_what_needs_no_pipeline_is_checked_without_one(
    output: str, secrets: list[Secret], env: dict[str, str], message: str
) -> None:
    with pytest.raises(ParameterError, match=message) as refused:
        compile_arguments.check(output, secrets=secrets, env=env)
    assert "hunter2" not in str(refused.value)


def test_the_ending_says_what_for() -> None:
    env = {"A": "postgresql://me@db/x"}
    assert compile_arguments.check("p.yml", secrets=[Secret("A", "b", "c")], env=env) == compile_arguments.OPEN_SOURCE
    assert compile_arguments.check("p.json", secrets=[], env=env) == compile_arguments.VERTEX


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("models:/srv/models", Mount("models", "/srv/models")),
        ("team-a.models:/srv/models/", Mount("team-a.models", "/srv/models")),
        ("Evaluator.my-eval=m:/srv", Mount("m", "/srv", "Evaluator.my-eval")),
    ],
)
def test_a_volume_is_a_claim_and_a_path(text: str, expected: Mount) -> None:
    assert Mount.parse(text) == expected


@pytest.mark.parametrize(
    "text", ["models", "models:", "models:srv", "Models:/srv", "models:/", "=m:/srv", "m:/a/../b", "m:/a:ro"]
)
def test_what_is_no_volume_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="Expected a volume as CLAIM:/PATH"):
        Mount.parse(text)


@pytest.mark.parametrize(
    ("place", "held"), [("/srv", True), ("/srv/", True), ("/srv/a", True), ("/srv2", False), ("gs://srv", False)]
)
def test_a_volume_holds_what_is_below_its_path(place: str, held: bool) -> None:
    assert Mount("m", "/srv").holds(place) is held
