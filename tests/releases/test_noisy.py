"""Noise is added once, to sums that are complete. Every statistical test has a false alarm of at most 1e-6."""

from __future__ import annotations

import itertools
from typing import Any

import normal_samples
import numpy as np
import pytest
from scipy import stats

from tfx_privacy.errors import InternalError
from tfx_privacy.random_bits import RandomBits
from tfx_privacy.releases import noisy
from tfx_privacy.releases.parameters import DPPreprocessing
from tfx_privacy.releases.plan import plan
from tfx_privacy.releases.queries import Counts, Moments, Presence, Quantiles, VectorQuery, Vocabulary
from tfx_privacy.releases.record import Answer

FALSE_ALARM = 1e-6
VOCABULARY = Vocabulary(name="x")


def answer_of(query: Any, noise_multiplier: float = 5.0, **changes: Any) -> Answer:
    facts = {"target_delta": 1e-2, "selection_delta": 1e-3, **changes}
    return plan([query], DPPreprocessing(noise_multiplier=noise_multiplier, **facts)).answers[0]


@pytest.mark.parametrize(
    "query",
    [
        Presence(name="x"),
        Moments(name="x", bounds=(0.0, 1.0)),
        Quantiles(name="x", bounds=(0.0, 1.0), bins=8),
        Counts(name="x", keys=(1, 2, 3), max_values=2),
    ],
    ids=lambda query: type(query).__name__,
)
def test_every_number_gets_the_answer_s_noise_once(query: VectorQuery) -> None:
    """The scale within 1 % and the shape, of each place by itself; numbers of one answer are independent."""
    answer = answer_of(query)
    sums = np.arange(query.length, dtype=np.int64) * 1000
    bits = RandomBits.of_system()
    draws = np.array([noisy.noisy_vector(query, answer, sums, bits) for _ in range(4000)])
    noise = (draws - query.released(sums)).astype(np.float64) / answer.noise_standard_deviation
    assert noise.shape == (4000, query.numbers)
    # Rounding adds a twelfth of a unit to the variance.
    rounding = np.sqrt(1 + 1 / 12 / answer.noise_standard_deviation**2)
    for column in noise.T:
        assert normal_samples.scale_is(column, rounding, false_alarm=FALSE_ALARM / 20)
        assert not normal_samples.scale_is(column * 2**0.5, rounding, false_alarm=FALSE_ALARM / 20)
    bound = stats.norm.isf(FALSE_ALARM / 200) / np.sqrt(4000)
    for one, other in itertools.combinations(noise.T, 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < bound


def test_noise_does_not_change_the_sums() -> None:
    query = Presence(name="x")
    sums = np.array([7], np.int64)
    noisy.noisy_vector(query, answer_of(query), sums, RandomBits.of_system())
    assert sums.tolist() == [7]


@pytest.mark.parametrize("sums", [np.zeros(2, np.int64), np.zeros(1), np.zeros(1, np.int32)])
def test_sums_of_another_shape_or_type_are_a_bug(sums: np.ndarray) -> None:
    query = Presence(name="x")
    with pytest.raises(InternalError):
        noisy.noisy_vector(query, answer_of(query), sums, RandomBits.of_system())


def values(keys: list[bytes], counts: list[int], bits: RandomBits | None = None, **options: Any) -> noisy.Values:
    answer = options.pop("answer", None) or answer_of(VOCABULARY)
    return noisy.noisy_values(
        VOCABULARY, answer, keys, np.array(counts, np.int64), bits or RandomBits.of_system(), **options
    )


def test_values_pass_by_their_noisy_count() -> None:
    """Each on its own: the share that passes is the normal distribution's, with a false alarm of 1e-6 at each count."""
    answer = answer_of(VOCABULARY)
    assert answer.selection is not None
    threshold, trials = answer.selection.threshold, 200_000
    for count in (1, threshold - 3, threshold, threshold + 5):
        keys = [str(number).encode() for number in range(trials)]
        passed = len(values(keys, [count] * trials, answer=answer).keys)
        share = stats.norm.sf(threshold - 0.5 - count, scale=answer.noise_standard_deviation)
        low, high = stats.binom.ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2], trials, share)
        assert low <= passed <= high
        other = stats.norm.sf(threshold + 0.5 - count, scale=answer.noise_standard_deviation)
        assert count == 1 or not low <= trials * other <= high


