"""Model inversion: are reconstructions of a class nearer to its training records than to its other records?

Gradient ascent on a class's confidence (Fredrikson et al. 2015, https://doi.org/10.1145/2810103.2813677) finds what the
model takes for typical of the class. That a picture of a person comes out shows no memory of a record: it may be the
class's prototype, which is what a model is for. It is a leak of training data only where the reconstruction is nearer
to the records that were trained on than to as many records of the same class that were not. And a class says something
of a person only if it stands for one person.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from tfx_privacy.attacks import _rows
from tfx_privacy.attacks.evaluation import Finding
from tfx_privacy.errors import ParameterError

MIN_CLASSES = 10

_METRIC = "share of classes whose reconstructions are nearer to a training record than to a held-out one"
_SUBJECT = "classes"


def inversion_finding(
    classes: Any,
    train_distances: Any,
    heldout_distances: Any,
    num_train: Any,
    num_heldout: Any,
    *,
    confidence_level: float = 0.95,
) -> Finding:
    """Compares nearest distances class by class: a sign test with the interval of Clopper and Pearson.

    Reconstructions of one class are compared with the same records and are no independent evidence, so their
    distances are averaged first. If training and held-out records of a class are exchangeable, each is as likely as the
    other to be nearer, whatever the distances' distribution. Classes with two equal distances say nothing; they are
    counted and left out. Wilcoxon's signed-rank test, which needs distances of one scale, is in the details.

    Args:
      classes: Class of each reconstruction, whole numbers of shape (num_reconstructions,).
      train_distances: To the nearest training record of the class, of shape (num_reconstructions,), in any one unit.
      heldout_distances: To the nearest held-out record of the class, in the same unit.
      num_train: Training records that were searched, of shape (num_reconstructions,).
      num_heldout: Held-out records that were searched; the same numbers, because the nearest of more is nearer.
      confidence_level: Of the two-sided interval, in (0, 1).

    Returns:
      The finding, harmless at 0.5; INSUFFICIENT below 10 classes with different distances, UNSUPPORTED where a distance
      is not finite.

    Raises:
      ParameterError: If shapes do not fit, a distance is negative, or the sides' numbers of records differ.
    """
    train = _rows.real_array("train_distances", train_distances, None)
    heldout = _rows.real_array("heldout_distances", heldout_distances, len(train))
    classes = _rows.whole_array("classes", classes, len(train))
    _check_numbers(
        _rows.whole_array("num_train", num_train, len(train)), _rows.whole_array("num_heldout", num_heldout, len(train))
    )
    bad = int(np.sum(~(np.isfinite(train) & np.isfinite(heldout))))
    if bad:
        reason = f"{bad} of {len(train)} reconstructions have a distance that is not finite"
        return _rows.unavailable("model_inversion", _SUBJECT, "UNSUPPORTED", reason, metric=_METRIC)
    if not ((train >= 0.0) & (heldout >= 0.0)).all():
        raise ParameterError("Expected distances >= 0, but some are negative. Pass distances, not similarities.")
    names = np.unique(classes)
    means = [np.array([side[classes == name].mean() for name in names]) for side in (train, heldout)]
    return _sign_test(means[1] - means[0], means, confidence_level)


def _sign_test(nearer_by: np.ndarray, means: list[np.ndarray], confidence_level: float) -> Finding:
    decided = nearer_by[nearer_by != 0.0]
    hits, total = int(np.sum(decided > 0.0)), len(decided)
    if total < MIN_CLASSES:
        reason = f"{total} classes with different distances; {MIN_CLASSES} are needed"
        return _rows.unavailable(
            "model_inversion", _SUBJECT, "INSUFFICIENT", reason, metric=_METRIC, num_records=len(nearer_by)
        )
    low, high = _rows.share_interval(hits, total, confidence_level=confidence_level)
    return Finding(
        family="model_inversion",
        subject=_SUBJECT,
        status="OK",
        metric=_METRIC,
        estimate=hits / total,
        low=low,
        high=high,
        harmless=0.5,
        p_value=float(stats.binomtest(hits, total, 0.5, alternative="greater").pvalue),
        num_records=len(nearer_by),
        details={
            "mean distance to the nearest training record": float(means[0].mean()),
            "mean distance to the nearest held-out record": float(means[1].mean()),
            "classes with equal distances": float(len(nearer_by) - total),
            "p-value of Wilcoxon's signed-rank test": float(stats.wilcoxon(decided, alternative="greater").pvalue),
        },
    )


def _check_numbers(num_train: np.ndarray, num_heldout: np.ndarray) -> None:
    if not ((num_train == num_heldout) & (num_train >= 1)).all():
        raise ParameterError(
            "Expected as many training as held-out records of each class, and at least one: the nearest of more "
            "records is nearer. Take as many of both."
        )
