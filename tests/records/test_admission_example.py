"""The Python block of docs/signatures.md, which checks a verdict without this package."""

import json
import os
import pathlib
import re
from collections.abc import Callable
from typing import Any

import evidence
import key_pairs
import pytest
from places import ROOT
from securesystemslib.exceptions import VerificationError

from tfx_privacy.errors import EvidenceError
from tfx_privacy.gate.decide import decide
from tfx_privacy.records import digest, envelope, statement

FILES = {
    "saved_model.pb": b"graph",
    "variables/variables.data": b"weights",
    "assets/gr\u00f6\u00dfe.txt": b"",
    "a.b": b"\n",
}


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    (block,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/signatures.md").read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(block, "docs/signatures.md", "exec"), names)  # noqa: S102 - our own documentation
    return names


@pytest.fixture
def model(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "model"
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def written(folder: pathlib.Path, model_digest: str | EvidenceError, **limits: Any) -> pathlib.Path:
    named = model_digest if isinstance(model_digest, str) else evidence.DIGEST
    found = evidence.make_evidence(
        model_digest=model_digest,
        guarantee=evidence.make_guarantee(model_digest=named),
        evaluation=evidence.make_evaluation(model_digest=named),
    )
    made = decide(found, evidence.POLICY.model_copy(update=limits), now=evidence.NOW)
    return _sealed(folder, statement.to_json(made))


def _sealed(folder: pathlib.Path, text: str) -> pathlib.Path:
    path = folder / "verdict.intoto.jsonl"
    path.write_text(envelope.seal(text.encode(), key_pairs.signer("ed25519", "gate")))
    return path


def our_digest(folder: pathlib.Path) -> str:
    files = {
        os.path.relpath(path, folder): digest.file_digest([path.read_bytes()])
        for path in folder.rglob("*")
        if path.is_file()
    }
    return digest.merkle_digest(files)


KEY = key_pairs.environ_entry("ed25519", "gate")


def test_the_digest_is_ours(example: dict[str, Any], model: pathlib.Path) -> None:
    assert "sha256:" + example["model_digest"](model) == our_digest(model)


def test_a_model_with_a_link_has_no_digest(
    example: dict[str, Any], model: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (model / "assets.extra").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="holds a link"):
        example["model_digest"](model)


def test_a_blessed_model_is_admitted_and_no_other(
    example: dict[str, Any], model: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    admit: Callable[..., bool] = example["admit"]
    path = written(tmp_path, our_digest(model))
    assert admit(path, model, KEY) is True
    (model / "saved_model.pb").write_bytes(b"Graph")
    assert admit(path, model, KEY) is False


def test_a_refusal_a_verdict_of_no_model_and_a_guarantee_admit_nothing(
    example: dict[str, Any], model: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    admit: Callable[..., bool] = example["admit"]
    assert admit(written(tmp_path, our_digest(model), max_epsilon=0.1), model, KEY) is False
    unreadable = EvidenceError("There is no file to take a digest of.")
    assert admit(written(tmp_path, unreadable), model, KEY) is False
    guarantee = evidence.make_guarantee(model_digest=our_digest(model))
    assert admit(_sealed(tmp_path, statement.to_json(guarantee)), model, KEY) is False


def test_a_signature_that_does_not_hold_admits_nothing(
    example: dict[str, Any], model: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    path = written(tmp_path, our_digest(model))
    other = json.loads(path.read_text())
    other["payload"] = json.loads(written(tmp_path, our_digest(model), max_epsilon=2.9).read_text())["payload"]
    path.write_text(json.dumps(other))
    with pytest.raises(VerificationError):
        example["admit"](path, model, KEY)
