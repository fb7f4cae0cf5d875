"""Privacy bugs, each a change of one place, with the tests that must find it. `python tests/mutation/run.py` applies them."""

from __future__ import annotations

import pathlib
import sys
from typing import NamedTuple

_TRAINING, _PRIVACY = "tfx_privacy.training", "tfx_privacy.privacy"
_ATTACKS, _PIPELINES, _MIGRATION = f"{_PRIVACY}.attacks", "tfx_privacy.pipelines", "tfx_privacy.migration"


class Mutant(NamedTuple):
    """One bug."""

    name: str
    module: str
    old: str
    """Stands exactly once in the module."""
    new: str
    tests: str
    """Fast tests that are run, space separated."""


CLIPPING = [
    Mutant(
        "no clipping", f"{_TRAINING}.clipping",
        "weights = tf.where(finite, factors, 0.0) * drawn", "weights = tf.where(finite, 1.0, 0.0) * drawn", "test_clipping",
    ),
    Mutant(
        "clip 5 % longer", f"{_TRAINING}.clipping",
        "l2_norm_clip * (1.0 - _ROUNDING) * tf", "l2_norm_clip * 1.05 * tf", "test_clipping",
    ),
    Mutant(
        "squared norm for the norm", f"{_TRAINING}.clipping",
        "tf.math.rsqrt(tf.maximum(squared, _SMALLEST_SQUARE))", "tf.math.reciprocal(tf.maximum(squared, _SMALLEST_SQUARE))",
        "test_clipping",
    ),
    Mutant(
        "only the first variable counts", f"{_TRAINING}.clipping",
        "tf.add_n([contribution.squared_norms() for contribution in found])", "found[0].squared_norms()", "test_clipping",
    ),
    Mutant(
        "each variable clipped by itself", f"{_TRAINING}.clipping",
        "[each.weighted_sum(weights, part) for each, part in zip(found, operands, strict=True)]",
        "[each.weighted_sum(tf.minimum(1.0, l2_norm_clip * tf.math.rsqrt(each.squared_norms() + 1e-30)) * drawn, part)"
        " for each, part in zip(found, operands, strict=True)]",
        "test_clipping",
    ),
    Mutant(
        "clip by value", f"{_TRAINING}.clipping",
        "[each.weighted_sum(weights, part) for each, part in zip(found, operands, strict=True)]",
        "[tf.clip_by_value(each.weighted_sum(drawn, part), -l2_norm_clip, l2_norm_clip)"
        " for each, part in zip(found, operands, strict=True)]",
        "test_clipping",
    ),
    Mutant(
        "the batch's sum is clipped", f"{_TRAINING}.clipping",
        "return Clipped(sums, within)",
        "sums = [each.weighted_sum(drawn, part) for each, part in zip(found, operands, strict=True)]\n"
        "    return Clipped(tf.clip_by_global_norm(sums, l2_norm_clip)[0], within)",
        "test_clipping",
    ),
    Mutant(
        "infinite gradients pass", f"{_TRAINING}.clipping",
        "finite = tf.math.is_finite(squared)", "finite = tf.ones_like(squared, tf.bool)", "test_clipping",
    ),
    Mutant(
        "zero times infinity", f"{_TRAINING}.clipping",
        "operands = _with_finite_units(found, finite)", "operands = [each.operands for each in found]", "test_clipping",
    ),
    Mutant(
        "padding takes part", f"{_TRAINING}.clipping",
        "weights = tf.where(finite, factors, 0.0) * drawn", "weights = tf.where(finite, factors, 0.0)", "test_clipping",
    ),
    Mutant(
        "norms in half precision", f"{_TRAINING}.clipping",
        "    finite = tf.math.is_finite(squared)",
        "    squared = tf.cast(tf.cast(squared, tf.float16), tf.float32)\n    finite = tf.math.is_finite(squared)",
        "test_clipping",
    ),
    Mutant(
        "the batch's mean loss", f"{_TRAINING}.clipping",
        "losses = self._losses(chunk.labels, outputs)",
        "losses = self._losses(chunk.labels, outputs) / self._units.records", "test_clipping",
    ),
    Mutant(
        "norm of an outer product", f"{_TRAINING}.contributions",
        "return sum_of_squares(self.inputs) * sum_of_squares(self.gradients)", "return sum_of_squares(self.gradients)",
        "test_clipping",
    ),
    Mutant(
        "rounding left by cancellation", f"{_TRAINING}.contributions",
        "return squares + _lost_at_most(_norms(self.inputs), _norms(self.gradients), rows, columns)", "return squares", "test_clipping",
    ),
    Mutant(
        "windows that leave the grid", f"{_TRAINING}.contributions",
        "gradients = tf.pad(self.gradients, [(0, 0), *self._missing(grid), (0, 0)])",
        "gradients = tf.pad(self.gradients, [(0, 0), *self._missing(grid), (0, 0)], constant_values=1.0)", "test_clipping",
    ),
    Mutant(
        "rounding left by cancellation between windows", f"{_TRAINING}.contributions",
        "return tf.maximum(squares, 0.0) + _lost_at_most(of_windows, of_gradients, rows, filters)",
        "return tf.maximum(squares, 0.0)", "test_clipping",
    ),
    Mutant(
        "tiny inputs are nothing", f"{_TRAINING}.contributions",
        "_FLUSHED = 1.2e-38", "_FLUSHED = 0.0", "test_clipping",
    ),
    Mutant(
        "rows read twice do not add up", f"{_TRAINING}.contributions",
        "        rows, row_of_position = tf.unique(tf.reshape(keys, [-1]))",
        "        return sum_of_squares(self.gradients)\n        rows, row_of_position = tf.unique(tf.reshape(keys, [-1]))",
        "test_clipping",
    ),
    Mutant(
        "a layer's second use is forgotten", f"{_TRAINING}.contributions",
        "return Materialized(tf.add_n([contribution.materialized() for contribution in contributions]))",
        "return contributions[0]", "test_clipping",
    ),
    Mutant(
        "biases are left out", f"{_TRAINING}.layers",
        "return [(bias, Materialized(units.summed(_sum_to(gradient, 1))))]",
        "return [(bias, Materialized(0.5 * units.summed(_sum_to(gradient, 1))))]", "test_clipping",
    ),
    Mutant(
        "the probe believes everything", f"{_TRAINING}.probe",
        "if not _agree(fast, slow):", "if False:", "test_validation",
    ),
]  # fmt: skip

