"""Attacks that compare with reference models: models trained alike, on known halves of a pool of records.

Models come in pairs, trained on complementary halves, so each record is in the training data of one model of each
pair and not in that of the other. Members and non-members of the target are treated alike.

LiRA's offline form is left out: with one variance for all records it has the order of `difference`.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from tfx_privacy.attacks.membership import bayesian

MIN_MODELS_FOR_LIRA = 8


def in_and_out(values: np.ndarray, bits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the models say that were trained with a record, and those trained without it.

    Args:
      values: Of shape (num_records, num_models); models 2p and 2p + 1 are a pair.
      bits: 0 or 1 of shape (num_records, num_models / 2): which model of the pair was trained with the record.

    Returns:
      Two arrays of shape (num_records, num_models / 2).
    """
    pairs = values.reshape(len(values), -1, 2)
    picked = bits[:, :, None].astype(np.int64)
    return np.take_along_axis(pairs, picked, 2)[:, :, 0], np.take_along_axis(pairs, 1 - picked, 2)[:, :, 0]


def difference(target: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Score minus the mean of the models trained without the record: Watson et al. (2022), https://arxiv.org/abs/2111.08440.

    Args:
      target: Of shape (num_records,).
      out: Of shape (num_records, num_pairs).

    Returns:
      float64 of shape (num_records,).
    """
    return np.asarray(target - out.mean(axis=1))


def log_likelihood_ratio(target: np.ndarray, inside: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Log of p(x | target) / p(x): what RMIA compares between records (Zarifzadeh et al. 2024, https://arxiv.org/abs/2312.03262).

    p(x) is the mean over the models trained with the record and those trained without it, half of each, Section 3: the
    pairs have both, so its approximation by the second kind alone (Appendix B.2.2) is not needed. RMIA's score of a
    record, the share of other records with a smaller ratio, has the same order, and so the same AUC: see `rmia`.

    Args:
      target: Log-likelihoods of shape (num_records,).
      inside: Those of the models trained with the record, of shape (num_records, num_pairs).
      out: Those of the models trained without it.

    Returns:
      float64 of shape (num_records,).
    """
    marginal = (np.exp(inside).mean(axis=1) + np.exp(out).mean(axis=1)) / 2
    return np.asarray(target - np.log(np.maximum(marginal, 1e-300)))


def rmia(log_ratios: np.ndarray, population: np.ndarray, gamma: float = 2.0) -> np.ndarray:
    """RMIA's score: the share of the population z with ratio_x >= gamma * ratio_z; by sorting, never a matrix.

    Args:
      log_ratios: Of the records, shape (num_records,).
      population: Of the population, shape (population_size,).
      gamma: At least 1.

    Returns:
      float64 in [0, 1] of shape (num_records,).
    """
    below = np.searchsorted(np.sort(population), log_ratios - np.log(gamma), side="right")
    return np.asarray(below / len(population))


def lira_online(target: np.ndarray, inside: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Log of N(s; with the record) / N(s; without it), Carlini et al. (2022), Algorithm 1, with fixed variances.

    Args:
      target: Rescaled logits of shape (num_records,).
      inside: Those of the models trained with the record, shape (num_records, num_pairs), at least two pairs.
      out: Those of the models trained without it.

    Returns:
      float64 of shape (num_records,).
    """
    return np.asarray(
        stats.norm.logpdf(target, inside.mean(axis=1), _deviation(inside))
        - stats.norm.logpdf(target, out.mean(axis=1), _deviation(out))
    )


def scores(
    target: tuple[np.ndarray, np.ndarray],
    references: tuple[np.ndarray, np.ndarray],
    bits: np.ndarray,
    *,
    is_likelihood: bool,
) -> dict[str, np.ndarray]:
    """Every attack that the number of reference models allows.

    Args:
      target: Score "loss" and log-likelihood of the target model, each of shape (num_records,).
      references: The same of the reference models, each of shape (num_records, num_models).
      bits: As of `in_and_out`.
      is_likelihood: Whether log-likelihoods are logarithms of probabilities.

    Returns:
      By attack, float64 of shape (num_records,).
    """
    inside, out = in_and_out(references[0], bits)
    found = {"difference": difference(target[0], out)}
    if is_likelihood:
        found["rmia"] = log_likelihood_ratio(target[1], *in_and_out(references[1], bits))
    found["bavaria"] = bayesian.bavaria(target[0], inside, out)
    if references[0].shape[1] >= MIN_MODELS_FOR_LIRA:
        found["lira_online"] = lira_online(target[0], inside, out)
    return found


def _deviation(values: np.ndarray) -> float:
    """Standard deviation around each record's mean, over all records."""
    centred = values - values.mean(axis=1, keepdims=True)
    freedom = values.shape[0] * (values.shape[1] - 1)
    return float(max(np.sqrt((centred**2).sum() / max(freedom, 1)), 1e-12))
