import datetime
import hashlib
import json
import math
import os
import pathlib
from collections.abc import Callable
from typing import Any

import evaluations
import evidence
import forgeries
import malformed
import pytest

from tfx_privacy.attacks.served import ServedOutput, ServedSignature
from tfx_privacy.errors import EvidenceError, ParameterError
from tfx_privacy.gate import policy_file
from tfx_privacy.gate.evidence import Evidence
from tfx_privacy.gate.policy import GatePolicy, PolicyException
from tfx_privacy.guarantee.mechanism import NoMechanism
from tfx_privacy.guarantee.record import ScopeItem
from tfx_privacy.records import statement

pytestmark = pytest.mark.slow

WIRING = {"model_blessing_wired": 0}
LIMITS = {
    **WIRING,
    "max_epsilon": 3.0,
    "max_delta": 1e-5,
    "max_attack_auc": 0.6,
    "min_slice_coverage": 0.95,
    "allow_non_dp_preprocessing": 0,
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
        self.write("privacy_guarantee", "privacy_guarantee.json", statement.to_json(record))

    def write_evaluation(self, **changes: Any) -> None:
        record = evidence.make_evaluation(**{"model_digest": self.digest, **changes})
        self.write("privacy_evaluation", "privacy_evaluation.json", statement.to_json(record))

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
        executor.Executor().Do(self.inputs, outputs, {**(WIRING if "policy" in limits else LIMITS), **limits})
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
    written = json.loads(path.read_text())
    written["predicate"].update(changes)
    path.write_text(json.dumps(written))


def _edit_statement(bench: Bench, key: str, **changes: Any) -> None:
    path = bench.root / key / f"{key}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _subject(digest: str) -> dict[str, Any]:
    return {"name": "model", "digest": {"sha256": digest.removeprefix("sha256:")}}


def _exchange(bench: Bench) -> None:
    """Each file in the other's place."""
    paths = [bench.root / key / f"{key}.json" for key in ("privacy_guarantee", "privacy_evaluation")]
    texts = [path.read_text() for path in paths]
    for path, text in zip(paths, reversed(texts), strict=True):
        path.write_text(text)


def _duplicate_key(bench: Bench) -> None:
    path = bench.root / "privacy_guarantee" / "privacy_guarantee.json"
    path.write_text(path.read_text().replace('"predicate": {', '"predicate": {"epsilon_pld": 0.1,', 1))


FORGERIES: dict[str, tuple[Callable[[Bench], object], str]] = {
    "no guarantee channel": (lambda b: b.inputs.pop("privacy_guarantee"), "has no artifact"),
    "empty guarantee channel": (lambda b: b.inputs.update(privacy_guarantee=[]), "has no artifact"),
    "two guarantees": (lambda b: b.inputs["privacy_guarantee"].extend(b.inputs["privacy_guarantee"]), "2 artifacts"),
    "no evaluation channel": (lambda b: b.inputs.pop("privacy_evaluation"), "has no artifact"),
    "no model channel": (lambda b: b.inputs.pop("model"), "has no artifact"),
    "guarantee file gone": (lambda b: (b.root / "privacy_guarantee/privacy_guarantee.json").unlink(), "no file"),
    "guarantee is not JSON": (lambda b: b.write("privacy_guarantee", "privacy_guarantee.json", "{"), "strict JSON"),
    "guarantee is binary": (
        lambda b: b.write("privacy_guarantee", "privacy_guarantee.json", b"\xff\xfe"), "is not UTF-8",
    ),
    "duplicate key": (_duplicate_key, "duplicate key 'epsilon_pld'"),
    "NaN epsilon": (lambda b: _edit(b, "privacy_guarantee", epsilon_pld=math.nan), "NaN is not a number"),
    "unknown schema": (lambda b: _edit(b, "privacy_guarantee", schema_version=2), "schema_version"),
    "guarantee and evaluation exchanged": (_exchange, "Expected a statement of predicateType"),
    "a bare guarantee": (
        lambda b: b.write("privacy_guarantee", "privacy_guarantee.json", evidence.make_guarantee().to_json()), "_type",
    ),
    "a later predicateType": (
        lambda b: _edit_statement(b, "privacy_guarantee", predicateType="https://tfx-privacy.dev/guarantee/v2"),
        "Expected a statement of predicateType",
    ),
    "the subject is another model": (
        lambda b: _edit_statement(b, "privacy_evaluation", subject=[_subject(evidence.OTHER_DIGEST)]),
        "must be the one model that its predicate is about",
    ),
    "unknown field": (lambda b: _edit(b, "privacy_guarantee", note="trust me"), "note"),
    "epsilon edited": (lambda b: _edit(b, "privacy_guarantee", epsilon_pld=0.01), "its mechanism spends"),
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
        lambda b: b.write_guarantee(executed=NoMechanism(steps=3)), "without differential privacy",
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


def test_an_upstream_blessing_without_a_uri_is_missing(bench: Bench) -> None:
    """Whatever its properties say: an orchestrator gives one for a blessing that was never written."""
    bench.upstream(1)
    (blessing,) = bench.inputs["model_blessing"]
    blessing.uri = ""
    assert bench.run(model_blessing_wired=1) == 0
    assert "Input 'model_blessing' has no artifact" in bench.message
    assert bench.run(model_blessing_wired=0) == 1
    bench.inputs["model_blessing"] = [blessing, blessing]
    assert bench.run(model_blessing_wired=1) == 0


@pytest.mark.parametrize("key", ["model", "privacy_guarantee", "privacy_evaluation"])
def test_evidence_without_a_uri_is_missing(bench: Bench, key: str) -> None:
    bench.inputs[key][0].uri = ""
    assert bench.run() == 0
    assert f"Input '{key}' has no artifact" in bench.message


def test_outputs_that_no_attack_saw_are_refused_or_accepted_by_name(bench: Bench) -> None:
    embedding = ServedOutput(name="embedding", dtype="float32", shape="(None, 8)")
    first, second, third = evaluations.served_signatures("outputs")
    serving = ServedSignature(name=second.name, inputs=second.inputs, outputs=[*second.outputs, embedding])
    bench.write_evaluation(served=[first, serving, third])
    assert bench.run() == 0
    assert "served_outputs: What is served is not what was attacked: serving_default/embedding" in bench.message
    assert bench.run(unattacked_outputs="[]") == 0
    assert bench.run(unattacked_outputs='["serving_default/embedding"]') == 1
    shown = "Served, not attacked, accepted by the policy: serving_default/embedding."
    for name in ("report.html", "report.md"):
        page = (bench.root / "report" / name).read_text().replace("\\_", "_")
        assert shown in page[: page.index("Rules")]
    for bad in ("", "x", "{}", '"serving_default/embedding"', '["embedding"]', "[1]"):
        with pytest.raises(ParameterError, match="unattacked_outputs"):
            bench.run(unattacked_outputs=bad)
        assert bench.verdict() == 0
    with pytest.raises(ParameterError, match="both policy and unattacked_outputs"):
        bench.run(**dict.fromkeys(LIMITS), policy=POLICY.canonical, unattacked_outputs="[]")


def test_the_component_hands_accepted_outputs_over() -> None:
    assert make_component().exec_properties["unattacked_outputs"] is None
    component = make_component(unattacked_outputs=("embed/outputs",))
    assert component.exec_properties["unattacked_outputs"] == '["embed/outputs"]'
    with pytest.raises(ParameterError, match="unattacked_outputs names 'embed'"):
        make_component(unattacked_outputs=["embed"])


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
    scope = [ScopeItem(artifact="transform_graph", covered=False, detail="an analyzer")]
    bench.write_guarantee(scope=scope)
    assert bench.run(allow_non_dp_preprocessing=0.0) == 0
    assert bench.run(allow_non_dp_preprocessing=1.0) == 1


def test_names_from_the_data_are_text_in_the_report(bench: Bench) -> None:
    attack = "<script>alert(1)</script>"
    row = evidence.row(feature="payment", value=attack, members=500, auc=(0.5, 0.45, 0.55))
    bench.write_evaluation(results=[*evidence.rows(), row])
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


def test_the_limit_on_single_members_has_a_default_and_may_be_a_runtime_parameter(bench: Bench) -> None:
    from tfx.orchestration import data_types

    parameter = data_types.RuntimeParameter(name="max_tpr_at_fpr", ptype=float)
    assert make_component(max_tpr_at_fpr=parameter).exec_properties["max_tpr_at_fpr"] is parameter
    assert make_component().exec_properties["max_tpr_at_fpr"] == 0.01
    with pytest.raises(ParameterError, match="max_tpr_at_fpr=0"):
        make_component(max_tpr_at_fpr=0.0)
    with pytest.raises(ParameterError, match="both a policy and max_tpr_at_fpr"):
        make_component(**NO_LIMITS, policy=POLICY, max_tpr_at_fpr=0.02)
    assert bench.run(max_tpr_at_fpr=0.02, **LIMITS) == 1
    with pytest.raises(ParameterError, match="max_tpr_at_fpr=2"):
        bench.run(max_tpr_at_fpr=2.0, **LIMITS)


POLICY = GatePolicy(max_epsilon=3.0, max_delta=1e-5, max_attack_auc=0.6)


def test_a_policy_stands_in_place_of_limits(bench: Bench) -> None:
    assert bench.run(policy=POLICY.canonical) == 1
    assert bench.run(policy=GatePolicy(**{**POLICY.model_dump(), "required_slices": ["company"]}).canonical) == 0
    assert "required_slices: What the policy demands is missing: the attacks were not run by company" in bench.message


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "{}",
        "null",
        POLICY.canonical[:-1],
        POLICY.canonical.replace('"max_epsilon":3', '"max_epsilon":NaN'),
        POLICY.canonical.replace("0.6", "true"),
    ],
)
def test_a_policy_that_is_none_is_an_error_and_leaves_a_refusal(bench: Bench, broken: str) -> None:
    assert bench.run() == 1
    with pytest.raises(ParameterError):
        bench.run(policy=broken)
    assert bench.verdict() == 0


