"""tf.distribute.MirroredStrategy over two virtual devices, in each Keras generation."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from places import HELPERS
from scipy import stats

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.fixture(scope="module", params=["1", "0"], ids=["keras 2", "keras 3"])
def measured(request: pytest.FixtureRequest) -> dict[str, Any]:
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": request.param}
    done = subprocess.run(
        [sys.executable, str(HELPERS / "two_devices.py")],
        cwd=HELPERS,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def test_two_devices_compute_what_one_does(measured: dict[str, Any]) -> None:
    assert measured["replicas"] == 2
    for body in ("dense", "embedding", "conv2d"):
        assert measured[f"difference {body}"] < 1e-4
    assert measured["copies agree"]


def test_the_noise_is_added_once(measured: dict[str, Any]) -> None:
    """Once per replica would double the variance; after the reduction it is that of one draw (false alarm 1e-6)."""
    size = measured["noise size"]
    low, high = stats.chi2.ppf([5e-7, 1 - 5e-7], size)
    assert low < measured["noise sum of squares"] < high
    assert not low < 2 * measured["noise sum of squares"] < high
    assert not low < measured["noise sum of squares"] / 2 < high


def test_it_learns_and_says_what_it_did(measured: dict[str, Any]) -> None:
    assert measured["accuracy"] > 0.85
    assert measured["mechanism"]["steps"] == 40
    assert measured["mechanism"]["noise_source"] == "os_entropy"
    assert measured["audit"] >= 0
