"""Which generation of TFX `make` takes, on machines of every kind: scripts/generation.sh with other programs on PATH."""

from __future__ import annotations

import pathlib
import subprocess

import pytest
from places import ROOT

# Answers what the script asks a Python of the version in its name.
PYTHON = """#!/bin/bash
case "$2" in
  *version_info*) [[ "$2" == *"'VERSION'"* ]] ;;
  *Python.h*) HEADERS ;;
  *sys.executable*) echo "$0" ;;
esac
"""


def chosen(
    folder: pathlib.Path,
    *,
    glibc: str = "2.41",
    pythons: tuple[str, ...] = ("3.13",),
    headers: tuple[str, ...] = ("3.10", "3.11", "3.12", "3.13"),
    compiler: bool = True,
    **wishes: str,
) -> tuple[int, str, str]:
    """Exit code, what is printed for the reader, and generation and interpreter."""
    programs = {"getconf": f"#!/bin/bash\necho 'glibc {glibc}'\n" if glibc else "#!/bin/bash\nexit 1\n"}
    for version in pythons:
        text = PYTHON.replace("VERSION", version).replace("HEADERS", "true" if version in headers else "false")
        programs[f"python{version}"] = text
    if compiler:
        programs["c++"] = "#!/bin/bash\n"
    path = folder / "bin"
    path.mkdir()
    for name, text in programs.items():
        (path / name).write_text(text)
        (path / name).chmod(0o755)
    for name in ("cut", "sort", "head", "cat"):
        (path / name).symlink_to(f"/usr/bin/{name}")
    script = (
        f'cache={folder}; say() {{ printf "%s\\n" "$*" >&2; }}; set -euo pipefail; . {ROOT}/scripts/generation.sh;'
        ' choose_generation; echo "$generation $python"'
    )
    environ = {"PATH": str(path), "HOME": str(folder), **wishes}
    done = subprocess.run(
        ["/bin/bash", "-c", script], capture_output=True, text=True, env=environ, check=False, cwd=folder
    )
    return done.returncode, done.stderr.strip(), done.stdout.strip().replace(f"{path}/", "")


def test_a_current_system_gets_the_current_generation(tmp_path: pathlib.Path) -> None:
    code, said, found = chosen(tmp_path)
    assert (code, found) == (0, "1.21 python3.13")
    assert said == f"tfx 1.21 with Python ({tmp_path}/bin/python3.13): this system can run it."


@pytest.mark.parametrize("pythons", [("3.11",), ("3.12",), ("3.10", "3.12")])
def test_any_python_that_it_admits_will_do(tmp_path: pathlib.Path, pythons: tuple[str, ...]) -> None:
    assert chosen(tmp_path, pythons=pythons)[2] == f"1.21 python{pythons[-1]}"


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        ({"glibc": "2.36"}, "it needs glibc 2.39 (Debian 13, Ubuntu 24.04), and this system has 2.36."),
        ({"glibc": "2.4"}, "and this system has 2.4."),
        ({"glibc": ""}, "this system has no glibc."),
        ({"pythons": ("3.10", "3.14")}, "it needs a Python of 3.11 to 3.13, and none is here"),
        ({"headers": ("3.10",)}, "it needs Python.h, to build pyfarmhash (install python3-dev)."),
        ({"PYTHON": "python3.10"}, "it needs a Python of 3.11 to 3.13, and PYTHON names another."),
    ],
)
def test_another_gets_the_earlier_one_and_the_reason(
    tmp_path: pathlib.Path, machine: dict[str, object], reason: str
) -> None:
    given = {"pythons": ("3.10", "3.13"), **machine}
    code, said, found = chosen(tmp_path, **given)  # type: ignore[arg-type]
    assert (code, found) == (0, "1.16 python3.10")
    assert said.startswith("tfx 1.16 with Python (")
    assert "not 1.21" in said
    assert reason in said
    assert "\n" not in said


def test_without_a_python_3_10_one_is_asked_for_by_version(tmp_path: pathlib.Path) -> None:
    """Of uv, which downloads it."""
    assert chosen(tmp_path, glibc="2.36", pythons=())[2] == "1.16 3.10"


def test_one_without_headers_is_passed_over(tmp_path: pathlib.Path) -> None:
    assert chosen(tmp_path, pythons=("3.12", "3.13"), headers=("3.12",))[2] == "1.21 python3.12"


def test_a_3_10_without_headers_is_not_taken(tmp_path: pathlib.Path) -> None:
    assert chosen(tmp_path, glibc="2.36", pythons=("3.10",), headers=())[2] == "1.16 3.10"


def test_without_a_compiler_neither_runs(tmp_path: pathlib.Path) -> None:
    code, said, _ = chosen(tmp_path, compiler=False)
    assert code == 1
    assert "install g++, and run this again." in said


def test_the_python_that_is_named_is_taken_before_a_newer_one(tmp_path: pathlib.Path) -> None:
    assert chosen(tmp_path, pythons=("3.11", "3.13"), PYTHON="python3.11")[2] == "1.21 python3.11"


@pytest.mark.parametrize(
    ("wishes", "rule"),
    [
        ({"PYTHON": "python3.14"}, "PYTHON=python3.14 is no Python of 3.10 to 3.13"),
        ({"PYTHON": "nothing"}, "PYTHON=nothing is no Python of 3.10 to 3.13"),
        ({"PYTHON": "python3.13", "TFX": "1.16"}, "tfx 1.16 needs Python 3.10 with Python.h, and PYTHON=python3.13"),
    ],
)
def test_a_named_python_that_will_not_do_is_refused(tmp_path: pathlib.Path, wishes: dict[str, str], rule: str) -> None:
    code, said, _ = chosen(tmp_path, pythons=("3.10", "3.13", "3.14"), **wishes)  # type: ignore[arg-type]
    assert code == 1
    assert rule in said


def test_a_wish_decides(tmp_path: pathlib.Path) -> None:
    code, said, found = chosen(tmp_path, TFX="1.16", pythons=("3.10", "3.13"))
    assert (code, found) == (0, "1.16 python3.10")
    assert said.endswith("as TFX says.")


def test_a_wish_that_cannot_be_is_refused_with_what_to_install(tmp_path: pathlib.Path) -> None:
    code, said, _ = chosen(tmp_path, TFX="1.21", glibc="2.36")
    assert code == 1
    assert "TFX=1.21 was asked for, but it needs glibc 2.39" in said


@pytest.mark.parametrize("wish", ["1.15", "1.17", "latest", "1.210"])
def test_an_unknown_wish_is_refused_by_name(tmp_path: pathlib.Path, wish: str) -> None:
    code, said, _ = chosen(tmp_path, TFX=wish)
    assert code == 1
    assert said.startswith(f"TFX={wish} is no generation of TFX that this package knows. Set TFX=1.16 or TFX=1.21")
