"""`make release`: what it refuses, and one whole release of a clone of this checkout."""

import datetime
import os
import pathlib
import subprocess
import tarfile
import zipfile

import pytest
import release
import yaml
from places import ROOT
from release import ReleaseError

from tfx_privacy import __version__

CHANGELOG = """# Changelog

## [Unreleased]

## [1.2.0] - 2026-02-03

### Added

- A gate.

## [1.1.0] - 2026-01-02

- Less.
"""


# The version and its changes.


@pytest.mark.parametrize("version", ["1.2.0", "1.2.0rc1", "10.0.3b2"])
def test_a_version_is_read_from_its_module(version: str, tmp_path: pathlib.Path) -> None:
    write_version(tmp_path, version)
    assert release.version_of(tmp_path) == version


@pytest.mark.parametrize("version", ["1.2", "1.2.0.dev1", "1.2.0+local", "v1.2.0", ""])
def test_a_version_that_is_none_to_release_is_refused(version: str, tmp_path: pathlib.Path) -> None:
    write_version(tmp_path, version)
    with pytest.raises(ReleaseError, match=r"Expected a version such as 1\.2\.3"):
        release.version_of(tmp_path)


def test_this_checkout_has_a_version_that_can_be_released() -> None:
    assert release.version_of(ROOT) == __version__


def test_a_dated_section_is_accepted() -> None:
    assert release.changelog_date(CHANGELOG, "1.2.0") == datetime.date(2026, 2, 3)
    assert release.changelog_date(CHANGELOG, "1.1.0") == datetime.date(2026, 1, 2)
    assert release.changelog_date(CHANGELOG.replace("## [Unreleased]\n", ""), "1.2.0") == datetime.date(2026, 2, 3)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[1.2.0]", "[1.3.0]", r"Expected a section '## \[1\.2\.0\] - YYYY-MM-DD'"),
        (" - 2026-02-03", "", "Expected a date YYYY-MM-DD for 1.2.0 in CHANGELOG.md, found None"),
        ("2026-02-03", "2026-02-30", "found '2026-02-30'"),
        ("2026-02-03", "3.2.2026", "found '3.2.2026'"),
        ("### Added\n\n- A gate.\n", "", "Expected the section of 1.2.0 .* to list changes"),
        ("[Unreleased]\n", "[Unreleased]\n\n- More.\n", "Expected nothing under 'Unreleased'"),
    ],
)
def test_a_changelog_that_is_not_finished_is_refused(old: str, new: str, message: str) -> None:
    assert CHANGELOG.count(old) == 1
    with pytest.raises(ReleaseError, match=message):
        release.changelog_date(CHANGELOG.replace(old, new), "1.2.0")


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == __version__
    assert citation["cff-version"] == "1.2.0"
    assert citation["license"] == "Apache-2.0"
    assert citation["authors"] == [{"name": "The tfx-privacy authors"}]
    assert {"title", "message", "abstract", "type"} <= set(citation)


# What was built.