def test_a_policy_beside_limits_is_an_error_and_leaves_a_refusal(bench: Bench) -> None:
    assert bench.run() == 1
    with pytest.raises(ParameterError, match="both policy and max_epsilon=30.0"):
        bench.run(policy=POLICY.canonical, max_epsilon=30.0)
    assert bench.verdict() == 0


def test_an_exception_is_written_into_blessing_and_report(bench: Bench) -> None:
    bench.write_guarantee(executed=NoMechanism(steps=3), issued_at=now())
    bench.write_evaluation(issued_at=now())
    assert bench.run(policy=POLICY.canonical) == 0
    exception = PolicyException(rule="epsilon", approver="Grace Hopper", reason="a <baseline>", expires=now(days=2))
    allowed = GatePolicy(**{**POLICY.model_dump(), "exceptions": [exception]})
    assert bench.run(policy=allowed.canonical) == 1
    assert "BLESSED WITH EXCEPTION: epsilon: " in bench.message
    html = (bench.root / "report/report.html").read_text()
    assert "BLESSED WITH EXCEPTION" in html
    assert "excepted by <strong>Grace Hopper</strong>" in html
    assert "a &lt;baseline&gt;" in html
    (used,) = json.loads((bench.root / "report/report.json").read_text())["verdict"]["exceptions_used"]
    assert used["approver"] == "Grace Hopper"


