"""How much a record looks like a member: scores from a model's outputs and the true label.

All scores are higher for members. Those of classes are computed from the rescaled logit of each class, s_j = z_j -
log(sum of exp(z_k) over k != j) = log(p_j / (1 - p_j)), which keeps its order where probabilities and losses saturate
(Carlini et al. 2022, https://arxiv.org/abs/2112.03570, Section IV). Loss, confidence and rescaled logit of the true
class put records in the same order: they are one attack.
"""

from __future__ import annotations

import numpy as np
from scipy import special

# A float32 probability of 1 stands for anything above 1 - 2**-25; small ones are told apart down to float32's smallest
# normal number.
_LARGEST_PROBABILITY = 1.0 - 2.0**-25
_SMALLEST_PROBABILITY = 2.0**-126
ROUNDING = 1e-5
"""By how much a probability may be above 1, as float32's softmax and what follows it round; none is below 0."""


def log_likelihoods(rescaled: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Log p of the true class, minus the cross-entropy (Yeom et al. 2018, https://arxiv.org/abs/1709.01604).

    Args:
      rescaled: Rescaled logits of shape (num_records, num_classes).
      labels: Class indices of shape (num_records,).

    Returns:
      float64 of shape (num_records,).
    """
    return np.asarray(-np.logaddexp(0.0, -rescaled[np.arange(len(labels)), labels]))


def modified_entropy(rescaled: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Minus Mentr: Song and Mittal (2021), https://arxiv.org/abs/2003.10595, equation 8.

    Args:
      rescaled: Rescaled logits of shape (num_records, num_classes).
      labels: Class indices of shape (num_records,).

    Returns:
      float64 of shape (num_records,).
    """
    rows = np.arange(len(labels))
    log_p, log_not_p = -np.logaddexp(0.0, -rescaled), -np.logaddexp(0.0, rescaled)
    others = np.exp(log_p) * log_not_p
    others[rows, labels] = 0.0
    return np.asarray(np.exp(log_not_p[rows, labels]) * log_p[rows, labels] + others.sum(axis=1))


def rescaled_of_likelihood(log_likelihood: np.ndarray) -> np.ndarray:
    """log(p / (1 - p)) of p = exp(log_likelihood), for likelihoods of several labels or tokens together."""
    bounded = np.minimum(log_likelihood, -np.finfo(np.float64).tiny)
    return np.asarray(bounded - np.log(-np.expm1(bounded)))


def rescaled_logits(outputs: np.ndarray, *, from_logits: bool) -> np.ndarray:
    """log(p / (1 - p)) of every class, stable for confident predictions.

    Args:
      outputs: Of shape (..., 1) for binary tasks, or (..., num_classes).
      from_logits: Whether outputs are logits.

    Returns:
      float64 of shape (..., num_classes), with two classes for a single output.
    """
    values = outputs.astype(np.float64)
    if not from_logits:
        values = np.clip(values, _SMALLEST_PROBABILITY, 1.0)
        if values.shape[-1] == 1:
            values = np.minimum(values, _LARGEST_PROBABILITY)
            return both(np.log(values) - np.log1p(-values))
        values = np.log(values)
    elif values.shape[-1] == 1:
        return both(values)
    top = np.expand_dims(values.argmax(axis=-1), -1)
    log_p = values - special.logsumexp(values, axis=-1, keepdims=True)
    # Every class but the top one has p <= 1/2, where 1 - p loses nothing; the top one is taken against the others' sum.
    np.put_along_axis(log_p, top, np.minimum(np.take_along_axis(log_p, top, -1), -np.log(2.0)), -1)
    rescaled = log_p - np.log1p(-np.exp(log_p))
    without_top = values.copy()
    np.put_along_axis(without_top, top, -np.inf, -1)
    others = special.logsumexp(without_top, axis=-1, keepdims=True)
    np.put_along_axis(rescaled, top, np.take_along_axis(values, top, -1) - others, -1)
    return np.asarray(rescaled)


def both(logit: np.ndarray) -> np.ndarray:
    """The two classes of a single logit, of shape (..., 1), as (..., 2)."""
    return np.concatenate([-logit, logit], axis=-1)


def looks_like_probabilities(outputs: np.ndarray, *, distribution: bool) -> bool:
    """Whether all outputs lie in [0, 1], up to rounding, and, for a distribution over classes, every row sums to one."""
    inside = bool(np.all((outputs >= 0.0) & (outputs <= 1.0 + ROUNDING)))
    sums = np.abs(outputs.sum(axis=-1) - 1.0) <= 1e-3
    return inside and (not distribution or outputs.shape[-1] == 1 or bool(np.all(sums)))
