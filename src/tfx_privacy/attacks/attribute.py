"""Attribute inference: does the model tell more of a member's sensitive feature than of anybody else's?

The attacker knows all of a record but one feature. It weighs every candidate value by how plausible it is without the
model, P(value | other features and label), and by how well the model then fits the label, exp(-loss) (Fredrikson et al.
2014, https://www.usenix.org/conference/usenixsecurity14/technical-sessions/presentation/fredrikson_matthew; Yeom et al.
2018, https://arxiv.org/abs/1709.01604).

What such an attack gets right is mostly imputation, which needs no model (Jayaraman and Evans 2022,
https://arxiv.org/abs/2209.01292). So two things are taken off: what the attacker knew without the model, and what the
model tells of records that it never saw. What is left, the difference in differences, is 0 for a model that treats
members and others alike.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from scipy import special, stats

from tfx_privacy.attacks import _rows
from tfx_privacy.attacks._threads import one_thread
from tfx_privacy.attacks.evaluation import Finding, Status
from tfx_privacy.errors import ParameterError

MAX_VALUES = 20
MIN_RECORDS = 100
"""Members, other non-members, and non-members that imputation learns from: each at least so many."""
MAX_UNUSABLE_SHARE = 0.01
"""Of the records of a side that may have a loss or feature that is not finite; they are left out and counted."""

_METRIC = (
    "mean posterior probability of the true value, gain over imputation, members minus non-members (probability points)"
)
# Trees need records for their leaves; below that a linear model imputes better.
_MIN_RECORDS_FOR_TREES = 500
# Of the probability, spread evenly: a value that imputation never saw is not impossible.
_SPREAD = 0.01
# Gains below that are rounding, not evidence: without it a model that ignores the feature would be judged by noise.
_ROUNDING_DECIMALS = 9


@dataclasses.dataclass(frozen=True, eq=False)
class AttributeRecords:
    """One side's records, as the attacker sees them.

    Attributes:
      losses: The model's loss (nats) of each record with the feature set to each candidate value, of shape
        (num_records, num_values).
      true: Index of the record's real value, of shape (num_records,).
      features: The other features and the label as numbers, of shape (num_records, num_features);
        NaN is a missing value.
      folds: 0 or 1 from a hash of the record, of shape (num_records,). Only those of non-members are used: imputation
        learns from fold 0.
    """

    losses: np.ndarray
    true: np.ndarray
    features: np.ndarray
    folds: np.ndarray

    def checked(self, num_values: int) -> AttributeRecords:
        """The records as float64 and int64.

        Raises:
          ParameterError: If shapes, types, indices or folds do not fit.
        """
        losses = _rows.real_array("losses", self.losses, None, num_values)
        true = _rows.whole_array("true", self.true, len(losses))
        features = _rows.real_array("features", self.features, len(losses), None)
        folds = _rows.whole_array("folds", self.folds, len(losses))
        if len(true) and not (true.min() >= 0 and true.max() < num_values):
            raise ParameterError(f"Expected indices of {num_values} values, not {true.min()} to {true.max()}.")
        if not np.isin(folds, (0, 1)).all():
            raise ParameterError("Expected folds of 0 and 1. Take them from a hash of the record.")
        return AttributeRecords(losses, true, features, folds)

    def where(self, mask: np.ndarray) -> AttributeRecords:
        """The records of a mask of shape (num_records,)."""
        return AttributeRecords(self.losses[mask], self.true[mask], self.features[mask], self.folds[mask])

    @property
    def usable(self) -> np.ndarray:
        """Mask of the records with finite losses and no infinite feature."""
        return np.isfinite(self.losses).all(axis=1) & ~np.isinf(self.features).any(axis=1)


def attribute_inference(
    feature: str,
    members: AttributeRecords,
    nonmembers: AttributeRecords,
    *,
    confidence_level: float = 0.95,
    min_records: int = MIN_RECORDS,
) -> Finding:
    """Attacks one sensitive feature of a sample of records.

    Imputation is learnt, without the model, from the non-members of fold 0: gradient-boosted trees, or a logistic
    regression from fewer than 500 records. Members and the other non-members are new to it alike, so without a
    leak both sides' gains have one distribution. The interval is Welch's.

    Args:
      feature: The sensitive feature's name.
      members: Records that the model was trained on.
      nonmembers: Records that it never saw.
      confidence_level: Of the two-sided interval, in (0, 1).
      min_records: Smallest number of members, of judged non-members, and of those that imputation learns from.

    Returns:
      The finding: OK; INSUFFICIENT for fewer records; UNSUPPORTED for fewer than 2 or more than 20 values, for one
      value only, or if more than 1 % of a side's records are not finite.

    Raises:
      ParameterError: If shapes or indices do not fit each other.
    """
    num_values = members.losses.shape[1] if np.ndim(members.losses) == 2 else 0
    if not 2 <= num_values <= MAX_VALUES:
        return _none(feature, "UNSUPPORTED", f"{num_values} candidate values; 2 to {MAX_VALUES} can be attacked")
    sides = [side.checked(num_values) for side in (members, nonmembers)]
    unusable = [int(np.sum(~side.usable)) for side in sides]
    for name, side, count in zip(("members", "non-members"), sides, unusable, strict=True):
        if not count <= MAX_UNUSABLE_SHARE * len(side.true):
            share = f"at most {MAX_UNUSABLE_SHARE:.0%} may be"
            reason = f"losses or features of {count} of {len(side.true)} {name} are not finite; {share}"
            return _none(feature, "UNSUPPORTED", reason)
    inside, outside = (side.where(side.usable) for side in sides)
    learning, judged = outside.where(outside.folds == 0), outside.where(outside.folds == 1)
    sizes = len(inside.true), len(judged.true), len(learning.true)
    if not min(sizes) >= min_records:
        reason = f"{sizes[0]} members, {sizes[1]} judged non-members and {sizes[2]} to learn imputation from"
        return _none(feature, "INSUFFICIENT", f"{reason}; {min_records} of each are needed")
    if len(np.unique(np.concatenate([inside.true, outside.true]))) < 2:
        return _none(feature, "UNSUPPORTED", "the records have one value only: there is nothing to infer")
    imputation = _Imputation(learning, num_values)
    numbers = [_probabilities(imputation, side) for side in (inside, judged)]
    return _finding(feature, numbers, (sum(unusable), sizes[2]), confidence_level)


class _Imputation:
    """P(value | other features and label), learnt without the model."""

    def __init__(self, records: AttributeRecords, num_values: int) -> None:
        self._num_values = num_values
        # A column without a number carries nothing, and no mean to fill it with.
        self._columns = ~np.isnan(records.features).all(axis=0)
        self._classes = np.unique(records.true)
        self._model: Any = None
        if len(self._classes) > 1 and self._columns.any():
            with one_thread():
                self._model = _classifier(len(records.true)).fit(records.features[:, self._columns], records.true)
        self._shares = np.bincount(records.true, minlength=num_values) / len(records.true)

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Of shape (num_records, num_values), positive."""
        known = np.tile(self._shares, (len(features), 1))
        if self._model is not None:
            with one_thread():
                known[:, self._classes] = self._model.predict_proba(features[:, self._columns])
        return (1.0 - _SPREAD) * known + _SPREAD / self._num_values