def now(days: int = 0) -> str:
    moment = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    return (moment + datetime.timedelta(days=days)).isoformat()


def test_the_evidences_digests_are_those_of_the_files(bench: Bench) -> None:
    """Whoever has the file can compare: `sha256sum privacy_guarantee.json`."""
    assert bench.run() == 1
    verdict = json.loads((bench.root / "report/report.json").read_text())["verdict"]
    for part in ("guarantee", "evaluation"):
        content = (bench.root / f"privacy_{part}" / f"privacy_{part}.json").read_bytes()
        assert verdict["evidence"][part] == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert verdict["model_digest"] == bench.digest


def test_a_ledger_that_is_given_is_demanded(bench: Bench) -> None:
    """And where limits stand alone as well; a guarantee that names none is refused."""
    assert bench.run(ledger="env:TFX_PRIVACY_NO_LEDGER") == 0
    assert "The policy demands a budget ledger" in bench.message


def test_a_ledger_that_cannot_be_read_is_a_refusal_that_names_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TFX_PRIVACY_NO_LEDGER", raising=False)
    bench.write_guarantee(dataset_id="taxi", ledger=evidence.position())
    assert bench.run(ledger="env:TFX_PRIVACY_NO_LEDGER") == 0
    assert "ledger: The ledger of env:TFX_PRIVACY_NO_LEDGER cannot be read" in bench.message
    assert "dataset_budget: " in bench.message


