"""Evidence as earlier releases wrote it.

From the first release on, what is in tests/golden/records/ and tests/golden/ledger/ is kept for ever: people
keep their verdicts and ledgers, and every later release must read them. A new form of a record gets new
files next to the old ones.
"""

import json
import pathlib

import golden_records
import pytest
from key_pairs import key_pair

from tfx_privacy.attacks.canaries import CanarySet
from tfx_privacy.attacks.evaluation import PrivacyEvaluation
from tfx_privacy.attacks.reference_models import ReferenceSet
from tfx_privacy.attacks.trained_records import TrainedRecords
from tfx_privacy.errors import EvidenceError, LedgerError
from tfx_privacy.gate import policy_file
from tfx_privacy.gate.policy import GatePolicy
from tfx_privacy.gate.verdict import Verdict
from tfx_privacy.guarantee.record import PrivacyGuarantee
from tfx_privacy.ledger import exports
from tfx_privacy.records import envelope, statement, strict_json
from tfx_privacy.records.base import Record
from tfx_privacy.reporting.facts import ReportFacts, read

KINDS: dict[str, type[Record]] = {
    "guarantee": PrivacyGuarantee,
    "evaluation": PrivacyEvaluation,
    "verdict": Verdict,
    "canaries": CanarySet,
    "reference": ReferenceSet,
    "trained": TrainedRecords,
    "policy": GatePolicy,
    "report": ReportFacts,
}
PATHS = sorted(golden_records.RECORDS.glob("*.json"))
ENVELOPES = sorted(golden_records.RECORDS.glob("*.intoto.jsonl"))
EXPORTS = sorted(golden_records.LEDGER.glob("*.jsonl"))


def load(path: pathlib.Path) -> Record:
    kind = KINDS[path.stem.split("_")[0]]
    if issubclass(kind, statement.ModelRecord):
        return statement.from_json(kind, path.read_bytes())
    return kind.from_json(path.read_bytes())


def test_there_is_a_golden_file_of_each_kind() -> None:
    assert {path.stem.split("_")[0] for path in PATHS} == set(KINDS)
    assert {path for path in golden_records.files() if not path.exists()} == set()


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_golden_record_is_read_and_written_with_the_same_bytes(path: pathlib.Path) -> None:
    record = load(path)
    assert golden_records.text(record).encode() == path.read_bytes()


@pytest.mark.parametrize(
    "path", [path for path in PATHS if path.stem != "reference_models"], ids=lambda path: path.stem
)
def test_a_golden_record_is_the_same_after_its_canonical_text(path: pathlib.Path) -> None:
    """But for reference models, whose keys of records have 64 bits and are never hashed."""
    record = load(path)
    assert type(record).from_json(strict_json.canonical(record.model_dump(mode="json"))) == record


def test_the_verdicts_say_what_they_said() -> None:
    verdicts = {path.stem: load(path) for path in PATHS if path.stem.startswith("verdict")}
    headlines = {name: found.headline for name, found in verdicts.items() if isinstance(found, Verdict)}
    assert headlines == {
        "verdict_blessed": "BLESSED",
        "verdict_excused": "BLESSED WITH EXCEPTION",
        "verdict_refused": "NOT BLESSED",
    }
    blessed = load(golden_records.RECORDS / "verdict_blessed.json")
    assert read((golden_records.RECORDS / "report.json").read_bytes()).verdict == blessed


def test_everything_optional_is_there() -> None:
    full = load(golden_records.RECORDS / "guarantee_full.json")
    empty = {name for name, value in full.model_dump().items() if value is None or value == []}
    # Reference models and a private base model exclude one another: they are in a file of their own.
    assert empty == {"epsilon_pld", "references"}
    other = load(golden_records.RECORDS / "guarantee_with_references.json")
    assert isinstance(other, PrivacyGuarantee)
    assert other.references is not None
    evaluation = load(golden_records.RECORDS / "evaluation_full.json")
    assert not [name for name, value in evaluation.model_dump().items() if value is None or value == []]


def test_the_policy_is_read_as_a_policys_file() -> None:
    path = golden_records.RECORDS / "policy.json"
    assert policy_file.loads(path.read_text(), kind="json") == load(path)


@pytest.mark.parametrize("path", ENVELOPES, ids=lambda path: path.name)
def test_a_golden_envelope_holds(path: pathlib.Path) -> None:
    payload = path.with_name(path.name.replace(".intoto.jsonl", ".json")).read_bytes()
    key, trusted = key_pair("ed25519", golden_records.KEY_ID)
    assert envelope.check(path.read_bytes(), payload, trusted) == golden_records.KEY_ID
    # Ed25519 is deterministic.
    assert envelope.seal(payload, key).encode() == path.read_bytes()
    with pytest.raises(EvidenceError, match="not the file next to it"):
        envelope.check(path.read_bytes(), payload + b" ", trusted)


def test_what_thresholds_spent_stays_in_a_golden_ledger() -> None:
    """As it was written: a run that started stays charged, one that did not is given back."""
    text = (golden_records.LEDGER / "export_with_releases.jsonl").read_text(encoding="utf-8")
    dataset = exports.verify(text).datasets["taxi"]
    units = dataset.blocks["2025"].delta_charged
    assert units == 11529215047 + 3458764514
    assert dataset.blocks["2026"].delta_charged == 0
    assert dataset.threshold_delta == 230584520824
    for old, new in (('"delta_spent":11529215047', '"delta_spent":1'), (',"delta_spent":11529215047', "")):
        assert old in text
        with pytest.raises(LedgerError):
            exports.verify(text.replace(old, new))


@pytest.mark.parametrize("path", EXPORTS, ids=lambda path: path.name)
def test_a_golden_ledger_is_replayed(path: pathlib.Path) -> None:
    text = path.read_text(encoding="utf-8")
    verified = exports.verify(text)
    assert "".join(exports.lines(verified)) == text
    assert {entry.body.kind for entry in verified.log} >= {"register", "reserve", "start", "commit", "abort"}
    states = {run.state for dataset in verified.datasets.values() for run in dataset.runs.values()}
    assert states >= {"COMMITTED", "ABORTED", "STARTED"}


@pytest.mark.parametrize("version", [0, 2, True, "1", 1.0, None])
def test_an_entry_of_another_version_is_refused(version: object) -> None:
    first, *others = (golden_records.LEDGER / "export.jsonl").read_text(encoding="utf-8").split("\n")
    changed = json.dumps({**json.loads(first), "schema_version": version})
    with pytest.raises(LedgerError, match="schema_version"):
        exports.verify("\n".join([changed, *others]))