NOISE = [
    Mutant(
        "no noise", f"{_TRAINING}.engine",
        "noisy = self._noised(sums.gradients, drawn)", "noisy = list(sums.gradients)", "test_noise",
    ),
    Mutant(
        "noise without the clip", f"{_TRAINING}.engine",
        "self.noise.draw(size, self._noise_multiplier * self._clip)", "self.noise.draw(size, self._noise_multiplier)",
        "test_noise",
    ),
    Mutant(
        "noise 2 % too small", f"{_TRAINING}.engine",
        "self.noise.draw(size, self._noise_multiplier * self._clip)",
        "self.noise.draw(size, 0.98 * self._noise_multiplier * self._clip)", "test_noise",
    ),
    Mutant(
        "noise divided twice", f"{_TRAINING}.engine",
        "self.noise.draw(size, self._noise_multiplier * self._clip)",
        "self.noise.draw(size, self._noise_multiplier * self._clip / self._divisor)", "test_noise",
    ),
    Mutant(
        "one noise for all variables", f"{_TRAINING}.engine",
        "parts = tf.split(drawn, self._lengths)", "parts = [drawn[:length] for length in self._lengths]", "test_noise",
    ),
    Mutant(
        "one noise for all steps", f"{_TRAINING}.engine",
        "if of_steps is None else of_steps[step])", "if of_steps is None else of_steps[0])", "test_noise",
    ),
    Mutant(
        "noise on touched rows alone", f"{_TRAINING}.engine",
        "return [total + part for total, part in zip(sums, own, strict=True)]",
        "return [total + tf.where(tf.equal(total, 0.0), 0.0, part) for total, part in zip(sums, own, strict=True)]", "test_noise",
    ),
    Mutant(
        "no noise on empty batches", f"{_TRAINING}.engine",
        "noisy = self._noised(sums.gradients, drawn)",
        "noisy = tf.cond(sums.counted > 0.0, lambda: self._noised(sums.gradients, drawn), lambda: list(sums.gradients))",
        "test_training",
    ),
    Mutant(
        "noise once a chunk", f"{_TRAINING}.engine",
        "more = self._chunk_sum(records[chunk], canaries[chunk], clip, size)",
        "more = self._chunk_sum(records[chunk], canaries[chunk], clip, size)\n"
        "            more = more._replace(gradients=self._noised(more.gradients, self._drawn(self.size)))",
        "test_training",
    ),
    Mutant(
        "not a normal distribution", f"{_TRAINING}.noise",
        "radius = scale * tf.sqrt(-2.0 * tf.math.log(_uniform_31(first)))", "radius = scale * math.sqrt(2.0)", "test_noise",
    ),
    Mutant(
        "half of the circle", f"{_TRAINING}.noise",
        "radius = radius * (1.0 - 2.0 * tf.cast(low_bit, tf.float32))", "low_bit = low_bit", "test_noise",
    ),
    Mutant(
        "secure noise of half the scale", f"{_TRAINING}.noise",
        "return (total / math.sqrt(_TERMS)).astype(np.float32)", "return (total / _TERMS).astype(np.float32)", "test_noise",
    ),
    Mutant(
        "a fixed key", f"{_TRAINING}.noise",
        "self._bits = RandomBits(os.urandom(_KEY_BYTES))", "self._bits = RandomBits(bytes(_KEY_BYTES))", "test_noise",
    ),
    Mutant(
        "memory that is in use is written again", f"{_TRAINING}.noise",
        "if sys.getrefcount(block) == _REFERENCES_OF_FREE", "if True", "test_noise",
    ),
    Mutant(
        "test noise is not stamped", f"{_TRAINING}.noise",
        'self.source = "deterministic_test"', 'self.source = "os_entropy"', "test_noise",
    ),
    Mutant(
        "a tree without residuals", f"{_TRAINING}.noise",
        "residual = fresh - tf.linalg.matvec(self._nodes, before, transpose_a=True)", "residual = fresh", "test_noise",
    ),
    Mutant(
        "nodes of the last pass are used again", f"{_TRAINING}.noise",
        "        self._step.assign(0)", "        return None", "test_noise",
    ),
    Mutant(
        "an adaptive clip's count for free", f"{_PRIVACY}.parameters",
        "return float(rest**-0.5)", "return noise_multiplier", "test_parameters test_training",
    ),
    Mutant(
        "an adaptive clip's count without noise", f"{_TRAINING}.engine",
        "noise = self.noise.draw(1, adaptive.count_standard_deviation)[0]", "noise = 0.0", "test_training",
    ),
]  # fmt: skip

SAMPLING = [
    Mutant(
        "batches of one size", f"{_TRAINING}.sampling",
        "size = self._random.binomial(self.num_units, self.sampling_probability)",
        "size = round(self.num_units * self.sampling_probability)", "test_sampling",
    ),
    Mutant(
        "with replacement", f"{_TRAINING}.sampling",
        "size=size, replace=False, shuffle=False)", "size=size, replace=True, shuffle=False)", "test_sampling",
    ),
    Mutant(
        "the first ones", f"{_TRAINING}.sampling",
        "return self._random.choice(self.num_units, size=size, replace=False, shuffle=False)", "return np.arange(size)",
        "test_sampling",
    ),
    Mutant(
        "3 % more than accounted", f"{_TRAINING}.sampling",
        "size = self._random.binomial(self.num_units, self.sampling_probability)",
        "size = self._random.binomial(self.num_units, min(1.0, 1.03 * self.sampling_probability))", "test_sampling",
    ),
    Mutant(
        "a seed of our own", f"{_TRAINING}.sampling",
        'np.random.PCG64(int.from_bytes(os.urandom(32), "little"))', "np.random.PCG64(0)", "test_sampling",
    ),
    Mutant(
        "twice in a pass", f"{_TRAINING}.sampling",
        "(place + 1) * self._batch_size", "(place + 2) * self._batch_size", "test_sampling",
    ),
    Mutant(
        "what does not fit is left out", f"{_TRAINING}.batches",
        "first, rest = batch[:room], batch[room:]", "first, rest = batch[:room], batch[room:room]", "test_batches",
    ),
    Mutant(
        "the choice of a user's records is known", f"{_TRAINING}.sampling",
        "    key = os.urandom(32)\n    users", "    key = bytes(32)\n    users", "test_sampling",
    ),
    Mutant(
        "users are records", f"{_TRAINING}.mechanism",
        'if parameters.privacy_unit == "example":', "if True:", "test_training",
    ),
    Mutant(
        "the probability follows the count", f"{_PRIVACY}.parameters",
        "records = self.population if declared else population", "records = population or self.population", "test_parameters",
    ),
    Mutant(
        "divided by the private batch size", f"{_TRAINING}.engine",
        "mean = [part / self._divisor for part in noisy]",
        "mean = [part / tf.maximum(sums.counted, 1.0) for part in noisy]", "test_training",
    ),
    Mutant(
        "canaries are never drawn", f"{_TRAINING}.mechanism",
        "num_units=num_units + num_members, sampling_probability", "num_units=num_units, sampling_probability", "test_training",
    ),
]  # fmt: skip

