"""The noise far out, where no sample of it gets: the real generators are fed words that are rare.

Every statistical test has a false alarm of at most 1e-6. `tests/mutation` holds the generators that must fail.
"""

from __future__ import annotations

import math
import os
import typing
from typing import Any

import numpy as np
import pytest
from scipy import stats
from small_models import make_data, make_model, resolved, weights

from tfx_privacy.accounting.noise_tails import REACH
from tfx_privacy.guarantee.mechanism import DPMechanism

pytestmark = pytest.mark.engine

FALSE_ALARM = 1e-6
LEADING = 11
PAIRS = 100_000


def rare_bits(zeros: int, *, width: int = 32, calls: int = 2) -> Any:
    """Random bits with which every u = -log(e) is below 2^-zeros and uniform there.

    Of each `calls` calls the first gives the words that u begins with, of `width` bits, and the second those that go
    on where these begin with eleven zeros; zeros are put in front of both.
    """
    from tfx_privacy.random_bits import RandomBits

    class RareBits(RandomBits):
        made = 0

        def __call__(self, count: int) -> np.ndarray:
            words = super().__call__(count)
            call, self.made = self.made % calls, self.made + 1
            if call == 0:
                begins = words.view(np.uint64) if width == 64 else words[: count // 2]
                begins >>= np.array(LEADING, begins.dtype)
            elif call == 1 and count:
                rows = words.reshape(-1, 16)
                whole, rest = divmod(zeros - LEADING, 32)
                rows[:, :whole] = 0
                rows[:, whole] >>= np.uint32(rest)
            return words

    return RareBits


def of_default(zeros: int, numbers: int) -> np.ndarray:
    from tfx_privacy.training.noise import BoxMuller

    return np.array(BoxMuller(rare_bits(zeros).of_system()).draw(numbers, 1.0), np.float64)


def of_secure(zeros: int, numbers: int) -> np.ndarray:
    """What `secure_noise` adds four of."""
    from tfx_privacy.training.noise import SumOfFour

    return SumOfFour(rare_bits(zeros, width=64, calls=3).of_system()).terms(numbers)


GENERATORS = {"os_entropy": of_default, "os_entropy_secure": of_secure}


def has_the_mass_of_a_normal_beyond(sample: np.ndarray, distance: float, zeros: int) -> bool:
    """Each number stands for 2^-zeros of all: those beyond are binomial."""
    share = 2 * stats.norm.sf(distance) * 2.0**zeros
    low, high = stats.binom.ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2], len(sample), share)
    return bool(low <= np.sum(np.abs(sample) > distance) <= high)


def zeros_before(distance: float) -> int:
    """The most that still leave every radius of at least so many standard deviations."""
    return math.floor(distance**2 / 2 / math.log(2))


@pytest.mark.parametrize("source", GENERATORS)
@pytest.mark.parametrize("distance", [4.5, 6.0, 6.6, 7.0, 8.0, 9.0, 12.0, 20.0, 25.0])
def test_the_tails_have_the_mass_of_a_normal_distribution(source: str, distance: float) -> None:
    """At 7, 8 and 9 standard deviations, where 31 bits had ended, and up to the reach that is accounted."""
    zeros = zeros_before(distance)
    sample = GENERATORS[source](zeros, 2 * PAIRS)
    assert has_the_mass_of_a_normal_beyond(sample, distance, zeros)
    # A quarter of a standard deviation less or more would be noticed.
    for wrong in (distance - 0.25, distance + 0.25):
        assert not has_the_mass_of_a_normal_beyond(sample * distance / wrong, distance, zeros)


@pytest.mark.parametrize("zeros", [11, 12, 35, 46, 58, 200, zeros_before(REACH)])
def test_half_the_squared_radius_is_exponential_in_the_tails(zeros: int) -> None:
    """Whatever u is below, -log(u) beyond that has one distribution; a hole, a fold or an end of it would show."""
    drawn = of_default(zeros, 2 * PAIRS)
    first, second = drawn[:PAIRS], drawn[PAIRS:]
    beyond = (first**2 + second**2) / 2 - zeros * math.log(2)
    assert stats.kstest(beyond, "expon").pvalue > FALSE_ALARM
    angles = np.arctan2(second, first)
    assert stats.kstest(angles, "uniform", args=(-math.pi, 2 * math.pi)).pvalue > FALSE_ALARM


def test_every_source_of_noise_has_its_tails_tested() -> None:
    """The test's own source is never private; every other reaches as far as the accountants believe."""
    from tfx_privacy.training.noise import NoiseSource

    assert set(typing.get_args(NoiseSource)) == {*GENERATORS, "deterministic_test"}
    for draw in GENERATORS.values():
        assert np.abs(draw(zeros_before(REACH + 1), 2000)).max() > REACH


def test_the_kernel_computes_what_its_words_say() -> None:
    """Against float64, on random words and at every edge: within 2^-21 of the radius, as `docs/guarantee.md` says."""
    import tensorflow as tf

    from tfx_privacy.training import noise

    random = np.random.default_rng(0)
    edges = [0, 1 << 21, 1 << 31, (1 << 32) - 1]
    near = np.concatenate([np.arange(edge - 2000, edge + 2000) for edge in edges]) % (1 << 32)
    first = np.concatenate([near, random.integers(0, 1 << 32, 1 << 19)]).astype(np.uint32)
    second = random.integers(0, 1 << 32, len(first)).astype(np.uint32)
    second[:4000], second[4000:8000] = near[4000:8000], near[-4000:]
    found = np.array(noise._box_muller(tf.constant(np.concatenate([first, second])), tf.constant(1.0)), np.float64)

    uniform = (first.astype(np.float64) + 0.5) * 2.0**-32
    distance_from_one = ((~first).astype(np.float64) + 0.5) * 2.0**-32
    exponential = np.where(uniform < 0.5, -np.log(uniform), -np.log1p(-distance_from_one))
    held = ((first << 5) + np.uint32(0x40E00010)).view(np.float32)
    exponential = np.where(first < 1 << 21, held, exponential)
    radius = np.sqrt(2 * exponential)
    angle = ((second.view(np.int32) >> 1) + 0.5) * math.pi * 2.0**-31 + math.pi * (second & 1)
    wanted = np.array([radius * np.cos(angle), radius * np.sin(angle)])
    assert np.max(np.abs(found - wanted) / radius) < 2.0**-21


