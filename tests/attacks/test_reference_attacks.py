"""Attacks with reference models: against loops, scipy and simulated models, with false-alarm rates."""

from __future__ import annotations

import math
import time
import tracemalloc
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy import special, stats

from tfx_privacy.attacks.membership import counts as counting
from tfx_privacy.attacks.membership import reference, scores, statistics

ATTACKS = ("difference", "rmia", "bavaria", "lira_online")


class Models(NamedTuple):
    """A target and its reference models, on records of which the first half are the target's members."""

    target: np.ndarray
    references: np.ndarray
    bits: np.ndarray

    def attacked(self) -> dict[str, np.ndarray]:
        likelihoods = [-np.logaddexp(0.0, -values) for values in (self.target, self.references)]
        return reference.scores(
            (self.target, likelihoods[0]), (self.references, likelihoods[1]), self.bits, is_likelihood=True
        )


def simulated(seed: int, size: int, num_models: int, effect: float) -> Models:
    """Rescaled logits: a record's difficulty, plus what membership adds, plus noise of each model."""
    random = np.random.default_rng(seed)
    is_member = np.arange(size) < size // 2
    difficulty = random.normal(1.0, 2.0, size)
    bits = random.integers(0, 2, (size, num_models // 2))
    trained = np.stack([bits == 0, bits == 1], axis=2).reshape(size, num_models)
    return Models(
        difficulty + effect * is_member + random.normal(0, 0.7, size),
        difficulty[:, None] + effect * trained + random.normal(0, 0.7, (size, num_models)),
        bits,
    )


def interval(found: np.ndarray) -> Any:
    half = len(found) // 2
    return statistics.auc_interval(counting.of_scores(found[:half], found[half:]), confidence_level=0.95)


def test_models_with_and_without_a_record_are_told_apart() -> None:
    random = np.random.default_rng(1)
    values, bits = random.normal(size=(30, 8)), random.integers(0, 2, (30, 4))
    inside, out = reference.in_and_out(values, bits)
    for record in range(30):
        for pair in range(4):
            with_it = 2 * pair + bits[record, pair]
            without_it = 2 * pair + 1 - bits[record, pair]
            assert inside[record, pair] == values[record, with_it]
            assert out[record, pair] == values[record, without_it]


def test_the_difference_is_to_the_mean_of_the_models_without_the_record() -> None:
    models = simulated(2, 20, 6, 1.0)
    found = models.attacked()["difference"]
    for record in range(20):
        outs = [models.references[record, 2 * pair + 1 - models.bits[record, pair]] for pair in range(3)]
        assert found[record] == pytest.approx(models.target[record] - sum(outs) / 3)


def test_the_likelihood_ratio_of_rmia_is_to_the_models_with_and_without_the_record() -> None:
    random = np.random.default_rng(3)
    target, inside, out = np.log(random.random(20)), np.log(random.random((20, 4))), np.log(random.random((20, 4)))
    found = reference.log_likelihood_ratio(target, inside, out)
    for record in range(20):
        p_in, p_out = (sum(math.exp(value) for value in side[record]) / 4 for side in (inside, out))
        assert math.exp(found[record]) == pytest.approx(math.exp(target[record]) / ((p_in + p_out) / 2))
    impossible = reference.log_likelihood_ratio(np.array([-1.0, -1e4]), *np.full((2, 2, 2), -np.inf))
    assert np.isfinite(impossible).all()


def test_rmia_is_stronger_with_both_answers_of_a_pair_than_with_one() -> None:
    """20,000 records: the standard error of an AUC is 0.004, and the difference 0.04."""
    models = simulated(15, 20_000, 2, 1.0)
    target, references = (-np.logaddexp(0.0, -values) for values in (models.target, models.references))
    inside, out = reference.in_and_out(references, models.bits)
    one_sided = target - np.log((1.3 * np.exp(out[:, 0]) + 0.7) / 2)
    both = models.attacked()["rmia"]
    np.testing.assert_array_equal(both, reference.log_likelihood_ratio(target, inside, out))
    assert interval(both).estimate > interval(one_sided).estimate + 0.02


@pytest.mark.parametrize("gamma", [1.0, 2.0])
def test_rmia_against_the_matrix_of_all_pairs(gamma: float) -> None:
    random = np.random.default_rng(4)
    records, population = random.normal(size=300).round(1), random.normal(size=200).round(1)
    ratios = np.exp(records)[:, None] / np.exp(population)[None, :]
    # Where both are equal but for rounding, the definition decides.
    ratios = np.where(np.isclose(ratios, gamma, rtol=1e-12), gamma, ratios)
    np.testing.assert_allclose(reference.rmia(records, population, gamma), (ratios >= gamma).mean(axis=1), atol=1e-12)


def test_rmia_of_a_large_population_needs_no_matrix() -> None:
    """The matrix would have 1.6 GB, and takes seconds."""
    random = np.random.default_rng(5)
    records, population = random.normal(size=20_000), random.normal(size=10_000)
    tracemalloc.start()
    start = time.process_time()
    found = reference.rmia(records, population)
    seconds, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < 0.5
    assert peak < 4e6
    assert found[0] == (records[0] - math.log(2) >= population).mean()


def test_rmia_s_score_has_the_auc_of_its_ratio() -> None:
    """But for the ties that a population of 20,000 makes: each pair of records that it does not part has a chance of about
    1e-4, and some of the low end have none below them.
    """
    random = np.random.default_rng(6)
    ratios, population = np.r_[random.normal(0.7, 1, 2000), random.normal(0, 1, 2000)], random.normal(0, 2, 20_000)
    assert interval(reference.rmia(ratios, population)).estimate == pytest.approx(interval(ratios).estimate, abs=1e-4)


def test_lira_online_is_the_ratio_of_two_normal_densities() -> None:
    models = simulated(10, 300, 16, 1.0)
    inside, out = reference.in_and_out(models.references, models.bits)
    found = reference.lira_online(models.target, inside, out)
    spread_in, spread_out = (math.sqrt(sum(row.var(ddof=1) for row in side) / 300) for side in (inside, out))
    for record in range(300):
        high = stats.norm(inside[record].mean(), spread_in).logpdf(models.target[record])
        low = stats.norm(out[record].mean(), spread_out).logpdf(models.target[record])
        assert found[record] == pytest.approx(high - low, rel=1e-9)


@pytest.mark.parametrize("seed", [11, 12])
def test_every_calibrated_attack_beats_the_loss_where_records_differ_in_difficulty(seed: int) -> None:
    """4,000 records: the standard error of an AUC is below 0.01, the differences are above 0.06."""
    models = simulated(seed, 4000, 16, 1.0)
    loss = interval(models.target).estimate
    found = {name: interval(values) for name, values in models.attacked().items()}
    assert tuple(found) == ATTACKS
    assert loss < 0.68
    for name, auc in found.items():
        assert auc.estimate > loss + 0.05, name
    # The optimum: a difference of 1 with known means, in units of the noise.
    optimum = stats.norm.cdf(1 / (0.7 * math.sqrt(2)))
    assert found["lira_online"].estimate == pytest.approx(optimum, abs=0.03)


def test_one_pair_of_reference_models_already_helps() -> None:
    models = simulated(13, 6000, 2, 1.0)
    found = {name: interval(values).estimate for name, values in models.attacked().items()}
    assert set(found) == {"difference", "rmia", "bavaria"}
    assert min(found.values()) > interval(models.target).estimate + 0.03


def test_nothing_is_found_where_there_is_nothing() -> None:
    """Reference models that learn, a target that does not.

    Of 200 runs each interval covers one half in 95 %: fewer than 176
    have a chance of 1e-4, for each of four attacks; an interval of half the width would cover 135.
    """
    covered = dict.fromkeys(ATTACKS, 0)
    halved = 0
    for seed in range(200):
        models = simulated(1000 + seed, 600, 8, 1.0)
        target = models.target - 1.0 * (np.arange(600) < 300)  # the effect is taken away again
        for name, values in models._replace(target=target).attacked().items():
            found = interval(values)
            covered[name] += found.low <= 0.5 <= found.high
            halved += abs(found.estimate - 0.5) <= (found.high - found.low) / 4
    assert min(covered.values()) >= 176, covered
    assert halved / 4 < 160


@pytest.mark.parametrize("models", [2, 8])
def test_references_that_all_agree_give_finite_scores(models: int) -> None:
    target = np.array([-50.0, 0.0, 0.0, 50.0])
    alike = np.zeros((4, models))
    bits = np.array([[0], [1], [0], [1]]).repeat(models // 2, axis=1)
    found = reference.scores((target, -np.abs(target)), (alike, alike), bits, is_likelihood=True)
    assert set(found) == set(ATTACKS if models == 8 else ATTACKS[:3])
    for name, values in found.items():
        assert np.isfinite(values).all(), name


def test_no_two_attacks_order_records_alike() -> None:
    """An attack with the order of another one adds nothing but a row to correct for."""
    found = simulated(16, 1000, 16, 1.0).attacked()
    orders = {name: np.argsort(values, kind="stable").tolist() for name, values in found.items()}
    assert len({tuple(order) for order in orders.values()}) == len(ATTACKS)


def test_which_attacks_are_run() -> None:
    models = simulated(14, 50, 6, 1.0)
    values = models.target, models.references
    assert set(reference.scores((values[0],) * 2, (values[1],) * 2, models.bits, is_likelihood=False)) == {
        "difference",
        "bavaria",
    }
    more = simulated(14, 50, reference.MIN_MODELS_FOR_LIRA, 1.0)
    found = reference.scores((more.target,) * 2, (more.references,) * 2, more.bits, is_likelihood=False)
    assert set(found) == {"difference", "bavaria", "lira_online"}


def test_saturated_reference_models_keep_the_order_of_the_target() -> None:
    """Rescaled logits, not probabilities, are compared: 40, 60 and 90 are all a probability of 1."""
    logits = np.array([40.0, 60.0, 90.0])
    rescaled = scores.rescaled_logits(logits[:, None], from_logits=True)[:, 1]
    assert np.all(special.expit(logits) == 1.0)
    assert np.all(np.diff(reference.difference(rescaled, np.full((3, 1), 40.0))) > 0)
