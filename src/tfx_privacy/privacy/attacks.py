"""How much a record looks like a member: scores from a model's outputs and the true label.

All scores are higher for members. They are computed from the rescaled logit of each class,
s_j = z_j - log(sum of exp(z_k) over k != j) = log(p_j / (1 - p_j)), which keeps its order where probabilities and losses
saturate (Carlini et al. 2022, https://arxiv.org/abs/2112.03570, Section IV).
"""

from __future__ import annotations

import numpy as np
from scipy import special

ATTACKS = ("rescaled_logit", "loss", "entropy", "modified_entropy")

# A float32 probability of 1 stands for anything above 1 - 2**-25.
_SMALLEST_PROBABILITY = 2.0**-25


def scores(outputs: np.ndarray, labels: np.ndarray, *, from_logits: bool) -> dict[str, np.ndarray]:
    """Scores of every attack.

    * `rescaled_logit`: s of the true class;
    * `loss`: minus the cross-entropy, -log(1 + exp(-s)) (Yeom et al. 2018, https://arxiv.org/abs/1709.01604);
    * `entropy`: minus the entropy of the prediction, which needs no label;
    * `modified_entropy`: minus Mentr (Song and Mittal 2021, https://arxiv.org/abs/2003.10595, equation 8).

    Args:
      outputs: Model outputs of shape (num_records, 1) for binary tasks, or (num_records, num_classes).
      labels: Class indices of shape (num_records,).
      from_logits: Whether outputs are logits, else probabilities.

    Returns:
      By attack, float64 of shape (num_records,).
    """
    rescaled = rescaled_logits(outputs, from_logits=from_logits)
    rows = np.arange(len(labels))
    own = rescaled[rows, labels]
    log_p, log_not_p = -np.logaddexp(0.0, -rescaled), -np.logaddexp(0.0, rescaled)
    p = np.exp(log_p)
    others = p * log_not_p
    others[rows, labels] = 0.0
    modified = -np.exp(log_not_p[rows, labels]) * log_p[rows, labels] - others.sum(axis=1)
    return {
        "rescaled_logit": own,
        "loss": -np.logaddexp(0.0, -own),
        "entropy": (p * log_p).sum(axis=1),
        "modified_entropy": -modified,
    }


def rescaled_logits(outputs: np.ndarray, *, from_logits: bool) -> np.ndarray:
    """log(p / (1 - p)) of every class, stable for confident predictions.

    Args:
      outputs: Of shape (num_records, 1) or (num_records, num_classes).
      from_logits: Whether outputs are logits.

    Returns:
      float64 of shape (num_records, num_classes), with two classes for a single output.
    """
    values = outputs.astype(np.float64)
    if not from_logits:
        values = np.clip(values, _SMALLEST_PROBABILITY, 1.0)
        if values.shape[1] == 1:
            values = np.minimum(values, 1.0 - _SMALLEST_PROBABILITY)
            return _both(np.log(values) - np.log1p(-values))
        values = np.log(values)
    elif values.shape[1] == 1:
        return _both(values)
    rows = np.arange(len(values))
    top = values.argmax(axis=1)
    log_p = values - special.logsumexp(values, axis=1, keepdims=True)
    # Every class but the top one has p <= 1/2, where 1 - p loses nothing; the top one is taken against the others' sum.
    log_p[rows, top] = np.minimum(log_p[rows, top], -np.log(2.0))
    rescaled = log_p - np.log1p(-np.exp(log_p))
    without_top = values.copy()
    without_top[rows, top] = -np.inf
    rescaled[rows, top] = values[rows, top] - special.logsumexp(without_top, axis=1)
    return rescaled


def _both(logit: np.ndarray) -> np.ndarray:
    return np.concatenate([-logit, logit], axis=1)


def looks_like_probabilities(outputs: np.ndarray) -> bool:
    """Whether every output lies in [0, 1] and, with several classes, every row sums to one."""
    inside = bool(np.all((outputs >= 0.0) & (outputs <= 1.0)))
    return inside and (outputs.shape[1] == 1 or bool(np.all(np.abs(outputs.sum(axis=1) - 1.0) <= 1e-3)))
