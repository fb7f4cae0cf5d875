"""Checks that this commit can be released, builds it twice, and checks what was built. It uploads nothing.

    python scripts/release.py

The sdist and the wheel are then in dist/.
"""

from __future__ import annotations

import ast
import datetime
import email
import gzip
import hashlib
import io
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Folders at the top that the package holds as links.
LINKED = ("components", "pipelines", "templates")
_VERSION = re.compile(r"\d+\.\d+\.\d+((a|b|rc)\d+)?")
_SECTION = re.compile(r"^## \[([^]]+)\](?: - (\S+))?[ ]*$", re.MULTILINE)


class ReleaseError(Exception):
    """Why this commit cannot be released, and what to do."""


class Built(NamedTuple):
    """The two files of a release."""

    sdist: pathlib.Path
    wheel: pathlib.Path


# What is checked before anything is built.


def version_of(root: pathlib.Path) -> str:
    """Returns the version in `_version.py`, without importing the package.

    Raises:
      ReleaseError: If it is not one to release: three numbers, perhaps with a1, b1 or rc1 behind them.
    """
    module = ast.parse((root / "src" / "tfx_privacy" / "_version.py").read_text(encoding="utf-8"))
    values = [node.value for node in module.body if isinstance(node, ast.Assign)]
    version = ast.literal_eval(values[0])
    if not _VERSION.fullmatch(version):
        raise ReleaseError(f"Expected a version such as 1.2.3 or 1.2.3rc1 in _version.py, found {version!r}.")
    return str(version)


def changelog_date(text: str, version: str) -> datetime.date:
    """Returns the day of the version's section in the changelog.

    Raises:
      ReleaseError: If the section is missing, is empty or has no date, or if changes are left under "Unreleased".
    """
    parts = _SECTION.split(text)
    sections = {parts[i]: (parts[i + 1], parts[i + 2].strip()) for i in range(1, len(parts), 3)}
    if version not in sections:
        raise ReleaseError(f"Expected a section '## [{version}] - YYYY-MM-DD' in CHANGELOG.md. Move the changes there.")
    day, body = sections[version]
    if not body:
        raise ReleaseError(f"Expected the section of {version} in CHANGELOG.md to list changes; it is empty.")
    if sections.get("Unreleased", ("", ""))[1]:
        raise ReleaseError(f"Expected nothing under 'Unreleased' in CHANGELOG.md. Move it to {version}.")
    try:
        return datetime.date.fromisoformat(day or "")
    except ValueError:
        raise ReleaseError(f"Expected a date YYYY-MM-DD for {version} in CHANGELOG.md, found {day!r}.") from None


def require_clean(root: pathlib.Path) -> None:
    """Raises if the checkout holds anything that is not in its commit.

    Raises:
      ReleaseError: With the files.
    """
    changed = _output(["git", "status", "--porcelain"], root)
    if changed:
        raise ReleaseError(f"Expected a clean checkout. Commit or remove:\n{changed}")


# Building.


def build(root: pathlib.Path, work: pathlib.Path) -> Built:
    """Builds sdist and wheel from an export of the commit, so nothing else in the checkout can get into them.

    Args:
      root: The checkout.
      work: An empty folder.

    Returns:
      The two files, in `work`/built; the export stays in `work`/source. All times in them are the commit's.
    """
    epoch = int(_output(["git", "log", "-1", "--format=%ct"], root))
    source, target = work / "source", work / "built"
    source.mkdir()
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=root, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        packed.extractall(source)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target), str(source)]
    _output(command, work, {"SOURCE_DATE_EPOCH": str(epoch)})
    (sdist,), (wheel,) = target.glob("*.tar.gz"), target.glob("*.whl")
    normalize(sdist, epoch)
    return Built(sdist, wheel)


def normalize(sdist: pathlib.Path, epoch: int) -> None:
    """Rewrites an sdist with sorted entries, one time, and no owners: setuptools takes these from the machine."""
    with tarfile.open(sdist) as packed:
        entries = [
            (entry, packed.extractfile(entry) if entry.isfile() else None)
            for entry in sorted(packed.getmembers(), key=lambda entry: entry.name)
        ]
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as rewritten:
            for entry, data in entries:
                entry.mtime, entry.pax_headers = epoch, {}
                entry.uid = entry.gid = 0
                entry.uname = entry.gname = ""
                entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
                rewritten.addfile(entry, data)
    with sdist.open("wb") as stream, gzip.GzipFile("", "wb", fileobj=stream, mtime=epoch) as packed_again:
        packed_again.write(content.getvalue())