def test_a_guarantee_that_names_a_ledger_is_not_blessed_without_it(bench: Bench) -> None:
    bench.write_guarantee(dataset_id="taxi", ledger=evidence.position())
    assert bench.run() == 0
    assert "no ledger was given to hold it against" in bench.message


def _no(key: str) -> Callable[[Bench], object]:
    return lambda bench: bench.inputs.pop(key)


def _empty(key: str) -> Callable[[Bench], object]:
    return lambda bench: bench.inputs.update({key: []})


def _two(key: str) -> Callable[[Bench], object]:
    return lambda bench: bench.inputs[key].append(bench.inputs[key][0])


CHANNELS: dict[str, Callable[[Bench], object]] = {
    **{
        f"{break_.__name__[1:]} {key}": break_(key)
        for break_ in (_no, _empty, _two)
        for key in ("model", "privacy_guarantee", "privacy_evaluation")
    },
    "guarantee and evaluation the other way round": lambda b: b.inputs.update(
        privacy_guarantee=b.inputs["privacy_evaluation"], privacy_evaluation=b.inputs["privacy_guarantee"]
    ),
    "the model for the guarantee": lambda b: b.inputs.update(privacy_guarantee=b.inputs["model"]),
    "a folder for the guarantee": lambda b: _folder(b, "privacy_guarantee"),
    "a folder for the evaluation": lambda b: _folder(b, "privacy_evaluation"),
    "a link out of the folder": lambda b: _link(b, "privacy_guarantee"),
}


def _folder(bench: Bench, key: str) -> None:
    path = bench.root / key / f"{key}.json"
    path.unlink()
    path.mkdir()


def _link(bench: Bench, key: str) -> None:
    path = bench.root / key / f"{key}.json"
    path.unlink()
    path.symlink_to("/proc/self/mem")


@pytest.mark.parametrize("break_", CHANNELS.values(), ids=CHANNELS.keys())
def test_channels_that_are_not_one_good_artifact_each(bench: Bench, break_: Callable[[Bench], object]) -> None:
    break_(bench)
    assert bench.run() == 0
    assert "Not blessed: " in bench.message


MALFORMED = {
    **{f"guarantee, {name}": ("privacy_guarantee", *case) for name, case in malformed.GUARANTEES.items()},
    **{f"evaluation, {name}": ("privacy_evaluation", *case) for name, case in malformed.EVALUATIONS.items()},
}


