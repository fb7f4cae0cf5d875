import numpy as np
import pytest
from scipy import stats

from tfx_privacy.accounting import gaussian_dp
from tfx_privacy.accounting.composition import dp_sgd_event
from tfx_privacy.accounting.epsilon import epsilon_bounds
from tfx_privacy.errors import AccountingError


@pytest.mark.parametrize(("noise", "steps"), [(1.0, 1), (2.5, 1), (4.0, 9)])
def test_the_gaussian_mechanism_is_one_over_sigma_times_the_root_of_its_number(noise: float, steps: int) -> None:
    """Dong et al. (2022), Theorem 2.7 and Corollary 3.3: exact, so there is no error of fit."""
    found = gaussian_dp.fit(dp_sgd_event(noise_multiplier=noise, sampling_probability=1.0, steps=steps))
    assert found.mu == pytest.approx(np.sqrt(steps) / noise, rel=3e-4)
    assert found.mu >= np.sqrt(steps) / noise
    assert found.fit_error < 1e-4


def test_a_subsampled_run_has_the_published_numbers() -> None:
    """gdpnum's documentation has mu = 1.56856 and regret = 0.00102 for this run, by another algorithm (Gomez et al. 2025)."""
    found = gaussian_dp.fit(dp_sgd_event(noise_multiplier=9.4, sampling_probability=0.328, steps=2000))
    assert found.mu == pytest.approx(1.56856, abs=5e-4)
    assert found.fit_error == pytest.approx(0.00102, abs=5e-5)


@pytest.mark.slow
def test_mu_covers_what_the_accountant_states_and_the_error_is_the_distance_of_the_curves() -> None:
    run = dp_sgd_event(noise_multiplier=1.0, sampling_probability=0.05, steps=200)
    found = gaussian_dp.fit(run)
    for delta in (1e-3, 1e-5, 2e-7):
        epsilon = epsilon_bounds(run, target_delta=delta).best
        covered = gaussian_dp.profile(found.mu, np.array([epsilon]))[0]
        assert delta <= covered * (1 + 1e-6)
        assert covered < gaussian_dp.profile(found.mu * 1.5, np.array([epsilon]))[0]
    assert gaussian_dp.GOOD_FIT < found.fit_error < 0.1


def test_the_profile_is_that_of_two_normal_variables() -> None:
    """delta(e) = sup over events of P(event) - exp(e) Q(event), by thresholds on a grid."""
    thresholds = np.linspace(-10, 10, 200_001)
    for mu, epsilon in ((0.5, 0.0), (1.0, 0.7), (3.0, 4.0)):
        gaps = stats.norm.sf(thresholds - mu) - np.exp(epsilon) * stats.norm.sf(thresholds)
        assert gaussian_dp.profile(mu, np.array([epsilon]))[0] == pytest.approx(gaps.max(), rel=1e-6)
    assert gaussian_dp.profile(1.0, np.array([5000.0]))[0] == 0.0


def test_true_positive_rates_are_those_of_the_best_test() -> None:
    rates = np.array([0.001, 0.1, 0.9])
    expected = stats.norm.sf(stats.norm.isf(rates) - 1.5)
    assert gaussian_dp.true_positive_rate(1.5, rates) == pytest.approx(expected)
    assert gaussian_dp.true_positive_rate(0.0, rates) == pytest.approx(rates)


@pytest.mark.slow
def test_a_smaller_delta_is_covered_as_well() -> None:
    run = dp_sgd_event(noise_multiplier=2.0, sampling_probability=0.5, steps=2)
    usual, further = gaussian_dp.fit(run), gaussian_dp.fit(run, target_delta=1e-10)
    assert (usual.smallest_delta, further.smallest_delta) == (gaussian_dp.SMALLEST_DELTA, 1e-10)
    assert further.mu > usual.mu


def test_a_run_that_is_hardly_private_has_no_mu() -> None:
    with pytest.raises(AccountingError, match="too large for a privacy profile"):
        gaussian_dp.fit(dp_sgd_event(noise_multiplier=0.3, sampling_probability=0.9, steps=10_000))
