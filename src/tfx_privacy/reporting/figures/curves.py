"""The report's pictures of curves, each a function from the evaluation to an inline SVG.

Colour is never the only difference: lines differ in style, points in shape.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from tfx_privacy.accounting import gaussian_dp
from tfx_privacy.accounting.gaussian_dp import GaussianDP
from tfx_privacy.attacks.evaluation import Checkpoint, Curve, PrivacyEvaluation
from tfx_privacy.guarantee.record import PrivacyGuarantee
from tfx_privacy.reporting import wording
from tfx_privacy.reporting.figures import svg

MIN_RATE = 1e-4
_RATES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def roc(
    curve: Curve,
    guarantee: PrivacyGuarantee | None = None,
    *,
    others: Sequence[Curve] = (),
    mu: GaussianDP | None = None,
    prefix: str = "roc",
) -> str | None:
    """Attacks' true-positive rates over their false-positive rates, both on logarithmic axes from 1e-4 to 1.

    With a finite stated epsilon, the curve that no attack can be above, in probability over training, is drawn in: TPR
    <= min(1, exp(epsilon) FPR + delta, 1 - exp(-epsilon) (1 - delta - FPR)), Kairouz, Oh, Viswanath (2015),
    https://arxiv.org/abs/1311.0776, Section 2.

    Args:
      curve: Of the attack that is drawn with its confidence band.
      guarantee: What is claimed for the model; None draws no claim.
      others: Curves that are drawn thin and without a band.
      mu: The claim as Gaussian differential privacy; None draws none.
      prefix: Begins the ids.

    Returns:
      The picture, or None if the curve has no point.
    """
    if not curve.false_positive_rate:
        return None
    others = [other for other in others if other.false_positive_rate]
    rates = {rate: _interpolated(curve, rate) for rate in (0.001, 0.01, 0.1)}
    found = ", ".join(f"{true:.2%} at {false:.1%}" for false, true in rates.items())
    beside = "".join(f" {other.attack} has {_interpolated(other, 0.01):.2%} at 1.0%." for other in others)
    return svg.render(
        lambda figure: _paint_roc(figure, curve, others, guarantee, mu),
        height=4.6 + 0.2 * bool(others),
        prefix=prefix,
        title=f"ROC of the attack {curve.attack}" + (f", with {len(others)} others" if others else ""),
        description=(
            f"True-positive rates by false-positive rate: {found}. Guessing has equal rates.{beside} {_claim(guarantee)}"
        ),
    )


def score_histogram(curve: Curve, *, prefix: str = "scores") -> str | None:
    """How the attack's score is distributed among members and non-members.

    Args:
      curve: The attack's curve.
      prefix: Begins the ids.

    Returns:
      The picture, or None if the curve has no bins.
    """
    if not curve.member_share:
        return None
    apart = 0.5 * sum(abs(a - b) for a, b in zip(curve.member_share, curve.nonmember_share, strict=True))
    return svg.render(
        lambda figure: _paint_histogram(figure, curve),
        height=3.2,
        prefix=prefix,
        title=f"Scores of members and non-members under the attack {curve.attack}",
        description=(
            f"Two histograms; {apart:.1%} of either side's records would have to change bins for them to be equal."
        ),
    )


def over_training(record: PrivacyEvaluation, *, prefix: str = "training") -> str | None:
    """Vulnerability against use: the attack's AUC over the test accuracy, in the order of training.

    The picture of TensorFlow Privacy's `privacy_report` (2020). Tasks without classes have the test loss in place of
    the accuracy.

    Args:
      record: The evaluation.
      prefix: Begins the ids.

    Returns:
      The picture, or None if nothing was measured during training.
    """
    points = sorted(record.over_training, key=lambda point: point.step)
    if not points:
        return None
    first, last = points[0], points[-1]
    return svg.render(
        lambda figure: _paint_training(figure, points),
        height=3.6,
        prefix=prefix,
        title="Attack AUC against what the model is worth, over training",
        description=(
            f"From AUC {first.attack_auc.estimate:.3f} at step {first.step} to {last.attack_auc.estimate:.3f} at step "
            f"{last.step}."
        ),
    )


def _paint_roc(
    figure: Figure, curve: Curve, others: Sequence[Curve], guarantee: PrivacyGuarantee | None, mu: GaussianDP | None
) -> None:
    axes = figure.add_axes((0.17, 0.33 if others else 0.31, 0.76, 0.64 if others else 0.66))
    for index, other in enumerate(others):
        axes.plot(
            _drawn(other.false_positive_rate), _drawn(other.true_positive_rate), color=svg.GREY, linewidth=0.9,
            label=None if index else f"other attacks ({len(others)})",
        )  # fmt: skip
    false, true, low, high = map(
        _drawn,
        (
            curve.false_positive_rate,
            curve.true_positive_rate,
            curve.true_positive_rate_low,
            curve.true_positive_rate_high,
        ),
    )
    axes.fill_between(false, low, high, color=svg.ORANGE, alpha=0.18, linewidth=0)
    for bound in (low, high):
        axes.plot(false, bound, color=svg.ORANGE, linewidth=0.7, linestyle=":")
    axes.plot(
        false, true, color=svg.ORANGE, linewidth=1.8, label=f"{svg.label(curve.attack, 28)}, with confidence band"
    )
    axes.plot((MIN_RATE, 1.0), (MIN_RATE, 1.0), color=svg.GREY, linestyle="--", linewidth=1.0, label="guessing")
    if guarantee is not None and math.isfinite(guarantee.stated_epsilon):
        rates = np.geomspace(MIN_RATE, 1.0, 200)
        bound = trade_off(rates, guarantee.stated_epsilon, guarantee.target_delta)
        name = f"limit by epsilon = {wording.epsilon(guarantee.stated_epsilon)}, delta = {guarantee.target_delta:g}"
        axes.plot(rates, bound, color=svg.BLUE, linestyle="-.", linewidth=1.6, label=name)
        if mu is not None:
            closer = gaussian_dp.true_positive_rate(mu.mu, rates)
            axes.plot(
                rates,
                closer,
                color="black",
                linestyle=":",
                linewidth=1.8,
                label=f"limit by mu = {wording.epsilon(mu.mu)}",
            )
    for axis, set_scale in ((axes.xaxis, axes.set_xscale), (axes.yaxis, axes.set_yscale)):
        set_scale("log")
        axis.set_major_locator(FixedLocator(_RATES))
        axis.set_minor_locator(NullLocator())
        axis.set_ticklabels([f"{100 * rate:g} %" for rate in _RATES])
    axes.set_xlim(MIN_RATE, 1.0)
    axes.set_ylim(MIN_RATE, 1.0)
    axes.set_xlabel("non-members taken for members (FPR)")
    axes.set_ylabel("members found (TPR)")
    figure.legend(loc="lower center", ncol=1)


def _drawn(rates: Sequence[float]) -> np.ndarray:
    """Zero has no logarithm: it is drawn outside."""
    return np.maximum(rates, MIN_RATE / 100)


def trade_off(false_positive_rate: np.ndarray, epsilon: float, delta: float) -> np.ndarray:
    """Largest true-positive rate of any attack on an (epsilon, delta)-private mechanism, at each false-positive rate."""
    # exp(700) is near the largest double; from there on nothing is excluded anyway.
    factor = math.exp(min(epsilon, 700.0))
    bounds = (
        np.ones_like(false_positive_rate),
        factor * false_positive_rate + delta,
        1.0 - (1.0 - delta - false_positive_rate) / factor,
    )
    return np.minimum.reduce(bounds)


def _paint_histogram(figure: Figure, curve: Curve) -> None:
    axes = figure.add_axes((0.17, 0.29, 0.77, 0.67))
    edges = np.asarray(curve.score_edges)
    widths = np.diff(edges)
    # Bins of unequal width: an area, not a height, is a share then.
    by_width = bool(widths.min() > 0.0 and widths.max() > 1.01 * widths.min())
    members, others = (
        np.asarray(side) / (widths if by_width else 1.0) for side in (curve.member_share, curve.nonmember_share)
    )
    axes.stairs(others, edges, fill=True, facecolor=svg.BLUE, alpha=0.15)
    axes.stairs(members, edges, color=svg.ORANGE, linewidth=1.6, label="members")
    axes.stairs(others, edges, color=svg.BLUE, linestyle="--", linewidth=1.6, label="non-members (filled)")
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel(f"score of the attack {svg.label(curve.attack)}")
    axes.set_ylabel("density" if by_width else "share of records")
    figure.legend(loc="lower center", ncol=2)


def _paint_training(figure: Figure, points: Sequence[Checkpoint]) -> None:
    axes = figure.add_axes((0.17, 0.16, 0.77, 0.80))
    accuracies = [point.test_accuracy for point in points if point.test_accuracy is not None]
    by_accuracy = len(accuracies) == len(points)
    across = accuracies if by_accuracy else [point.test_loss for point in points]
    estimates = [point.attack_auc.estimate for point in points]
    below = [point.attack_auc.estimate - point.attack_auc.low for point in points]
    above = [point.attack_auc.high - point.attack_auc.estimate for point in points]
    axes.axhline(0.5, color=svg.GREY, linestyle="--", linewidth=1.0)
    axes.errorbar(
        across, estimates, yerr=(below, above), color=svg.BLUE, marker="o", markersize=4, capsize=3, elinewidth=0.8
    )
    axes.plot(across[-1:], estimates[-1:], color=svg.RED, marker="s", markersize=7, linestyle="none")
    for index in {0, len(points) // 2, len(points) - 1}:
        place = (across[index], estimates[index])
        axes.annotate(f"step {points[index].step}", place, (-6, 5), textcoords="offset points", ha="right", fontsize=10)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.margins(x=0.25, y=0.14)
    axes.set_xlabel("test accuracy" if by_accuracy else "test loss")
    axes.set_ylabel("attack AUC")


def _interpolated(curve: Curve, rate: float) -> float:
    return float(np.interp(rate, curve.false_positive_rate, curve.true_positive_rate))


def _claim(guarantee: PrivacyGuarantee | None) -> str:
    if guarantee is None or not math.isfinite(guarantee.stated_epsilon):
        return "No finite epsilon is claimed."
    at = trade_off(np.array([0.01]), guarantee.stated_epsilon, guarantee.target_delta)[0]
    return f"The claimed epsilon of {wording.epsilon(guarantee.stated_epsilon)} limits the rate at 1.0% to {at:.2%}."