def _classifier(num_records: int) -> Any:
    # Importing scikit-learn takes a second, which a pipeline without this attack need not spend.
    from sklearn import ensemble, impute, linear_model, pipeline, preprocessing

    if num_records >= _MIN_RECORDS_FOR_TREES:
        return ensemble.HistGradientBoostingClassifier(max_iter=60, early_stopping=False, random_state=0)
    return pipeline.make_pipeline(
        impute.SimpleImputer(), preprocessing.StandardScaler(), linear_model.LogisticRegression(max_iter=500)
    )


def _probabilities(imputation: _Imputation, records: AttributeRecords) -> tuple[np.ndarray, np.ndarray]:
    """Of the true value, without and with the model, each of shape (num_records,)."""
    prior = imputation.probabilities(records.features)
    posterior = special.softmax(np.log(prior) - records.losses, axis=1)
    rows = np.arange(len(records.true))
    return prior[rows, records.true], posterior[rows, records.true]


def _finding(
    feature: str, numbers: list[tuple[np.ndarray, np.ndarray]], counts: tuple[int, int], confidence_level: float
) -> Finding:
    gains = [np.round(posterior - prior, _ROUNDING_DECIMALS) for prior, posterior in numbers]
    estimate, low, high, p_value = difference_of_means(gains[0], gains[1], confidence_level=confidence_level)
    details = {
        f"{what} probability of the true value, {side}": float(values.mean())
        for side, pair in zip(("members", "non-members"), numbers, strict=True)
        for what, values in zip(("imputed", "posterior"), pair, strict=True)
    }
    details |= {
        "members": float(len(gains[0])),
        "judged non-members": float(len(gains[1])),
        "non-members that imputation learnt from": float(counts[1]),
        "records left out (not finite)": float(counts[0]),
    }
    return Finding(
        family="attribute_inference",
        subject=feature,
        status="OK",
        metric=_METRIC,
        estimate=estimate,
        low=low,
        high=high,
        harmless=0.0,
        p_value=p_value,
        num_records=len(gains[0]) + len(gains[1]),
        details=details,
    )


def difference_of_means(
    first: np.ndarray, second: np.ndarray, *, confidence_level: float
) -> tuple[float, float, float, float]:
    """Difference of two means of numbers in [-1, 1] with Welch's (1947) interval.

    Where neither side varies, the interval allows for the share of other values that so many equal ones
    leave possible, (alpha / 4) ** (1 / n), and the p-value is that of a permutation test: all but one of the
    splits look less like a leak.

    Args:
      first: Of shape (n,), n >= 2.
      second: Of shape (m,), m >= 2.
      confidence_level: Of the two-sided interval.

    Returns:
      Estimate, low, high, and the one-sided p-value of no difference against first > second.
    """
    alpha = 1.0 - confidence_level
    estimate = float(first.mean() - second.mean())
    parts = [float(side.var(ddof=1)) / len(side) for side in (first, second)]
    error = math.sqrt(sum(parts))
    if error < 10.0**-_ROUNDING_DECIMALS:
        half = sum(2.0 * (1.0 - (alpha / 4) ** (1.0 / len(side))) for side in (first, second))
        log_splits = float(special.gammaln(len(first) + len(second) + 1)) - sum(
            float(special.gammaln(len(side) + 1)) for side in (first, second)
        )
        p_value = math.exp(-log_splits) if estimate > 0.0 else 1.0
    else:
        freedom = error**4 / sum(part**2 / (len(side) - 1) for part, side in zip(parts, (first, second), strict=True))
        half = float(stats.t.isf(alpha / 2, freedom)) * error
        p_value = float(stats.t.sf(estimate / error, freedom))
    return estimate, max(-2.0, estimate - half), min(2.0, estimate + half), p_value


def _none(feature: str, status: Status, reason: str) -> Finding:
    return _rows.unavailable("attribute_inference", feature, status, reason, metric=_METRIC)
