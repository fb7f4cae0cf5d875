"""Golden files of evidence: `python tests/helpers/golden_records.py` writes those of tests/golden/ that are not there.

It writes over none: from the first release on, what is there was written by a release, and later ones must read it.
"""

from __future__ import annotations

import itertools
import os
import pathlib
import sys
import tempfile
from collections.abc import Callable
from typing import Any
from unittest import mock

import evidence
import key_pairs
from places import GOLDEN

from tfx_privacy.accounting.epsilon import EpsilonBounds
from tfx_privacy.attacks.canaries import Canary, CanarySet
from tfx_privacy.attacks.evaluation import (
    AttackResult,
    Checkpoint,
    Curve,
    Finding,
    Groups,
    Interval,
    PrivacyEvaluation,
    References,
    SuspectedGroups,
    TprAtFpr,
)
from tfx_privacy.attacks.reference_models import ReferenceSet, SampleKeys
from tfx_privacy.attacks.trained_records import TrainedRecords
from tfx_privacy.budget.runs import PlannedRun
from tfx_privacy.gate.decide import decide
from tfx_privacy.gate.policy import GatePolicy, PolicyException, SliceLimit
from tfx_privacy.guarantee.mechanism import AdaptiveClipping, DPMechanism
from tfx_privacy.guarantee.record import (
    Accountant,
    Audit,
    BaseModel,
    CoveredRelease,
    ParameterSource,
    Population,
    PrivacyGuarantee,
    ScopeItem,
    guarantee_digest,
)
from tfx_privacy.ledger import DEFAULT_SOURCE, Ledger, database, exports
from tfx_privacy.records import envelope, statement
from tfx_privacy.records.base import Record
from tfx_privacy.releases.record import ExamplesRead
from tfx_privacy.reporting.build import build

RECORDS, LEDGER = GOLDEN / "records", GOLDEN / "ledger"
SIGNED = "verdict_blessed"
KEY_ID = "golden"
_VERSION = Accountant(version="0.4.4")
_EXAMPLES = ExamplesRead(span="2", version="3", fingerprint="split:single_split,num_files:1,total_bytes:9")
_INTERVAL = Interval(estimate=0.5, low=0.4375, high=0.5625)


def records() -> dict[str, Record]:
    """One record of each kind, by the name of its file; with all that is optional, and with nothing of it."""
    minimal, charged = _minimal_guarantee(), _charged_guarantee()
    whole = evidence.charged_evidence(guarantee=charged)
    refused = evidence.make_evidence(guarantee=minimal)
    return {
        "guarantee_full": _full_guarantee(),
        "guarantee_with_references": evidence.with_references(accountant=_VERSION),
        "guarantee_minimal": minimal,
        "evaluation_full": _full_evaluation(),
        "evaluation_minimal": evidence.make_evaluation([evidence.row(), evidence.row(attack="blind")]),
        "verdict_blessed": decide(whole, evidence.CHARGED_POLICY, now=evidence.NOW),
        "verdict_excused": decide(refused, _excusing_policy(), now=evidence.NOW),
        "verdict_refused": decide(refused, evidence.CHARGED_POLICY, now=evidence.NOW),
        "canaries": _canaries(),
        "reference_models": _reference_models(),
        "trained_records": _trained_records(),
        "policy": _excusing_policy(),
        "report": build(decide(whole, evidence.CHARGED_POLICY, now=evidence.NOW), whole),
    }


def text(record: Record) -> str:
    """A record's file as components write it."""
    return statement.to_json(record) if isinstance(record, statement.ModelRecord) else record.to_json()


def _minimal_guarantee() -> PrivacyGuarantee:
    return evidence.make_guarantee(accountant=_VERSION)


def _charged_guarantee() -> PrivacyGuarantee:
    return evidence.charged_guarantee(accountant=_VERSION)


def _full_mechanism() -> DPMechanism:
    clipping = AdaptiveClipping(
        target_quantile=0.5,
        learning_rate=0.25,
        sum_noise_multiplier=2.0,
        count_standard_deviation=25.0,
        final_l2_norm_clip=0.75,
    )
    return evidence.mechanism(
        sampling="shuffled",
        passes=[20, 12],
        steps=32,
        lost_steps=2,
        noise_multiplier=1.75,
        adaptive_clipping=clipping,
        noise_source="os_entropy_secure",
    )


