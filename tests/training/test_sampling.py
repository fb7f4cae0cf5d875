"""Who takes part in a step. Every statistical test has a false alarm of at most 1e-6, and twins that must fail."""

import math
import os
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

NUM_UNITS, STEPS, PROBABILITY = 1000, 2000, 0.05
FALSE_ALARM = 1e-6
Batches = list[np.ndarray]


def two_sided(statistic: float, low: float, high: float) -> bool:
    return bool(low < statistic < high)


def inclusion(batches: Batches) -> bool:
    """Each unit's count is Binomial(steps, probability); the sum of their squared z-scores nearly chi-square."""
    counts = np.bincount(np.concatenate(batches), minlength=NUM_UNITS)
    statistic = ((counts - STEPS * PROBABILITY) ** 2 / (STEPS * PROBABILITY * (1 - PROBABILITY))).sum()
    return two_sided(float(statistic), *stats.chi2.ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2], NUM_UNITS))


def sizes(batches: Batches) -> bool:
    """The variance of the batch size is n q (1 - q)."""
    each = np.array([len(batch) for batch in batches])
    statistic = (STEPS - 1) * each.var(ddof=1) / (NUM_UNITS * PROBABILITY * (1 - PROBABILITY))
    return two_sided(float(statistic), *stats.chi2.ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2], STEPS - 1))


def mean_size(batches: Batches) -> bool:
    total = sum(len(batch) for batch in batches)
    bounds = stats.binom.ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2], NUM_UNITS * STEPS, PROBABILITY)
    return two_sided(total, *bounds)


def co_occurrence(batches: Batches) -> bool:
    """500 pairs of units meet as often as independent ones."""
    present = presence(batches)
    together = int((present[:, 0::2] & present[:, 1::2]).sum())
    bounds = stats.binom.ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2], STEPS * NUM_UNITS // 2, PROBABILITY**2)
    return two_sided(together, *bounds)


def succession(batches: Batches) -> bool:
    """A unit is drawn in two successive steps as often as chance has it; shuffling within a pass never does that."""
    present = presence(batches)
    again = int((present[:-1] & present[1:]).sum())
    # Each count depends on two neighbours: the bound doubles the variance.
    mean = (STEPS - 1) * NUM_UNITS * PROBABILITY**2
    return abs(again - mean) < stats.norm.isf(FALSE_ALARM / 2) * np.sqrt(2 * mean)


def presence(batches: Batches) -> np.ndarray:
    present = np.zeros((STEPS, NUM_UNITS), bool)
    for step, batch in enumerate(batches):
        present[step, batch] = True
    return present


TESTS = (inclusion, sizes, mean_size, co_occurrence, succession)


def shuffled(random: np.random.Generator) -> Batches:
    return [part for _ in range(100) for part in np.array_split(random.permutation(NUM_UNITS), 20)]


def fixed_size(random: np.random.Generator) -> Batches:
    return [random.choice(NUM_UNITS, 50, replace=False) for _ in range(STEPS)]


def truncated(random: np.random.Generator) -> Batches:
    return [batch[:55] for batch in bernoulli(random)]


def same_every_pass(random: np.random.Generator) -> Batches:
    return [*bernoulli(random)[:20]] * 100


