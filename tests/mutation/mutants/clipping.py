"""Bugs in the gradients' norms, and in what is clipped to them."""

from __future__ import annotations

from mutants.mutant import Mutant

CLIPPING = [
    Mutant(
        "no clipping", "_clip_and_sum",
        "weights = tf.where(finite, factors, 0.0) * drawn", "weights = tf.where(finite, 1.0, 0.0) * drawn",
        "test_clipping",
    ),
    Mutant(
        "clip 5 % longer", "_clip_and_sum",
        "l2_norm_clip * (1.0 - _ROUNDING)", "l2_norm_clip * 1.05", "test_clipping",
    ),
    Mutant(
        "squared norm for the norm", "_clip_and_sum",
        "tf.math.rsqrt(tf.maximum(squared, _SMALLEST_SQUARE))",
        "tf.math.reciprocal(tf.maximum(squared, _SMALLEST_SQUARE))", "test_clipping",
    ),
    Mutant(
        "only the first variable counts", "_clip_and_sum",
        "tf.add_n([contribution.squared_norms() for contribution in found])", "found[0].squared_norms()",
        "test_clipping",
    ),
    Mutant(
        "each variable clipped by itself", "_clip_and_sum",
        "[each.weighted_sum(weights, part) for each, part in zip(found, operands, strict=True)]",
        "[each.weighted_sum(tf.minimum(1.0, l2_norm_clip * tf.math.rsqrt(each.squared_norms() + 1e-30)) * drawn,"
        " part) for each, part in zip(found, operands, strict=True)]",
        "test_clipping",
    ),
    Mutant(
        "clip by value", "_clip_and_sum",
        "[each.weighted_sum(weights, part) for each, part in zip(found, operands, strict=True)]",
        "[tf.clip_by_value(each.weighted_sum(drawn, part), -l2_norm_clip, l2_norm_clip)"
        " for each, part in zip(found, operands, strict=True)]",
        "test_clipping",
    ),
    Mutant(
        "the batch's sum is clipped", "_clip_and_sum",
        "return Clipped(sums, within)",
        """
        sums = [each.weighted_sum(drawn, part) for each, part in zip(found, operands, strict=True)]
        return Clipped(tf.clip_by_global_norm(sums, l2_norm_clip)[0], within)
        """,
        "test_clipping",
    ),
    Mutant(
        "infinite gradients pass", "_clip_and_sum",
        "finite = tf.math.is_finite(squared)", "finite = tf.ones_like(squared, tf.bool)",
        "test_clipping::test_two_hundred_neighbours_of_each_model_differ_by_at_most_the_clip",
    ),
    Mutant(
        "zero times infinity", "_clip_and_sum",
        "operands = _with_finite_units(found, finite)", "operands = [each.operands for each in found]",
        "test_clipping::test_two_hundred_neighbours_of_each_model_differ_by_at_most_the_clip",
    ),
    Mutant(
        "padding takes part", "_clip_and_sum",
        "weights = tf.where(finite, factors, 0.0) * drawn", "weights = tf.where(finite, factors, 0.0)",
        "test_clipping",
    ),
    Mutant(
        "norms in half precision", "_clip_and_sum",
        "finite = tf.math.is_finite(squared)",
        """
        squared = tf.cast(tf.cast(squared, tf.float16), tf.float32)
        finite = tf.math.is_finite(squared)
        """,
        "test_clipping",
    ),
    Mutant(
        "the batch's mean loss", "ClippedSum.contributions",
        "losses = self._losses(chunk.labels, outputs)",
        "losses = self._losses(chunk.labels, outputs) / self._units.records", "test_clipping",
    ),
    Mutant(
        "norm of an outer product", "Outer.squared_norms",
        "return sum_of_squares(self.inputs) * sum_of_squares(self.gradients)", "return sum_of_squares(self.gradients)",
        "test_clipping",
    ),
    Mutant(
        "rounding left by cancellation", "Positions.squared_norms",
        "return squares + _lost_at_most(_norms(self.inputs), _norms(self.gradients), rows, columns)", "return squares",
        "test_clipping::test_a_norm_is_never_understated_when_terms_cancel",
    ),
    Mutant(
        "windows that leave the grid", "Windows.squared_norms",
        "gradients = tf.pad(self.gradients, [(0, 0), *self._missing(grid), (0, 0)])",
        "gradients = tf.pad(self.gradients, [(0, 0), *self._missing(grid), (0, 0)], constant_values=1.0)",
        "test_clipping::test_a_convolution_by_blocks",
    ),
    Mutant(
        "rounding left by cancellation between windows", "Windows.squared_norms",
        "return tf.maximum(squares, 0.0) + _lost_at_most(of_windows, of_gradients, rows, filters)",
        "return tf.maximum(squares, 0.0)", "test_clipping::test_a_convolution_by_blocks_is_never_understated",
    ),
    Mutant(
        "tiny inputs are nothing", "_FLUSHED", "_FLUSHED = 1.2e-38", "_FLUSHED = 0.0",
        "test_clipping::test_a_tiny_input_with_a_huge_gradient_is_not_taken_for_nothing",
    ),
    Mutant(
        "rows read twice do not add up", "Lookup.squared_norms",
        "return tf.math.unsorted_segment_sum(squares, self._read.units, self.ids.shape[0])",
        "return sum_of_squares(self.gradients)", "test_clipping",
    ),
    Mutant(
        "rows read twice are added one by one", "Lookup.weighted_sum",
        "return tf.math.unsorted_segment_sum(weighted, self._read.rows, self.num_rows)",
        """
        each = _columns(self.gradients * weights[:, tf.newaxis, tf.newaxis])
        return tf.math.unsorted_segment_sum(each, tf.reshape(self.ids, [-1]), self.num_rows)
        """,
        "test_clipping::test_a_row_read_twice_with_gradients_that_cancel_takes_nothing_from_others",
    ),
    Mutant(
        "an id that is no row is the neighbour's", "Lookup._rows_or_none",
        "return tf.where(is_row, self.ids, self.num_rows)", "return self.ids",
        "test_clipping::test_an_id_that_is_no_row_is_nobody_else_s",
    ),
    Mutant(
        "negative ids are no rows", "layers:_embedding",
        "ids = tf.where(ids < 0, ids + rows, ids)", "", "test_clipping::test_keras_3_counts_negative_ids_from_the_end",
    ),
    Mutant(
        "a layer's second use is forgotten", "combined",
        "return Materialized(tf.add_n([contribution.materialized() for contribution in contributions]))",
        "return contributions[0]", "test_clipping",
    ),
    Mutant(
        "GPUs round factors to 10 bits", "full_precision",
        "tf.config.experimental.enable_tensor_float_32_execution(False)", "", "test_real_steps",
    ),
    Mutant("biases are left out", "bias_contribution", "units.summed(...)", "0.5 * units.summed(...)", "test_clipping"),
    Mutant(
        "the probe believes everything", "examine", "not _agree(found, slow(made))", "False",
        "test_validation::test_a_layer_that_hides_a_use_of_a_weight_is_found",
    ),
]  # fmt: skip
