import copy
import dataclasses
import math
import pickle
from typing import Any

import numpy as np
import pytest

from tfx_privacy import DPParameters, epsilon
from tfx_privacy.accounting.composition import compositions_of_passes
from tfx_privacy.errors import ParameterError

GOOD: dict[str, Any] = {"noise_multiplier": 1.0, "target_delta": 1e-6, "sampling_probability": 0.01, "steps": 100}


def changed(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**GOOD, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (changed(noise_multiplier=-1.0), r"noise_multiplier=-1.0 in \[0.3, 10000\]"),
        (changed(noise_multiplier=0), r"noise_multiplier=0 in"),
        (changed(noise_multiplier=0.1), r"noise_multiplier=0.1 in"),
        (changed(noise_multiplier=math.nan), "noise_multiplier=nan to be a finite number"),
        (changed(noise_multiplier=math.inf), "noise_multiplier=inf to be a finite number"),
        (changed(noise_multiplier="1.0"), "noise_multiplier='1.0' to be a finite number"),
        (changed(noise_multiplier=True), "noise_multiplier=True to be a finite number"),
        (changed(target_epsilon=1.0), "Both noise_multiplier=1.0 and target_epsilon=1.0"),
        (changed(noise_multiplier=None, target_epsilon=0.0), "target_epsilon=0.0 > 0"),
        (changed(noise_multiplier=None, target_epsilon=-1.0), "target_epsilon=-1.0 > 0"),
        (changed(noise_multiplier=None, target_epsilon=math.nan), "target_epsilon=nan"),
        (changed(noise_multiplier=None, target_epsilon=math.inf), "target_epsilon=inf"),
        (changed(noise_multiplier=None, target_epsilon=1e-6), "target_epsilon=1e-06 >= 0.001"),
        (changed(target_delta=0.0), r"target_delta=0.0 in \(0, 1\)"),
        (changed(target_delta=1.0), r"target_delta=1.0 in \(0, 1\)"),
        (changed(target_delta=math.nan), "target_delta=nan"),
        (changed(target_delta="1e-5"), "target_delta='1e-5'"),
        (changed(l2_norm_clip=0.0), r"l2_norm_clip=0.0 in \[1e-15"),
        (changed(l2_norm_clip=-1.0), r"l2_norm_clip=-1.0 in \[1e-15"),
        (changed(l2_norm_clip=math.nan), "l2_norm_clip=nan"),
        (changed(l2_norm_clip=math.inf), "l2_norm_clip=inf"),
        (changed(sampling_probability=1.5), r"sampling_probability=1.5 in \(0, 1\]"),
        (changed(sampling_probability=0.0), "sampling_probability=0.0"),
        (changed(sampling_probability=math.nan), "sampling_probability=nan"),
        (changed(expected_batch_size=5), "exactly one of sampling_probability=0.01 and expected_batch_size=5"),
        (changed(sampling_probability=None), "exactly one of sampling_probability=None"),
        (changed(epochs=2), "exactly one of steps=100 and epochs=2"),
        (changed(steps=None), "exactly one of steps=None and epochs=None"),
        (changed(steps=0), "steps=0 to be a whole number >= 1"),
        (changed(steps=10.5), "steps=10.5 to be a whole number"),
        (changed(steps=10**8), "steps=100000000 <= 10000000"),
        (changed(steps=None, epochs=-1), "epochs=-1 > 0"),
        (changed(population=0), "population=0 to be a whole number >= 1"),
        (changed(privacy_unit="household"), "privacy_unit='household' to be one of example, user"),
        (changed(privacy_unit="user"), "privacy_unit='user' needs user_id_key"),
        (changed(privacy_unit="user", user_id_key="id"), "privacy_unit='user' needs max_records_per_user"),
        (changed(privacy_unit="user", user_id_key=3, max_records_per_user=2), "user_id_key=3 to be the name"),
        (changed(privacy_unit="user", user_id_key="id", max_records_per_user=0), "max_records_per_user=0"),
        (changed(user_id_key="id"), "user_id_key='id' has no meaning with privacy_unit='example'"),
        (changed(neighboring_relation="REPLACE_ONE"), "neighboring_relation='REPLACE_ONE' to be 'ADD_OR_REMOVE_ONE'"),
        (changed(algorithm="dp_adam"), "algorithm='dp_adam' to be one of dp_sgd, dp_ftrl"),
        (changed(algorithm="dp_ftrl"), "sampling='poisson'. Set sampling='shuffled'"),
        (changed(sampling="random"), "sampling='random' to be one of poisson, shuffled"),
        (changed(sampling="shuffled"), "sampling='shuffled' cuts passes into batches"),
        (changed(clipping="per_layer"), "clipping='per_layer' to be one of flat, adaptive"),
        (changed(clip_quantile=1.0), r"clip_quantile=1.0 in \(0, 1\)"),
        (changed(clip_learning_rate=math.nan), "clip_learning_rate=nan"),
        (changed(clip_count_noise=0.0), "clip_count_noise=0.0 > 0"),
        (changed(secure_noise=1), "secure_noise=1 to be True or False"),
        (changed(audit_canaries=10), r"audit_canaries=10 in \[100, 100000\]. Or 0 for no audit"),
        (changed(audit_canaries=True), "audit_canaries=True"),
        (changed(audit_canaries=100.5), "audit_canaries=100.5"),
        (changed(accountant="prv"), "accountant='prv' to be one of pld, rdp"),
        (changed(enabled=False), "noise_multiplier=1.0 has no meaning"),
        (changed(enabled=1), "enabled=1 to be True or False"),
    ],
)
def test_bad_parameters_are_named_with_the_rule_they_break(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        DPParameters(**arguments)


def test_numbers_become_python_floats() -> None:
    """An int or float32 noise multiplier would make the accountant answer 23 times too little."""
    parameters = DPParameters(**changed(noise_multiplier=np.float32(1.5), l2_norm_clip=1, steps=np.int64(7)))
    assert [type(parameters.noise_multiplier), type(parameters.l2_norm_clip)] == [float, float]
    assert type(parameters.steps) is int


@pytest.mark.parametrize(
    ("arguments", "population", "message"),
    [
        ({"expected_batch_size": 512, "epochs": 1}, None, "Set population, or give sampling_probability and steps"),
        ({"expected_batch_size": 512, "epochs": 1}, 100, "expected_batch_size=512 <= population=100"),
        ({"sampling_probability": 0.001, "steps": 1}, 100, "most batches would be empty"),
        ({"expected_batch_size": 10, "epochs": 1}, 10**6, "target_delta=1e-06 < 1 / population"),
        ({"expected_batch_size": 10, "epochs": 1}, 0, "population=0"),
        ({"expected_batch_size": 1, "epochs": 1e6, "population": 1000}, None, "steps=1000000000 <= 10000000"),
    ],
)
def test_numbers_that_do_not_fit_together(arguments: dict[str, Any], population: int | None, message: str) -> None:
    parameters = DPParameters(noise_multiplier=1.0, target_delta=1e-6, **arguments)
    with pytest.raises(ParameterError, match=message):
        parameters.resolve(population=population)


SHUFFLED: dict[str, Any] = {
    "noise_multiplier": 1.0, "target_delta": 1e-6, "sampling": "shuffled", "expected_batch_size": 300, "epochs": 2,
}  # fmt: skip


def test_passes_over_the_data_are_not_amplified() -> None:
    """Four steps a pass: each record takes part once in each of two passes."""
    resolved = DPParameters(**SHUFFLED).resolve(population=1000)
    assert (resolved.steps_per_pass, resolved.steps, resolved.compositions) == (4, 8, 2)
    assert resolved.parameters.neighboring_relation == "REPLACE_SPECIAL"
    assert resolved.compositions_of([5, 3]) == 3


def test_a_tree_s_unit_is_part_of_one_node_a_level() -> None:
    """dp-accounting's own count: ceil(log2(steps + 1)) nodes in a tree of so many steps."""
    resolved = DPParameters(**{**SHUFFLED, "algorithm": "dp_ftrl", "epochs": None, "steps": 9}).resolve(population=1000)
    assert resolved.compositions == 3 + 3 + 1
    for steps in range(1, 200):
        assert compositions_of_passes([steps], tree=True) == math.ceil(math.log2(steps + 1))


def test_the_sum_of_an_adaptive_clip_gets_more_noise_than_accounted() -> None:
    """Andrew et al. (2021), Theorem 1: z_sum = (z^-2 - (2 sigma_b)^-2)^(-1/2)."""
    run: dict[str, Any] = {"noise_multiplier": 1.0, "clipping": "adaptive", "expected_batch_size": 200, "steps": 1}
    resolved = DPParameters(**run).resolve(population=1000)
    assert resolved.count_standard_deviation == 10.0
    together = (resolved.sum_noise_multiplier(1.0) ** -2 + 20.0**-2) ** -0.5
    assert together == pytest.approx(1.0, rel=1e-12)
    with pytest.raises(ParameterError, match=r"clip_count_noise=0.4 alone spends .* above 0.5"):
        DPParameters(**run, clip_count_noise=0.4).resolve(population=1000).sum_noise_multiplier(1.0)


def test_epochs_become_enough_steps() -> None:
    parameters = DPParameters(noise_multiplier=1.0, target_delta=1e-6, expected_batch_size=300, epochs=2)
    resolved = parameters.resolve(population=1000)
    assert (resolved.sampling_probability, resolved.steps, resolved.expected_batch_size) == (0.3, 7, 300.0)
    assert not resolved.population_is_declared


def test_a_declared_population_wins_over_the_count() -> None:
    parameters = DPParameters(
        noise_multiplier=1.0, target_delta=1e-6, expected_batch_size=100, epochs=1, population=1000
    )
    resolved = parameters.resolve(population=990)
    assert (resolved.population, resolved.sampling_probability) == (1000, 0.1)
    assert resolved.population_is_declared


def test_json_round_trip_and_unknown_names() -> None:
    parameters = DPParameters(**GOOD)
    assert DPParameters.from_json(parameters.to_json()) == parameters
    with pytest.raises(ParameterError, match="noise"):
        DPParameters.from_json('{"noise": 1}')


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"steps": 1, "steps": 2}', "duplicate key 'steps'"),
        ('{"noise_multiplier": NaN}', "NaN"),
        ('{"noise_multiplier": 1e400}', "the number 1e400 is beyond"),
        ("noise_multiplier: 1.0", "strict JSON"),
        ("[1]", "Known:"),
        ("", "strict JSON"),
    ],
)
def test_a_json_that_is_no_parameters_is_a_parameter_error(text: str, problem: str) -> None:
    with pytest.raises(ParameterError, match=problem):
        DPParameters.from_json(text)


