"""A synthetic evaluation with everything that can be shown: names that bite, curves, findings, training."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from tfx_privacy.attacks.evaluation import (
    CONTROL,
    AttackResult,
    Checkpoint,
    Curve,
    Finding,
    Head,
    Interval,
    PrivacyEvaluation,
    References,
    TprAtFpr,
)
from tfx_privacy.attacks.served import ServedOutput, ServedSignature, ServedTensor

DIGEST = "sha256:" + "a" * 64
NASTY = "<script>alert(1)</script>"
NAMES = (NASTY, "\"&<>'", "$x_1$ and $", "a/b", "line\nbreak\x0b", "中文", "w" * 80, "}}{{ 7*7 }}")


def interval(estimate: float, half: float) -> Interval:
    return Interval(estimate=estimate, low=max(estimate - half, -1.0), high=min(estimate + half, 1.0))


def row(attack: str, feature: str, value: str, auc: float | None, half: float = 0.02, **changes: Any) -> AttackResult:
    values: dict[str, Any] = {
        "attack": attack,
        "slice_feature": feature,
        "slice_value": value,
        "num_members": 4_000,
        "num_nonmembers": 2_000,
        "status": "OK",
    }
    if auc is not None:
        values |= {
            "auc": interval(auc, half),
            "advantage": interval(2 * auc - 1, half),
            "tpr_at_fpr": [
                TprAtFpr(false_positive_rate=rate, tpr=Interval(estimate=1.5 * rate, low=rate / 2, high=4 * rate))
                for rate in (0.01, 0.1)
            ],
            "adjusted_p_value": 0.5 if abs(auc - 0.5) < 0.01 else 1e-12,
        }
    return AttackResult(**{**values, **changes})


def head(**changes: Any) -> Head:
    """Of an only output, with probabilities."""
    values: dict[str, Any] = {
        "name": "",
        "task": "binary",
        "output_key": "outputs",
        "label_key": "label",
        "label_features": "examples",
        "from_logits": False,
    }
    return Head(**{**values, **changes})


def curve(attack: str, shift: float) -> Curve:
    """Normal scores, members `shift` standard deviations higher: TPR = Phi(shift + Phi^-1(FPR))."""
    false = np.concatenate([[0.0], np.geomspace(1e-4, 1.0, 60)])
    true = stats.norm.cdf(shift + stats.norm.ppf(false))
    edges = np.linspace(-4.0, 4.0 + shift, 41)
    shares = [np.diff(stats.norm.cdf(edges, loc=loc)) for loc in (shift, 0.0)]
    return Curve(
        attack=attack,
        false_positive_rate=false.tolist(),
        true_positive_rate=true.tolist(),
        true_positive_rate_low=(true * 0.8).tolist(),
        true_positive_rate_high=np.minimum(true * 1.2, 1.0).tolist(),
        score_edges=edges.tolist(),
        member_share=shares[0].tolist(),
        nonmember_share=shares[1].tolist(),
    )


def rows() -> list[AttackResult]:
    whole = [row("loss", "all", "", 0.56), row("entropy", "all", "", 0.55), row(CONTROL, "all", "", 0.502)]
    quarter: dict[str, Any] = {"num_members": 1_000, "num_nonmembers": 500, "adjusted_p_value": None}
    some: dict[str, Any] = {"num_members": 400, "num_nonmembers": 200, "adjusted_p_value": None}
    classes = [row("loss", "class", str(index), 0.5 + 0.01 * index, **quarter) for index in range(4)]
    named = [row("loss", "name", name, 0.52 + 0.002 * index, **some) for index, name in enumerate(NAMES)]
    return [
        *whole,
        *classes,
        *named,
        *[
            row(
                attack,
                "name",
                "shifted",
                0.61,
                status="CONFOUNDED",
                reason="the control's interval excludes 0.5",
                **some,
            )
            for attack in ("entropy", CONTROL)
        ],
        row("loss", "name", "<other>", None, num_members=9, status="INSUFFICIENT", reason=f"9 members of {NASTY}"),
    ]


def findings() -> list[Finding]:
    return [
        Finding(
            family="attribute_inference", subject=NASTY, status="OK", metric="member advantage (AUC)", estimate=0.04,
            low=0.01, high=0.07, harmless=0.0, p_value=0.01, num_records=2_000, details={"baseline_auc": 0.84},
        ),
        Finding(
            family="canary_exposure", subject="4 repetitions", status="OK", metric="exposure (bits)", estimate=6.0,
            low=3.0, high=9.0, harmless=1.44, p_value=0.001, num_records=100,
        ),
        Finding(family="model_inversion", subject="class 1", status="UNSUPPORTED", reason="inputs are no numbers"),
    ]  # fmt: skip


def over_training() -> list[Checkpoint]:
    return [
        Checkpoint(
            step=100 * (index + 1), attack_auc=interval(0.5 + 0.02 * index, 0.015), train_accuracy=0.6 + 0.05 * index,
            test_accuracy=0.6 + 0.03 * index, train_loss=1.0 - 0.1 * index, test_loss=1.0 - 0.05 * index,
        )
        for index in range(6)
    ]  # fmt: skip


def served_signatures(output: str) -> list[ServedSignature]:
    """What DPTrainer's default export serves: an attacked output, the same by features, and transformed features."""
    examples = ServedTensor(name="examples", dtype="string", shape="(None,)")
    feature = ServedTensor(name="x", dtype="float32", shape="(None, 1)")
    attacked: dict[str, Any] = {"name": output, "dtype": "float32", "shape": "(None, 1)"}
    same = ServedOutput(**attacked, standing="same", same_as=f"serving_default/{output}")
    transformed = ServedOutput(name="x", dtype="float32", shape="(None, 1)", standing="transformed")
    return [
        ServedSignature(name="from_features", inputs=[feature], outputs=[same]),
        ServedSignature(
            name="serving_default", inputs=[examples], outputs=[ServedOutput(**attacked, standing="attacked")]
        ),
        ServedSignature(name="transform_features", inputs=[examples], outputs=[transformed]),
    ]


def make(**changes: Any) -> PrivacyEvaluation:
    values: dict[str, Any] = {
        "issued_at": "2026-01-02T11:00:00+00:00",
        "model_digest": DIGEST,
        "member_splits": ["train"],
        "nonmember_splits": ["eval"],
        "num_members": 4_003,
        "num_nonmembers": 2_000,
        "num_unusable_members": 3,
        "num_overlapping": 0,
        "max_overlap": 0.05,
        "heads": [head(name="main", output_key="score")],
        "signature_name": "serving_default",
        "served": served_signatures("score"),
        "num_compared": 6_003,
        "slice_features": ["class", "name"],
        "confidence_level": 0.95,
        "false_positive_rates": [0.001, 0.01, 0.1],
        "min_records": 300,
        "min_slice_size": 100,
        "sample_size": 50_000,
        "results": rows(),
        "findings": findings(),
        "curves": [curve("entropy", 0.15), curve("loss", 0.2)],
        "over_training": over_training(),
        "references": References(num_models=2, matched_share=0.99, model_digest=DIGEST),
        "engine": "test",
    }
    return PrivacyEvaluation(**{**values, **changes})
