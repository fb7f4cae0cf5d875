"""Whatever the data are, PrivacyEvaluator ends in an evaluation: numbers, or why there are none; and the gate takes it."""

from __future__ import annotations

import gzip
import pathlib
import re
from collections.abc import Callable
from typing import Any

import artifacts_on_disk as disk
import evidence
import numpy as np
import pytest
from evaluator_bench import MEMBERS, OTHERS, Bench, by_slice

from tfx_privacy.attacks.evaluation import PrivacyEvaluation
from tfx_privacy.errors import DataError
from tfx_privacy.gate.decide import decide
from tfx_privacy.gate.verdict import Verdict

pytestmark = pytest.mark.slow

Records = list[dict[str, Any]]
OPTIONAL = """
feature { name: "features" type: FLOAT presence { min_fraction: 1 min_count: 1 } shape { dim { size: 4 } } }
feature { name: "label" type: INT value_count { min: 1 max: 1 } }
feature { name: "group" type: BYTES }
"""
REAL = OPTIONAL.replace('name: "label" type: INT', 'name: "label" type: FLOAT')
NAN = float("nan")


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    bench = Bench(tmp_path)
    bench.model()
    return bench


def gate(record: PrivacyEvaluation, folder: pathlib.Path) -> Verdict:
    """The verdict, after the report of it was written."""
    from tfx_privacy.components.budget_validator import report

    whole = evidence.make_evidence(evaluation=record)
    verdict = decide(whole, evidence.POLICY, now=evidence.NOW)
    report.write(str(folder / "report"), verdict, whole)
    return verdict


def without(records: Records, name: str) -> Records:
    return [{key: value for key, value in record.items() if key != name} for record in records]


def changed(records: Records, **values: Callable[[int], list[Any]]) -> Records:
    return [{**record, **{name: make(place) for name, make in values.items()}} for place, record in enumerate(records)]


def both(size: int = 600, **values: Callable[[int], list[Any]]) -> tuple[Records, Records]:
    return changed(disk.make_records(size, 1), **values), changed(disk.make_records(size, 2), **values)


