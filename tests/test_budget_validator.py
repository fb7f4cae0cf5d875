import json
import math
import os
import pathlib
from collections.abc import Callable
from typing import Any

import evidence
import pytest

from tfx_privacy.privacy import guarantee
from tfx_privacy.privacy.errors import ParameterError

pytestmark = pytest.mark.slow

LIMITS = {
    "max_epsilon": 3.0,
    "max_delta": 1e-5,
    "max_attack_auc": 0.6,
    "min_slice_coverage": 0.95,
    "allow_non_dp_preprocessing": 0,
    "model_blessing_wired": 0,
}


class Bench:
    """Real artifacts in a folder, all in order, and the executor that judges them."""

    def __init__(self, root: pathlib.Path) -> None:
        from tfx.types import standard_artifacts

        from tfx_privacy.components import _files, artifacts

        self.root = root
        self.inputs: dict[str, list[Any]] = {}
        self.model = self._artifact("model", standard_artifacts.Model, 7)
        (root / "model" / "Format-Serving").mkdir(parents=True)
        (root / "model" / "Format-Serving" / "saved_model.pb").write_bytes(b"weights")
        self.digest = _files.directory_digest(self.model.uri)
        self._artifact("privacy_guarantee", artifacts.PrivacyGuarantee, 8)
        self._artifact("privacy_evaluation", artifacts.PrivacyEvaluation, 9)
        self.write_guarantee()
        self.write_evaluation()
        self.blessing = standard_artifacts.ModelBlessing()
        self.blessing.uri = str(root / "blessing")
        self.report = artifacts.PrivacyReport()
        self.report.uri = str(root / "report")

    def _artifact(self, key: str, kind: Any, number: int) -> Any:
        artifact = kind()
        artifact.uri = str(self.root / key)
        artifact.id = number
        self.inputs[key] = [artifact]
        return artifact

    def write(self, key: str, name: str, text: str | bytes) -> None:
        folder = self.root / key
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)

    def write_guarantee(self, **changes: Any) -> None:
        record = evidence.make_guarantee(**{"model_digest": self.digest, **changes})
        self.write("privacy_guarantee", "privacy_guarantee.json", record.to_json())

    def write_evaluation(self, **changes: Any) -> None:
        record = evidence.make_evaluation(**{"model_digest": self.digest, **changes})
        self.write("privacy_evaluation", "privacy_evaluation.json", record.to_json())

    def upstream(self, blessed: int | None, model_uri: str | None = "") -> None:
        from tfx.types import standard_artifacts

        artifact = self._artifact("model_blessing", standard_artifacts.ModelBlessing, 10)
        if model_uri is not None:
            artifact.set_string_custom_property("current_model", model_uri or self.model.uri)
        if blessed is not None:
            artifact.set_int_custom_property("blessed", blessed)

    def run(self, **limits: Any) -> int:
        """Runs the executor; returns `blessed` after checking that the file beside it agrees."""
        from tfx_privacy.components.budget_validator import executor

        outputs = {"blessing": [self.blessing], "report": [self.report]}
        executor.Executor().Do(self.inputs, outputs, {**LIMITS, **limits})
        return self.verdict()

    def verdict(self) -> int:
        blessed = self.blessing.get_int_custom_property("blessed")
        assert self.blessing.has_custom_property("blessed")
        found = set(os.listdir(self.blessing.uri))
        assert found & {"BLESSED", "NOT_BLESSED"} == {"BLESSED" if blessed else "NOT_BLESSED"}
        assert "verdict.json" in found or not blessed
        return int(blessed)

    @property
    def message(self) -> str:
        return str(self.blessing.get_string_custom_property("blessing_message"))


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    return Bench(tmp_path)


def test_a_good_model_gets_a_standard_blessing_that_pusher_accepts(bench: Bench) -> None:
    from tfx.components.pusher import executor as pusher

    assert bench.run() == 1
    assert bench.blessing.get_string_custom_property("current_model") == bench.model.uri
    assert bench.blessing.get_int_custom_property("current_model_id") == 7
    assert pusher.Executor().CheckBlessing({"model_blessing": [bench.blessing]})
    html = (bench.root / "report" / "report.html").read_text()
    report = json.loads((bench.root / "report" / "report.json").read_text())
    assert report["verdict"]["blessed"] is True
    assert all(rule["rule"] in html for rule in report["verdict"]["rules"])


