import base64
import datetime
import json
import os
import pathlib
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import evidence
import pytest
from evaluator_bench import MEMBERS
from evaluator_bench import Bench as EvaluatorBench

from tfx_privacy.errors import EvidenceError, ParameterError
from tfx_privacy.gate.decide import decide
from tfx_privacy.gate.policy import GatePolicy
from tfx_privacy.gate.verdict import Verdict
from tfx_privacy.records import envelope, keys, signing, statement

pytestmark = pytest.mark.slow

KEYS = {name: signing.new_key("ed25519", name) for name in ("gate", "stranger")}
FILES = {"saved_model.pb": b"graph", "variables/variables.data": b"weights", "assets/vocabulary": b"a\nb\n"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(signing.SIGNING_KEY_VARIABLE, KEYS["gate"].signing)
    monkeypatch.setenv(signing.VERIFICATION_KEYS_VARIABLE, KEYS["gate"].verification)


class Bench:
    """A model with a signed blessing, all in order, and the Pusher that looks at it."""

    def __init__(self, root: pathlib.Path) -> None:
        from tfx.types import standard_artifacts

        from tfx_privacy.components import _files

        self.root = root
        self.model = self._artifact(standard_artifacts.Model, "model")
        for name, content in FILES.items():
            self.write(f"model/Format-Serving/{name}", content)
        self.write("model/Format-TFMA/saved_model.pb", b"for the Evaluator")
        self.digest = _files.directory_digest(self.model.uri)
        self.blessing = self._artifact(standard_artifacts.ModelBlessing, "blessing")
        self.pushed = self._artifact(standard_artifacts.PushedModel, "pushed")
        self.serving = root / "serving"
        self.inputs: dict[str, list[Any]] = {"model": [self.model], "model_blessing": [self.blessing]}
        self.bless()

    def _artifact(self, kind: Any, name: str) -> Any:
        artifact = kind()
        artifact.uri = str(self.root / name)
        return artifact

    def write(self, name: str, content: bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def bless(self, digest: str | None = None, age: datetime.timedelta = datetime.timedelta(), **changes: Any) -> None:
        from tfx_privacy.components.budget_validator import blessing

        blessing.write(self.blessing, self.model, make_verdict(digest or self.digest, age, **changes))

    def set_blessed(self, value: int) -> None:
        self.blessing.set_int_custom_property("blessed", value)

    def infra(self, *values: int) -> None:
        from tfx.types import standard_artifacts

        self.inputs["infra_blessing"] = [self._artifact(standard_artifacts.InfraBlessing, "infra") for _ in values]
        for artifact, value in zip(self.inputs["infra_blessing"], values, strict=True):
            artifact.set_int_custom_property("blessed", value)

    def push(self, kind: Any = None, **settings: Any) -> int:
        """Runs the executor; returns `pushed` after checking that the folders agree with it."""
        from tfx.proto import pusher_pb2
        from tfx.utils import proto_utils

        from tfx_privacy.components.verifying_pusher import executor

        destination = pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=str(self.serving))
        )
        properties = {
            "push_destination": proto_utils.proto_to_json(destination),
            "custom_config": json.dumps({"verifying_pusher": settings} if settings else None),
        }
        (kind or executor.VerifyingPusherExecutor)().Do(self.inputs, {"pushed_model": [self.pushed]}, properties)
        pushed = int(self.pushed.get_int_custom_property("pushed"))
        assert len(self.versions()) == pushed
        if pushed:
            for folder in (self.versions()[0], self.root / "pushed"):
                assert {name: (folder / name).read_bytes() for name in FILES} == FILES
            assert not self.refusal
        return pushed

    def versions(self) -> list[pathlib.Path]:
        return sorted(self.serving.iterdir()) if self.serving.exists() else []

    @property
    def refusal(self) -> str:
        return str(self.pushed.get_string_custom_property("refusal"))


def signer(uri: str, name: str) -> str | EvidenceError | None:
    """Whose signature a file has, as its readers see it."""
    from tfx_privacy.components import _signatures

    try:
        return _signatures.read_signed_text(uri, name).signer
    except EvidenceError as error:
        return error


