"""Forged and partial evidence, made systematically out of evidence that the gate blesses under `evidence.CHARGED_POLICY`."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import evidence

from tfx_privacy.attacks.evaluation import AttackResult, PrivacyEvaluation
from tfx_privacy.budget.runs import LedgerRun
from tfx_privacy.errors import EvidenceError
from tfx_privacy.gate.decide import decide
from tfx_privacy.gate.evidence import Evidence
from tfx_privacy.guarantee.record import PrivacyGuarantee
from tfx_privacy.records.base import Record

ERROR = EvidenceError("There is no file.")
# What a guarantee states beside its facts: the prose, which is no evidence, and which the report writes itself.
_PROSE = ("statement",)
_Change = Callable[[Evidence], Evidence]


class Forgery(NamedTuple):
    """One set of evidence, and the rules of which at least one must refuse it."""

    name: str
    evidence: Evidence
    rules: frozenset[str]
    excusable: bool = False
    """Whether a policy's exception may accept it: the number is there, and above its limit."""


class Edit(NamedTuple):
    """One change of honest evidence; several can be made to one set."""

    name: str
    apply: _Change
    rules: frozenset[str]
    excusable: bool = False


def all_forgeries(seed: int, combinations: int) -> list[Forgery]:
    """Every single edit, swaps, drops, and combinations of edits drawn at random."""
    honest = evidence.charged_evidence()
    edits = [*of_guarantee(), *of_evaluation(), *of_ledger(), *of_signatures(), *of_the_rest()]
    made = [Forgery(edit.name, edit.apply(honest), edit.rules, edit.excusable) for edit in edits]
    return [*made, *cut_off(), *swapped(), *dropped(), *combined(edits, seed, combinations)]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every number, text and truth of a JSON document, with the way to it."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if children is None or not value:
        yield path, value
        return
    for key, child in children:
        yield from leaves(child, (*path, key))


def others(value: Any) -> list[Any]:
    """What may stand in a value's place: of its kind where it has one, and of another kind."""
    if isinstance(value, bool):
        return [not value, "yes"]
    if isinstance(value, int):
        return [value + 1, 0, -value, str(value), True]
    if isinstance(value, float):
        return [value * 1.5, -value, str(value), True]
    if isinstance(value, str):
        return ["", value + "x", value[::-1], 7]
    return [[value], 7]


