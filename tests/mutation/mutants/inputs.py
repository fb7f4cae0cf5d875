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
        "not begin or _is_header(begin) or begin.startswith(_GZIP)", "True", "test_example_files",
    ),
    Mutant(
        "a gzipped file may be cut short", "_is_whole", "return part.eof", "return True", "test_example_files",
    ),
    Mutant(
        "TensorFlow logs labels", "without_values:_without_failures",
        "keep = not _OF_FAILURE.search(line)", "keep = True", "test_refusals",
    ),
    Mutant(
        "labels are not looked at", "record_values:check", "_check_labels(model, data)", "pass", "test_record_values",
    ),
    Mutant(
        "ids are not looked at", "record_values:check", "_check_ids(model, data)", "pass", "test_record_values",
    ),
    Mutant(
        "the first chunk's ids stand for all", "_check_ids", "range(0, len(data), _CHUNK)", "range(0, 1)",
        "test_record_values::test_ids_outside_of_a_table",
    ),
    Mutant(
        "a missing label is a share", "record_values:_problem", "not np.all((used >= 0) & (used <= 1))",
        "np.any((used < 0) | (used > 1))", "test_record_values::test_labels_that_the_loss_does_not_take",
    ),
    Mutant(
        "padding is no picture", "MadeUp.blank", 'return b"" if texts == _PLAIN else texts[0]', 'return b""', "test_refusals",
    ),
    Mutant(
        "texts in another order are the same labels", "trained_labels:_has",
        "label.texts_digest == head.label_texts_digest", "True", "test_trained_labels",
    ),
    Mutant(
        "a text that is not in the domain is the last class", "text_labels:as_numbers",
        "places.get(bytes(each), -1)", "places.get(bytes(each), len(texts) - 1)", "test_text_labels",
    ),
    Mutant("outputs count alike", "PerRecordLoss.__call__", "head.weight", "1.0", "test_variable_length"),
]  # fmt: skip
