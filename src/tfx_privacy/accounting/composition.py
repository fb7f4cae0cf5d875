"""What a run amounts to for the accountants: Gaussian mechanisms, Poisson-subsampled or not, composed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# Below this the accountants are slow or unreliable, and epsilon is in the tens or thousands.
MIN_NOISE_MULTIPLIER = 0.3

MAX_NOISE_MULTIPLIER = 1e4

MAX_STEPS = 10_000_000

# By sampling: adding a record shifts the others between the batches of a pass, so that only replacing it by nothing is covered.
RELATION_OF_SAMPLING = {"poisson": "ADD_OR_REMOVE_ONE", "shuffled": "REPLACE_SPECIAL"}


def composition(sampling_probability: float, *, steps: int, passes: Sequence[int] | None, tree: bool) -> dict[str, Any]:
    """What steps of a planned or an executed run come to for the accountants: one rule, so that both are accounted alike.

    Batches of a pass (`passes` is not None) are not Poisson samples, and nothing is amplified.
    """
    if passes is None:
        return {"sampling_probability": sampling_probability, "steps": steps}
    return {"sampling_probability": 1.0, "steps": compositions_of_passes(passes, tree=tree)}


def compositions_of_passes(passes: Sequence[int], *, tree: bool) -> int:
    """Gaussian mechanisms that one unit is part of in passes of so many steps each.

    In a pass each unit takes part in one step. With tree aggregation that is one leaf of a binary tree, and the sums of at most
    floor(log2(steps)) + 1 of its nodes hold it (Kairouz et al. 2021, https://arxiv.org/abs/2103.00039, Theorem 4.1).
    """
    return sum(steps.bit_length() if tree else 1 for steps in passes)