ACCOUNTING = [
    Mutant(
        "steps are epochs", f"{_PRIVACY}.parameters",
        "else self.epochs / probability", "else self.epochs", "test_parameters",
    ),
    Mutant(
        "half the probability", f"{_PRIVACY}.parameters",
        'return {"sampling_probability": sampling_probability, "steps": steps}',
        'return {"sampling_probability": sampling_probability / 2, "steps": steps}',
        "test_accounting",
    ),
    Mutant(
        "integers are accounted as they are", f"{_PRIVACY}._validate",
        "    return float(value)", "    return value", "test_accounting test_parameters",
    ),
    Mutant(
        "another delta", f"{_PRIVACY}.accounting",
        "get_epsilon(target_delta))", "get_epsilon(10 * target_delta))", "test_accounting",
    ),
    Mutant(
        "no composition", f"{_PRIVACY}.accounting",
        "return dp_accounting.SelfComposedDpEvent(step, steps)", "return step", "test_accounting",
    ),
    Mutant(
        "a tree is one node", f"{_PRIVACY}.parameters",
        "return sum(steps.bit_length() if tree else 1 for steps in passes)", "return sum(1 for steps in passes)",
        "test_parameters",
    ),
    Mutant(
        "passes are amplified", f"{_PRIVACY}.parameters",
        'return {"sampling_probability": 1.0, "steps"', 'return {"sampling_probability": sampling_probability, "steps"',
        "test_training",
    ),
    Mutant(
        "the probability that was planned", f"{_TRAINING}.mechanism",
        "resolved.sampling_probability if drawn is None else drawn", "resolved.sampling_probability", "test_training",
    ),
    Mutant(
        "lost steps are free", f"{_TRAINING}.mechanism",
        "return self._history.executed + self._sampler.batches_drawn",
        "return self._history.completed + self._sampler.batches_drawn", "test_checkpoint",
    ),
    Mutant(
        "earlier attempts are free", f"{_TRAINING}.mechanism",
        "        self._history = history\n", "        self._history = History()\n", "test_checkpoint",
    ),
    Mutant(
        "steps are written down afterwards", f"{_TRAINING}.loop",
        "        if checkpoints:\n            checkpoints.intend(count)\n        norm = training.advance(count)\n",
        "        norm = training.advance(count)\n        if checkpoints:\n            checkpoints.intend(count)\n", "test_checkpoint",
    ),
    Mutant(
        "a resumed run begins its steps again", f"{_TRAINING}.loop",
        "    if not history.attempts:\n        return resolved.steps\n", "    return resolved.steps\n", "test_checkpoint",
    ),
    Mutant(
        "a damaged journal is a new run", f"{_TRAINING}.checkpoint",
        "        raise CheckpointError(\n            f\"{_JOURNAL} in", "        return None\n        raise CheckpointError(\n            f\"{_JOURNAL} in",
        "test_checkpoint",
    ),
    Mutant(
        "calibrated to less noise", f"{_PRIVACY}.accounting",
        "return _descend(by_pld(_MEDIUM_INTERVAL), wished.target_epsilon, nearly, slope=slope)[0]",
        "return 0.99 * _descend(by_pld(_MEDIUM_INTERVAL), wished.target_epsilon, nearly, slope=slope)[0]", "test_accounting",
    ),
]  # fmt: skip

GATE = [
    Mutant(
        "a test's noise is as good", f"{_PRIVACY}.guarantee",
        "return self.noise_source != TEST_NOISE", "return True", "test_records test_gate",
    ),
    Mutant(
        "what is stated is believed", f"{_PRIVACY}.guarantee",
        "if not guarantee.stated_epsilon >= bounds.best * (1 - 1e-6):", "if False:", "test_records test_gate",
    ),
    Mutant(
        "epsilon may be anything", f"{_PRIVACY}.gate_rules",
        "if math.isfinite(epsilon) and epsilon <= policy.max_epsilon:", "if math.isfinite(epsilon):", "test_gate",
    ),
    Mutant(
        "an infinite epsilon passes", f"{_PRIVACY}.gate_rules",
        "if math.isfinite(epsilon) and epsilon <= policy.max_epsilon:",
        "if not math.isfinite(epsilon) or epsilon <= policy.max_epsilon:", "test_gate",
    ),
    Mutant(
        "a bound that is no number passes", f"{_PRIVACY}.standing",
        "return upper if is_known(row) else 1.0", "return upper if is_known(row) else 0.5", "test_gate",
    ),
    Mutant(
        "the estimate for the upper bound", f"{_PRIVACY}.standing",
        "    upper = row.attack_auc_upper\n", "    upper = row.auc.estimate if row.auc else 1.0\n", "test_gate",
    ),
    Mutant(
        "an error in a rule passes", f"{_PRIVACY}.gate",
        "known, finding = False, Finding(False, _UNKNOWN, str(error))", "known, finding = True, Finding(True, _UNKNOWN, str(error))",
        "test_gate",
    ),
    Mutant(
        "another model's guarantee", f"{_PRIVACY}.gate_rules",
        "        if stated != digest:", "        if False:", "test_gate",
    ),
    Mutant(
        "the audit's defect is overlooked", f"{_PRIVACY}.guarantee",
        "if guarantee.audit is not None and not guarantee.audit.epsilon_lower_bound <= claimed:", "if False:",
        "test_gate",
    ),
    Mutant(
        "the audit makes no correction", f"{_PRIVACY}.audit",
        "return delta, (1.0 - confidence) / len(_GUESSED_SHARES)", "return delta, 10 * (1.0 - confidence)", "test_audit",
    ),
]  # fmt: skip

VALIDATION = [
    Mutant(
        "batch normalisation is fine", f"{_TRAINING}.validation",
        'if keras_api.is_kind_of(layer, *_MIXING) or "BatchNorm" in type(layer).__name__:', "if False:", "test_validation",
    ),
    Mutant(
        "records may mix in training", f"{_TRAINING}.validation",
        "for training in (False, True):", "for training in (False,):", "test_validation",
    ),
    Mutant(
        "records may mix", f"{_TRAINING}.validation",
        "    yield from _mixing_problems(model, _tensors(finite))\n", "", "test_validation",
    ),
    Mutant(
        "what is not finite is the same", f"{_TRAINING}.validation",
        "return all(bool(np.all(np.isfinite(output))) for output in tf.nest.flatten(outputs))", "return True", "test_validation",
    ),
    Mutant(
        "gradients that are not finite agree", f"{_TRAINING}.probe",
        "return False  # nothing was shown", "return True", "test_validation",
    ),
    Mutant(
        "statistics may be kept", f"{_TRAINING}.validation",
        "    yield from _state_problems(model, _tensors(finite))\n", "", "test_validation",
    ),
    Mutant(
        "layers may be shown data", f"{_TRAINING}.validation",
        "elif keras_api.takes_from_data(layer):", "elif False:", "test_validation",
    ),
    Mutant(
        "a train_step of one's own is ignored", f"{_TRAINING}.validation",
        "if not keras_api.is_own(_defining_class(type(model), method)):", "if False:", "test_validation",
    ),
    Mutant(
        "any optimizer will do", f"{_TRAINING}.validation",
        'if not keras_api.is_exactly(optimizer, *_OPTIMIZERS) or ".legacy." in f"{kind.__module__}.":', "if False:",
        "test_validation",
    ),
]  # fmt: skip

