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
        "mean = [part / tf.maximum(sums.counted, 1.0) for part in noisy]", "test_training",
    ),
    Mutant(
        "canaries are never drawn", "PrivateMechanism._make_sampler",
        "num_units=num_units + num_members", "num_units=num_units", "test_training",
    ),
]  # fmt: skip
