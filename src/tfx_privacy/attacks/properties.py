"""Property inference: do models tell which of two training sets had more of a property?

Reference models are trained on halves of the data, and what they answer to the same probe records is compared (Ateniese
et al. 2015, https://arxiv.org/abs/1306.4447; Ganju et al. 2018, https://doi.org/10.1145/3243734.3243834). What leaks is
a share of the whole data set, such as how many of the records are women's: no one record changes it much, so
differential privacy, which hides single records, does not protect it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tfx_privacy.attacks import _rows
from tfx_privacy.attacks.evaluation import Finding
from tfx_privacy.errors import ParameterError

MIN_MODELS = 16
NOT_PROTECTED = "differential privacy hides single records and does not protect shares of the whole data set"

_METRIC = "accuracy of telling which of two halves of the data has more of the property"
_EXACT_UP_TO = 12  # pairs, of which all 2 ** 12 orientations are tried
_DRAWS = 9999


def property_inference(name: str, shares: Any, behaviour: Any, *, confidence_level: float = 0.95) -> Finding:
    """Attacks one property of the training set with reference models.

    Models 2j and 2j + 1 were trained on complementary halves. A ridge regression without intercept learns from all
    other pairs how the difference of two models' behaviour goes with the difference of their shares, and guesses which
    half of the pair that was left out has more. Pairs of equal shares are left out.

    The guesses depend on each other through the pairs they are learnt from, so the p-value comes from
    swapping the shares within pairs (all ways up to 12 pairs, else 9,999 draws with a fixed seed), which is exact.
    The interval is that of Clopper and Pearson; where the p-value is above half of 1 - `confidence_level`, its
    lower end is not above 0.5.

    Args:
      name: The property, as people read it.
      shares: Share of the property in the training half of each reference model, of shape (num_models,), in [0, 1].
      behaviour: Mean outputs of each model on common probe records, in one unit, of shape (num_models, num_outputs).
      confidence_level: Of the two-sided interval, in (0, 1).

    Returns:
      The finding, harmless at 0.5. INSUFFICIENT below 16 models (8 pairs of different shares, of which only 8 right
      guesses show a leak); UNSUPPORTED where an output is not finite or all models behave alike.

    Raises:
      ParameterError: If shapes do not fit, the number of models is odd, or a share is outside [0, 1].
    """
    shares = _rows.real_array("shares", shares, None)
    behaviour = _rows.real_array("behaviour", behaviour, len(shares), None)
    if len(shares) % 2:
        raise ParameterError(
            f"Expected an even number of models, not {len(shares)}. Pass pairs of complementary halves."
        )
    if not ((shares >= 0.0) & (shares <= 1.0)).all():
        raise ParameterError("Expected shares in [0, 1], but some are not.")
    bad = int(np.sum(~np.isfinite(behaviour).all(axis=1)))
    if bad:
        return _none(name, "UNSUPPORTED", f"outputs of {bad} of {len(shares)} reference models are not finite")
    share_differences = shares[0::2] - shares[1::2]
    differs = share_differences != 0.0
    if 2 * int(differs.sum()) < MIN_MODELS:
        reason = f"{len(shares)} reference models, {2 * int(differs.sum())} of them in pairs of different shares"
        return _none(name, "INSUFFICIENT", f"{reason}; {MIN_MODELS} are needed. Note that {NOT_PROTECTED}")
    differences = (behaviour[0::2] - behaviour[1::2])[differs]
    if not differences.any():
        return _none(name, "UNSUPPORTED", "all pairs of reference models behave alike")
    return _finding(name, share_differences[differs], differences, confidence_level)


def _finding(name: str, share_differences: np.ndarray, differences: np.ndarray, confidence_level: float) -> Finding:
    pairs = len(share_differences)
    hits = int(_hits(differences, share_differences[:, None])[0])
    p_value = _swap_p_value(differences, share_differences, hits)
    low, high = _rows.share_interval(hits, pairs, confidence_level=confidence_level)
    if not p_value <= (1.0 - confidence_level) / 2:
        low = min(low, 0.5)
    return Finding(
        family="property_inference",
        subject=name,
        status="OK",
        reason=NOT_PROTECTED,
        metric=_METRIC,
        estimate=hits / pairs,
        low=low,
        high=high,
        harmless=0.5,
        p_value=p_value,
        num_records=2 * pairs,
        details={
            "pairs of reference models": float(pairs),
            "mean difference of shares within a pair": float(np.abs(share_differences).mean()),
        },
    )


def _hits(differences: np.ndarray, share_differences: np.ndarray) -> np.ndarray:
    """Right guesses of leave-one-pair-out ridge regressions.

    Left-out predictions by the hat matrix H, (H y - diag(H) y) / (1 - diag(H)) (Allen 1974). The penalty is the mean
    eigenvalue of the pairs' Gram matrix. Swapping a pair changes neither the penalty nor H's diagonal.

    Args:
      differences: Of shape (num_pairs, num_outputs).
      share_differences: Of shape (num_pairs, num_draws).

    Returns:
      Of shape (num_draws,); no guess (0) is a wrong one.
    """
    gram = differences @ differences.T
    hat = gram @ np.linalg.inv(gram + np.trace(gram) / len(gram) * np.eye(len(gram)))
    own = np.diag(hat)[:, None]
    # The division by 1 - diag(H) > 0 changes no sign.
    guesses = hat @ share_differences - own * share_differences
    return np.sum(np.sign(guesses) == np.sign(share_differences), axis=0)


def _swap_p_value(differences: np.ndarray, share_differences: np.ndarray, hits: int) -> float:
    """Share of the ways to swap shares within pairs that give as many right guesses or more."""
    pairs = len(share_differences)
    if pairs <= _EXACT_UP_TO:
        signs = 1.0 - 2.0 * ((np.arange(2**pairs)[None, :] >> np.arange(pairs)[:, None]) & 1)
        return float(np.mean(_hits(differences, signs * share_differences[:, None]) >= hits))
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(pairs, _DRAWS))
    return (1 + int(np.sum(_hits(differences, signs * share_differences[:, None]) >= hits))) / (1 + _DRAWS)


def _none(name: str, status: Any, reason: str) -> Finding:
    return _rows.unavailable("property_inference", name, status, reason, metric=_METRIC)