@pytest.mark.parametrize("zeros", [11, 40, 300])
def test_a_tail_s_word_holds_what_its_further_bits_say(zeros: int) -> None:
    """-log(u) in whole numbers of arbitrary length; the word's 18 bits of it are right to the last."""
    from tfx_privacy.training.noise import BoxMuller

    bits = rare_bits(zeros).of_system()
    further: list[np.ndarray] = []

    class Kept(type(bits)):  # type: ignore[misc]
        def __call__(self, count: int) -> np.ndarray:
            words = super().__call__(count)
            further.append(words.copy())
            return words

    words = BoxMuller(Kept(os.urandom(32)))._words(1000)[:500]
    held = ((words << 5) + np.uint32(0x40E00010)).view(np.float32)
    for word, row in zip(held, further[1].reshape(-1, 16), strict=True):
        whole = 2 * int("".join(f"{part:032b}" for part in row), 2) + 1
        assert word == pytest.approx((16 * 32 + 1 + LEADING) * math.log(2) - math.log(whole), rel=2.0**-18)


def noise_of_training(monkeypatch: pytest.MonkeyPatch, bits: Any, units: int, **options: Any) -> tuple[np.ndarray, str]:
    """Of one step of `train` on a model whose loss has no gradient, in standard deviations; and its source."""
    from tfx_privacy import training

    monkeypatch.setattr("tfx_privacy.training.noise.RandomBits", bits)
    model, data = make_model(lambda layers, f: layers.Dense(units)(f) * 0.0), make_data()
    before = weights(model)
    run = resolved(len(data), steps=1, **options)
    executed = training.train(model, data, run, noise_multiplier=run.parameters.noise_multiplier).mechanism
    assert isinstance(executed, DPMechanism)
    noise = (weights(model) - before) * 10 / run.parameters.noise_multiplier
    return noise.astype(np.float64), executed.noise_source


@pytest.mark.parametrize("distance", [7.0, 8.0, 9.0])
def test_training_adds_the_noise_of_the_tails(monkeypatch: pytest.MonkeyPatch, distance: float) -> None:
    """With noise 0.3 a member moves an output by 3.3 standard deviations: without one it must be possible as well."""
    zeros = zeros_before(distance)
    noise, _ = noise_of_training(monkeypatch, rare_bits(zeros), units=10_000, noise_multiplier=0.3)
    assert has_the_mass_of_a_normal_beyond(noise, distance, zeros)


def sum_of_four(bits: Any, size: int) -> np.ndarray:
    """Holohan and Braghin (2021), Section 4, written anew on the same bits."""
    total = np.zeros(size)
    for _ in range(4):
        uniform = (bits(2 * size).view(np.uint64).astype(np.float64) + 0.5) / 2.0**64
        tail = uniform < 2.0**-11
        further = bits(16 * int(tail.sum())).reshape(-1, 16).astype(np.float64)
        uniform[tail] = 2.0**-11 * (further * 2.0 ** (-32.0 * np.arange(1, 17))).sum(axis=1)
        turn = bits(2 * size).view(np.uint64).astype(np.float64) / 2.0**64
        total += np.sqrt(-2 * np.log(uniform)) * np.cos(2 * np.pi * turn)
    return total / 2


def test_the_source_that_is_stamped_is_the_one_that_drew(monkeypatch: pytest.MonkeyPatch) -> None:
    """On known bits each source gives other noise: that of a run is recomputed from its stamp."""
    from tfx_privacy.random_bits import RandomBits
    from tfx_privacy.training.noise import BoxMuller

    class Known(RandomBits):
        @classmethod
        def of_system(cls) -> Known:
            return cls(b"k" * 32, secret=True)

    # Sixteens of weights: the noise is theirs alone, without any to spare.
    units = 800
    size = 7 * units
    of_source = {
        "os_entropy": np.array(BoxMuller(Known.of_system()).draw(size, 1.0)),
        "os_entropy_secure": sum_of_four(Known.of_system(), size),
    }
    for secure, wanted in ((False, "os_entropy"), (True, "os_entropy_secure")):
        noise, source = noise_of_training(monkeypatch, Known, units, noise_multiplier=1.0, secure_noise=secure)
        assert source == wanted
        for name, expected in of_source.items():
            assert np.allclose(-noise, expected, atol=1e-4) == (name == source)


def test_bits_of_a_known_key_are_not_secret() -> None:
    from tfx_privacy.random_bits import RandomBits

    assert RandomBits.of_system().secret
    assert not RandomBits.of_seed(1).secret
    assert not RandomBits(b"k" * 32).secret


def test_a_model_has_no_more_weights_than_are_accounted(monkeypatch: pytest.MonkeyPatch) -> None:
    from tfx_privacy import training
    from tfx_privacy.accounting import noise_tails
    from tfx_privacy.errors import ModelError

    monkeypatch.setattr(noise_tails, "NUMBERS_PER_STEP", 40)
    data = make_data()
    with pytest.raises(ModelError, match="numbers of noise; 40 are accounted"):
        training.train(make_model(), data, resolved(len(data)), noise_multiplier=1.0)