def _edit(bench: Bench, key: str, **changes: Any) -> None:
    path = bench.root / key / f"{key}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _duplicate_key(bench: Bench) -> None:
    path = bench.root / "privacy_guarantee" / "privacy_guarantee.json"
    path.write_text(path.read_text().replace("{", '{"epsilon_pld": 0.1,', 1))


FORGERIES: dict[str, tuple[Callable[[Bench], object], str]] = {
    "no guarantee channel": (lambda b: b.inputs.pop("privacy_guarantee"), "has no artifact"),
    "empty guarantee channel": (lambda b: b.inputs.update(privacy_guarantee=[]), "has no artifact"),
    "two guarantees": (lambda b: b.inputs["privacy_guarantee"].extend(b.inputs["privacy_guarantee"]), "2 artifacts"),
    "no evaluation channel": (lambda b: b.inputs.pop("privacy_evaluation"), "has no artifact"),
    "no model channel": (lambda b: b.inputs.pop("model"), "has no artifact"),
    "guarantee file gone": (lambda b: (b.root / "privacy_guarantee/privacy_guarantee.json").unlink(), "no file"),
    "guarantee is not JSON": (lambda b: b.write("privacy_guarantee", "privacy_guarantee.json", "{"), "strict JSON"),
    "guarantee is binary": (
        lambda b: b.write("privacy_guarantee", "privacy_guarantee.json", b"\xff\xfe"), "could not be read",
    ),
    "duplicate key": (_duplicate_key, "duplicate key 'epsilon_pld'"),
    "NaN epsilon": (lambda b: _edit(b, "privacy_guarantee", epsilon_pld=math.nan), "NaN is not a number"),
    "unknown schema": (lambda b: _edit(b, "privacy_guarantee", schema_version=1), "schema_version"),
    "unknown field": (lambda b: _edit(b, "privacy_guarantee", note="trust me"), "note"),
    "epsilon edited": (lambda b: _edit(b, "privacy_guarantee", epsilon_pld=0.01), "its mechanism comes to"),
    "evaluation edited": (lambda b: _edit(b, "privacy_evaluation", results=[]), "results"),
    "guarantee of another model": (
        lambda b: b.write_guarantee(model_digest=evidence.OTHER_DIGEST), "guarantee is of another model",
    ),
    "evaluation of another model": (
        lambda b: b.write_evaluation(model_digest=evidence.OTHER_DIGEST), "evaluation is of another model",
    ),
    "model edited afterwards": (
        lambda b: b.write("model/Format-Serving", "saved_model.pb", "other weights"), "of another model",
    ),
    "file added to the model": (
        lambda b: b.write("model/Format-Serving", "extra", ""), "of another model",
    ),
    "model folder empty": (
        lambda b: (b.root / "model/Format-Serving/saved_model.pb").unlink(), "no file to take a digest of",
    ),
    "privacy off": (
        lambda b: b.write_guarantee(executed=guarantee.NoMechanism(steps=3)), "without differential privacy",
    ),
    "upstream refused": (lambda b: b.upstream(0), "blessed=0"),
    "upstream says nothing": (lambda b: b.upstream(None), "neither yes nor no"),
    "upstream names no model": (lambda b: b.upstream(1, None), "for another model"),
    "upstream blessed another model": (lambda b: b.upstream(1, "/another/model"), "for another model"),
}  # fmt: skip


@pytest.mark.parametrize(("forge", "message"), FORGERIES.values(), ids=FORGERIES.keys())
def test_bad_evidence_is_a_verdict_not_a_crash(bench: Bench, forge: Callable[[Bench], object], message: str) -> None:
    forge(bench)
    assert bench.run() == 0
    assert message in bench.message
    assert message in json.loads((bench.root / "report/report.json").read_text())["verdict"]["message"]


