"""Who takes part in a step. Every statistical test has a false alarm of at most 1e-6, and twins that must fail."""

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
    assert not np.array_equal(*passes)


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