def _full_release(run_id: str, **changes: Any) -> CoveredRelease:
    values: dict[str, Any] = {
        "run_id": run_id,
        "splits_disjoint_for": "user",
        "privacy_unit": "user",
        "max_records_per_user": 8,
        "user_id_key": "taxi_id",
        "neighboring_relation": "REPLACE_SPECIAL",
        "examples": [_EXAMPLES, ExamplesRead()],
        "dataset_id": "taxi",
        "ledger": evidence.position(),
        "signed_by": "team-key",
    }
    return evidence.release(**{**values, **changes})


def _full_guarantee() -> PrivacyGuarantee:
    """Everything that is optional; only its form is golden, as its numbers are nobody's."""
    base_model = BaseModel(
        model_digest=evidence.OTHER_DIGEST,
        source="private",
        run_id="2" * 32,
        guarantee_digest=evidence.ENTRY_HASH,
        epsilon=1.5,
        target_delta=1e-6,
        trainings=[evidence.mechanism(), _full_mechanism()],
        releases=[_full_release("7" * 32)],
        neighboring_relation="REPLACE_SPECIAL",
        privacy_unit="user",
        user_id_key="taxi_id",
        ledger_id=evidence.LEDGER_ID,
        signed_by="team-key",
    )
    with mock.patch.object(evidence, "stated_bounds", return_value=EpsilonBounds(pld=None, rdp=3.0)):
        return evidence.make_guarantee(
            _full_mechanism(),
            accountant=_VERSION,
            neighboring_relation="REPLACE_SPECIAL",
            privacy_unit="user",
            max_records_per_user=8,
            user_id_key="taxi_id",
            population=Population(records=10_000, source="declared"),
            sources=[
                ParameterSource(parameter="noise_multiplier", source="model", model_class="DPKerasAdamOptimizer"),
                ParameterSource(parameter="l2_norm_clip", source="privacy", model_class="DPKerasAdamOptimizer"),
            ],
            declared_record_wise=["model.Gate", "model.model_fn.<locals>.loss"],
            scope=[
                ScopeItem(artifact="schema", covered=False, detail="inferred from the data"),
                ScopeItem(artifact="transform_graph", covered=True, detail="released", covered_by=["8" * 32]),
                ScopeItem(artifact="base_model", covered=True, detail='gr\u00f6\u00dfer\u2028\U0001f600 "quoted"\n'),
            ],
            examples=[_EXAMPLES, ExamplesRead()],
            splits_disjoint_for="user",
            releases=[
                _full_release("8" * 32),
                _full_release("9" * 32, files_read=["means.txt"], uncovered_analyzers=["mean"]),
            ],
            base_model=base_model,
            audit=Audit(
                num_canaries=1000,
                num_members=512,
                confidence=0.95,
                epsilon_lower_bound=0.5,
                epsilon_lower_bound_one_run=0.25,
                epsilon_lower_bound_gaussian=1.0,
            ),
            dataset_id="taxi",
            ledger=evidence.position(reference_run_ids=[evidence.REFERENCE_RUN_ID]),
        )


