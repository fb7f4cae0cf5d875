"""The noise. Every statistical test has a false alarm of at most 1e-6, and a twin that must fail."""

import functools
import math
from typing import Any

import normal_samples
import numpy as np
import oracles
import pytest
from scipy import stats
from small_models import WIDTH, make_data, make_model, resolved, weights

pytestmark = pytest.mark.engine

FALSE_ALARM = 1e-6


# The tests of scale and shape have half of it each.
scale_is = functools.partial(normal_samples.scale_is, false_alarm=FALSE_ALARM / 2)


def is_normal(sample: np.ndarray, standard_deviation: float) -> bool:
    return bool(stats.kstest(sample / standard_deviation, "norm").pvalue > FALSE_ALARM / 2)


def uncorrelated(one: np.ndarray, other: np.ndarray) -> bool:
    bound = stats.norm.isf(FALSE_ALARM / 2) / math.sqrt(len(one))
    return bool(abs(np.corrcoef(one, other)[0, 1]) < bound)


def noise_of_one_step(size: int, **options: Any) -> np.ndarray:
    """The update of a model whose loss has no gradient, i.e. noise alone, in clips."""
    from tfx_privacy import training

    model = make_model(lambda layers, f: layers.Dense(size // (WIDTH + 1))(f) * 0.0)
    data = make_data()
    before = weights(model)
    changes = {"l2_norm_clip": 0.5, "noise_multiplier": 3.0, "steps": 1, **options}
    seed = changes.pop("deterministic_noise_for_tests", None)
    run = resolved(len(data), **changes)
    training.train(
        model, data, run, noise_multiplier=run.parameters.noise_multiplier, deterministic_noise_for_tests=seed
    )
    # SGD at rate 1: the step is minus noise / expected_batch_size.
    return (weights(model) - before) * 10 / 0.5


@pytest.mark.parametrize("options", [{}, {"secure_noise": True}], ids=["default", "secure"])
def test_the_noise_of_a_step_is_normal_of_the_right_scale(options: dict[str, Any]) -> None:
    """100,000 numbers: a scale that is 2 % off in either direction is rejected (power above 0.999)."""
    noise = noise_of_one_step(100_100, **options)
    assert len(noise) >= 100_000
    assert scale_is(noise, 3.0)
    assert is_normal(noise, 3.0)
    assert uncorrelated(noise[:-1], noise[1:])
    half = len(noise) // 2
    assert uncorrelated(noise[:half], noise[half : 2 * half])
    # Every weight moves: noise on touched rows alone would tell which rows were touched.
    assert np.all(noise != 0)


@pytest.mark.parametrize("secure", [False, True])
def test_variables_of_every_rank_get_noise(secure: bool) -> None:
    """Of one and two, and of three and four as convolutions have: 15 % less on any of them is rejected."""
    from tfx_privacy import training

    def body(layers: Any, features: Any) -> Any:
        image = layers.Conv2D(500, 2)(layers.Reshape((3, 2, 1))(features))
        return layers.Dense(5)(layers.Flatten()(layers.Conv1D(8, 1)(layers.Reshape((2, 500))(image)))) * 0.0

    model, data = make_model(body, loss="mse"), make_data()
    before = [np.array(variable) for variable in model.trainable_variables]
    training.train(model, data, resolved(len(data), steps=1, secure_noise=secure), noise_multiplier=1.0)
    of_rank: dict[int, list[np.ndarray]] = {}
    for variable, old in zip(model.trainable_variables, before, strict=True):
        of_rank.setdefault(len(old.shape), []).append((np.array(variable) - old).ravel() * 10)
    assert sorted(of_rank) == [1, 2, 3, 4]
    for parts in of_rank.values():
        assert all(np.all(part != 0) for part in parts)
        assert scale_is(np.concatenate(parts), 1.0)
    assert not scale_is(0.85 * np.concatenate(of_rank[3]), 1.0)


@pytest.mark.parametrize("factor", [0.98, 1.02])
def test_the_test_of_the_scale_has_power(factor: float) -> None:
    rejected = sum(
        not scale_is(np.random.default_rng(seed).normal(scale=factor, size=100_000), 1.0) for seed in range(50)
    )
    accepted = sum(scale_is(np.random.default_rng(seed).normal(size=100_000), 1.0) for seed in range(50))
    assert (rejected, accepted) == (50, 50)


def test_the_test_of_the_shape_has_power() -> None:
    """A uniform, a Laplace and a two-point noise of the right variance are told from a normal one."""
    random = np.random.default_rng(0)
    size = 100_000
    assert is_normal(random.normal(size=size), 1.0)
    assert not is_normal(random.uniform(-math.sqrt(3), math.sqrt(3), size), 1.0)
    assert not is_normal(random.laplace(scale=math.sqrt(0.5), size=size), 1.0)
    assert not is_normal(random.choice([-1.0, 1.0], size), 1.0)


@pytest.mark.parametrize("secure", [False, True])
def test_the_tails_are_there(secure: bool) -> None:
    """Beyond 4 standard deviations lie 6.3e-5; in two million the count is Poisson with mean 127."""
    from tfx_privacy.training.noise import GaussianNoise

    noise = GaussianNoise(secure=secure)
    sample = np.array(noise.draw(2_000_000, 1.0))
    beyond = int(np.sum(np.abs(sample) > 4))
    low, high = stats.poisson.ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2], 2_000_000 * 2 * stats.norm.sf(4))
    assert low <= beyond <= high
    assert abs(stats.skew(sample)) < 5 * math.sqrt(6 / len(sample))
    assert abs(stats.kurtosis(sample)) < 5 * math.sqrt(24 / len(sample))


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_any_number_of_coordinates(size: int) -> None:
    from tfx_privacy.training.noise import GaussianNoise

    noise = GaussianNoise()
    draws = np.array([np.array(noise.draw(size, 2.0)) for _ in range(1000)])
    assert draws.shape == (1000, size)
    for column in draws.T:
        assert scale_is(column, 2.0)
    if size > 1:
        assert uncorrelated(draws[:, 0], draws[:, -1])


