"""Bugs in how batches are drawn."""

from __future__ import annotations

from mutants.mutant import Mutant

SAMPLING = [
    Mutant(
        "batches of one size", "PoissonSampler.draw",
        "size = self._random.binomial(self.num_units, self.sampling_probability)",
        "size = round(self.num_units * self.sampling_probability)", "test_sampling",
    ),
    Mutant("with replacement", "PoissonSampler.draw", "replace=False", "replace=True", "test_sampling"),
    Mutant(
        "the first ones", "PoissonSampler.draw",
        "return self._random.choice(self.num_units, size=size, replace=False, shuffle=False)",
        "return np.arange(size)", "test_sampling",
    ),
    Mutant(
        "3 % more than accounted", "PoissonSampler.draw",
        "size = self._random.binomial(self.num_units, self.sampling_probability)",
        "size = self._random.binomial(self.num_units, min(1.0, 1.03 * self.sampling_probability))", "test_sampling",
    ),
    Mutant(
        "a seed of our own", "generator",
        'np.random.PCG64(int.from_bytes(os.urandom(32), "little"))', "np.random.PCG64(0)", "test_sampling",
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
