"""Bugs in the noise: how much, from where, and to what it is added."""

from __future__ import annotations

from mutants.mutant import Mutant

NOISE = [
    Mutant(
        "no noise", "PrivateStep._apply",
        "noisy = self._noised(sums.gradients, drawn)", "noisy = list(sums.gradients)", "test_noise",
    ),
    Mutant(
        "noise without the clip", "PrivateStep._drawn",
        "self.noise.draw(size, self._noise_multiplier * self._clip)", "self.noise.draw(size, self._noise_multiplier)",
        "test_noise",
    ),
    Mutant(
        "noise 2 % too small", "PrivateStep._drawn",
        "self.noise.draw(size, self._noise_multiplier * self._clip)",
        "self.noise.draw(size, 0.98 * self._noise_multiplier * self._clip)", "test_noise",
    ),
    Mutant(
        "noise divided twice", "PrivateStep._drawn",
        "self.noise.draw(size, self._noise_multiplier * self._clip)",
        "self.noise.draw(size, self._noise_multiplier * self._clip / self._divisor)", "test_noise",
    ),
    Mutant(
        "one noise for all variables", "PrivateStep._noised",
        "parts = tf.split(drawn, self._lengths)", "parts = [drawn[:length] for length in self._lengths]", "test_noise",
    ),
    Mutant("one noise for all steps", "PrivateStep._steps.one", "of_steps[step]", "of_steps[0]", "test_noise"),
    Mutant(
        "noise on touched rows alone", "PrivateStep._noised",
        "return [total + part for total, part in zip(sums, own, strict=True)]",
        "return [total + tf.where(tf.equal(total, 0.0), 0.0, part) for total, part in zip(sums, own, strict=True)]",
        "test_noise",
    ),
    Mutant(
        "no noise on empty batches", "PrivateStep._apply",
        "noisy = self._noised(sums.gradients, drawn)",
        "noisy = tf.cond(sums.counted > 0.0, lambda: self._noised(sums.gradients, drawn), lambda:"
        " list(sums.gradients))",
        "test_training",
    ),
    Mutant(
        "noise once a chunk", "PrivateStep._added.add",
        "more = self._chunk_sum(records[chunk], canaries[chunk], clip, size)",
        """
        more = self._chunk_sum(records[chunk], canaries[chunk], clip, size)
        more = more._replace(gradients=self._noised(more.gradients, self._drawn(self.size)))
        """,
        "test_training",
    ),
    Mutant(
        "not a normal distribution", "_box_muller",
        "radius = scale * tf.sqrt(-2.0 * tf.math.log(_uniform_31(first)))", "radius = scale * math.sqrt(2.0)",
        "test_noise",
    ),
    Mutant(
        "half of the circle", "_box_muller",
        "radius = radius * (1.0 - 2.0 * tf.cast(low_bit, tf.float32))", "low_bit = low_bit", "test_noise",
    ),
    Mutant(
        "secure noise of half the scale", "GaussianNoise._sum_of_four",
        "return (total / math.sqrt(_TERMS)).astype(np.float32)", "return (total / _TERMS).astype(np.float32)",
        "test_noise",
    ),
    Mutant(
        "a fixed key", "GaussianNoise.__init__",
        "self._bits = RandomBits(os.urandom(_KEY_BYTES))", "self._bits = RandomBits(bytes(_KEY_BYTES))", "test_noise",
    ),
    Mutant(
        "memory that is in use is written again", "RandomBits._room",
        "sys.getrefcount(block) == _REFERENCES_OF_FREE", "True", "test_noise",
    ),
    Mutant(
        "test noise is not stamped", "GaussianNoise.__init__",
        'self.source = "deterministic_test"', 'self.source = "os_entropy"', "test_noise",
    ),
    Mutant(
        "a tree without residuals", "TreeNoise.draw",
        "residual = fresh - tf.linalg.matvec(self._nodes, before, transpose_a=True)", "residual = fresh", "test_noise",
    ),
    Mutant(
        "nodes of the last pass are used again", "TreeNoise.restart",
        "self._step.assign(0)", "return None", "test_noise",
    ),
    Mutant(
        "an adaptive clip's count for free", "ResolvedParameters.sum_noise_multiplier",
        "return float(rest**-0.5)", "return noise_multiplier", "test_parameters test_training",
    ),
    Mutant(
        "an adaptive clip's count without noise", "PrivateStep._adapt",
        "noise = self.noise.draw(1, adaptive.count_standard_deviation)[0]", "noise = 0.0", "test_training",
    ),
]  # fmt: skip