ATTACKS = [
    Mutant(
        "ties are wins", f"{_ATTACKS}.statistics",
        "beaten = (np.cumsum(others) - 0.5 * others) / n0", "beaten = np.cumsum(others) / n0", "test_attack_statistics",
    ),
    Mutant(
        "the others have no variance", f"{_ATTACKS}.statistics",
        "variance += float(others @ (beating - auc) ** 2) / (n0 - 1) / n0", "variance += 0.0", "test_attack_statistics",
    ),
    Mutant(
        "the rate is of members", f"{_ATTACKS}.statistics",
        "above = _above(counts.others)", "above = _above(counts.members)", "test_attack_statistics",
    ),
    Mutant(
        "the threshold is given", f"{_ATTACKS}.statistics",
        "fewest = int(stats.binom.ppf(alpha / 4, n0, false_positive_rate)) - 1",
        "fewest = math.floor(false_positive_rate * n0 + 1e-9)", "test_attack_statistics",
    ),
    Mutant(
        "the best threshold of the same records", f"{_ATTACKS}.statistics",
        "for chosen_on, measured_on in ((0, 1), (1, 0)):", "for chosen_on, measured_on in ((0, 0), (1, 1)):",
        "test_attack_statistics",
    ),
    Mutant(
        "many tests are one", f"{_ATTACKS}.multiplicity",
        "np.maximum.accumulate(values[order] * factors)", "np.maximum.accumulate(values[order])", "test_attack_statistics",
    ),
    Mutant(
        "an attacker knows its records", f"{_ATTACKS}.learned",
        "training, testing = folds != fold, folds == fold", "training, testing = folds == fold, folds == fold",
        "test_attack_rules",
    ),
    Mutant(
        "folds are independent", f"{_ATTACKS}.evaluate",
        "independent=not fitted", "independent=True", "test_attack_rules",
    ),
    Mutant(
        "any slice is large enough", f"{_ATTACKS}.evaluate",
        "if item.slice_key == _WHOLE else settings.min_slice_size", "if item.slice_key == _WHOLE else 1", "test_attack_rules",
    ),
    Mutant(
        "the control is not asked", f"{_ATTACKS}.evaluate",
        'and row.status == "OK" and not _p_value(row) > CONTROL_SIGNIFICANCE', 'and row.status == "OK" and _p_value(row) < 0.0', "test_attack_rules",
    ),
    Mutant(
        "whatever the control says is a shift", f"{_ATTACKS}.evaluate",
        'and row.status == "OK" and not _p_value(row) > CONTROL_SIGNIFICANCE', 'and row.status == "OK"', "test_attack_rules",
    ),
    Mutant(
        "no score is the lowest", f"{_ATTACKS}.tally",
        "usable = ~np.isnan(scores)\n",
        "usable, scores = np.ones(len(scores), bool), np.nan_to_num(scores, nan=-1e30)\n", "test_tally test_attack_rules",
    ),
    Mutant(
        "the sample prefers large hashes", f"{_ATTACKS}.sample",
        "order = np.argsort(hashes, kind=\"stable\")\n", "order = np.argsort(~hashes, kind=\"stable\")\n", "test_tally",
    ),
    Mutant(
        "a value's place does not matter", f"{_ATTACKS}.hashing",
        "return mixed(mixed(values.view(np.uint64)) ^ value_seeds)", "return mixed(mixed(values.view(np.uint64)) + 0 * value_seeds)",
        "test_tally",
    ),
    Mutant(
        "calibrated by models that know the record", f"{_ATTACKS}.reference",
        '"difference": difference(target[0], out)', '"difference": difference(target[0], inside)', "test_reference_attacks",
    ),
    Mutant(
        "a is chosen on the target", f"{_ATTACKS}.reference",
        "offline_a = choose_offline_a(references[1], bits)",
        "offline_a = choose_offline_a(np.column_stack([target[1], references[1][:, 1:]]), bits)", "test_reference_attacks",
    ),
    Mutant(
        "the density for the tail", f"{_ATTACKS}.reference",
        "-stats.norm.logsf((target", "-stats.norm.logpdf((target", "test_reference_attacks",
    ),
    Mutant(
        "the likelihood of being wrong", f"{_ATTACKS}.scores",
        "-np.logaddexp(0.0, -rescaled[np.arange(len(labels)), labels])",
        "-np.logaddexp(0.0, rescaled[np.arange(len(labels)), labels])", "test_heads",
    ),
    Mutant(
        "confident predictions are all alike", f"{_ATTACKS}.scores",
        "np.put_along_axis(rescaled, top, np.take_along_axis(values, top, -1) - others, -1)", "pass", "test_heads",
    ),
    Mutant(
        "the mirror image is harmless", f"{_PRIVACY}.evaluation",
        "return max(self.auc.high, 1.0 - self.auc.low)", "return self.auc.high", "test_gate_small_slices",
    ),
    Mutant(
        "the mirror image of a small slice is harmless", f"{_PRIVACY}.standing",
        "        if estimate < 0.5:\n", "        if False:\n", "test_gate_small_slices",
    ),
    Mutant(
        "a confounded slice will do", f"{_PRIVACY}.gate_attacks",
        'if row.status == "UNSUPPORTED" or (row.status == "CONFOUNDED" and row.attack in REQUIRED_ATTACKS)',
        'if row.status == "UNSUPPORTED"', "test_gate_small_slices",
    ),
    Mutant(
        "small slices leak together", f"{_PRIVACY}.gate_attacks",
        "if small and limits.bar(small[0]).jointly_within(small):", "if small:", "test_gate_small_slices",
    ),
    Mutant(
        "nothing shows on a small slice", f"{_PRIVACY}.standing",
        "return Standing.OPEN if self._strict_lower(row) <= self.limit else Standing.ABOVE",
        "return Standing.OPEN", "test_gate_small_slices",
    ),
    Mutant(
        "intervals of any confidence", f"{_PRIVACY}.gate_attacks",
        "if not record.confidence_level >= MIN_CONFIDENCE_LEVEL:", "if not record.confidence_level >= 0.0:", "test_gate",
    ),
    Mutant(
        "large slices may be pooled", f"{_PRIVACY}.gate_attacks",
        "if not record.min_slice_size <= MAX_SLICE_SIZE_POOLED:", "if not record.min_slice_size <= 10**9:", "test_gate",
    ),
    Mutant(
        "any number of records on both sides", f"{_PRIVACY}.gate_attacks",
        "record.num_overlapping <= MAX_OVERLAP * smaller", "record.num_overlapping <= smaller", "test_gate",
    ),
    Mutant(
        "the control need not have been run", f"{_PRIVACY}.gate_attacks",
        "REQUIRED_ATTACKS = (LOSS, CONTROL)", "REQUIRED_ATTACKS = (LOSS,)", "test_gate test_gate_small_slices",
    ),
    Mutant(
        "records count once for every value", f"{_PRIVACY}.gate_attacks",
        "total = max(record.num_members, sum(row.num_members for row in rows))", "total = record.num_members", "test_gate",
    ),
    Mutant(
        "every slice is small", f"{_PRIVACY}.standing",
        "min(self._deviation(row), widest) > self.limit", "max(self._deviation(row), 1.0) > self.limit",
        "test_gate_small_slices",
    ),
    Mutant(
        "the threshold is measured where it was chosen", f"{_PRIVACY}.audit",
        "shown(measured_on, thresholds[at : at + 1])", "shown(chosen_on, thresholds[at : at + 1])", "test_audit",
    ),
]  # fmt: skip

_STORE = "tfx_privacy.ledger"

