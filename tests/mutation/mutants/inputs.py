"""Bugs in how records of variable length, weights and several outputs are read."""

from __future__ import annotations

from mutants.mutant import Mutant

INPUTS = [
    Mutant(
        "the true share of clipped units is told", "PrivateStep._adapt",
        "self._share.assign(share)", "self._share.assign((within - 0.5 * present) / self._divisor + 0.5)",
        "test_training::test_the_count_within_an_adaptive_clip_is_noised",
    ),
    Mutant(
        "weights count for nothing", "ResidentData.__init__",
        "counts[: self.blank] *= data.weights", "pass", "test_variable_length",
    ),
    Mutant(
        "negative weights", "_checked_weights",
        "not (np.isfinite(flat).all() and (flat >= 0).all())", "False", "test_variable_length",
    ),
    Mutant(
        "padding reaches the model", "keras_api:_tensor",
        "filled = tf.where(tf.sequence_mask(column.lengths, width))",
        "filled = tf.where(tf.fill((values.shape[0], width), True))", "test_variable_length",
    ),
    Mutant("outputs count alike", "PerRecordLoss.__call__", "head.weight", "1.0", "test_variable_length"),
]  # fmt: skip
