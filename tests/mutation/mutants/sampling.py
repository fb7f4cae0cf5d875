"""Bugs in how batches are drawn."""

from __future__ import annotations

from mutants.mutant import Mutant

SAMPLING = [
    Mutant(
        "batches of one size", "PoissonSampler.draw",
        "return np.delete(drawn, undecided[above])",
        "return np.argsort(self._bits.long(self.num_units))[: round(self.num_units * self.sampling_probability)]",
        "test_sampling",
    ),
    Mutant(
        "with replacement", "PoissonSampler.draw",
        "return np.delete(drawn, undecided[above])",
        """
        chosen = np.delete(drawn, undecided[above])
        return self._bits(len(chosen)) % self.num_units
        """,
        "test_sampling",
    ),
    Mutant(
        "the first ones", "PoissonSampler.draw",
        "return np.delete(drawn, undecided[above])", "return np.arange(len(np.delete(drawn, undecided[above])))",
        "test_sampling",
    ),
    Mutant(
        "3 % more than accounted", "PoissonSampler.__init__",
        "math.ldexp(self.sampling_probability, 64)", "math.ldexp(min(1.0, 1.03 * self.sampling_probability), 64)",
        "test_sampling",
    ),
    Mutant(
        "eight bits of the probability", "PoissonSampler.draw",
        "return np.delete(drawn, undecided[above])", "return drawn", "test_sampling",
    ),
    Mutant(
        "one part in 2^64 more than accounted", "PoissonSampler.draw",
        "(self._bits.long(len(undecided)) >> np.uint64(8)) >= np.uint64(rest)",
        "(self._bits.long(len(undecided)) >> np.uint64(8)) > np.uint64(rest)", "test_sampling",
    ),
    Mutant(
        "batches from NumPy's generator", "PoissonSampler.draw",
        "return np.delete(drawn, undecided[above])",
        "return np.flatnonzero(np.random.default_rng().random(self.num_units) < self.sampling_probability)",
        "test_sampling",
    ),
    Mutant(
        "passes from NumPy's generator", "ShuffledPasses.draw",
        "np.argsort(self._bits.long(self.num_units))", "np.random.default_rng().permutation(self.num_units)",
        "test_sampling",
    ),
    Mutant(
        "twice in a pass", "ShuffledPasses.draw",
        "(place + 1) * self._batch_size", "(place + 2) * self._batch_size", "test_sampling",
    ),
    Mutant(
        "what does not fit is left out", "Layout.cut",
        "first, rest = batch[:room], batch[room:]", "first, rest = batch[:room], batch[room:room]", "test_batches",
    ),
    Mutant(
        "the choice of a user's records is known", "records_of_users",
        "key = os.urandom(32)", "key = bytes(32)", "test_sampling",
    ),
    Mutant(
        "users are records", "PrivateMechanism._units",
        'parameters.privacy_unit == "example"', "True", "test_training",
    ),
    Mutant(
        "the probability follows the count", "DPParameters.resolve",
        "records = self.population if declared else population", "records = population or self.population",
        "test_parameters",
    ),
    Mutant(
        "divided by the private batch size", "PrivateStep._apply",
        "mean = [part / self._divisor for part in noisy]",
        "mean = [part / tf.maximum(sums.counted, 1.0) for part in noisy]",
        "test_training::test_one_step_against_the_formula",
    ),
    Mutant(
        "canaries are never drawn", "PrivateMechanism._make_sampler",
        "num_units=num_units + num_members", "num_units=num_units",
        "test_training::test_canaries_are_drawn_clipped_and_noised_like_records",
    ),
    Mutant(
        "one batch for all steps of a call", "PrivateStep.run",
        "cuts = [self._layout.cut(batch) for batch in batches]",
        "cuts = [self._layout.cut(batches[0]) for batch in batches]", "test_real_steps",
    ),
    Mutant(
        "one draw for all steps of a call", "PrivateMechanism.advance",
        "batches = [self._draw() for _ in range(steps)]", "batches = [self._draw()] * steps", "test_real_steps",
    ),
    Mutant(
        "the first large chunk for all steps", "PrivateStep._steps.one",
        "large[step]", "large[0]", "test_real_steps",
    ),
    Mutant(
        "small chunks of all steps so far", "PrivateStep._steps.one", "ends[step]", "ends[0]", "test_real_steps",
    ),
    Mutant(
        "broken-off passes are joined in what is stated", "PrivateMechanism._all_passes",
        "[part for steps in self._history.attempts for part in self._resolved.passes(steps)]",
        "self._resolved.passes(self._history.executed)",
        "test_real_steps::test_two_passes_that_were_broken_off_are_two",
    ),
    Mutant(
        "broken-off passes are joined in what is left", "ResolvedParameters.compositions_of",
        "[part for steps in attempts for part in self.passes(steps)]", "self.passes(sum(attempts))",
        "test_real_steps::test_two_passes_that_were_broken_off_are_two",
    ),
    Mutant(
        "an audit's coins are the same in every run", "PrivateMechanism._flip_coins",
        "np.frombuffer(secrets.token_bytes(num_canaries), np.uint8)",
        "np.frombuffer(np.random.default_rng(0).bytes(num_canaries), np.uint8)",
        "test_real_steps::test_the_coins_of_an_audit_are_fresh_and_fair",
    ),
    Mutant(
        "two devices count one half twice", "PrivateStep._chunk_sum.of_replica",
        "start = tf.distribute.get_replica_context().replica_id_in_sync_group * each", "start = 0",
        "test_real_steps::test_two_devices_count_every_record_once",
    ),
    Mutant(
        "the mean over devices", "PrivateStep._chunk_sum",
        "tf.distribute.ReduceOp.SUM", "tf.distribute.ReduceOp.MEAN",
        "test_real_steps::test_two_devices_count_every_record_once",
    ),
]  # fmt: skip