LEDGER = [
    Mutant(
        "SQLite reads before it locks", f"{_STORE}.database",
        'connection.exec_driver_sql(f"BEGIN {mode}")', 'connection.exec_driver_sql("BEGIN DEFERRED")', "test_ledger_race",
    ),
    Mutant(
        "a connection crosses a fork", f"{_STORE}.database",
        "os.register_at_fork(before=_close_all)", "assert _close_all", "test_ledger_sqlite",
    ),
    Mutant(
        "a run that started is given back", f"{_STORE}.replay",
        '"abort": ("RESERVED",),', '"abort": ("RESERVED", "STARTED"),', "test_ledger",
    ),
    Mutant(
        "a run that ended is resumed", f"{_STORE}.replay",
        '"start": ("RESERVED", "STARTED"),', '"start": ("RESERVED", "STARTED", "COMMITTED", "SETTLED"),', "test_ledger",
    ),
    Mutant(
        "an earlier attempt goes on", f"{_STORE}.replay",
        "if not body.attempt > run.attempt:", "if not body.attempt >= run.attempt:", "test_ledger",
    ),
    Mutant(
        "more was executed than reserved", f"{_STORE}.replay",
        "if not executed <= planned:", "if not executed <= 2 * planned:", "test_ledger",
    ),
    Mutant(
        "one block of several is charged", f"{_STORE}.replay",
        "    for name in names:\n        block = dataset.blocks[name]", "    for name in names[:1]:\n        block = dataset.blocks[name]",
        "test_ledger",
    ),
    Mutant(
        "the log may overspend", f"{_STORE}.replay",
        "if not block.charged + body.cost <= dataset.budget:", "if not block.charged <= dataset.budget:", "test_ledger_replay",
    ),
    Mutant(
        "the log may state any cost", f"{_STORE}.replay",
        "if not _is_near(body.cost, computed):", "if not body.cost > 0:", "test_ledger_replay",
    ),
    Mutant(
        "an entry need not follow from the one before", f"{_STORE}.replay",
        "if entry.previous_hash != previous:", "if not entry.previous_hash:", "test_ledger_tampering",
    ),
    Mutant(
        "an entry's hash is not looked at", f"{_STORE}.replay",
        "if entry.hash != entry.expected_hash:", "if not entry.hash:", "test_ledger_tampering",
    ),
    Mutant(
        "the hash leaves the time out", f"{_STORE}.entries",
        'exclude={"hash"}', 'exclude={"hash", "at"}', "test_ledger_tampering",
    ),
    Mutant(
        "the tables are not held against the log", f"{_STORE}.verification",
        "if type(row[name]) is not type(value) or row[name] != value:", "if type(row[name]) is not type(value):",
        "test_ledger_tampering",
    ),
    Mutant(
        "the last unit cannot be spent", f"{_STORE}.ledger",
        "if not cost <= budgets.left(dataset, names):", "if not cost < budgets.left(dataset, names):", "test_ledger",
    ),
    Mutant(
        "the emptiest block decides", f"{_STORE}.budgets",
        "fullest = max(dataset.blocks", "fullest = min(dataset.blocks", "test_ledger",
    ),
    Mutant(
        "a repeated request is carried out again", f"{_STORE}.ledger",
        "            if before is not None:", "            if before is None and False:", "test_ledger",
    ),
    Mutant(
        "another plan under the same name is taken for the same", f"{_STORE}.ledger",
        "if not same(before.body):", "if not before.body:", "test_ledger",
    ),
    Mutant(
        "a run of another unit is charged", f"{_STORE}.ledger",
        "        if value != registered:", "        if not value:", "test_ledger",
    ),
    Mutant(
        "the anchor is read after the ledger", f"{_STORE}.anchor",
        "while end > 0:", "end = self.end()\n            while end > 0:", "test_ledger_sqlite",
    ),
    Mutant(
        "an old copy is not noticed", f"{_STORE}.anchor",
        "    if found == entry_hash:", "    if found == entry_hash or found is None:", "test_ledger_sqlite",
    ),
    Mutant(
        "a cost is rounded down", f"{_PRIVACY}.rdp_filter",
        "units = math.ceil(", "units = math.floor(", "test_ledger",
    ),
    Mutant(
        "a budget is rounded up", f"{_PRIVACY}.rdp_filter",
        "units = math.floor(_divergence(", "units = math.ceil(_divergence(", "test_ledger",
    ),
    Mutant(
        "a run of NaN noise is planned", f"{_PRIVACY}.ledger_record",
        "noise = _validate.closed_interval(MIN_NOISE_MULTIPLIER, MAX_NOISE_MULTIPLIER, noise_multiplier=noise_multiplier)",
        "noise = noise_multiplier", "test_ledger",
    ),
]  # fmt: skip

# Found by two connections to a real server, where there is one.
POSTGRESQL = [
    Mutant(
        "PostgreSQL's row is not locked", f"{_STORE}.rows",
        "statement.with_for_update() if locked else statement", "statement", "test_ledger_race",
    ),
]  # fmt: skip


def _has_postgresql() -> bool:
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
    from postgresql_server import NoServerError, program

    try:
        return bool(program("postgres"))
    except NoServerError:
        return False