def _full_evaluation() -> PrivacyEvaluation:
    groups = Groups(group_key="user", num_member_groups=4000, num_nonmember_groups=2000, num_on_both_sides=1)
    rows = [evidence.in_groups(row, groups) for row in (*evidence.rows(), _full_row(), evidence.row("lira"))]
    shifted = [
        evidence.row(attack, "payment", "cash", (0.75, 0.625, 0.875), 200, "CONFOUNDED", "The splits differ.")
        for attack in ("lira", "blind")
    ]
    return evidence.make_evaluation(
        [*rows, *shifted],
        num_members=10_002,
        num_nonmembers=5_001,
        num_unusable_members=2,
        num_unusable_nonmembers=1,
        findings=[_finding(), Finding(family="property_inference", subject="p", status="UNSUPPORTED", reason="None.")],
        curves=[
            Curve(
                attack="loss",
                false_positive_rate=[0.0, 0.5, 1.0],
                true_positive_rate=[0.0, 0.5, 1.0],
                true_positive_rate_low=[0.0, 0.4375, 1.0],
                true_positive_rate_high=[0.0, 0.5625, 1.0],
                score_edges=[-1e21, 0.0, 1e-7],
                member_share=[0.25, 0.75],
                nonmember_share=[0.5, 0.5],
            )
        ],
        over_training=[
            Checkpoint(step=100, attack_auc=_INTERVAL, train_loss=1.0, test_loss=1.25),
            Checkpoint(
                step=200, attack_auc=_INTERVAL, train_loss=0.5, test_loss=0.75, train_accuracy=0.875, test_accuracy=0.75
            ),
        ],
        groups=groups,
        suspected_groups=[
            SuspectedGroups(feature="household", num_repeated=900, num_on_both_sides=0, notice="Equal values repeat.")
        ],
        references=References(num_models=4, matched_share=1.0, model_digest=evidence.OTHER_DIGEST),
    )


def _full_row() -> AttackResult:
    return evidence.row(attack="label_only").model_copy(
        update={
            "advantage": Interval(estimate=0.0, low=-0.125, high=0.125),
            "tpr_at_fpr": [TprAtFpr(false_positive_rate=0.01, tpr=Interval(estimate=0.01, low=0.0, high=0.03125))],
            "adjusted_p_value": 1.0,
            "num_member_groups": 4000,
            "num_nonmember_groups": 2000,
        }
    )


def _finding() -> Finding:
    return Finding(
        family="canary_exposure",
        subject="1 repetition",
        status="OK",
        metric="exposure (bits)",
        estimate=1.5,
        low=1.0,
        high=2.0,
        harmless=1.4375,
        p_value=0.5,
        num_records=100,
        details={"references": 1000.0},
    )


def _excusing_policy() -> GatePolicy:
    return GatePolicy(
        max_epsilon=0.5,
        max_delta=1e-5,
        max_attack_auc=0.6,
        slice_limits=[
            SliceLimit(feature="payment", max_attack_auc=0.625),
            SliceLimit(feature="class", value="1", max_attack_auc=0.75),
        ],
        exceptions=[
            PolicyException(rule="epsilon", approver="Grace Hopper", reason="A pilot.", expires="2026-03-01"),
            PolicyException(
                rule="freshness",
                approver="Grace Hopper",
                reason="Not used.",
                expires="2026-03-01T12:00:00+01:00",
                model_digest=evidence.DIGEST,
            ),
        ],
    )


def _canaries() -> CanarySet:
    return CanarySet(
        issued_at=evidence.ISSUED,
        mode="text",
        split="train",
        label_key="label",
        text_feature="text",
        records_digest=evidence.OTHER_DIGEST,
        num_split_records=10_000,
        canaries=[
            Canary(index=0, group="inserted", repetitions=4, inserted=True),
            Canary(index=1, group="coin", repetitions=1, inserted=True),
            Canary(index=2, group="coin", repetitions=0, inserted=False),
            Canary(index=3, group="reference", repetitions=0, inserted=False),
        ],
        engine="test",
    )


def _reference_models() -> ReferenceSet:
    return ReferenceSet(
        num_models=2,
        model_digest=evidence.DIGEST,
        digests=[evidence.OTHER_DIGEST, evidence.ENTRY_HASH],
        train_splits=["train"],
        eval_splits=["eval"],
        key_features=["user"],
        user_id_key="user",
        sample_keys=SampleKeys(members=[0, 2**53, 2**64 - 1], nonmembers=[1]),
        training_sizes=[4_000, 6_000],
        num_pool_members=9_000,
        num_pool_nonmembers=1_000,
        mechanism=evidence.mechanism(),
    )


def _trained_records() -> TrainedRecords:
    return TrainedRecords(
        secret_key="0f" * 32,
        features="transformed",
        key_features=["features", "label"],
        num_read=10_000,
        num_distinct=2,
        num_used=9_990,
        num_units=9_000,
        reader="input_fn",
        sketch=["00" * 16, "0f" * 16],
    )


