"""Attacks that learn what members look like, and the control that learns without the model.

Each is trained on one fold of the records and scores the other, in both directions; folds come from
a hash of the record.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy import sparse
from sklearn import ensemble, exceptions, linear_model, pipeline, preprocessing

from tfx_privacy.attacks._threads import one_thread

LOGISTIC = "logistic_regression"
BOOSTING = "gradient_boosting"
LINEAR = "linear"
"""For sparse features, of the control alone."""
# A class needs some non-members in the other fold before its scores can be put in relation to theirs.
_MIN_OF_CLASS = 10
MAX_COLUMNS = 64
"""Of more numbers, trees get combinations."""

Features = Any
"""An array, or a sparse matrix."""


def cross_fitted(
    name: str, members: Features, others: Features, member_folds: np.ndarray, other_folds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of a classifier of members against others, each record's by the classifier of the other fold.

    Args:
      name: `LOGISTIC` or `BOOSTING`; `LINEAR` for sparse features.
      members: Features of shape (num_members, num_features).
      others: Features of shape (num_nonmembers, num_features).
      member_folds: 0 or 1 for every member.
      other_folds: The same for the others.

    Returns:
      Log-odds of membership, of shapes (num_members,) and (num_nonmembers,); NaN where the other fold lacks a side.
    """
    features = _both(members, others)
    is_member = np.repeat([1, 0], [len(member_folds), len(other_folds)])
    folds = np.concatenate([member_folds, other_folds])
    scores = np.full(len(folds), np.nan)
    for fold in (0, 1):
        training, testing = folds != fold, folds == fold
        if testing.any() and len(np.unique(is_member[training])) == 2 and features.shape[1]:
            with warnings.catch_warnings(), one_thread():
                warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
                fitted = _classifier(name).fit(features[training], is_member[training])
                scores[testing] = fitted.decision_function(features[testing])
    return scores[: len(member_folds)], scores[len(member_folds) :]


def _both(members: Features, others: Features) -> Features:
    if sparse.issparse(members):
        both = sparse.vstack([members, others], format="csr")
        # Most columns of hashed features are empty, and fitting takes time for each.
        return both[:, np.unique(both.indices)]
    return np.nan_to_num(np.concatenate([members, others]), posinf=1e30, neginf=-1e30)


def class_normalised(
    scores: tuple[np.ndarray, np.ndarray],
    classes: tuple[np.ndarray, np.ndarray],
    folds: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Scores in units of the non-members of the same class and the other fold: (score - mean) / standard deviation.

    The thresholds by class of Song and Mittal (2021), https://arxiv.org/abs/2003.10595, Section 3.2, as one score.

    Args:
      scores: Of members and others.
      classes: Class of each.
      folds: 0 or 1 for each.

    Returns:
      The normalised scores; NaN where too few non-members of the class are there to compare with.
    """
    result = tuple(np.full(len(side), np.nan) for side in scores)
    for value in np.unique(np.concatenate(classes)):
        for fold in (0, 1):
            reference = scores[1][(classes[1] == value) & (folds[1] != fold)]
            reference = reference[np.isfinite(reference)]
            spread = reference.std() if len(reference) >= _MIN_OF_CLASS else 0.0
            if not spread > 0.0:
                continue
            for side in (0, 1):
                chosen = (classes[side] == value) & (folds[side] == fold)
                result[side][chosen] = (scores[side][chosen] - reference.mean()) / spread
    return result[0], result[1]


def compact(features: np.ndarray) -> np.ndarray:
    """At most 64 columns: of more, fixed random combinations, with their mean and spread.

    Args:
      features: Of shape (num_records, num_columns).

    Returns:
      float64 of shape (num_records, at most 66).
    """
    values = np.nan_to_num(np.asarray(features, np.float64), posinf=1e30, neginf=-1e30)
    if values.shape[1] <= MAX_COLUMNS:
        return values
    directions = np.random.default_rng(0).normal(size=(values.shape[1], MAX_COLUMNS)) / np.sqrt(values.shape[1])
    return np.column_stack([values @ directions, values.mean(axis=1), values.std(axis=1)])


def _classifier(name: str) -> Any:
    if name == LINEAR:
        return linear_model.LogisticRegression(solver="liblinear", max_iter=200, random_state=0)
    if name == LOGISTIC:
        return pipeline.make_pipeline(
            preprocessing.QuantileTransformer(n_quantiles=256, output_distribution="normal", random_state=0),
            linear_model.LogisticRegression(max_iter=200),
        )
    return ensemble.HistGradientBoostingClassifier(
        max_iter=60, max_leaf_nodes=15, min_samples_leaf=50, l2_regularization=1.0, early_stopping=False, random_state=0
    )