@pytest.mark.parametrize(
    "unit", [{}, {"privacy_unit": "user", "user_id_key": "id", "max_records_per_user": 4}], ids=["example", "user"]
)
@pytest.mark.parametrize("max_values", [1, 3])
def test_a_unit_alone_with_its_values_has_one_released_with_probability_delta(
    max_values: int, unit: dict[str, Any]
) -> None:
    """A million units of which each has as many values of its own as may count, each in all of its records.

    Delta is 1e-3, so about 1,000 are seen; more than 1,150 would be with a delta 15 % larger (power above 0.999).
    """
    query = Vocabulary(name="x", max_values=max_values)
    privacy = DPPreprocessing(noise_multiplier=5.0, target_delta=1e-2, selection_delta=1e-3, **unit)
    answer = plan([query], privacy).answers[0]
    units, own = 1_000_000, max_values * privacy.records_of_unit
    bits, shown = RandomBits.of_system(), 0
    for _ in range(own):
        found = noisy.noisy_values(query, answer, _Numbers(range(units)), np.full(units, privacy.records_of_unit), bits)  # type: ignore[arg-type]
        shown += len(found.keys)
    high = stats.binom.ppf(1 - FALSE_ALARM, units, 1e-3)
    assert high < 1160
    # The threshold is a whole number, so less than delta may be spent, but not by far.
    assert 500 < shown <= high


class _Numbers:
    """Keys that cost no memory."""

    def __init__(self, numbers: range) -> None:
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, place: int) -> bytes:
        return b"%d" % self._numbers[place]


def test_a_lower_threshold_would_be_noticed() -> None:
    """The twin that must fail: without the unit's own records in the threshold too many are seen."""
    answer = answer_of(VOCABULARY)
    assert answer.selection is not None
    lower = answer.selection.model_copy(update={"threshold": answer.selection.threshold - 2})
    wrong = answer.model_copy(update={"selection": lower})
    keys = range(1_000_000)
    found = noisy.noisy_values(VOCABULARY, wrong, _Numbers(keys), np.ones(len(keys), np.int64), RandomBits.of_system())  # type: ignore[arg-type]
    assert len(found.keys) > stats.binom.ppf(1 - FALSE_ALARM, len(keys), 1e-3)


def test_the_order_of_the_values_says_nothing() -> None:
    """Whatever order they come in: by noisy count, falling, and equal ones by the values themselves."""
    keys = [f"{number:03}".encode() for number in range(200)]
    counts = [1000 + number % 3 for number in range(200)]
    orders = []
    for seed in range(5):
        place = np.random.default_rng(seed).permutation(200)
        found = values([keys[index] for index in place], [counts[index] for index in place])
        orders.append(found)
        pairs = list(zip(found.counts, found.keys, strict=True))
        assert pairs == sorted(pairs, key=lambda pair: (-pair[0], pair[1]))
        assert len(set(found.counts)) < 200
        assert sorted(found.keys) == keys
    assert orders[0].keys != orders[1].keys


def test_the_most_common_are_kept() -> None:
    found = values([b"rare", b"often", b"more"], [0, 10_000, 20_000], top_k=1)
    assert found.keys == [b"more"]
    assert values([b"rare", b"often", b"more"], [0, 10_000, 20_000]).keys == [b"more", b"often"]
    assert values([], []).keys == []
    assert values([b"x"], [-5]).keys == []


def test_a_value_that_nobody_has_is_never_released() -> None:
    """Only what stands in the records is asked for; there is no list of all that could."""
    assert values([b"a"], [10**6]).keys == [b"a"]


def test_many_values_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noisy, "_DRAWN_AT_ONCE", 7)
    keys = [b"%d" % number for number in range(50)]
    found = values(keys, [10_000 * (number + 1) for number in range(50)])
    assert found.keys == keys[::-1]
    assert found.counts != [10_000 * (number + 1) for number in range(50)][::-1]
    assert np.abs(np.array(found.counts) - 10_000 * np.arange(50, 0, -1)).max() < 5 * 10


def test_a_query_without_a_threshold_is_a_bug() -> None:
    presence = Presence(name="x")
    with pytest.raises(InternalError, match="no threshold"):
        noisy.noisy_values(presence, answer_of(presence), [b"a"], np.ones(1, np.int64), RandomBits.of_system())
    with pytest.raises(InternalError, match="no threshold"):
        noisy.noisy_values(VOCABULARY, answer_of(presence), [b"a"], np.ones(1, np.int64), RandomBits.of_system())


def test_the_source_of_the_noise_is_named() -> None:
    assert noisy.noise_source(RandomBits.of_system()) == "os_entropy"
    assert noisy.noise_source(RandomBits.of_seed(1)) == "deterministic_test"