UNJUDGED: dict[str, tuple[str | None, tuple[Records, Records], dict[str, Any], str, str]] = {
    "no non-member": (None, (MEMBERS, []), {}, "INSUFFICIENT", "800 members and 0 non-members"),
    "no member": (None, ([], OTHERS), {}, "INSUFFICIENT", "0 members and 600 non-members"),
    "nothing": (None, ([], []), {}, "INSUFFICIENT", "0 members and 0 non-members"),
    "the same records": (None, (MEMBERS, MEMBERS), {}, "INSUFFICIENT", r"800 of 800 non-members \(100.0%\) equal a member"),
    "one record": (None, (MEMBERS[:1], OTHERS[:1]), {}, "INSUFFICIENT", "1 members and 1 non-members, 300"),
    "a column is missing": (None, (without(MEMBERS, "label"), OTHERS), {}, "UNSUPPORTED", "does not fit signature"),
    "a column is missing later": (None, (MEMBERS, [*OTHERS, *without(OTHERS[:1], "label")]), {}, "UNSUPPORTED", "does not fit"),
    "no label at all": (OPTIONAL, (without(MEMBERS, "label"), without(OTHERS, "label")), {}, "UNSUPPORTED", "no label is finite"),
    "labels that are no numbers": (
        REAL, both(label=lambda place: [NAN]), {}, "UNSUPPORTED",
        "no label is finite",
    ),
    "no label, and the task is said": (
        OPTIONAL, (without(MEMBERS, "label"), without(OTHERS, "label")), {"task": "binary"}, "UNSUPPORTED", "none of the task's",
    ),
    "classes that the model lacks": (
        None, (MEMBERS, changed(OTHERS, label=lambda place: [2 if place == 500 else place % 2])), {}, "UNSUPPORTED", "task",
    ),
    "text labels": (
        OPTIONAL.replace('name: "label" type: INT', 'name: "label" type: BYTES'),
        both(label=lambda place: [b"BROKEN" if place % 2 else b"NORMAL"]), {}, "UNSUPPORTED", "the label 'label' is text",
    ),
    "measurements that begin as classes": (
        REAL, both(size=1_100, label=lambda place: [float(place % 2) if place < 1_060 else 3.5]), {}, "UNSUPPORTED",
        "look like task='binary', and others do not. Set task",
    ),
    "classes after the first batch": (
        None, both(size=1_100, label=lambda place: [place % 2 if place < 1_060 else 2]), {}, "UNSUPPORTED", "Set task",
    ),
    "features that are no numbers": (
        None, (changed(MEMBERS, features=lambda place: [NAN] * 3 + [1.0 + place]),
               changed(OTHERS, features=lambda place: [NAN] * 3 + [-1.0 - place])), {}, "UNSUPPORTED", "NaN or infinite",
    ),
    "no group": (OPTIONAL, (MEMBERS, without(OTHERS, "group")), {"group_key": "group"}, "UNSUPPORTED", "no value of group_key"),
    "several groups": (
        OPTIONAL, (changed(MEMBERS, group=lambda place: [b"a", b"b"]), OTHERS), {"group_key": "group"}, "UNSUPPORTED",
        "or several",
    ),
    "too many crossed values": (
        OPTIONAL, (changed(MEMBERS[:300], group=lambda place: [str(each).encode() for each in range(130)]), OTHERS),
        {"slicing": ["group", "group"]}, "UNSUPPORTED", "combinations",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("schema", "sides", "arguments", "status", "reason"), UNJUDGED.values(), ids=UNJUDGED.keys())
def test_data_that_no_attack_can_be_judged_on_end_in_a_record_and_a_refusal(
    bench: Bench,
    schema: str | None,
    sides: tuple[Records, Records],
    arguments: dict[str, Any],
    status: str,
    reason: str,
) -> None:
    from tensorflow_model_analysis.proto import config_pb2

    if schema is not None:
        bench.schema(schema)
    if crossed := arguments.get("slicing"):
        arguments = {"slice_features": [], "slicing_specs": [config_pb2.SlicingSpec(feature_keys=crossed)]}
    bench.examples({"train": sides[0], "eval": sides[1]}, shards=1 + (len(sides[0]) < 1_000), name="other")
    record = bench.run(**{"slice_features": [], **arguments})
    whole = by_slice(record)["all records"]
    assert whole.status == status
    assert re.search(reason, whole.reason), whole.reason
    verdict = gate(record, bench.root)
    assert not verdict.blessed
    (coverage,) = [rule for rule in verdict.rules if rule.rule == "attack_coverage"]
    assert whole.reason in coverage.explanation
    assert not (bench.root / "privacy_evaluation" / "failure.json").exists()


def test_non_members_that_equal_a_member_are_left_out_of_everything_and_counted(bench: Bench) -> None:
    """Rows, curves, slices, risks and findings are those of an evaluation without them, to the last bit."""
    bench.model(memorised=MEMBERS[:400])
    arguments: dict[str, Any] = {"sensitive_features": ["group"], "record_id_key": "group"}
    plain = bench.run(**arguments)
    risks = written_risks(bench)
    equal = [dict(reversed(list(record.items()))) for record in MEMBERS[:31]]
    bench.examples({"train": MEMBERS, "eval": [*equal, *OTHERS]}, shards=3, name="overlapping")
    record = bench.run(**arguments)
    assert (record.num_nonmembers, record.num_overlapping, record.max_overlap) == (600, 31, 0.05)
    left = {"num_overlapping", "issued_at"}
    assert record.model_dump(exclude=left) == plain.model_dump(exclude=left)
    assert written_risks(bench) == risks
    gate(record, bench.root)
    assert (
        "Left out: 31 non-members (4.91 %) that equal a member" in (bench.root / "report" / "report.html").read_text()
    )


def written_risks(bench: Bench) -> list[str]:
    files = (bench.root / "privacy_evaluation" / "record_risks").glob("members*.jsonl.gz")
    return sorted(line for path in files for line in gzip.decompress(path.read_bytes()).decode().splitlines())


@pytest.mark.parametrize(("allowed", "status"), [(31 / 631, "OK"), (31 / 632, "INSUFFICIENT")])
def test_more_equal_records_than_are_allowed_are_not_judged(bench: Bench, allowed: float, status: str) -> None:
    bench.examples({"train": MEMBERS, "eval": [*OTHERS, *MEMBERS[:31]]}, name="overlapping")
    record = bench.run(max_overlap=allowed)
    assert by_slice(record)["all records"].status == status
    assert record.num_overlapping == 31


def test_duplicates_that_a_random_split_put_anywhere_are_no_groups(bench: Bench) -> None:
    """Without those left out no duplicate would be on both sides, as if somebody had put them together by a rule."""
    pool = disk.make_records(1_300, 5)
    pool += pool[:56]
    sides = np.random.default_rng(6).random(len(pool)) < 0.5
    bench.examples({
        "train": [record for record, side in zip(pool, sides, strict=True) if side],
        "eval": [record for record, side in zip(pool, sides, strict=True) if not side],
    }, name="duplicates")  # fmt: skip
    record = bench.run()
    assert 20 <= record.num_overlapping <= 0.05 * (record.num_nonmembers + record.num_overlapping)
    assert record.suspected_groups == []
    assert by_slice(record)["all records"].status == "OK"


def test_a_damaged_file_is_one_error_that_names_it(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    (path,) = (bench.root / "examples" / "Split-eval").iterdir()
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(DataError, match="is cut short or damaged") as raised:
        bench.run()
    assert str(path) in str(raised.value)
    assert "while running" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert not [each for each in caplog.records if each.levelname == "ERROR"]
    assert not list((bench.root / "privacy_evaluation").glob("*.json"))


def test_risks_of_records_without_a_score_are_none(bench: Bench) -> None:
    bench.schema(OPTIONAL)
    bench.examples({"train": without(MEMBERS, "label"), "eval": without(OTHERS, "label")}, name="unlabelled")
    record = bench.run(task="binary", record_id_key="group")
    assert by_slice(record)["all records"].status == "UNSUPPORTED"
    assert written_risks(bench) == []


@pytest.mark.parametrize("task", [None, "binary"])
def test_a_file_without_a_label_is_counted_record_by_record(bench: Bench, task: str | None) -> None:
    bench.schema(OPTIONAL)
    bench.examples({"train": MEMBERS, "eval": OTHERS}, name="labelled")
    disk.write_examples(bench.root / "more", {"train": without(disk.make_records(7, 9), "label")})
    (path,) = (bench.root / "more" / "Split-train").iterdir()
    path.rename(bench.root / "labelled" / "Split-train" / "aaa_tfrecord.gz")  # the first of its split
    record = bench.run(task=task)
    assert (record.num_members, record.num_unusable_members, record.num_unusable_nonmembers) == (807, 7, 0)
    assert by_slice(record)["all records"].num_members == 800


def test_an_attack_beyond_membership_that_the_data_do_not_allow_says_why(bench: Bench) -> None:
    """An empty text, and a text that a record must have: no record without it can be asked about."""
    sides = [changed(side, group=lambda place: [b"" if place % 3 else b"a"]) for side in (MEMBERS, OTHERS)]
    bench.examples({"train": sides[0], "eval": sides[1]}, name="empty")
    spec = {"features": tf_feature(4), "group": tf_feature(1, text=True)}
    bench.save(spec, answer_of)
    record = bench.run(sensitive_features=["group"], slice_features=[])
    assert by_slice(record)["all records"].status == "OK"
    (finding,) = record.findings
    assert (finding.status, finding.subject) == ("UNSUPPORTED", "group")
    assert "does not fit" in finding.reason


def tf_feature(width: int, *, text: bool = False) -> Any:
    import tensorflow as tf

    return tf.io.FixedLenFeature([width], tf.string if text else tf.float32)


def answer_of(parsed: Any) -> Any:
    import tensorflow as tf

    return tf.sigmoid(parsed["features"][:, :1] + tf.cast(tf.strings.length(parsed["group"]), tf.float32))


@pytest.mark.parametrize("shared", [False, True])
def test_text_labels_are_the_places_in_the_schemas_domain(bench: Bench, shared: bool) -> None:
    """In its order, which is not that of the alphabet; a text that it lacks is no label of the task's."""
    from tfx_privacy.components import text_labels

    plain = bench.run()
    domain = '{ name: "kinds" value: "yes" value: "no" }'
    own = 'domain: "kinds"' if shared else f"string_domain {domain}"
    text = OPTIONAL.replace(
        "type: INT value_count { min: 1 max: 1 }", f"type: BYTES value_count {{ min: 1 max: 1 }} {own}"
    )
    bench.schema(text + (f"string_domain {domain}" if shared else ""))
    named = [
        [{**record, "label": [b"no" if record["label"] == [1] else b"yes"]} for record in side]
        for side in (MEMBERS, OTHERS)
    ]
    bench.examples(
        {"train": [*named[0], {**named[0][0], "features": [9.0] * 4, "label": [b"never"]}], "eval": named[1]}, name="t"
    )
    record = bench.run()
    assert (record.num_members, record.num_unusable_members) == (801, 1)
    found, expected = by_slice(record)["all records"], by_slice(plain)["all records"]
    assert (found.status, found.auc) == ("OK", expected.auc)
    (head,) = record.heads
    assert head.label_texts_digest == text_labels.digest_of(["yes", "no"]) != text_labels.digest_of(["no", "yes"])


def test_non_members_that_could_not_be_held_against_members_are_not_judged(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system that failed once, and not for who scores: equal records would be compared in silence."""
    from tfx_privacy.components.privacy_evaluator import overlap

    def fail(*_: object) -> None:
        raise DataError("It failed once.")

    monkeypatch.setattr(overlap, "_hashes", fail)
    with pytest.raises(DataError, match="It failed once"):
        bench.run()
    assert not list((bench.root / "privacy_evaluation").glob("*.json"))