def test_noise_and_clip_may_be_left_out_and_neither_is_made_up() -> None:
    """A model may state them; what asks for them before is told so."""
    left = DPParameters(**changed(noise_multiplier=None))
    for refusing in (left.check_noise_is_known, lambda: epsilon(left, target_delta=1e-6)):
        with pytest.raises(ParameterError, match="Neither noise_multiplier nor target_epsilon"):
            refusing()
    assert left.l2_norm_clip == 1.0
    assert left.leaves_out_clip
    assert not DPParameters(**changed(l2_norm_clip=1.0)).leaves_out_clip


@pytest.mark.parametrize("given", [{}, {"l2_norm_clip": 1.0}, {"l2_norm_clip": 2}])
def test_whether_the_clip_was_given_survives_every_copy(given: dict[str, Any]) -> None:
    privacy = DPParameters(**GOOD, **given)
    for copied in (
        DPParameters.from_json(privacy.to_json()),
        dataclasses.replace(privacy, steps=7),
        copy.deepcopy(privacy),
        pickle.loads(pickle.dumps(privacy)),
    ):
        assert copied.leaves_out_clip is (not given)
        assert copied.l2_norm_clip == given.get("l2_norm_clip", 1.0)
    assert not dataclasses.replace(privacy, l2_norm_clip=1.0).leaves_out_clip