def with_leaf(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The document with one value changed."""
    changed = copy.deepcopy(document)
    at = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return changed


def without(document: dict[str, Any], key: str) -> dict[str, Any]:
    """The document without one of its keys."""
    return {name: value for name, value in document.items() if name != key}


def read(kind: type[Record], document: Any) -> Any:
    """As the executor reads it: the record, or the error."""
    try:
        return kind.from_json(json.dumps(document))
    except EvidenceError as error:
        return error


def _of_record(part: str, record: Record, rules: frozenset[str]) -> Iterator[Edit]:
    document = json.loads(record.to_json())
    changes = [
        (f"{'.'.join(map(str, path))}={value!r}", with_leaf(document, path, value))
        for path, old in leaves(document)
        if path[0] not in _PROSE
        for value in others(old)
    ]
    changes += [(f"no {key}", without(document, key)) for key in document]
    for name, changed in changes:
        made = read(type(record), changed)
        if made != record and not _only_prose(made, record):
            yield Edit(f"{part}: {name}", _replace(part, made), rules)


def _only_prose(made: Any, record: Record) -> bool:
    return isinstance(made, type(record)) and made.model_copy(update={"statement": ""}) == record.model_copy(
        update={"statement": ""}
    )


def of_guarantee() -> Iterator[Edit]:
    """Any change of any field: the ledger keeps the digest of all facts."""
    yield from _of_record("guarantee", evidence.charged_guarantee(), frozenset({"ledger", "epsilon"}))


def _replace(part: str, value: Any) -> _Change:
    return lambda found: dataclasses.replace(found, **{part: value})


def of_evaluation() -> Iterator[Edit]:
    """What makes an evaluation's rows weaker, fewer, or somebody else's."""
    record = evidence.make_evaluation()
    yield from _of_rows(record)
    document = json.loads(record.to_json())
    for name, value, rule in (
        ("model_digest", evidence.OTHER_DIGEST, "model_digest"),
        ("issued_at", "2026-01-02T10:00:00+00:00", "issued_at"),
        ("issued_at", "2026-01-02T12:30:00+00:00", "issued_at"),
        ("issued_at", "2025-11-02T12:30:00+00:00", "issued_at"),
        ("issued_at", "2026-01-02", "issued_at"),
        ("issued_at", "now", "issued_at"),
        ("member_splits", ["eval"], "attack_splits"),
        ("member_splits", ["train", "eval"], "attack_splits"),
        ("nonmember_splits", ["train"], "attack_splits"),
        ("nonmember_splits", ["eval", "train"], "attack_splits"),
        *[("num_members", count, "attack_splits") for count in (0, 1, 9_999, 10_001, 20_000)],
        *[("num_overlapping", count, "attack_splits") for count in (264, 500, 10_000)],
        # Shown by what else the evaluation says: so many others were held against the trained records.
        *[("num_overlapping", count, "trained_records") for count in (1, 51, 263)],
        *[("num_nonmembers", count, "attack_splits") for count in (0, 1, 4_999)],
        *[("confidence_level", level, "attack_coverage") for level in (0.0001, 0.5, 0.9, 0.9499)],
        *[("min_slice_size", size, "attack_coverage") for size in (1_001, 10_000)],
        ("slice_features", [], "attack_coverage"),
        ("slice_features", ["class"], "required_slices"),
        ("slice_features", ["payment"], "attack_coverage"),
        ("slice_features", ["class", "payment", "company"], "attack_coverage"),
        *[
            ("heads", [{**document["heads"][0], "task": task}], "required_tasks")
            for task in ("multiclass", "multilabel", "regression", "sequence", "loss", "unsupported")
        ],
        ("heads", [document["heads"][0], {**document["heads"][0], "name": "second", "task": "loss"}], "required_tasks"),
    ):
        changed = read(PrivacyEvaluation, {**document, name: value})
        rules = frozenset({rule, "attack_coverage"} if isinstance(changed, EvidenceError) else {rule})
        yield Edit(f"evaluation: {name}={value!r}", _replace("evaluation", changed), rules)
    yield from _of_served(document)
    for path, old in leaves(document):
        wrongs: tuple[Any, ...] = ("no", None)
        for wrong in wrongs:
            changed = read(PrivacyEvaluation, with_leaf(document, path, wrong))
            if isinstance(changed, EvidenceError) and wrong != old:
                name = f"evaluation: {'.'.join(map(str, path))}={wrong!r}"
                yield Edit(name, _replace("evaluation", changed), frozenset({"attack_coverage"}))


def _of_served(document: dict[str, Any]) -> Iterator[Edit]:
    """A model that serves more than was attacked, or something else."""
    for index, signature in enumerate(document["served"]):
        first = signature["outputs"][0]
        unseen = {**first, "name": "embedding", "standing": "unattacked", "same_as": ""}
        parts: dict[str, list[dict[str, Any]]] = {
            "one more output": [*signature["outputs"], unseen],
            "one that says it is attacked": [*signature["outputs"], {**unseen, "standing": "attacked"}],
            "one that is the same as itself": [
                *signature["outputs"], {**unseen, "standing": "same", "same_as": f"{signature['name']}/embedding"},
            ],
            "nothing known": [{**first, "standing": "unattacked", "same_as": ""}],
        }  # fmt: skip
        for name, outputs in parts.items():
            changed = with_leaf(document, ("served", index, "outputs"), outputs)
            yield _served_edit(f"{signature['name']}: {name}", changed)
    for name, value in (("num_compared", 0), ("num_compared", 999), ("signature_name", "predict")):
        yield _served_edit(f"{name}={value!r}", {**document, name: value})
    yield _served_edit("one more signature", {**document, "served": [*document["served"], {
        "name": "embed", "inputs": [], "outputs": [{**unseen, "name": "outputs"}],
    }]})  # fmt: skip


def _served_edit(name: str, document: dict[str, Any]) -> Edit:
    made = read(PrivacyEvaluation, document)
    return Edit(f"evaluation: served: {name}", _replace("evaluation", made), frozenset({"served_outputs"}))


def _of_rows(record: PrivacyEvaluation) -> Iterator[Edit]:
    judged = [index for index, row in enumerate(record.results) if row.status == "OK"]
    for index in judged:
        row = record.results[index]
        name = f"evaluation: {row.attack} on {row.slice_name}"
        if row.attack != "blind":
            for auc in ((0.61, 0.6001, 0.62), (0.9, 0.88, 0.92), (1.0, 0.99, 1.0), (0.1, 0.08, 0.12), (0.5, 0.39, 0.5)):
                leak = evidence.row(row.attack, row.slice_feature, row.slice_value, auc, row.num_members)
                # A leak that the other rows contradict is none that somebody could answer for.
                rows = [leak if at == index else other for at, other in enumerate(record.results)]
                excusable = not record.model_copy(update={"results": rows}).contradictions
                yield Edit(f"{name} has {auc}", _with_row(index, leak), frozenset({"attack_auc"}), excusable=excusable)
        for status in ("CONFOUNDED", "UNSUPPORTED", "INSUFFICIENT"):
            if status == "INSUFFICIENT" and row.slice_feature == "class" and row.attack != "loss":
                continue
            auc_of = (0.5, 0.48, 0.52) if status == "CONFOUNDED" else None
            lost = evidence.row(
                row.attack, row.slice_feature, row.slice_value, auc_of, row.num_members, status, "it was not judged"
            )
            yield Edit(f"{name} is {status}", _with_row(index, lost), frozenset({"attack_coverage"}))
        yield Edit(f"{name} is missing", _with_row(index, None), frozenset({"attack_coverage"}))
    for bad in (float("nan"), float("inf"), float("-inf")):
        for field in ("high", "low", "estimate"):
            poisoned = [
                row.model_copy(update={"auc": row.auc.model_copy(update={field: bad})}) if row.auc else row
                for row in record.results
            ]
            changed = record.model_copy(update={"results": poisoned})
            yield Edit(f"evaluation: {field}={bad}", _replace("evaluation", changed), frozenset({"attack_auc"}))


def _with_row(index: int, row: AttackResult | None) -> _Change:
    def apply(found: Evidence) -> Evidence:
        record = found.evaluation
        if not isinstance(record, PrivacyEvaluation):
            return found
        rows: list[AttackResult | None] = list(record.results)
        if index < len(rows):
            rows[index] = row
        kept = [each for each in rows if each is not None]
        return dataclasses.replace(found, evaluation=record.model_copy(update={"results": kept}))

    return apply


def of_ledger() -> Iterator[Edit]:
    """A ledger that says something else of the run, or of the dataset."""
    record = evidence.charged_guarantee()
    executed = evidence.mechanism()
    other_runs: list[tuple[str, Any]] = [
        *[("state", state) for state in ("RESERVED", "STARTED", "SETTLED", "ABORTED")],
        *[("purpose", purpose) for purpose in ("reference_models", "release")],
        *[("run_id", digit * 32) for digit in "123"],
        *[("ledger_id", digit * 32) for digit in "0af"],
        *[("dataset_id", name) for name in ("census", "taxi2", "tax")],
        ("privacy_unit", "user"),
        ("neighboring_relation", "REPLACE_SPECIAL"),
        *[("blocks", blocks) for blocks in ([], ["2025"], ["2025", "2026", "2027"], ["2025", "2025"])],
        *[("sequence", number) for number in (1, 6, 8, 9, 10, None)],
        *[("entry_hash", value) for value in (evidence.HEAD_HASH, evidence.DIGEST, None)],
        *[("model_digest", value) for value in (evidence.OTHER_DIGEST, evidence.HEAD_HASH, None)],
        *[("guarantee_digest", value) for value in (evidence.DIGEST, evidence.OTHER_DIGEST, None)],
        *[("planned", evidence.planned(executed, noise_multiplier=noise)) for noise in (1.8000001, 1.9, 2.5, 100.0)],
        *[("planned", evidence.planned(executed, sampling_probability=share)) for share in (0.001, 0.04999, 0.06, 1.0)],
        *[("planned", evidence.planned(executed, steps=steps)) for steps in (1, 100, 399)],
        *[("head_sequence", number) for number in (1, 6, 7)],
    ]
    for name, value in other_runs:
        yield Edit(f"ledger: {name}={value!r}", _with_run(record, name, value), frozenset({"ledger"}))
    other_budgets: list[tuple[str, Any]] = [
        *[("charged", units) for units in (0, 8_001, 10**15)],
        *[("budget", units) for units in (0, 1, 1_999)],
        *[("spent_epsilon", value) for value in (8.001, 100.0, -1.0, float("nan"), float("inf"))],
        *[("budget_epsilon", value) for value in (4.4, 0.1, float("nan"))],
        *[("delta_charged", units) for units in (1, 10**9, -1)],
        *[("threshold_delta", units) for units in (2**50, 2**53, -1)],
    ]
    for name, value in other_budgets:
        yield Edit(f"ledger: {name}={value!r}", _with_run(record, name, value), frozenset({"dataset_budget"}))


def _with_run(record: PrivacyGuarantee, name: str, value: Any) -> _Change:
    def apply(found: Evidence) -> Evidence:
        run = found.ledger if isinstance(found.ledger, LedgerRun) else evidence.ledger_run(record)
        return dataclasses.replace(found, ledger=run.model_copy(update={name: value}))

    return apply


def of_signatures() -> Iterator[Edit]:
    """Missing, partial, invalid signatures, and what is none."""
    values: tuple[Any, ...] = (None, ERROR, "", True, 0, b"team-key", ["team-key"])
    for first, second in itertools.product((*values, "team-key"), repeat=2):
        if first == second == "team-key":
            continue
        signatures = {"guarantee": first, "evaluation": second}
        is_missing = all(value is None or value == "team-key" for value in (first, second))
        yield Edit(
            f"signatures: {signatures}",
            _replace("signatures", signatures),
            frozenset({"signature"}),
            excusable=is_missing,
        )
    yield Edit("signatures: none", _replace("signatures", {}), frozenset({"signature"}), excusable=True)
    yield Edit(
        "signatures: of other parts",
        _replace("signatures", {"report": "team-key"}),
        frozenset({"signature"}),
        excusable=True,
    )


def of_the_rest() -> Iterator[Edit]:
    """The model's directory, and the validator before."""
    for digest in (evidence.OTHER_DIGEST, "", "sha256:", evidence.DIGEST.upper(), evidence.DIGEST + " ", None, 7):
        yield Edit(f"model_digest={digest!r}", _replace("model_digest", digest), frozenset({"model_digest"}))
    for state in ("blessed=0", "BLESSED", "", "blessed ", None, True, ERROR):
        yield Edit(f"upstream={state!r}", _replace("upstream_blessing", state), frozenset({"model_blessing"}))


def cut_off() -> Iterator[Forgery]:
    """Files that end early."""
    honest = evidence.charged_evidence()
    for part, record in (("guarantee", evidence.charged_guarantee()), ("evaluation", evidence.make_evaluation())):
        text = record.to_json()
        for end in range(0, len(text) - 2, max(1, len(text) // 40)):
            try:
                made: Any = type(record).from_json(text[:end])
            except EvidenceError as error:
                made = error
            rules = frozenset({"epsilon" if part == "guarantee" else "attack_auc"})
            yield Forgery(f"{part}: first {end} characters", dataclasses.replace(honest, **{part: made}), rules)


def swapped() -> Iterator[Forgery]:
    """Parts of two honest runs put together."""
    first = evidence.charged_evidence()
    record = evidence.charged_guarantee(
        run_id="7" * 32,
        model_digest=evidence.OTHER_DIGEST,
        ledger=evidence.position(sequence=8, entry_hash=evidence.OTHER_DIGEST),
    )
    evaluation = evidence.make_evaluation(model_digest=evidence.OTHER_DIGEST)
    second = evidence.charged_evidence(model_digest=evidence.OTHER_DIGEST, guarantee=record, evaluation=evaluation)
    parts = ("model_digest", "guarantee", "evaluation", "ledger")
    for chosen in itertools.product((first, second), repeat=len(parts)):
        if len({id(run) for run in chosen}) == 1:
            continue
        values = {part: getattr(run, part) for part, run in zip(parts, chosen, strict=True)}
        name = "".join("1" if run is first else "2" for run in chosen)
        yield Forgery(
            f"parts of two runs: {name}", dataclasses.replace(first, **values), frozenset({"model_digest", "ledger"})
        )
    assert decide(second, evidence.CHARGED_POLICY, now=evidence.NOW).blessed


def dropped() -> Iterator[Forgery]:
    """Every choice of parts that cannot be read or are not there."""
    honest = evidence.charged_evidence()
    rule_of: dict[str, tuple[Any, str]] = {
        "model_digest": (ERROR, "model_digest"),
        "guarantee": (ERROR, "epsilon"),
        "evaluation": (ERROR, "attack_auc"),
        "ledger": (None, "ledger"),
        "upstream_blessing": (ERROR, "model_blessing"),
        "signatures": ({}, "signature"),
    }
    for size in range(1, len(rule_of) + 1):
        for chosen in itertools.combinations(rule_of, size):
            values = {part: rule_of[part][0] for part in chosen}
            rules = frozenset(rule_of[part][1] for part in chosen)
            name = f"dropped: {', '.join(chosen)}"
            yield Forgery(name, dataclasses.replace(honest, **values), rules, excusable=chosen == ("signatures",))


def combined(edits: list[Edit], seed: int, count: int) -> Iterator[Forgery]:
    """Two to four edits of different parts at once: none makes up for another."""
    source = random.Random(seed)
    parts = sorted({edit.name.split(":")[0].split("=")[0] for edit in edits})
    by_part = {part: [edit for edit in edits if edit.name.startswith(part)] for part in parts}
    for _ in range(count):
        chosen = [source.choice(by_part[part]) for part in source.sample(parts, source.randint(2, 4))]
        found = evidence.charged_evidence()
        for edit in chosen:
            found = edit.apply(found)
        rules = frozenset().union(*(edit.rules for edit in chosen))
        excusable = all(edit.excusable for edit in chosen)
        yield Forgery(" and ".join(edit.name for edit in chosen), found, rules, excusable)