_LEDGER, _RULES, _GATE = f"{_PRIVACY}.gate_ledger", f"{_PRIVACY}.gate_rules", f"{_PRIVACY}.gate"
POLICY = [
    Mutant(
        "a run of any state", _LEDGER, 'if run.state != "COMMITTED":', 'if run.state == "ABORTED":', "test_gate_rules",
    ),
    Mutant(
        "a reservation for whatever", _LEDGER, 'if run.purpose != "model":', "if False:", "test_gate_rules",
    ),
    Mutant(
        "a ledger's run of any model", _LEDGER,
        "if run.model_digest is None or run.model_digest != model_digest:", "if run.model_digest is None:", "test_gate_rules",
    ),
    Mutant(
        "a ledger's run of no model", _LEDGER,
        "if run.model_digest is None or run.model_digest != model_digest:",
        "if run.model_digest is not None and run.model_digest != model_digest:", "test_gate_rules",
    ),
    Mutant(
        "the guarantee's digest is not compared", _LEDGER,
        '        ("guarantee_digest", guarantee.facts_digest(record), run.guarantee_digest),\n', "", "test_gate_rules",
    ),
    Mutant(
        "what the ledger does not say agrees", _LEDGER,
        "if found is None or stated != found:", "if found is not None and stated != found:", "test_gate_rules",
    ),
    Mutant(
        "less noise than was reserved", _LEDGER,
        'if not executed["noise_multiplier"] >= planned["noise_multiplier"]:',
        'if not executed["noise_multiplier"] <= planned["noise_multiplier"]:', "test_gate_rules",
    ),
    Mutant(
        "other batches than were reserved", _LEDGER,
        'if executed["sampling_probability"] != planned["sampling_probability"]:',
        'if executed["sampling_probability"] > planned["sampling_probability"]:', "test_gate_rules",
    ),
    Mutant(
        "more steps than were reserved", _LEDGER,
        'mechanism.composition["steps"] <= run.planned.steps:', 'mechanism.composition["steps"] <= 2 * run.planned.steps:',
        "test_gate_rules",
    ),
    Mutant(
        "an overspent dataset", _LEDGER, "if not 0 < run.charged <= run.budget:", "if not 0 < run.charged:", "test_gate_rules",
    ),
    Mutant(
        "a run that was charged nothing", _LEDGER, "if not 0 < run.charged <= run.budget:", "if not run.charged <= run.budget:",
        "test_gate_rules",
    ),
    Mutant(
        "a spent epsilon that is NaN", _LEDGER,
        "if not (math.isfinite(run.spent_epsilon) and 0.0 <= run.spent_epsilon <= run.budget_epsilon * _ROUNDING):",
        "if run.spent_epsilon < 0.0 or run.spent_epsilon > run.budget_epsilon * _ROUNDING:", "test_gate_rules",
    ),
    Mutant(
        "a ledger that was restored from an older copy", _LEDGER,
        "if run.sequence is None or not run.sequence <= run.head_sequence:", "if run.sequence is None:", "test_gate_rules",
    ),
    Mutant(
        "a last entry that is another one", _LEDGER,
        "if run.sequence == run.head_sequence and run.entry_hash != run.head_hash:", "if False:", "test_gate_rules",
    ),
    Mutant(
        "a ledger that was not asked will do", f"{_PRIVACY}.gate_evidence",
        "        if self.ledger is None:\n            raise EvidenceError(",
        "        if self.ledger is None:\n            return None  # type: ignore\n            raise EvidenceError(",
        "test_gate_rules test_forged_evidence",
    ),
    Mutant(
        "no ledger where one is demanded", _LEDGER, 'if policy.ledger == "none":', "if True:", "test_gate_rules",
    ),
    Mutant(
        "a guarantee that keeps silent of its ledger", _LEDGER, "    if evidence.ledger is not None:\n", "    if False:\n",
        "test_gate_rules",
    ),
    Mutant(
        "a reservation that was given back counts in full", _LEDGER,
        '"COMMITTED", "SETTLED")', '"COMMITTED", "SETTLED", "ABORTED")', "test_gate_rules",
    ),
    Mutant(
        "more reference models than were reserved", _LEDGER, "if not needed <= reserved:", "if not needed <= 2 * reserved:",
        "test_gate_rules",
    ),
    Mutant(
        "reference models of another guarantee", _LEDGER, "if not committed:", "if False:", "test_gate_rules",
    ),
    Mutant(
        "one reservation counts twice", _LEDGER,
        "if len(set(position.reference_run_ids)) != len(position.reference_run_ids):", "if False:", "test_gate_rules",
    ),
    Mutant(
        "reference models' reservations of another dataset", _LEDGER,
        "if getattr(found, name) != getattr(run, name):", "if False:", "test_gate_rules",
    ),
    Mutant(
        "an invalid signature counts as none", _RULES,
        "        if isinstance(found, EvidenceError):\n            return Finding(False",
        "        if isinstance(found, EvidenceError):\n            found = None\n        if found is False:\n            return Finding(False",
        "test_gate_rules",
    ),
    Mutant(
        "one signature is enough", _RULES, "    if not unsigned:\n", "    if len(unsigned) < 2:\n", "test_gate_rules",
    ),
    Mutant(
        "signatures are never demanded", _RULES, 'if policy.signature == "optional":', "if True:", "test_gate_rules",
    ),
    Mutant(
        "anything is a key", _RULES, "elif isinstance(found, str) and found:", "elif found is not None:", "test_gate_rules",
    ),
    Mutant(
        "only the younger must be fresh", _RULES,
        "if all(age <= policy.max_age_days for age in days.values()):", "if any(age <= policy.max_age_days for age in days.values()):",
        "test_gate_rules",
    ),
    Mutant(
        "evidence of any age", _RULES,
        "if all(age <= policy.max_age_days for age in days.values()):", "if all(age >= 0 for age in days.values()):", "test_gate_rules",
    ),
    Mutant(
        "an evaluation before the guarantee", _RULES,
        'if not stated["guarantee"] <= stated["evaluation"] + _CLOCK_SKEW:', "if False:", "test_gate_rules",
    ),
    Mutant(
        "evidence from the future", _RULES, "        if not time <= now + _CLOCK_SKEW:\n", "        if False:\n", "test_gate",
    ),
    Mutant(
        "another dataset than the policy's", _RULES, "if found != wanted]", 'if found != wanted and name != "dataset_id"]',
        "test_gate_rules",
    ),
    Mutant(
        "an attack that is demanded need not be judged", f"{_PRIVACY}.gate_attacks",
        'if len(whole) == 1 and whole[0].status == "OK":', "if len(whole) == 1:", "test_gate test_gate_rules",
    ),
    Mutant(
        "a slice that is demanded need not be there", f"{_PRIVACY}.gate_attacks",
        "        if feature not in record.slice_features\n", "        if False\n", "test_gate_rules",
    ),
    Mutant(
        "a second output of another task", f"{_PRIVACY}.gate_attacks", "    if found == wanted:\n", "    if found >= wanted:\n",
        "test_gate_rules",
    ),
    Mutant(
        "rows of more records than were read", f"{_PRIVACY}.gate_attacks",
        "and 0 < row.num_nonmembers <= record.num_nonmembers):", "and True):", "test_forged_evidence",
    ),
    Mutant(
        "a named slice is judged in the mean of others", f"{_PRIVACY}.slice_limits",
        "return own is not None and own.value is not None", "return False", "test_gate_rules",
    ),
    Mutant(
        "a feature's limit before its slice's", f"{_PRIVACY}.slice_limits",
        "next(iter([*of_value, *of_feature]), None)", "next(iter([*of_feature, *of_value]), None)", "test_gate_rules",
    ),
    Mutant(
        "a stricter limit on what nobody judged", f"{_PRIVACY}.slice_limits",
        "if not self._is_judged(limit, judged) and self._is_stricter(limit)", "if False", "test_gate_rules",
    ),
    Mutant(
        "a looser limit for every slice", f"{_PRIVACY}.slice_limits",
        "[limit for limit in found if limit.value == row.slice_value]", "[limit for limit in found if limit.value is not None]",
        "test_gate_rules",
    ),
    Mutant(
        "one end of an interval may be NaN", f"{_PRIVACY}.standing",
        "(row.auc.low, row.auc.estimate, row.auc.high))", "(row.auc.estimate, row.auc.high))", "test_forged_evidence",
    ),
    Mutant(
        "an exception without an end", _GATE, "    if not now < ends:\n", "    if False:\n", "test_gate_rules",
    ),
    Mutant(
        "an exception for ever", _GATE, "    if not ends - now <= MAX_EXCEPTION:\n", "    if False:\n", "test_gate_rules",
    ),
    Mutant(
        "an exception for any rule", _GATE, "        if exception.rule != rule:\n", "        if False:\n", "test_gate_rules",
    ),
    Mutant(
        "an exception for any failure", _GATE,
        "if exception.rule not in get_args(ExcusableRule) or finding.excusable is not True:",
        "if exception.rule not in get_args(ExcusableRule):", "test_forged_evidence",
    ),
    Mutant(
        "an exception for any model", _GATE,
        "if exception.model_digest is not None and exception.model_digest != evidence.model_digest:", "if False:", "test_gate_rules",
    ),
    Mutant(
        "an exception by nobody", _GATE, "if not (exception.approver.strip() and exception.reason.strip()):", "if False:",
        "test_gate_rules",
    ),
    Mutant(
        "an exception for what is unknown", _GATE,
        'return self.status == "passed" or (self.status == "failed" and self.exception is not None)',
        'return self.status == "passed" or self.exception is not None', "test_gate_rules",
    ),
    Mutant(
        "what is unknown passes", _GATE,
        'return self.status == "passed" or (self.status == "failed" and self.exception is not None)',
        'return self.status != "failed" or self.exception is not None', "test_gate",
    ),
    Mutant(
        "an excused rule counts as passed", _GATE,
        "if rule.passed is not True and rule.holds is True)", "if False)", "test_gate_rules",
    ),
    Mutant(
        "an epsilon that is NaN is above the limit", _RULES,
        "    is_above = epsilon > policy.max_epsilon\n", "    is_above = not epsilon <= policy.max_epsilon\n", "test_gate_rules",
    ),
    Mutant(
        "a delta that is NaN is above the limit", _RULES,
        "excusable=delta > policy.max_delta,", "excusable=not delta <= policy.max_delta,", "test_gate_rules",
    ),
    Mutant(
        "a bound that is NaN is above the limit", f"{_PRIVACY}.gate_attacks",
        "standing.is_known(row) and row.attack_auc_upper > limits.limit(row) for row in refusing", "True for row in refusing",
        "test_gate_rules",
    ),
    Mutant(
        "the last of two keys counts", f"{_PRIVACY}.policy", "            if key.value in seen:\n", "            if False:\n", "test_policy",
    ),
    Mutant(
        "aliases", f"{_PRIVACY}.policy",
        'if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:', "if False:", "test_policy",
    ),
    Mutant(
        "tags", f"{_PRIVACY}.policy", 'if getattr(event, "tag", None) is not None:', "if False:", "test_policy",
    ),
    Mutant(
        "an empty policy", f"{_PRIVACY}.policy",
        'if "schema_version" not in document:', 'if False:', "test_policy",
    ),
    Mutant(
        "a file need not demand a ledger", f"{_PRIVACY}.policy",
        '{"ledger": "required", **document}', '{"ledger": "none", **document}', "test_policy",
    ),
    Mutant(
        "an exception by a blank", f"{_PRIVACY}.policy", r'pattern=r"\S")]', r'pattern=r"\s*")]', "test_policy",
    ),
]  # fmt: skip