def in_pairs(random: np.random.Generator) -> Batches:
    pairs = random.random((STEPS, NUM_UNITS // 2)) < PROBABILITY
    return [np.flatnonzero(np.repeat(row, 2)) for row in pairs]


def two_percent_more(random: np.random.Generator) -> Batches:
    return [np.flatnonzero(row) for row in random.random((STEPS, NUM_UNITS)) < PROBABILITY * 1.03]


def bernoulli(random: np.random.Generator) -> Batches:
    return [np.flatnonzero(row) for row in random.random((STEPS, NUM_UNITS)) < PROBABILITY]


def test_poisson_batches() -> None:
    from tfx_privacy.training.sampling import PoissonSampler

    sampler = PoissonSampler(num_units=NUM_UNITS, sampling_probability=PROBABILITY)
    drawn = [sampler.draw() for _ in range(STEPS)]
    assert [test.__name__ for test in TESTS if not test(drawn)] == []
    assert all(len(np.unique(batch)) == len(batch) for batch in drawn)
    assert sampler.batches_drawn == STEPS
    assert not sampler.pass_ended


def test_the_reference_passes_the_same_tests() -> None:
    drawn = bernoulli(np.random.default_rng(0))
    assert [test.__name__ for test in TESTS if not test(drawn)] == []


@pytest.mark.parametrize(
    ("draw", "caught_by"),
    [
        (shuffled, {"inclusion", "sizes", "succession"}),
        (fixed_size, {"sizes"}),
        (truncated, {"sizes", "mean_size"}),
        (same_every_pass, {"inclusion"}),
        (in_pairs, {"sizes", "co_occurrence"}),
        (two_percent_more, {"mean_size"}),
    ],
)
def test_what_is_not_poisson_sampling_is_caught(
    draw: Callable[[np.random.Generator], Batches], caught_by: set[str]
) -> None:
    drawn = draw(np.random.default_rng(0))
    assert caught_by <= {test.__name__ for test in TESTS if not test(drawn)}


def test_every_probability_has_its_size() -> None:
    from tfx_privacy.training.sampling import PoissonSampler

    everyone = PoissonSampler(num_units=7, sampling_probability=1.0).draw()
    assert sorted(everyone) == list(range(7))
    rare = PoissonSampler(num_units=10, sampling_probability=1e-9)
    assert sum(len(rare.draw()) for _ in range(100)) == 0


def test_nobody_s_seed_repeats_the_batches() -> None:
    from tfx_privacy.training.sampling import PoissonSampler

    drawn = []
    for _ in range(2):
        np.random.seed(0)
        sampler = PoissonSampler(num_units=1000, sampling_probability=0.5)
        drawn.append(sampler.draw())
    assert not np.array_equal(np.sort(drawn[0]), np.sort(drawn[1]))


class Fed:
    """Random bits as they are given."""

    def __init__(self, first: list[int], further: list[int]) -> None:
        self._first, self._further = np.array(first, np.uint8), np.array(further, np.uint64)

    def bytes(self, count: int) -> np.ndarray:
        assert count == len(self._first)
        return self._first

    def long(self, count: int) -> np.ndarray:
        assert count == len(self._further)
        return self._further << np.uint64(8)


@pytest.mark.parametrize("probability", [0.3, 1e-3, 0.5, 1 - 2.0**-53, 3.3e-17])
def test_the_probability_is_rounded_down_to_the_last_bit(monkeypatch: pytest.MonkeyPatch, probability: float) -> None:
    """A unit is drawn if its 64 bits are below floor(q 2^64): one bit more would draw more often than is accounted."""
    from fractions import Fraction

    from tfx_privacy import random_bits
    from tfx_privacy.training import sampling

    limit = math.floor(Fraction(probability) * 2**64)
    assert 0 <= Fraction(probability) - Fraction(limit, 2**64) < Fraction(1, 2**64)
    leading, rest = divmod(limit, 1 << 56)
    first, further = [leading] * 3, [max(rest - 1, 0), rest, min(rest + 1, (1 << 56) - 1)]
    others = [each for each in (leading - 1, leading + 1) if 0 <= each < 256]
    monkeypatch.setattr(random_bits.RandomBits, "of_system", lambda: Fed([*first, *others], further))
    sampler = sampling.PoissonSampler(num_units=3 + len(others), sampling_probability=probability)
    words = [leading << 56 | low for low in further] + [each << 56 for each in others]
    assert list(sampler.draw()) == [place for place, word in enumerate(words) if word < limit]


def test_everything_is_drawn_from_the_cryptographic_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its key known every draw is known, so no other generator takes part; with another key it is another."""
    from tfx_privacy.training import sampling

    def drawn(key: bytes) -> list[list[int]]:
        monkeypatch.setattr(os, "urandom", lambda count: key * count)
        poisson = sampling.PoissonSampler(num_units=500, sampling_probability=0.1)
        passes = sampling.ShuffledPasses(num_units=500, batch_size=100, steps_per_pass=5)
        users = sampling.records_of_users(np.zeros(500, int), max_records_per_user=50)
        return [list(poisson.draw()), list(passes.draw()), list(users.ravel())]

    assert drawn(b"a") == drawn(b"a")
    assert all(one != other for one, other in zip(drawn(b"a"), drawn(b"b"), strict=True))


def test_places_of_few() -> None:
    from tfx_privacy.random_bits import places_of_few

    random = np.random.default_rng(0)
    for length in [*range(20), 1000, 1001]:
        for share in (0.0, 0.01, 0.5, 1.0):
            mask = random.random(length) < share
            np.testing.assert_array_equal(places_of_few(mask), np.flatnonzero(mask))


def test_in_a_pass_everyone_takes_part_once() -> None:
    from tfx_privacy.training.sampling import ShuffledPasses

    sampler = ShuffledPasses(num_units=25, batch_size=10, steps_per_pass=3)
    passes = []
    for _ in range(2):
        batches, ends = [], []
        for _ in range(3):
            batches.append(sampler.draw())
            ends.append(sampler.pass_ended)
        assert ends == [False, False, True]
        assert [len(batch) for batch in batches] == [10, 10, 5]
        passes.append(np.concatenate(batches))
        assert sorted(passes[-1]) == list(range(25))
    first, second = passes
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("num_units", [3, 60])
def test_the_length_of_a_pass_is_public(num_units: int) -> None:
    """Fewer or more units than were declared: the pass has the declared length, and nobody takes part twice."""
    from tfx_privacy.training.sampling import ShuffledPasses

    sampler = ShuffledPasses(num_units=num_units, batch_size=10, steps_per_pass=3)
    drawn = np.concatenate([sampler.draw() for _ in range(3)])
    assert sampler.pass_ended
    assert len(np.unique(drawn)) == len(drawn) == min(num_units, 30)


def test_a_user_has_at_most_so_many_records() -> None:
    from tfx_privacy.training.sampling import records_of_users

    ids = np.array([[b"ann"], [b"bob"], [b"ann"], [b"eve"], [b"ann"], [b"ann"], [b"bob"]], dtype=object)
    kept = records_of_users(ids, max_records_per_user=3)
    assert kept.shape == (3, 3)
    ann, bob, eve = (set(row) for row in kept)
    assert ann < {0, 2, 4, 5}
    assert len(ann) == 3
    assert bob == {1, 6, -1}
    assert eve == {3, -1}


def test_which_records_are_kept_is_a_fresh_fair_choice() -> None:
    """Each of four records is left out in a quarter of the cases (false alarm 1e-6), whoever else is there."""
    from tfx_privacy.training.sampling import records_of_users

    left_out = np.zeros(4)
    for _ in range(2000):
        kept = records_of_users(np.array([7, 7, 7, 7, 8]), max_records_per_user=3)
        left_out += np.isin(np.arange(4), kept[0], invert=True)
    assert stats.chisquare(left_out).pvalue > FALSE_ALARM
    assert stats.chisquare([460, 540, 500, 500]).pvalue > FALSE_ALARM > stats.chisquare([400, 600, 500, 500]).pvalue
