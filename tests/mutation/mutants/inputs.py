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
    Mutant(
        "files of any beginning are TFRecords", "check_beginnings",
        "not begin or begin.startswith(_GZIP) or _is_header(begin)", "True", "test_example_files",
    ),
    Mutant(
        "a gzipped file may be cut short", "_is_whole", "return part.eof", "return True", "test_example_files",
    ),
    Mutant(
        "TensorFlow logs labels", "without_values:_without_failures",
        "keep = not _OF_FAILURE.search(line)", "keep = True", "test_refusals",
    ),
    Mutant("outputs count alike", "PerRecordLoss.__call__", "head.weight", "1.0", "test_variable_length"),
]  # fmt: skip