def test_steps_are_independent() -> None:
    from tfx_privacy.training.noise import GaussianNoise

    noise = GaussianNoise()
    one, other = (np.array(noise.draw(20_000, 1.0)) for _ in range(2))
    assert uncorrelated(one, other)
    assert not uncorrelated(one, one + 0.1 * other)


def test_variables_do_not_share_their_noise() -> None:
    """Kernel and bias of one layer, and of two layers of one shape."""
    from tfx_privacy import training

    def body(layers: Any, features: Any) -> Any:
        return layers.Dense(6000)(features) * 0.0 + layers.Dense(6000)(features) * 0.0

    model, data = make_model(body, loss="mse"), make_data()
    before = [np.array(variable) for variable in model.trainable_variables]
    training.train(model, data, resolved(len(data), steps=1), noise_multiplier=1.0)
    moved = [np.array(new) - old for new, old in zip(model.trainable_variables, before, strict=True)]
    assert uncorrelated(moved[0][0], moved[1])
    assert uncorrelated(moved[0].ravel(), moved[2].ravel())
    assert uncorrelated(moved[1], moved[3])


def test_the_noise_of_successive_steps_adds_up() -> None:
    """Nine independent steps have three times the standard deviation; one noise used nine times would have nine times."""
    noise = noise_of_one_step(14_000, steps=9)
    assert scale_is(noise, 3.0 * 3.0)
    assert not scale_is(noise, 3.0 * 9.0)


def test_no_seed_of_anybody_repeats_the_noise() -> None:
    import random

    import tensorflow as tf

    draws = []
    for _ in range(2):
        tf.keras.utils.set_random_seed(42)
        tf.random.set_seed(42)
        random.seed(42)
        draws.append(noise_of_one_step(2100))
    assert uncorrelated(*draws)
    same = [noise_of_one_step(700, deterministic_noise_for_tests=5) for _ in range(2)]
    np.testing.assert_array_equal(same[0], same[1])