@pytest.mark.parametrize(("key", "text", "words"), MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_files(bench: Bench, key: str, text: str | bytes, words: str) -> None:
    path = bench.root / key / f"{key}.json"
    around = json.dumps({**json.loads(path.read_text()), "predicate": "?"}).encode()
    path.write_bytes(around.replace(b'"?"', text.encode() if isinstance(text, str) else text))
    assert bench.run() == 0
    # Files that are no text, or too large, are refused before they are read as JSON.
    refusals = (words, "is not UTF-8", "larger than the limit", "Not a valid Statement: predicate")
    assert any(said in bench.message for said in refusals)


def _write_forged(bench: Bench, found: Evidence) -> bool:
    """Writes both records as files; False for one that has no JSON, because a number in it is none."""
    for key, part in (("privacy_guarantee", found.guarantee), ("privacy_evaluation", found.evaluation)):
        path = bench.root / key / f"{key}.json"
        path.unlink()
        if isinstance(part, EvidenceError):
            continue
        try:
            text = statement.to_json(part)
            path.write_text(text.replace(evidence.DIGEST[7:], bench.digest[7:]))
        except ValueError:
            return False
    return True


def test_forged_files_on_disk(tmp_path: pathlib.Path) -> None:
    """A sample of the forged sets that the fast tests hold against the gate, here as files, by the executor."""
    edits = [*forgeries.of_guarantee(), *forgeries.of_evaluation()]
    # Half an hour after the fast tests' clock is a forgery there, and long ago by the executor's.
    edits = [edit for edit in edits if "issued_at='2026-01-02T12:30" not in edit.name]
    changes = {"dataset_id": None, "ledger": "none", "signature": "optional", "max_age_days": None}
    limits = GatePolicy(**{**evidence.CHARGED_POLICY.model_dump(), **changes})
    honest = evidence.charged_evidence(guarantee=evidence.make_guarantee())
    tried = 0
    for number, edit in enumerate(edits[:: len(edits) // 60]):
        found = edit.apply(honest)
        bench = Bench(tmp_path / str(number))
        if not _write_forged(bench, found):
            continue
        assert bench.run(policy=limits.canonical) == 0, edit.name
        tried += 1
    assert tried >= 40


def test_the_component_embeds_a_policy_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(malformed.GOOD_YAML + "required_tasks: [binary]\n")
    component = make_component(**NO_LIMITS, policy=path, ledger="env:TFX_PRIVACY_LEDGER")
    properties = component.exec_properties
    assert properties["policy"] == policy_file.load(path).canonical
    assert properties["ledger"] == "env:TFX_PRIVACY_LEDGER"
    assert properties.get("max_epsilon") is None
    path.write_text("max_epsilon: 1000")
    assert component.exec_properties["policy"] == properties["policy"]
    assert make_component(**NO_LIMITS, policy=POLICY).exec_properties["policy"] == POLICY.canonical


NO_LIMITS: dict[str, Any] = {"max_epsilon": None, "max_delta": None, "max_attack_auc": None}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"policy": POLICY}, "both a policy and max_epsilon, max_delta, max_attack_auc"),
        ({**NO_LIMITS, "policy": POLICY, "min_slice_coverage": 0.5}, "both a policy and min_slice_coverage"),
        ({**NO_LIMITS, "policy": POLICY, "allow_non_dp_preprocessing": True}, "both a policy and allow_non_dp_preprocessing"),
        ({**NO_LIMITS, "policy": POLICY, "ledger": "env:LEDGER"}, "ledger: none"),
        ({**NO_LIMITS, "policy": evidence.CHARGED_POLICY}, "demands a budget ledger"),
        ({**NO_LIMITS, "policy": "no such file.yaml"}, "no such file.yaml"),
        (NO_LIMITS, "max_epsilon=None"),
        ({"max_delta": None}, "max_delta=None"),
    ],
)  # fmt: skip
def test_policies_that_are_refused_at_declaration(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        make_component(**changes)


def wired(bench: Bench, **arguments: Any) -> list[Any]:
    """Importers of the bench's artifacts, and the component that judges them, as a pipeline has them."""
    from tfx.dsl.components.common import importer
    from tfx.types import standard_artifacts

    from tfx_privacy.components import BudgetValidator, artifacts

    kinds = {
        "model": standard_artifacts.Model,
        "privacy_guarantee": artifacts.PrivacyGuarantee,
        "privacy_evaluation": artifacts.PrivacyEvaluation,
    }
    importers = {
        key: importer.Importer(source_uri=str(bench.root / key), artifact_type=kind).with_id(key)
        for key, kind in kinds.items()
    }
    channels = {key: node.outputs["result"] for key, node in importers.items()}
    return [*importers.values(), BudgetValidator(**channels, **arguments)]


def _pipeline(bench: Bench, **arguments: Any) -> Any:
    from tfx.orchestration import metadata, pipeline

    return pipeline.Pipeline(
        pipeline_name="gate",
        pipeline_root=str(bench.root / "pipeline"),
        components=wired(bench, **arguments),
        metadata_connection_config=metadata.sqlite_metadata_connection_config(str(bench.root / "metadata.db")),
        enable_cache=True,
    )


def test_a_pipeline_with_a_policy_file_blesses_and_refuses_for_real(bench: Bench) -> None:
    from tfx.orchestration.local import local_dag_runner

    path = bench.root / "policy.yaml"
    for limit, blessed in (("3", "BLESSED"), ("0.5", "NOT_BLESSED")):
        path.write_text(malformed.GOOD_YAML.replace("max_epsilon: 3", f"max_epsilon: {limit}") + "ledger: none\n")
        local_dag_runner.LocalDagRunner().run(_pipeline(bench, policy=path))
        verdicts = sorted(
            (bench.root / "pipeline" / "BudgetValidator" / "blessing").glob("*/*BLESSED"), key=os.path.getmtime
        )
        assert verdicts[-1].name == blessed


@pytest.mark.parametrize("spec_2_1", [True, False], ids=["open source", "Vertex AI"])
def test_it_compiles_for_kubeflow_with_a_policy_and_with_limits(bench: Bench, spec_2_1: bool) -> None:
    from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

    ways: list[dict[str, Any]] = [
        {"policy": evidence.CHARGED_POLICY, "ledger": "env:TFX_PRIVACY_LEDGER"},
        {"max_epsilon": 3.0, "max_delta": 1e-6, "max_attack_auc": 0.6},
    ]
    for number, way in enumerate(ways):
        name = f"compiled{number}.{'yaml' if spec_2_1 else 'json'}"
        config = kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
            default_image="an-image", use_pipeline_spec_2_1=spec_2_1
        )
        runner = kubeflow_v2_dag_runner.KubeflowV2DagRunner(
            config=config, output_dir=str(bench.root), output_filename=name
        )
        runner.run(_pipeline(bench, **way), write_out=True)
        text = (bench.root / name).read_text()
        assert ("required_tasks" in text) is ("policy" in way)
        assert ("env:TFX_PRIVACY_LEDGER" in text) is ("ledger" in way)
        assert "min_slice_coverage" in text


@pytest.mark.parametrize(
    "ledger",
    [
        "sqlite:////srv/ledger.db",
        "postgresql://me:hunter2@db/ledger",
        "env:",
        "env:A B",
        "ENV:LEDGER",
        "",
        "TFX_PRIVACY_LEDGER",
        7,
    ],
)
def test_a_ledgers_address_is_refused_and_not_repeated(ledger: Any) -> None:
    with pytest.raises(ParameterError, match="name an environment variable") as caught:
        make_component(ledger=ledger)
    assert "hunter2" not in str(caught.value)


def test_artifact_types_follow_kubeflows_rules() -> None:
    import re

    import tfx_privacy

    for name in ("PrivacyGuarantee", "PrivacyEvaluation", "PrivacyReport"):
        kind = getattr(tfx_privacy, name)
        assert f"tfx_privacy.{name}" == kind.TYPE_NAME
        assert re.fullmatch(r"[a-z][a-z0-9-_]{2,20}[.][A-Z][a-zA-Z0-9-_]{2,49}", kind.TYPE_NAME)
        assert not kind.PROPERTIES