def make_verdict(digest: str, age: datetime.timedelta = datetime.timedelta(), **changes: Any) -> Verdict:
    found = evidence.make_evidence(
        model_digest=digest,
        guarantee=evidence.make_guarantee(model_digest=digest),
        evaluation=evidence.make_evaluation(model_digest=digest),
    )
    policy = GatePolicy(**{"max_epsilon": 3.0, "max_delta": 1e-5, "max_attack_auc": 0.6, **changes})
    return decide(found, policy, now=datetime.datetime.now(datetime.timezone.utc) - age)


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    return Bench(tmp_path)


def test_the_trainers_private_file_stays_behind(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It tells who was trained on: it is no part of the model's digest, and not even the staged copy has it."""
    from tfx_privacy.components import _files

    bench.write("model/trained_records.json", b"{}")
    staged: list[str] = []
    digest = _files.model_digest

    def looked_at(uri: str) -> str:
        staged.extend(path.name for path in pathlib.Path(uri).rglob("*"))
        return digest(uri)

    monkeypatch.setattr(_files, "model_digest", looked_at)
    assert bench.push() == 1
    assert "saved_model.pb" in staged
    assert "trained_records.json" not in staged
    assert not list(bench.serving.rglob("trained_records.json"))


def test_a_link_to_a_folder_has_no_digest(tmp_path: pathlib.Path) -> None:
    """What a link points at can be turned while the model's folder stays as it is."""
    from tfx_privacy.components import _files

    for folder in ("model", "elsewhere"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_bytes(b"content")
    (tmp_path / "model" / "variables").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EvidenceError, match="variables is a link to a folder"):
        _files.directory_digest(str(tmp_path / "model"))


@pytest.mark.parametrize("kind", ["pipe", "socket", "broken link", "device"])
def test_what_is_no_file_has_no_digest(tmp_path: pathlib.Path, kind: str) -> None:
    """A pipe would be waited for; a device gives other bytes to whoever serves the model."""
    from tfx_privacy.components import _files

    path = tmp_path / "model" / "variables" / "odd"
    path.parent.mkdir(parents=True)
    (tmp_path / "model" / "file").write_bytes(b"content")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(os.path.relpath(path))
    else:
        path.symlink_to("/dev/zero" if kind == "device" else tmp_path / "nowhere")
    with pytest.raises(EvidenceError, match="odd is no file but a pipe, socket, device or broken link"):
        _files.directory_digest(str(tmp_path / "model"))


def test_a_model_with_a_signed_verdict_is_pushed(bench: Bench) -> None:
    assert bench.push() == 1
    assert bench.blessing.get_string_custom_property("model_digest") == bench.digest
    assert not (bench.versions()[0] / "Format-TFMA").exists()
    # What TFX's own Pusher makes of the same inputs.
    from tfx.components.pusher import executor

    other = Bench(bench.root / "other")
    assert other.push(executor.Executor) == 1
    assert {path.name for path in other.versions()[0].iterdir()} == {
        path.name for path in bench.versions()[0].iterdir()
    }


def test_every_algorithm_and_any_trusted_key_will_do(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    made = signing.new_key("hmac-sha256", "shared")
    monkeypatch.setenv(signing.SIGNING_KEY_VARIABLE, made.signing)
    monkeypatch.setenv(signing.VERIFICATION_KEYS_VARIABLE, f"{KEYS['gate'].verification}\n{made.verification}")
    bench.bless()
    assert bench.push() == 1


def verdict_path(bench: Bench) -> pathlib.Path:
    return bench.root / "blessing" / "verdict.json"


def signature_path(bench: Bench) -> pathlib.Path:
    return bench.root / "blessing" / "verdict.intoto.jsonl"


def edit(path: pathlib.Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


REFUSALS: dict[str, tuple[Callable[[Bench], object], str]] = {
    "blessing not wired": (lambda b: b.inputs.pop("model_blessing"), "model_blessing has 0 artifacts"),
    "blessing wired but empty": (lambda b: b.inputs.update(model_blessing=[]), "model_blessing has 0 artifacts"),
    "two blessings": (lambda b: b.inputs["model_blessing"].append(b.blessing), "model_blessing has 2 artifacts"),
    "no model": (lambda b: b.inputs.pop("model"), "model has 0 artifacts"),
    "two models": (lambda b: b.inputs["model"].append(b.model), "model has 2 artifacts"),
    "infra wired but empty": (lambda b: b.infra(), "infra_blessing has 0 artifacts"),
    "two infra blessings": (lambda b: b.infra(1, 1), "infra_blessing has 2 artifacts"),
    "refused by infra": (lambda b: b.infra(0), "does not say blessed=1"),
    "blessed=0 beside BLESSED": (lambda b: b.set_blessed(0), "does not say blessed=1"),
    "blessed=2": (lambda b: b.set_blessed(2), "does not say blessed=1"),
    "refused by the gate": (lambda b: b.bless(max_epsilon=0.1), "does not say blessed=1"),
    "BLESSED gone": (lambda b: (b.root / "blessing/BLESSED").unlink(), "there is no BLESSED"),
    "both files": (lambda b: b.write("blessing/NOT_BLESSED", b""), "there is NOT_BLESSED"),
    "verdict gone": (lambda b: verdict_path(b).unlink(), "there is no verdict.json"),
    "folder of the blessing gone": (lambda b: shutil.rmtree(b.root / "blessing"), "there is no BLESSED"),
    "signature gone": (lambda b: signature_path(b).unlink(), "has no signature"),
    "verdict of yesterday": (lambda b: b.bless(age=datetime.timedelta(hours=24.1)), "older than 1 day"),
    "blessing without a URI": (lambda b: setattr(b.blessing, "uri", ""), "model_blessing has 0 artifacts"),
    "model without a URI": (lambda b: setattr(b.model, "uri", ""), "model has 0 artifacts"),
    "verdict of tomorrow": (lambda b: b.bless(age=-datetime.timedelta(hours=24.1)), "in the future"),
}  # fmt: skip


@pytest.mark.parametrize(("forge", "reason"), REFUSALS.values(), ids=REFUSALS.keys())
def test_what_is_missing_negative_or_stale_is_not_pushed(
    bench: Bench, forge: Callable[[Bench], object], reason: str
) -> None:
    forge(bench)
    assert bench.push() == 0
    assert reason in bench.refusal


def test_a_verdict_under_another_policy_is_not_pushed(bench: Bench) -> None:
    """A verdict is signed and says yes; but the limits that it rests on are others than those that were agreed on."""
    agreed = make_verdict(bench.digest).policy_digest
    assert bench.push(policy_digest=agreed) == 1
    for path in bench.versions():
        shutil.rmtree(path)
    bench.bless(max_attack_auc=0.99)
    assert bench.push() == 1
    for path in bench.versions():
        shutil.rmtree(path)
    assert bench.push(policy_digest=agreed) == 0
    assert f"policy_digest demands {agreed}" in bench.refusal
    assert make_verdict(bench.digest, max_attack_auc=0.99).policy_digest in bench.refusal


@pytest.mark.parametrize("change", [str.upper, str.title, lambda d: d[:-1], lambda d: d[7:], lambda d: d + " "])
def test_the_digest_of_a_policy_is_compared_exactly(bench: Bench, change: Callable[[str], str]) -> None:
    agreed = make_verdict(bench.digest).policy_digest
    with pytest.raises(ParameterError, match=r"policy_digest=.*tfx-privacy policy-digest FILE"):
        bench.push(policy_digest=change(agreed))
    assert bench.versions() == []
    assert bench.push(policy_digest=agreed[:-1] + ("0" if agreed[-1] != "0" else "1")) == 0


def _signed_by(name: str, bench: Bench) -> None:
    signature_path(bench).write_text(envelope.seal(verdict_path(bench).read_bytes(), _key(name)))


def _key(name: str) -> keys.Signer:
    key = signing.signing_key({signing.SIGNING_KEY_VARIABLE: KEYS[name].signing})
    assert key is not None
    return key


def _write_signed(bench: Bench, text: str) -> None:
    """A verdict's file that the trusted key signed, whatever it says."""
    verdict_path(bench).write_text(text)
    _signed_by("gate", bench)


def _as_something_else(bench: Bench) -> None:
    """The trusted key signed the same bytes as something else, and the envelope says that it is a Statement."""
    payload = verdict_path(bench).read_bytes()
    signed = json.loads(signature_path(bench).read_text())
    other = envelope.pre_authentication_encoding(payload, "application/vnd.tfx-privacy.guarantee+json")
    signed["signatures"][0]["sig"] = base64.b64encode(_key("gate").sign(other)).decode()
    signature_path(bench).write_text(json.dumps(signed))


def _guarantee_as_verdict(bench: Bench) -> None:
    """A guarantee of this very model, with a signature of the trusted key that holds."""
    _write_signed(bench, statement.to_json(evidence.make_guarantee(model_digest=bench.digest)))


def _other_subject(bench: Bench) -> None:
    """A signed verdict of another model under this model's name."""
    bench.bless(evidence.OTHER_DIGEST)
    found = json.loads(verdict_path(bench).read_text())
    found["subject"][0]["digest"]["sha256"] = bench.digest.removeprefix("sha256:")
    _write_signed(bench, json.dumps(found))


def _signed_change(**changes: Any) -> Callable[[Bench], None]:
    """What the gate never writes, signed: the verdict is held against its own rules all the same."""

    def change(bench: Bench) -> None:
        found = json.loads(verdict_path(bench).read_text())
        found["predicate"].update(changes)
        _write_signed(bench, json.dumps(found))

    return change


def _blessed_against_the_rules(bench: Bench) -> None:
    bench.bless(max_epsilon=0.1)
    bench.set_blessed(1)
    (bench.root / "blessing/NOT_BLESSED").rename(bench.root / "blessing/BLESSED")
    _signed_change(blessed=True, headline="BLESSED", message="Blessed.")(bench)


def _earlier_envelope(bench: Bench) -> None:
    """Verdict and envelope are honest, but of two runs."""
    kept = signature_path(bench).read_text()
    bench.bless(max_epsilon=2.9)
    signature_path(bench).write_text(kept)


def _one_bad_of_two(bench: Bench) -> None:
    """The trusted key's signature does not hold, and a stranger's does."""
    signed = json.loads(signature_path(bench).read_text())
    stranger = json.loads(envelope.seal(verdict_path(bench).read_bytes(), _key("stranger")))["signatures"]
    signed["signatures"][0]["sig"] = stranger[0]["sig"]
    signature_path(bench).write_text(json.dumps({**signed, "signatures": stranger + signed["signatures"]}))


def _under_anothers_name(bench: Bench) -> None:
    _signed_by("stranger", bench)
    edit(signature_path(bench), '"stranger"', '"gate"')


def _folder_for_signature(bench: Bench) -> None:
    signature_path(bench).unlink()
    signature_path(bench).mkdir()


def _raised_by_hand(bench: Bench) -> None:
    """The gate refused; whoever can write to ML Metadata and to the folder says that it blessed."""
    bench.bless(max_epsilon=0.1)
    bench.set_blessed(1)
    (bench.root / "blessing/NOT_BLESSED").rename(bench.root / "blessing/BLESSED")


def _made_fresh(bench: Bench) -> None:
    fresh = json.loads(verdict_path(bench).read_text())["predicate"]["decided_at"]
    bench.bless(age=datetime.timedelta(days=30))
    verdict = json.loads(verdict_path(bench).read_text())
    verdict["predicate"]["decided_at"] = fresh
    verdict_path(bench).write_text(json.dumps(verdict))


def _one_bit(bench: Bench) -> None:
    bench.write("model/Format-Serving/variables/variables.data", b"weighus")


FALSE: dict[str, tuple[Callable[[Bench], object], str]] = {
    "blessing of another model": (lambda b: b.bless(evidence.OTHER_DIGEST), "belongs to another one"),
    "one byte of the model": (_one_bit, "the model was changed"),
    "a file more": (lambda b: b.write("model/Format-Serving/assets/more", b""), "the model was changed"),
    "a file less": (lambda b: (b.root / "model/Format-Serving/assets/vocabulary").unlink(), "the model was changed"),
    "the model gone": (lambda b: shutil.rmtree(b.root / "model"), "no file to take a digest of"),
    "the Evaluator's copy": (lambda b: b.write("model/Format-TFMA/saved_model.pb", b"other"), "the model was changed"),
    "a stale verdict made fresh by hand": (_made_fresh, "not the file next to it"),
    "a space more": (
        lambda b: verdict_path(b).write_text(verdict_path(b).read_text() + " "), "not the file next to it",
    ),
    "the envelope of an earlier verdict": (_earlier_envelope, "not the file next to it"),
    "raised by hand": (_raised_by_hand, "says yes, but its verdict.json does not"),
    "signed by a stranger": (lambda b: _signed_by("stranger", b), "'stranger', which is not in"),
    "signed as something else": (_as_something_else, "does not hold"),
    "a guarantee for a verdict": (_guarantee_as_verdict, "Expected a statement of predicateType"),
    "a verdict under this model's name": (_other_subject, "must be the one model that its predicate is about"),
    "blessed against the rules, and signed": (_blessed_against_the_rules, "does not follow from the rules"),
    "an unknown field, and signed": (_signed_change(note="trust me"), "note"),
    "no version, and signed": (_signed_change(schema_version="1"), "schema_version"),
    "no rule, and signed": (_signed_change(rules=[]), "does not follow from the rules"),
    "one bad signature of two": (_one_bad_of_two, "does not hold"),
    "two lines": (lambda b: signature_path(b).write_text(signature_path(b).read_text() * 2), "must be one line"),
    "the stranger's under the gate's name": (
        _under_anothers_name, "does not hold",
    ),
    "signature is no JSON": (lambda b: signature_path(b).write_text("{"), "strict JSON"),
    "signature is binary": (lambda b: signature_path(b).write_bytes(b"\xff"), "strict JSON"),
    "signature names a key twice": (
        lambda b: edit(signature_path(b), '"keyid"', '"keyid":"stranger","keyid"'), "duplicate key",
    ),
    "signature is huge": (lambda b: signature_path(b).write_text(" " * (12 << 20)), "larger than the limit"),
    "signature is a folder": (
        _folder_for_signature, "could not be read",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("forge", "message"), FALSE.values(), ids=FALSE.keys())
def test_what_is_false_fails_the_run_and_is_not_pushed(
    bench: Bench, forge: Callable[[Bench], object], message: str
) -> None:
    forge(bench)
    with pytest.raises(EvidenceError, match=re.escape(message)):
        bench.push()
    assert not bench.versions()
    assert bench.pushed.get_int_custom_property("pushed") == 0


def test_without_keys_nothing_is_pushed_unless_that_is_asked_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(signing.VERIFICATION_KEYS_VARIABLE)
    assert bench.push() == 0
    assert "TFX_PRIVACY_VERIFICATION_KEYS is not set" in bench.refusal
    signature_path(bench).unlink()
    unsigned = Bench(bench.root / "unsigned")
    signature_path(unsigned).unlink()
    assert unsigned.push(allow_missing_keys=True) == 1
    changed = Bench(bench.root / "changed")
    _one_bit(changed)
    with pytest.raises(EvidenceError, match="the model was changed"):
        changed.push(allow_missing_keys=True)


def test_where_there_are_keys_a_signature_is_demanded_whatever_is_allowed(bench: Bench) -> None:
    signature_path(bench).unlink()
    assert bench.push(allow_missing_keys=True) == 0
    assert "has no signature" in bench.refusal
    _signed_by("stranger", bench)
    with pytest.raises(EvidenceError, match="stranger"):
        bench.push(allow_missing_keys=True)


def test_the_age_is_the_users(bench: Bench) -> None:
    bench.bless(age=datetime.timedelta(hours=2))
    assert bench.push(max_verdict_age_hours=1) == 0
    assert Bench(bench.root / "other").push(max_verdict_age_hours=1e-3) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"max_verdict_age_hours": 0}, {"max_verdict_age_hours": "24"}, {"max_verdict_age_hours": True},
        {"max_verdict_age_hours": 1e300}, {"allow_missing_keys": 1}, {"allow_missing_key": True},
    ],
)  # fmt: skip
def test_a_setting_that_is_none_is_an_error(bench: Bench, settings: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=next(iter(settings))):
        bench.push(**settings)
    assert not bench.versions()


def test_malformed_keys_are_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(signing.VERIFICATION_KEYS_VARIABLE, "ed25519:gate:AAAA")
    with pytest.raises(ParameterError, match="3 bytes|one byte over and over"):
        bench.push()
    assert not bench.versions()


def test_the_infra_blessing_is_anded(bench: Bench) -> None:
    bench.infra(1)
    assert bench.push() == 1


def _executor_with(**methods: Any) -> Any:
    from tfx_privacy.components.verifying_pusher import executor

    return type("Executor", (executor.VerifyingPusherExecutor,), methods)


def test_a_model_that_is_changed_after_the_check_is_not_what_is_pushed(bench: Bench) -> None:
    from tfx.components.pusher import executor

    calls: list[Any] = []

    def check_blessing(self: Any, input_dict: Any) -> bool:
        calls.append(getattr(self, "_staged", None))
        if len(calls) == 2:  # the second one is Pusher's own, after the verdict was checked and before it copies
            _one_bit(bench)
        return bool(executor.Executor.CheckBlessing(self, input_dict))

    assert bench.push(_executor_with(CheckBlessing=check_blessing)) == 1
    assert calls[0] is None
    assert not os.path.exists(calls[1])


def test_a_model_that_is_changed_while_it_is_staged_is_not_pushed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changed, copied, and put back before anybody looks at the original."""
    from tfx.utils import io_utils

    copy_dir = io_utils.copy_dir

    def changed(source: str, target: str, **options: Any) -> None:
        if source == bench.model.uri:
            _one_bit(bench)
        copy_dir(source, target, **options)
        bench.write("model/Format-Serving/variables/variables.data", FILES["variables/variables.data"])

    monkeypatch.setattr(io_utils, "copy_dir", changed)
    with pytest.raises(EvidenceError, match="the model was changed"):
        bench.push()
    assert not bench.versions()


@pytest.mark.parametrize("change", ["served", "archived", "added", "removed"])
def test_what_does_not_arrive_as_it_was_sent_is_taken_away(bench: Bench, change: str) -> None:
    from tfx.components.pusher import executor

    def mark_pushed(self: Any, pushed: Any, **properties: Any) -> None:
        served = pathlib.Path(properties["pushed_destination"])
        if change == "removed":
            shutil.rmtree(served)
        else:
            folder = pathlib.Path(pushed.uri) if change == "archived" else served
            name = "assets/more" if change == "added" else "variables/variables.data"
            (folder / name).write_bytes(b"Weights")
        executor.Executor._MarkPushed(self, pushed, **properties)

    with pytest.raises(EvidenceError, match="It was removed"):
        bench.push(_executor_with(_MarkPushed=mark_pushed))
    assert bench.pushed.get_int_custom_property("pushed") == 0
    assert len(bench.versions()) == (change == "archived")
    assert (bench.root / "pushed").exists() == (change != "archived")


def test_a_version_that_was_there_before_is_neither_taken_for_ours_nor_removed(bench: Bench) -> None:
    """Pusher names versions by the second, and copies nothing where the name is taken."""
    now = int(time.time())
    for second in range(now, now + 60):
        bench.write(f"serving/{second}/saved_model.pb", b"another model")
    with pytest.raises(EvidenceError, match="was there before and stays"):
        bench.push()
    assert len(bench.versions()) == 60
    assert bench.pushed.get_int_custom_property("pushed") == 0


class _Killed(BaseException):
    pass


class _Bomb:
    """TFX's file layer, which stops at its n-th change: before it, or in the middle of a file's contents."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: int, torn: bool) -> None:
        from tfx.dsl.io import fileio

        self.left = after
        for name in ("remove", "open", "makedirs"):
            monkeypatch.setattr(fileio, name, self._counted(getattr(fileio, name), torn and name == "open"))

    def _counted(self, call: Any, torn: bool) -> Any:
        def counted(path: str, *arguments: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                if torn:
                    with call(path, *arguments) as file:
                        file.write(b"{" if arguments == ("wb",) else "")
                raise _Killed
            return call(path, *arguments)

        return counted


def _runs(bench: Bench, torn: bool, blessed_before: bool, refused: bool) -> Iterator[bool]:
    """Writes a verdict again and again, killed one step later each time; yields whether it was killed."""
    for after in range(50):
        shutil.rmtree(bench.root / "blessing", ignore_errors=True)
        if blessed_before:
            bench.bless()
        with pytest.MonkeyPatch.context() as patch:
            _Bomb(patch, after, torn)
            try:
                bench.bless(max_epsilon=0.1 if refused else 3.0)
            except _Killed:
                killed = True
            else:
                killed = False
        yield killed
        if not killed:
            return
    raise AssertionError("it never came to an end")


@pytest.mark.parametrize("refused", [False, True], ids=["blessed", "refused"])
@pytest.mark.parametrize("blessed_before", [False, True], ids=["fresh folder", "blessed before"])
@pytest.mark.parametrize("torn", [False, True], ids=["between", "within a file"])
def test_no_moment_has_blessed_beside_a_missing_or_refusing_statement(
    bench: Bench, torn: bool, blessed_before: bool, refused: bool
) -> None:

    seen = []
    folder = bench.root / "blessing"
    for killed in _runs(bench, torn, blessed_before, refused):
        seen.append(killed)
        if (folder / "BLESSED").exists():
            assert not (folder / "NOT_BLESSED").exists()
            assert json.loads(verdict_path(bench).read_text())["predicate"]["blessed"] is True
            assert signer(str(folder), "verdict.json") == "gate"
        # `blessed` reaches ML Metadata only after the executor; it must not run ahead of the files all the same.
        if bench.blessing.get_int_custom_property("blessed") == 1:
            assert (folder / "BLESSED").exists()
    assert len(seen) >= 7
    assert not seen[-1]
    assert (folder / "BLESSED").exists() is not refused
    assert (folder / "NOT_BLESSED").exists() is refused


def test_a_blessing_without_a_key_has_a_statement_and_no_signature(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also over a signed one: a signature of what was there before must not stay."""
    monkeypatch.delenv(signing.SIGNING_KEY_VARIABLE)
    bench.bless()
    assert {path.name for path in (bench.root / "blessing").iterdir()} == {"BLESSED", "verdict.json"}
    monkeypatch.setenv(signing.SIGNING_KEY_VARIABLE, "ed25519:gate:AAAA")
    with pytest.raises(ParameterError, match=signing.SIGNING_KEY_VARIABLE):
        bench.bless()
    assert {path.name for path in (bench.root / "blessing").iterdir()} == {"NOT_BLESSED"}
    assert bench.blessing.get_int_custom_property("blessed") == 0


def test_a_signed_file_is_read_with_its_signer(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tfx_privacy.components import _signatures

    uri, name = str(tmp_path / "new"), "file.json"
    text = '{"slice": "gr\u00f6\u00dfer\\r\\n"}\r\n'
    _signatures.write_signed_text(uri, name, text)
    assert _signatures.read_signed_text(uri, name) == (text, "gate")
    assert signer(uri, name) == "gate"
    assert sorted(os.listdir(uri)) == ["file.intoto.jsonl", name]
    assert isinstance(signer(uri, "other.json"), EvidenceError)
    monkeypatch.delenv(signing.VERIFICATION_KEYS_VARIABLE)
    assert "it is not set" in str(signer(uri, name))
    monkeypatch.delenv(signing.SIGNING_KEY_VARIABLE)
    _signatures.write_signed_text(uri, name, text)
    assert signer(uri, name) is None
    assert os.listdir(uri) == [name]
    (tmp_path / "new" / name).write_bytes(b"\xff")
    with pytest.raises(EvidenceError, match="not UTF-8"):
        _signatures.read_signed_text(uri, name)


def test_a_key_that_cannot_sign_leaves_nothing_that_is_blessed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept elsewhere, and gone: found out before a file is written."""
    from tfx_privacy.components import _signatures

    monkeypatch.setenv(signing.SIGNING_KEY_VARIABLE, f"uri:gate:file2:{bench.root / 'gone.pem'}")
    with pytest.raises(ParameterError, match="cannot sign"):
        _signatures.check_signing_key()
    with pytest.raises(ParameterError, match="cannot sign"):
        bench.bless()
    assert {path.name for path in (bench.root / "blessing").iterdir()} == {"NOT_BLESSED"}
    assert bench.blessing.get_int_custom_property("blessed") == 0


def test_a_verdict_without_a_models_digest_has_no_subject(bench: Bench) -> None:
    """No admission controller and no Pusher can take it for a blessing of anything."""
    from tfx_privacy.components.budget_validator import blessing

    unreadable = EvidenceError("There is no file to take a digest of.")
    found = evidence.make_evidence(model_digest=unreadable)
    blessing.write(bench.blessing, bench.model, decide(found, evidence.POLICY, now=evidence.NOW))
    assert json.loads(verdict_path(bench).read_text())["subject"] == []
    assert (bench.root / "blessing/NOT_BLESSED").exists()
    bench.set_blessed(1)
    (bench.root / "blessing/NOT_BLESSED").rename(bench.root / "blessing/BLESSED")
    with pytest.raises(EvidenceError, match="says yes, but its verdict.json does not"):
        bench.push()


def test_a_guarantee_is_signed_where_there_is_a_key(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tfx_privacy.components import artifacts
    from tfx_privacy.components.dp_trainer import guarantee

    artifact = artifacts.PrivacyGuarantee()
    artifact.uri = str(tmp_path)
    guarantee.write_guarantee(artifact, evidence.make_guarantee())
    assert signer(artifact.uri, "privacy_guarantee.json") == "gate"
    monkeypatch.delenv(signing.SIGNING_KEY_VARIABLE)
    guarantee.write_guarantee(artifact, evidence.make_guarantee())
    assert os.listdir(artifact.uri) == ["privacy_guarantee.json"]


def test_an_evaluation_is_signed_where_there_is_a_key(tmp_path: pathlib.Path) -> None:

    bench = EvaluatorBench(tmp_path)
    bench.model(memorised=MEMBERS)
    bench.run()
    uri = bench.outputs["privacy_evaluation"][0].uri
    assert signer(uri, "privacy_evaluation.json") == "gate"


@pytest.mark.parametrize("component", ["dp_trainer", "privacy_evaluator"])
def test_a_malformed_key_is_refused_before_anything_is_read(component: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    executor = importlib.import_module(f"tfx_privacy.components.{component}.executor")
    monkeypatch.setenv(signing.SIGNING_KEY_VARIABLE, "hmac-sha256:trainer:" + "A" * 43)
    with pytest.raises(ParameterError, match=signing.SIGNING_KEY_VARIABLE):
        executor.Executor().Do({}, {}, {})


def make_component(bench: Bench, **changes: Any) -> Any:
    from tfx.proto import pusher_pb2
    from tfx.types import channel_utils

    from tfx_privacy.components import VerifyingPusher

    arguments: dict[str, Any] = {
        "model": channel_utils.as_channel([bench.model]),
        "model_blessing": channel_utils.as_channel([bench.blessing]),
        "push_destination": pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=str(bench.serving))
        ),
    }
    return VerifyingPusher(**{**arguments, **changes})


def test_the_component_checks_its_settings(bench: Bench) -> None:
    for bad in ({"max_verdict_age_hours": 0.0}, {"allow_missing_keys": 1}):
        with pytest.raises(ParameterError, match=next(iter(bad))):
            make_component(bench, **bad)
    component = make_component(bench, custom_config={"other": 1}, max_verdict_age_hours=3)
    assert json.loads(component.exec_properties["custom_config"]) == {
        "other": 1,
        "verifying_pusher": {"allow_missing_keys": False, "max_verdict_age_hours": 3.0},
    }


@pytest.mark.parametrize("component", ["VerifyingPusher", "Pusher with a custom_executor_spec"])
@pytest.mark.parametrize("change", [False, True], ids=["as blessed", "one byte changed"])
def test_in_a_pipeline(bench: Bench, component: str, change: bool) -> None:
    from tfx.components.pusher import component as pusher_component
    from tfx.dsl.components.base import executor_spec
    from tfx.dsl.components.common import importer
    from tfx.orchestration import metadata, pipeline
    from tfx.orchestration.local import local_dag_runner
    from tfx.types import standard_artifacts

    from tfx_privacy.components.verifying_pusher import executor

    if change:
        _one_bit(bench)
    model = importer.Importer(source_uri=bench.model.uri, artifact_type=standard_artifacts.Model).with_id("model")
    blessing = importer.Importer(
        source_uri=bench.blessing.uri, artifact_type=standard_artifacts.ModelBlessing, custom_properties={"blessed": 1}
    ).with_id("blessing")
    arguments = {"model": model.outputs["result"], "model_blessing": blessing.outputs["result"]}
    pusher = make_component(bench, **arguments)
    if component != "VerifyingPusher":
        pusher = pusher_component.Pusher(
            **arguments,
            push_destination=pusher.exec_properties["push_destination"],
            custom_executor_spec=executor_spec.ExecutorClassSpec(executor.VerifyingPusherExecutor),
        )
    made = pipeline.Pipeline(
        pipeline_name="push",
        pipeline_root=str(bench.root / "pipeline"),
        components=[model, blessing, pusher],
        metadata_connection_config=metadata.sqlite_metadata_connection_config(str(bench.root / "metadata.db")),
    )
    if change:
        with pytest.raises(EvidenceError, match="the model was changed"):
            local_dag_runner.LocalDagRunner().run(made)
    else:
        local_dag_runner.LocalDagRunner().run(made)
    assert len(bench.versions()) == (not change)