def test_a_wheel_with_too_little_or_too_much_is_refused(tmp_path: pathlib.Path) -> None:
    for name in ("src/tfx_privacy", *release.LINKED):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "components" / "gate.py").touch()
    wheel = tmp_path / "a.whl"
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.writestr("tfx_privacy/components/gate.py", "")
        packed.writestr("tfx_privacy-1.2.0.dist-info/RECORD", "")
    release.check_contents(wheel, tmp_path)
    with zipfile.ZipFile(wheel, "a") as packed:
        packed.writestr("tfx_privacy/deleted.py", "")
    (tmp_path / "pipelines" / "new.py").touch()
    with pytest.raises(ReleaseError, match=r"lacks \['tfx_privacy/pipelines/new.py'\].*\['tfx_privacy/deleted.py'\]"):
        release.check_contents(wheel, tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Version: 1.2.0", "Version: 1.2.1", "Expected Version: 1.2.0"),
        ("License: Apache-2.0\n", "", "Expected License: Apache-2.0"),
        ("text/markdown", "text/x-rst", "Expected Description-Content-Type: text/markdown"),
        ("# Read me", "# Something", "Expected README.md"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(old: str, new: str, message: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "README.md").write_text("# Read me\n")
    metadata = (
        "Metadata-Version: 2.1\nName: tfx-privacy\nVersion: 1.2.0\nLicense: Apache-2.0\n"
        "Description-Content-Type: text/markdown\n\n# Read me\n"
    )
    release.check_metadata(write_wheel(tmp_path / "good.whl", metadata), tmp_path, "1.2.0")
    assert metadata.count(old) == 1
    with pytest.raises(ReleaseError, match=message):
        release.check_metadata(write_wheel(tmp_path / "bad.whl", metadata.replace(old, new)), tmp_path, "1.2.0")


def test_an_sdist_does_not_tell_who_packed_it_and_when(tmp_path: pathlib.Path) -> None:
    """The same files, packed at other times in another order with other rights, are the same bytes afterwards."""
    digests = set()
    for number, names in enumerate([("a.py", "b.py"), ("b.py", "a.py")]):
        folder = tmp_path / str(number)
        folder.mkdir()
        with tarfile.open(folder / "x.tar.gz", "w:gz") as packed:
            for name in names:
                (folder / name).write_text(name)
                (folder / name).chmod(0o600 + 0o44 * number)
                os.utime(folder / name, (number, number))
                packed.add(folder / name, name)
        release.normalize(folder / "x.tar.gz", 1_700_000_000)
        digests.add(release.digest(folder / "x.tar.gz"))
    assert len(digests) == 1
    with tarfile.open(folder / "x.tar.gz") as packed:
        assert [(entry.name, entry.mtime, entry.uid, entry.uname) for entry in packed] == [
            ("a.py", 1_700_000_000, 0, ""),
            ("b.py", 1_700_000_000, 0, ""),
        ]


def test_builds_that_differ_are_named(tmp_path: pathlib.Path) -> None:
    first, second = tmp_path / "1" / "a.whl", tmp_path / "2" / "a.whl"
    for path, content in ((first, b"one"), (second, b"two")):
        path.parent.mkdir()
        path.write_bytes(content)
    release.require_same([first], [first])
    with pytest.raises(ReleaseError, match=r"Two builds of one commit differ: a\.whl"):
        release.require_same([first], [second])


# All of it.


@pytest.fixture
def clone(tmp_path: pathlib.Path) -> pathlib.Path:
    """A clone of this checkout's commit, whose changelog has a section for the version."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout of git")
    folder = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder)], check=True)
    version = release.version_of(folder)
    (folder / "CHANGELOG.md").write_text(f"# Changelog\n\n## [{version}] - 2026-02-03\n\n- All.\n")
    identity = ["-c", "user.name=A tester", "-c", "user.email=tester@example.com"]
    subprocess.run(["git", *identity, "commit", "--quiet", "--all", "--message=Release"], cwd=folder, check=True)
    return folder


@pytest.mark.slow
def test_a_clone_is_released(clone: pathlib.Path) -> None:
    stray = clone / "components" / "stray.py"
    stray.touch()
    with pytest.raises(ReleaseError, match=r"(?s)Expected a clean checkout.*stray\.py"):
        release.release(clone)
    stray.unlink()
    # What an earlier build left, and git ignores, must not get into the wheel.
    left = clone / "build" / "lib" / "tfx_privacy"
    left.mkdir(parents=True)
    (left / "deleted.py").touch()
    sdist, wheel = release.release(clone)
    assert [path.parent for path in (sdist, wheel)] == [clone / "dist"] * 2
    assert "tfx_privacy/deleted.py" not in release.packed_files(wheel)
    assert sdist.name == f"tfx_privacy-{release.version_of(clone)}.tar.gz"


# What the tests share.


def write_version(root: pathlib.Path, version: str) -> None:
    folder = root / "src" / "tfx_privacy"
    folder.mkdir(parents=True)
    (folder / "_version.py").write_text(f'"""The version."""\n\n__version__ = "{version}"\n')


def write_wheel(path: pathlib.Path, metadata: str) -> pathlib.Path:
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("tfx_privacy-1.2.0.dist-info/METADATA", metadata)
        packed.writestr("tfx_privacy-1.2.0.dist-info/LICENSE", "Apache License")
    return path