def signed(payload: bytes) -> str:
    """The envelope that components write next to a file."""
    return envelope.seal(payload, key_pairs.signer("ed25519", KEY_ID))


def ledger_export(fill: Callable[[Ledger], None]) -> str:
    """A ledger as text."""
    ids = (f"{number:032x}" for number in itertools.count(1))
    times = (f"2026-01-02T12:00:{second:02d}.000Z" for second in itertools.count())
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch("secrets.token_hex", side_effect=ids),
        mock.patch.object(database.Database, "now", side_effect=times),
    ):
        address = f"sqlite:///{os.path.join(folder, 'ledger.db')}"
        ledger = Ledger(DEFAULT_SOURCE, {"TFX_PRIVACY_LEDGER": address})
        ledger.initialise()
        fill(ledger)
        return "".join(exports.lines(ledger.verify()))


def _fill(ledger: Ledger) -> None:
    """Every kind of entry."""
    kind: dict[str, Any] = {"privacy_unit": "example", "neighboring_relation": "ADD_OR_REMOVE_ONE"}
    ledger.register("taxi", epsilon=8.0, delta=1e-6, approver="Dana \u2028 \u00df", blocks=["2025"])
    ledger.register("text", epsilon=1.0, delta=1e-7, approver="Dana", population=1000)
    ledger.add_blocks("taxi", ["2026"], approver="Dana")
    ledger.change_budget("taxi", epsilon=9.0, approver="Grace", reason="A pilot.")
    run = evidence.planned(evidence.mechanism(noise_multiplier=2.0, steps=100))
    names = [f"{letter}" * 32 for letter in "abcd"]
    for name in names:
        ledger.reserve(name, "taxi", run, blocks=["2025"], labels={"pipeline": "demo"}, **kind)
    for name in names[:3]:
        ledger.start(name, attempt_id="9" * 32)
    ledger.start(names[0], attempt=2, attempt_id="8" * 32)
    digest = guarantee_digest(_minimal_guarantee())
    ledger.commit(names[0], run, model_digest=evidence.DIGEST, guarantee_digest=digest)
    ledger.settle(names[1], approver="Dana", reason="The machine died.")
    ledger.abort(names[3], reason="Not needed.")


def _fill_with_releases(ledger: Ledger) -> None:
    """What thresholds spend, in every kind of entry that says it, and a release without any."""
    kind: dict[str, Any] = {
        "privacy_unit": "example", "neighboring_relation": "ADD_OR_REMOVE_ONE", "purpose": "release", "blocks": ["2025"],
    }  # fmt: skip
    ledger.register("taxi", epsilon=8.0, delta=1e-6, threshold_delta=1e-7, approver="Dana", blocks=["2025", "2026"])
    run = PlannedRun.of(noise_multiplier=40.0, sampling_probability=1.0, steps=1)
    names = [f"{letter}" * 32 for letter in "abcd"]
    for name, delta in zip(names, (1e-8, 3e-9, 2e-9, 0.0), strict=True):
        ledger.reserve(name, "taxi", run, delta_spent=delta, labels={"node": "DPTransform"}, **kind)
    ledger.start(names[0], attempt_id="9" * 32)
    ledger.commit(names[0], run, model_digest=evidence.DIGEST, guarantee_digest=evidence.OTHER_DIGEST)
    ledger.start(names[1], attempt_id="9" * 32)
    ledger.abort(names[2], reason="Not needed.")
    ledger.change_budget("taxi", epsilon=8.0, threshold_delta=2e-7, approver="Grace", reason="More vocabularies.")


def files() -> dict[pathlib.Path, str]:
    """What is to be in tests/golden/, by its path."""
    texts = {name: text(record) for name, record in records().items()}
    made = {RECORDS / f"{name}.json": content for name, content in texts.items()}
    made[RECORDS / f"{SIGNED}.intoto.jsonl"] = signed(texts[SIGNED].encode())
    made[LEDGER / "export.jsonl"] = ledger_export(_fill)
    made[LEDGER / "export_with_releases.jsonl"] = ledger_export(_fill_with_releases)
    return made


def main() -> None:
    for path, content in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(content, encoding="utf-8")
            print(path, file=sys.stderr)


if __name__ == "__main__":
    main()