def test_random_words_stay_as_they_are_while_somebody_holds_them() -> None:
    """Their memory is used again only when nobody does: else one step's noise would turn into another's."""
    import tensorflow as tf

    from tfx_privacy.random_bits import RandomBits

    bits = RandomBits(b"k" * 32)
    held = bits(1000)
    tensor = tf.numpy_function(lambda: bits(1000), [], tf.uint32)
    before = held.copy(), tensor.numpy().copy()
    assert not np.array_equal(*before)
    for _ in range(20):
        bits(1000)
    np.testing.assert_array_equal(held, before[0])
    np.testing.assert_array_equal(tensor.numpy(), before[1])
    # The same stream as the cipher's, whatever the blocks.
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    cipher = Cipher(algorithms.AES(b"k" * 32), modes.CTR(bytes(16))).encryptor()
    fresh = RandomBits(b"k" * 32)
    whole = np.concatenate([fresh(1), fresh(40_003), fresh(7)])
    np.testing.assert_array_equal(whole, np.frombuffer(cipher.update(bytes(4 * len(whole))), np.uint32))


def test_the_source_is_named() -> None:
    from tfx_privacy.training.noise import GaussianNoise, TreeNoise

    assert GaussianNoise().source == "os_entropy"
    assert GaussianNoise(secure=True).source == "os_entropy_secure"
    assert GaussianNoise(deterministic_seed=1).source == "deterministic_test"
    assert GaussianNoise(secure=True, deterministic_seed=1).source == "deterministic_test"
    assert TreeNoise(GaussianNoise(deterministic_seed=1), size=2, max_steps=3).source == "deterministic_test"


def running_sums(steps: int, size: int, passes: int = 1) -> np.ndarray:
    """Sums of the first t draws of each pass, of shape (passes, steps, size)."""
    from tfx_privacy.training.noise import GaussianNoise, TreeNoise

    tree = TreeNoise(GaussianNoise(), size=size, max_steps=steps)
    draws = []
    for _ in range(passes):
        draws.append([np.array(tree.draw(size, 1.0)) for _ in range(steps)])
        tree.restart()
    return np.cumsum(np.array(draws), axis=1)


def test_a_tree_s_sums_have_the_noise_of_its_nodes() -> None:
    """The sum of t draws is that of as many nodes as t has bits set; sums that share no node are independent."""
    sums = running_sums(steps=13, size=20_000, passes=2)
    for index in range(13):
        nodes = (index + 1).bit_count()
        assert scale_is(sums[0, index], math.sqrt(nodes)), index + 1
    assert not scale_is(sums[0, 6], math.sqrt(2))
    # 4 = [1, 4]; 8 = [1, 8] are different nodes; 12 = [1, 8] + [9, 12] shares one with 8.
    assert uncorrelated(sums[0, 3], sums[0, 7])
    assert np.corrcoef(sums[0, 7], sums[0, 11])[0, 1] == pytest.approx(math.sqrt(0.5), abs=0.02)
    # Nothing of a pass is used again in the next.
    for index in range(13):
        assert uncorrelated(sums[0, index], sums[1, index])


def test_a_tree_is_tensorflow_privacy_s() -> None:
    """Its TreeResidualSumQuery, fed with the same nodes, gives the same residuals."""
    import tensorflow as tf

    from tfx_privacy.training.noise import GaussianNoise, TreeNoise

    aggregation = oracles.tensorflow_privacy("privacy.dp_query.tree_aggregation")

    class Recorded(GaussianNoise):
        def draw(self, size: int, standard_deviation: Any) -> Any:
            nodes.append(super().draw(size, standard_deviation))
            return nodes[-1]

    nodes: list[Any] = []
    tree = TreeNoise(Recorded(), size=3, max_steps=11)
    ours = np.cumsum([np.array(tree.draw(3, 1.0)) for _ in range(12)], axis=0)

    class Replayed(aggregation.ValueGenerator):  # type: ignore[name-defined]
        def initialize(self) -> Any:
            return tf.constant(0)

        def next(self, state: Any) -> Any:
            return tf.gather(tf.stack(nodes), state), state + 1

    theirs_of = aggregation.TreeAggregator(Replayed())
    state = theirs_of.init_state()
    for index in range(11):
        theirs, state = theirs_of.get_cumsum_and_update(state)
        np.testing.assert_allclose(ours[index], theirs, atol=1e-5)
