"""Into an environment that stands: what pip would do there to install this package."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys

import generations
import pytest
from places import ROOT

pytestmark = pytest.mark.slow

# Without what leads Python back into the checkout.
ENVIRON = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
LOCK = ROOT / "locks" / f"tfx-{generations.INSTALLED}.lock"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """This package as users get it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(folder), str(ROOT)], check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The Python of an environment that holds tfx, of the installed version, what that needs, and nothing of ours."""
    uv = shutil.which("uv") or str(ROOT / ".cache" / "bootstrap" / "bin" / "uv")
    if not pathlib.Path(uv).exists():
        pytest.skip("uv is not there: the environment was made otherwise")
    folder = tmp_path_factory.mktemp("beside")
    python = folder / "venv" / "bin" / "python"

    def run(*arguments: str) -> None:
        environ = {**ENVIRON, "UV_CACHE_DIR": str(ROOT / ".cache" / "uv"), "UV_NO_CONFIG": "1"}
        subprocess.run([uv, *arguments], check=True, cwd=folder, env=environ)

    (folder / "tfx.in").write_text(f"tfx=={generations.INSTALLED}.*\npip\n")
    run("venv", "--quiet", "--python", sys.executable, "venv")
    run("pip", "compile", "--quiet", "--python", str(python), "--constraints", str(LOCK), "tfx.in", "-o", "tfx.txt")
    run("pip", "sync", "--quiet", "--python", str(python), "tfx.txt")
    return python


@pytest.mark.parametrize("extras", ["", "[kubeflow]", "[postgresql]", "[kms]"])
def test_nothing_that_is_installed_changes_its_version(extras: str, wheel: pathlib.Path, beside: pathlib.Path) -> None:
    there = _installed(beside)
    assert there["tfx"].startswith(generations.INSTALLED)
    assert "tfx-privacy" not in there
    plan = _plan(beside, f"{wheel}{extras}")
    assert plan.pop("tfx-privacy")
    changed = {name: f"{there[name]} -> {version}" for name, version in plan.items() if name in there}
    assert not changed


def test_a_package_that_would_change_one_is_seen(beside: pathlib.Path) -> None:
    there = _installed(beside)
    plan = _plan(beside, f"absl-py!={there['absl-py']}")
    assert plan["absl-py"] != there["absl-py"]


def _installed(python: pathlib.Path) -> dict[str, str]:
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format", "json"], check=True, capture_output=True, text=True, env=ENVIRON
    )  # fmt: skip
    return {_normal(package["name"]): package["version"] for package in json.loads(listed.stdout)}


def _plan(python: pathlib.Path, requirement: str) -> dict[str, str]:
    """What pip would install, by name."""
    command = [str(python), "-m", "pip", "install", "--dry-run", "--quiet", "--report", "-", requirement]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=ENVIRON, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return {
        _normal(entry["metadata"]["name"]): entry["metadata"]["version"] for entry in json.loads(done.stdout)["install"]
    }


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