PLANNING = [
    Mutant(
        "calibrated noise is shortened", f"{_PRIVACY}.planning", "    if rounded >= value:\n", "    if True:\n", "test_planning",
    ),
    Mutant(
        "what is shown is not what is accounted", f"{_PRIVACY}.planning",
        "noise = rounded_up(calibrated)", "noise = calibrated", "test_planning",
    ),
    Mutant(
        "passes are amplified", f"{_PRIVACY}.planning",
        "PlannedRun.of(noise_multiplier=noise, **resolved.composition)",
        "PlannedRun.of(noise_multiplier=noise, sampling_probability=resolved.sampling_probability, steps=resolved.steps)",
        "test_planning",
    ),
    Mutant(
        "a run that almost fits is allowed", f"{_PRIVACY}.planning",
        "max(0, left_units) // rdp_filter", "1 + max(0, left_units) // rdp_filter", "test_planning",
    ),
    Mutant(
        "a delta of one record is suggested", f"{_PRIVACY}.planning",
        "len(str(10 * population - 1))", "len(str(population - 1))", "test_planning",
    ),
]  # fmt: skip

SIGNING = [
    Mutant(
        "the signature chooses the algorithm", f"{_PRIVACY}.signing",
        "    if signature.algorithm != key.algorithm:\n",
        "    key = dataclasses.replace(key, algorithm=signature.algorithm)\n    if False:\n", "test_signing",
    ),
    Mutant("the type is not signed", f"{_PRIVACY}.signing", "% (len(kind), kind, len", "% (0, b\"\", len", "test_signing"),
    Mutant(
        "type and payload without their lengths", f"{_PRIVACY}.signing",
        'b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)', 'b"DSSEv1 %s %s" % (kind, payload)',
        "test_signing",
    ),
    Mutant("any signature holds", f"{_PRIVACY}.signing", "payload_type)) is not True:", "payload_type)) is None:", "test_signing"),
    Mutant(
        "the beginning of a MAC will do", f"{_PRIVACY}.signing",
        'hmac.compare_digest(hmac.digest(self.material, message, "sha256"), signature)',
        'hmac.digest(self.material, message, "sha256").startswith(signature)', "test_signing",
    ),
    Mutant("a short secret", f"{_PRIVACY}.signing", "not len(content) >= MIN_HMAC_BYTES", "not len(content) >= 16", "test_signing"),
    Mutant("a placeholder for a key", f"{_PRIVACY}.signing", "if len(set(content)) == 1:", "if len(set(content)) < 1:", "test_signing"),
    Mutant(
        "a signature of several texts", f"{_PRIVACY}.signing",
        "return raw if base64.b64encode(raw).decode() == text else None", "return raw", "test_signing",
    ),
    Mutant("a key id twice", f"{_PRIVACY}.signing", "if key.key_id in self._keys:", "if key.key_id == \"\":", "test_signing"),
    Mutant("one key under two ids", f"{_PRIVACY}.signing", "if key.material in contents:", "if False:", "test_signing"),
    Mutant(
        "a secret in a representation", f"{_PRIVACY}.signing",
        "    secret: bytes = dataclasses.field(repr=False)", "    secret: bytes", "test_signing",
    ),
    Mutant(
        "a secret in a message", f"{_PRIVACY}.signing",
        "it has {len(parts)} parts between colons", "it has {parts} between colons", "test_signing",
    ),
    Mutant(
        "the verdict of another model", f"{_PRIVACY}.verdict_record",
        "if self.model_digest != model_digest:", "if self.model_digest is None:", "test_signing",
    ),
    Mutant(
        "a verdict of any age", f"{_PRIVACY}.verdict_record",
        "if -CLOCK_SKEW <= age <= max_age:", "if -CLOCK_SKEW <= age:", "test_signing",
    ),
    Mutant(
        "a verdict of the future", f"{_PRIVACY}.verdict_record",
        "if -CLOCK_SKEW <= age <= max_age:", "if age <= max_age:", "test_signing",
    ),
    Mutant(
        "a refusing verdict", f"{_PRIVACY}.verdict_record",
        "if self.blessed is not True:", "if self.blessed is None:", "test_signing",
    ),
]  # fmt: skip

KUBEFLOW = [
    Mutant(
        "a blessing that does not arrive", f"{_PIPELINES}.container",
        "in _BLESSING_TITLES and not arrived:", "in _BLESSING_TITLES and arrived is None:", "test_container_entrypoint",
    ),
    Mutant(
        "an empty verdict is a marker", f"{_PIPELINES}.container",
        "of_model = name in _SAVED_MODEL_FOLDERS and _SAVED_MODEL in names", "of_model = True", "test_container_entrypoint",
    ),
    Mutant(
        "a blessing's model stays remote", f"{_PIPELINES}.container",
        'artifact["metadata"] = _mapped(artifact.get("metadata", {}), mirrors.local)',
        'artifact["metadata"] = dict(artifact.get("metadata", {}))', "test_container_entrypoint",
    ),
    Mutant(
        "a step starts without its ledger", f"{_PIPELINES}.container",
        'if not environ.get(name, "").strip():', "if False:", "test_container_entrypoint",
    ),
    Mutant(
        "every step gets every secret", f"{_PIPELINES}.ir_runner.launcher",
        "for variable in self.compiled.secrets_of(name)}", "for variable in self.compiled.secret_variables()}", "test_run_ir",
    ),
    Mutant(
        "a condition that does not hold", f"{_PIPELINES}.ir_runner.launcher",
        "if condition and not conditions.holds(", "if condition and conditions.holds(", "test_run_ir",
    ),
    Mutant(
        "artifacts arrive with their type", f"{_PIPELINES}.ir_runner.launcher",
        'kind = {"instanceSchema": ""} if self.compiled.mirrored else', "kind =", "test_run_ir",
    ),
]  # fmt: skip

MIGRATION = [
    Mutant(
        "the proposed reader repeats records", f"{_MIGRATION}.reading",
        'edits.append(Edit(module.source.end(call.func.value), module.source.end(call), ""))', "pass", "test_migrate",
    ),
    Mutant(
        "the proposed reader cycles for ever", f"{_MIGRATION}.reading",
        "edits += _with_one_epoch(module, call)", "pass", "test_migrate",
    ),
    Mutant(
        "adapt() is moved into model_fn", f"{_MIGRATION}.model",
        'return last == "adapt" or last in LOGGING', "return last in LOGGING", "test_migrate",
    ),
    Mutant(
        "what comes from the examples is not named", f"{_MIGRATION}.run_fn",
        "found |= slicing.binds(statement)\n        return found - {self.model}", "pass\n        return found", "test_migrate",
    ),
    Mutant(
        "a statement vanishes in silence", f"{_MIGRATION}.proposal",
        'draft.ask(statement, f"left out, because', 'print(f"left out, because', "test_migrate",
    ),
]  # fmt: skip

