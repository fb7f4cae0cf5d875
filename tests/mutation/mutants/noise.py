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
        "parts = tf.split(drawn, self._lengths)", "parts = [drawn[:length] for length in self._lengths]",
        "test_noise::test_variables_do_not_share_their_noise",
    ),
    Mutant(
        "one noise for all steps", "PrivateStep._steps.one", "of_steps[step]", "of_steps[0]",
        "test_noise::test_the_noise_of_successive_steps_adds_up",
    ),
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
        "test_training::test_the_chunk_size_changes_nothing",
    ),
    Mutant(
        "not a normal distribution", "_box_muller",
        "radius = scale * tf.sqrt(2.0 * _exponential(first))", "radius = scale * math.sqrt(2.0)", "test_noise",
    ),
    Mutant(
        "half of the circle", "_box_muller",
        "radius = radius * (1.0 - 2.0 * tf.cast(low_bit, tf.float32))", "low_bit = low_bit", "test_noise",
    ),
    Mutant(
        "secure noise of half the scale", "SumOfFour._sums",
        "return (total / math.sqrt(_TERMS)).astype(np.float32)", "return (total / _TERMS).astype(np.float32)",
        "test_noise",
    ),
    Mutant(
        "a fixed key", "RandomBits.of_system",
        "cls(os.urandom(_KEY_BYTES), secret=True)", "cls(bytes(_KEY_BYTES), secret=True)",
        "test_noise::test_no_seed_of_anybody_repeats_the_noise",
    ),
    Mutant(
        "memory that is in use is written again", "RandomBits._room",
        "sys.getrefcount(block) == _REFERENCES_OF_FREE", "True", "test_noise",
    ),
    Mutant(
        "test noise is not stamped", "RandomBits.of_seed",
        "cls(hashlib.sha256(str(seed).encode()).digest())", "cls(hashlib.sha256(str(seed).encode()).digest(), secret=True)",
        "test_noise::test_the_source_is_named",
    ),
    Mutant(
        "a test's noise under another name", "GaussianNoise.source",
        'self._method.source if self._bits.secret else "deterministic_test"', "self._method.source",
        "test_noise::test_the_source_is_named",
    ),
    Mutant(
        "secure noise is not", "GaussianNoise.__init__",
        "SumOfFour(self._bits) if secure else BoxMuller(self._bits)", "BoxMuller(self._bits)", "test_noise_tails",
    ),
    Mutant(
        "secure noise is stamped, and not drawn", "SumOfFour.draw",
        "drawn = tf.numpy_function(lambda count: self._sums(int(count)), [size], tf.float32)",
        "return BoxMuller(self._bits).draw(size, standard_deviation)", "test_noise_tails",
    ),
    Mutant(
        "secure noise of one term", "SumOfFour._sums",
        "for _ in range(_TERMS): ...", "total += math.sqrt(_TERMS) * self.terms(size)",
        "test_noise_tails::test_the_source_that_is_stamped_is_the_one_that_drew",
    ),
    Mutant(
        "one further word of tails is used", "_further_exponentials",
        "(words * _WEIGHTS).sum(axis=1)", "(words * _WEIGHTS)[:, 0]", "test_noise_tails",
    ),
    Mutant(
        "tails are folded back", "BoxMuller._words",
        "found = _further_exponentials(self._bits, len(tails)).astype(np.float32)",
        "found = (_further_exponentials(self._bits, len(tails)) % 22.0 + 7.7).astype(np.float32)", "test_noise_tails",
    ),
    Mutant(
        "tails end at 6.7 standard deviations", "BoxMuller._words",
        "found = _further_exponentials(self._bits, len(tails)).astype(np.float32)",
        "found = np.minimum(_further_exponentials(self._bits, len(tails)), 22.2).astype(np.float32)",
        "test_noise_tails",
    ),
    Mutant(
        "tails of the kernel's own words", "_exponential",
        "tf.where(in_tail, held, rest - tf.math.log(uniform))", "rest - tf.math.log(uniform)", "test_noise_tails",
    ),
    Mutant(
        "secure noise without further words", "SumOfFour._exponentials",
        "found[tails] = _further_exponentials(self._bits, len(tails))", "", "test_noise_tails",
    ),
    Mutant(
        "no noise on variables of rank 3 and more", "PrivateStep._noised",
        "return [total + part for total, part in zip(sums, own, strict=True)]",
        "return [total + part if len(part.shape) < 3 else total for total, part in zip(sums, own, strict=True)]",
        "test_noise",
    ),
    Mutant(
        "what the noise does not reach is free", "_account",
        "left = noise_tails.delta_left(event, target_delta=target_delta)", "left = target_delta", "test_reach_of_noise",
    ),
    Mutant(
        "delta is used up and more", "delta_left",
        "if not taken < target_delta: ...", "", "test_reach_of_noise",
    ),
    Mutant(
        "several runs lose what the first does", "lost",
        'parts(event)', 'parts(event)[:1]', "test_reach_of_noise",
    ),
    Mutant(
        "neighbors are as far from the reach as one coordinate of the noise", "_beyond",
        "margin = max(0.0, REACH - math.sqrt(2.0) / noise_multiplier)", "margin = REACH", "test_reach_of_noise",
    ),
    Mutant(
        "a trade-off curve of noise without end", "_profile",
        "pld_round_off(event) + noise_tails.lost(event)", "pld_round_off(event)", "test_reach_of_noise",
    ),
    Mutant(
        "a tree without residuals", "TreeNoise.draw",
        "residual = fresh - tf.linalg.matvec(self._nodes, before, transpose_a=True)", "residual = fresh",
        "test_noise::test_a_tree_s_sums_have_the_noise_of_its_nodes",
    ),
    Mutant(
        "nodes of the last pass are used again", "TreeNoise.restart",
        "self._step.assign(0)", "return None", "test_noise::test_a_tree_s_sums_have_the_noise_of_its_nodes",
    ),
    Mutant(
        "an adaptive clip's count for free", "ResolvedParameters.sum_noise_multiplier",
        "return float(rest**-0.5)", "return noise_multiplier", "test_parameters test_training",
    ),
    Mutant(
        "an adaptive clip's count without noise", "PrivateStep._adapt",
        "noise = self.noise.draw(1, adaptive.count_standard_deviation)[0]", "noise = 0.0",
        "test_training::test_the_count_within_an_adaptive_clip_is_noised",
    ),
    Mutant(
        "the norm that is told is without noise", "PrivateStep._apply",
        "return mean", "return [part / self._divisor for part in sums.gradients]", "test_real_steps",
    ),
    Mutant(
        "a tree goes on in the next pass", "PrivateMechanism._count_pass",
        "self._sampler.pass_ended", "False", "test_real_steps",
    ),
    Mutant(
        "two devices add half of the noise", "PrivateStep._drawn",
        "self.noise.draw(size, self._noise_multiplier * self._clip)",
        "self.noise.draw(size, self._noise_multiplier * self._clip / self._replicas)",
        "test_real_steps::test_two_devices_count_every_record_once",
    ),
    Mutant(
        "two devices add the noise twice", "PrivateStep._drawn",
        "self.noise.draw(size, self._noise_multiplier * self._clip)",
        "self.noise.draw(size, self._noise_multiplier * self._clip * self._replicas**0.5)",
        "test_real_steps::test_two_devices_count_every_record_once",
    ),
    Mutant(
        "an adaptive clip that is no number any more", "PrivateStep._adapt",
        "tf.clip_by_value(moved, *self._clip_range)", "moved", "test_real_steps::test_an_adaptive_clip_stays_a_number",
    ),
]  # fmt: skip
