"""The layout: links, wheel, what an import costs, what the lock contains."""

import pathlib
import re
import shutil
import subprocess
import sys

import pytest
from places import ROOT
from release import LINKED, packed_files, shipped_files


def test_the_three_links_resolve() -> None:
    """A clone without symbolic links would build a wheel that lacks most of the package."""
    for name in LINKED:
        link = ROOT / "src" / "tfx_privacy" / name
        assert link.is_symlink()
        assert link.resolve() == ROOT / name
        assert not link.readlink().is_absolute()


def test_the_wheel_holds_every_module_and_data_file(tmp_path: pathlib.Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("src", *LINKED):
        ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = "import setuptools.build_meta as backend; backend.build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    (wheel,) = (source / "dist").glob("*.whl")
    packed = packed_files(wheel)
    assert packed == shipped_files(ROOT)
    assert {"tfx_privacy/py.typed", "tfx_privacy/templates/report/report.html.j2"} <= packed


@pytest.mark.parametrize(
    "module", ["tfx_privacy", "tfx_privacy.cli", "tfx_privacy.components", "tfx_privacy.pipelines"]
)
def test_importing_costs_neither_tensorflow_nor_beam(module: str) -> None:
    heavy = ("tensorflow", "apache_beam", "tfx", "kfp", "tfx_privacy.third_party.dp_accounting", "scipy")
    code = f"import sys, {module}; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from tfx_privacy.cli import cli;"
        "assert CliRunner().invoke(cli, ['--help']).exit_code == 0;"
        "print([n for n in ('tensorflow', 'apache_beam', 'tfx', 'numpy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "name", [f"tfx-{version}{kind}.lock" for version in ("1.16", "1.21") for kind in ("", "-image")]
)
def test_the_lock_has_a_hash_for_every_package_and_no_address(name: str) -> None:
    lock = (ROOT / "locks" / name).read_text()
    packages = re.split(r"\n(?=[a-z0-9])", lock)
    assert len(packages) > 100
    for package in packages:
        assert re.match(r"[a-zA-Z0-9._-]+(\[.*\])?==", package), package[:80]
        assert "--hash=sha256:" in package, package[:80]
    assert "://" not in lock


def test_the_page_of_advisories_names_the_locked_versions() -> None:
    rows = re.findall(r"^\| ([\w-]+) \| ([\d.]+) \|", (ROOT / "docs" / "advisories.md").read_text(), re.MULTILINE)
    assert len(rows) >= 5
    locked = (ROOT / "locks" / "tfx-1.16.lock").read_text()
    for name, version in rows:
        assert re.search(rf"^{name}==(\S+)", locked, re.MULTILINE)[1] == version  # type: ignore[index]


def test_what_tfx_calls_at_run_time_is_in_the_environment() -> None:
    """TFX packages a `module_file` with setuptools and wheel, and installs it with pip."""
    for module in ("pip", "setuptools", "wheel"):
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True, capture_output=True)