REPORT = [
    Mutant(
        "a report that was turned is read", f"{_PRIVACY}.report_facts",
        "if self.blessed is not (bool(self.rules) and all(rule.holds for rule in self.rules)):",
        "if not isinstance(self.blessed, bool):", "test_report_facts",
    ),
    Mutant(
        "an epsilon that was not established is claimed", f"{_PRIVACY}.report_facts",
        'is_established = epsilon is not None and epsilon.status != "unknown"', "is_established = epsilon is not None",
        "test_report_facts",
    ),
    Mutant(
        "the first row is the strongest attack", f"{_PRIVACY}.report_facts",
        "by_standing[Standing.WITHIN] or rows, key=standing.upper_bound)", "by_standing[Standing.WITHIN] or rows, key=lambda row: 0)", "test_report_facts",
    ),
    Mutant(
        "mu is of the last run alone", f"{_PRIVACY}.report_facts",
        "record.stated_epsilon <= spent[-1].epsilon * _GRID", "True", "test_report_facts",
    ),
    Mutant(
        "what was not covered is covered", f"{_PRIVACY}.report_checklist",
        'covered="yes" if item.covered else "no"', 'covered="yes"', "test_report_facts",
    ),
    Mutant(
        "mu covers a part of the profile", f"{_PRIVACY}.gaussian_dp",
        "if np.all(deltas <= profile(middle, epsilons)):", "if np.any(deltas <= profile(middle, epsilons)):", "test_gaussian_dp",
    ),
    Mutant(
        "the error of fit is too small", f"{_PRIVACY}.gaussian_dp",
        "/ (1.0 + np.exp(np.minimum(epsilons, 700.0))))", "/ (1.0 + np.exp(np.minimum(2 * epsilons, 700.0))) / 2)", "test_gaussian_dp",
    ),
    Mutant(
        "a file is written over", "tfx_privacy.commands.report",
        'output.open("x", encoding="utf-8")', 'output.open("w", encoding="utf-8")', "test_report_command",
    ),
    Mutant(
        "a report commands the terminal", "tfx_privacy.commands.report",
        "sign if sign.isprintable() else", "sign if sign else", "test_report_command",
    ),
]  # fmt: skip

BASE_MODELS = [
    Mutant(
        "the base model costs nothing", f"{_PRIVACY}.guarantee",
        "    if base_model is None or not base_model.is_private:\n        if isinstance(mechanism", "    if True:\n        if isinstance(mechanism",
        "test_base_model_rules",
    ),
    Mutant(
        "only the last base model counts", f"{_PRIVACY}.warm_start",
        "trainings=[*earlier, record.mechanism],", "trainings=[record.mechanism],", "test_base_model_rules",
    ),
    Mutant(
        "trainings on other terms are added up", f"{_PRIVACY}.guarantee",
        "if terms != (neighboring_relation, privacy_unit):", "if False:", "test_base_model_rules",
    ),
    Mutant(
        "a base model's relation is believed", f"{_PRIVACY}.guarantee",
        "if RELATION_OF_SAMPLING[training.sampling] != neighboring_relation:", "if False:", "test_base_model_rules",
    ),
    Mutant(
        "another model's guarantee will do", f"{_PRIVACY}.warm_start",
        "for record, signed_by in records if record.model_digest == model_digest]", "for record, signed_by in records]",
        "test_base_model_rules",
    ),
    Mutant(
        "a base guarantee is believed", f"{_PRIVACY}.warm_start",
        "    guarantee.recomputed_epsilon(record)\n", "", "test_base_model_rules",
    ),
    Mutant(
        "a base model without privacy is a start", f"{_PRIVACY}.warm_start",
        'if any(training.kind == "none" or not training.is_private for training in base.trainings):', "if False:",
        "test_base_model_rules",
    ),
    Mutant(
        "what the base model was not covered for is forgotten", f"{_PRIVACY}.warm_start",
        "return [added, *(_inherited(item) for item in record.scope if not item.covered)]", "return [added]", "test_base_model_rules",
    ),
    Mutant(
        "the ledger forgets the base model", f"{_PRIVACY}.guarantee",
        "    if guarantee.base_model is None:\n        del facts", "    if True:\n        del facts", "test_base_model_rules",
    ),
    Mutant(
        "a base model outside the ledger", f"{_PRIVACY}.gate_ledger",
        "base.is_private and base.ledger_id != position.ledger_id:", "base.is_private and False:", "test_base_model_rules",
    ),
    Mutant(
        "an unsigned base guarantee", f"{_PRIVACY}.gate_rules",
        "return record.base_model.is_private and not record.base_model.signed_by", "return False", "test_base_model_rules",
    ),
    Mutant(
        "preprocessing's allowance is for tuning too", f"{_PRIVACY}.gate_rules",
        '(policy.allow_non_dp_preprocessing, ("transform_graph", "schema")),',
        '(policy.allow_non_dp_preprocessing, ("transform_graph", "schema", "hyperparameters")),', "test_base_model_rules",
    ),
    Mutant(
        "one allowed item allows all", f"{_PRIVACY}.gate_rules",
        "if all(item.artifact in allowed for item in uncovered):", "if any(item.artifact in allowed for item in uncovered):",
        "test_base_model_rules",
    ),
    Mutant(
        "references begin from a private model", f"{_PRIVACY}.guarantee",
        "if self.references is not None and self.base_model is not None and self.base_model.is_private:", "if False:",
        "test_base_model_rules",
    ),
]  # fmt: skip

INPUTS = [
    Mutant(
        "the true share of clipped units is told", f"{_TRAINING}.engine",
        "self._share.assign(share)", "self._share.assign((within - 0.5 * present) / self._divisor + 0.5)", "test_training",
    ),
    Mutant(
        "weights count for nothing", f"{_TRAINING}.batches",
        "counts[: self.blank] *= data.weights", "pass", "test_variable_length",
    ),
    Mutant(
        "negative weights", f"{_TRAINING}.data",
        "if not (np.isfinite(flat).all() and (flat >= 0).all()):", "if False:", "test_variable_length",
    ),
    Mutant(
        "padding reaches the model", f"{_TRAINING}.keras_api",
        "filled = tf.where(tf.sequence_mask(column.lengths, width))", "filled = tf.where(tf.fill((values.shape[0], width), True))",
        "test_variable_length",
    ),
    Mutant(
        "outputs count alike", f"{_TRAINING}.clipping",
        "[head.weight * self._of_head(", "[1.0 * self._of_head(", "test_variable_length",
    ),
]  # fmt: skip

MUTANTS = [
    *CLIPPING, *NOISE, *SAMPLING, *ACCOUNTING, *GATE, *POLICY, *VALIDATION, *ATTACKS, *PLANNING, *SIGNING, *LEDGER, *KUBEFLOW,
    *MIGRATION, *REPORT, *BASE_MODELS, *INPUTS,
    *(POSTGRESQL if _has_postgresql() else []),
]  # fmt: skip