def digest(path: pathlib.Path) -> str:
    """Returns the file's SHA-256 as hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def require_same(first: Sequence[pathlib.Path], second: Sequence[pathlib.Path]) -> None:
    """Raises if two builds differ.

    Raises:
      ReleaseError: With the names of the files that differ.
    """
    one, other = ({path.name: digest(path) for path in built} for built in (first, second))
    differ = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    if differ:
        raise ReleaseError(f"Two builds of one commit differ: {', '.join(differ)}.")


# What was built.


def shipped_files(root: pathlib.Path) -> set[str]:
    """Returns every module and data file of the package, by its path inside the wheel; READMEs do not count."""
    folders = {"tfx_privacy": root / "src" / "tfx_privacy"}
    folders |= {f"tfx_privacy/{name}": root / name for name in LINKED}
    found = set()
    for prefix, folder in folders.items():
        for path in folder.rglob("*"):
            inside = path.relative_to(folder)
            if path.is_file() and "__pycache__" not in path.parts and not path.is_symlink():
                if prefix == "tfx_privacy" and inside.parts[0] in LINKED:
                    continue
                found.add(f"{prefix}/{inside.as_posix()}")
    return {name for name in found if not name.endswith("README.md")}


def packed_files(wheel: pathlib.Path) -> set[str]:
    """Returns what a wheel holds besides its metadata; READMEs do not count."""
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
    return {name for name in names if ".dist-info/" not in name and not name.endswith("README.md")}


def check_contents(wheel: pathlib.Path, root: pathlib.Path) -> None:
    """Raises if the wheel lacks a file of the package or holds another.

    Raises:
      ReleaseError: With the names.
    """
    packed, shipped = packed_files(wheel), shipped_files(root)
    if packed != shipped:
        raise ReleaseError(
            f"The wheel lacks {sorted(shipped - packed)}, and should not hold {sorted(packed - shipped)}."
        )


def check_metadata(wheel: pathlib.Path, root: pathlib.Path, version: str) -> None:
    """Raises if a wheel's metadata is not what its index and its users need.

    Raises:
      ReleaseError: With the field and what it should be.
    """
    with zipfile.ZipFile(wheel) as packed:
        (name,) = [name for name in packed.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(packed.read(name))
        licenses = [name for name in packed.namelist() if name.endswith("/LICENSE") and ".dist-info/" in name]
    expected = {
        "Name": "tfx-privacy",
        "Version": version,
        "License": "Apache-2.0",
        "Description-Content-Type": "text/markdown",
    }
    for field, value in expected.items():
        if metadata[field] != value:
            raise ReleaseError(f"Expected {field}: {value} in the wheel's metadata, found {metadata[field]!r}.")
    description = str(metadata.get_payload(decode=True), "utf-8")  # type: ignore[arg-type]
    if description.strip() != (root / "README.md").read_text(encoding="utf-8").strip():
        raise ReleaseError("Expected README.md as the wheel's description; it is another text.")
    if len(licenses) != 1:
        raise ReleaseError(f"Expected the licence's text once in the wheel, found {licenses}.")


def check_installation(wheel: pathlib.Path, work: pathlib.Path, version: str) -> None:
    """Unpacks the wheel, which checks its hashes, installs it into a new environment, and imports the package there.

    Args:
      wheel: The file.
      work: An empty folder.
      version: What the package should say that it is.

    Raises:
      ReleaseError: If the package says another version; other failures are those of the commands.
    """
    environment = work / "environment"
    _output([sys.executable, "-m", "wheel", "unpack", "--dest", str(work / "unpacked"), str(wheel)], work)
    _output([sys.executable, "-m", "venv", "--without-pip", str(environment)], work)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    _output([*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)], work)
    code = "import tfx_privacy; print(tfx_privacy.__version__)"
    found = _output([str(python), "-I", "-c", code], work)
    if found != version:
        raise ReleaseError(f"Expected the installed package to be version {version}; it says {found!r}.")


def release(root: pathlib.Path) -> Built:
    """Checks, builds and checks again.

    Returns:
      The sdist and the wheel, in dist/ of the checkout.

    Raises:
      ReleaseError: If anything is not as it should be; dist/ is then left as it was.
    """
    require_clean(root)
    version = version_of(root)
    changelog_date((root / "CHANGELOG.md").read_text(encoding="utf-8"), version)
    with tempfile.TemporaryDirectory() as folder:
        work = {name: pathlib.Path(folder) / name for name in ("first", "second", "check")}
        for path in work.values():
            path.mkdir()
        built = build(root, work["first"])
        require_same(built, build(root, work["second"]))
        check_contents(built.wheel, work["first"] / "source")
        check_metadata(built.wheel, root, version)
        check_installation(built.wheel, work["check"], version)
        target = root / "dist"
        target.mkdir(exist_ok=True)
        return Built(*(pathlib.Path(shutil.copy(path, target)) for path in built))


def main() -> int:
    """Releases this checkout, and prints digests and what to do next."""
    try:
        built = release(ROOT)
    except ReleaseError as error:
        print(f"Not releasable. {error}", file=sys.stderr)
        return 1
    for path in built:
        print(f"{digest(path)}  {path.relative_to(ROOT)}")
    print(
        f"Nothing was uploaded. Next, if `make test` has passed on this commit: tag it v{version_of(ROOT)}, push the "
        "tag, upload these files, and begin '## [Unreleased]' in CHANGELOG.md again."
    )
    return 0


def _output(command: Sequence[str], folder: pathlib.Path, extra: Mapping[str, str] | None = None) -> str:
    """What a command prints; if it fails, an error with everything that it said."""
    done = subprocess.run(
        command, cwd=folder, check=False, capture_output=True, text=True, env={**os.environ, **(extra or {})}
    )
    if done.returncode != 0:
        raise ReleaseError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout.rstrip()


if __name__ == "__main__":
    sys.exit(main())