def test_wired_but_empty_upstream_is_not_the_same_as_unwired(bench: Bench) -> None:
    bench.inputs["model_blessing"] = []
    assert bench.run(model_blessing_wired=1) == 0
    assert "has no artifact" in bench.message
    del bench.inputs["model_blessing"]
    assert bench.run(model_blessing_wired=1) == 0
    assert bench.run(model_blessing_wired=0) == 1


def test_an_upstream_blessing_of_this_model_is_anded(bench: Bench) -> None:
    bench.upstream(1)
    assert bench.run(model_blessing_wired=1) == 1
    assert bench.run(model_blessing_wired=1, max_epsilon=0.5) == 0


@pytest.mark.parametrize("missing", ["max_epsilon", "max_delta", "max_attack_auc"])
@pytest.mark.parametrize("value", [None, math.nan, "3", True, -1.0])
def test_a_limit_that_is_no_limit_is_an_error_and_leaves_a_refusal(bench: Bench, missing: str, value: Any) -> None:
    """RuntimeParameters are known only now."""
    assert bench.run() == 1
    with pytest.raises(ParameterError, match=missing):
        bench.run(**{missing: value})
    assert bench.verdict() == 0


def test_kubeflow_hands_over_doubles(bench: Bench) -> None:
    assert bench.run(allow_non_dp_preprocessing=0.0, model_blessing_wired=0.0) == 1
    scope = [guarantee.ScopeItem(artifact="transform_graph", covered=False, detail="an analyzer")]
    bench.write_guarantee(scope=scope)
    assert bench.run(allow_non_dp_preprocessing=0.0) == 0
    assert bench.run(allow_non_dp_preprocessing=1.0) == 1


def test_names_from_the_data_are_text_in_the_report(bench: Bench) -> None:
    attack = "<script>alert(1)</script>"
    bench.write_evaluation(results=[*evidence.rows(), evidence.row(feature="payment", value=attack, members=50)])
    assert bench.run() == 1
    html = (bench.root / "report" / "report.html").read_text()
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_every_launch_has_a_nonce_of_its_own(bench: Bench) -> None:
    """TFX's cache key contains execution properties; a repeated verdict would be a stale one."""
    from tfx_privacy.components.budget_validator import driver

    nonces = {driver.Driver(None).run(None).exec_properties["nonce"].string_value for _ in range(3)}
    assert len(nonces) == 3


def make_component(**changes: Any) -> Any:
    from tfx.types import channel_utils, standard_artifacts

    from tfx_privacy.components import BudgetValidator, artifacts

    arguments: dict[str, Any] = {
        "model": channel_utils.as_channel([standard_artifacts.Model()]),
        "privacy_guarantee": channel_utils.as_channel([artifacts.PrivacyGuarantee()]),
        "privacy_evaluation": channel_utils.as_channel([artifacts.PrivacyEvaluation()]),
        "max_epsilon": 3,
        "max_delta": 1e-6,
        "max_attack_auc": 0.6,
    }
    return BudgetValidator(**{**arguments, **changes})


def test_the_component_takes_whole_numbers_and_runtime_parameters() -> None:
    from tfx.orchestration import data_types

    component = make_component(max_attack_auc=data_types.RuntimeParameter(name="max_attack_auc", ptype=float))
    assert component.exec_properties["max_epsilon"] == 3.0
    assert set(component.outputs) == {"blessing", "report"}
    with pytest.raises(ParameterError, match="max_epsilon=-3"):
        make_component(max_epsilon=-3)


def test_artifact_types_follow_kubeflows_rules() -> None:
    import re

    import tfx_privacy

    for name in ("PrivacyGuarantee", "PrivacyEvaluation", "PrivacyReport"):
        kind = getattr(tfx_privacy, name)
        assert f"tfx_privacy.{name}" == kind.TYPE_NAME
        assert re.fullmatch(r"[a-z][a-z0-9-_]{2,20}[.][A-Z][a-zA-Z0-9-_]{2,49}", kind.TYPE_NAME)
        assert not kind.PROPERTIES
