"""The hooks of pre-commit: all local, and every tool that they call is there."""

import re
import shlex
import subprocess
import sys

import prose
import yaml
from places import ROOT

CONFIG = ROOT / ".pre-commit-config.yaml"
REPOSITORIES = yaml.safe_load(CONFIG.read_text())["repos"]
HOOKS = {hook["id"]: hook for repository in REPOSITORIES for hook in repository["hooks"]}


def test_pre_commit_accepts_the_file() -> None:
    command = [sys.executable, "-m", "pre_commit", "validate-config", str(CONFIG)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_fetched() -> None:
    assert [repository["repo"] for repository in REPOSITORIES] == ["local"]
    assert {hook["language"] for hook in HOOKS.values()} == {"system"}


def test_every_tool_is_there_and_runs_in_make_check_as_well() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for name, hook in HOOKS.items():
        program, *arguments = shlex.split(hook["entry"])
        assert (ROOT / program).is_file(), name
        assert all((ROOT / word).is_file() for word in arguments if "/" in word), name
        assert f"\t{hook['entry'].removesuffix(' --force-exclude')}" in makefile, name


def test_the_prose_hook_sees_every_document() -> None:
    pattern = re.compile(HOOKS["prose"]["files"])
    assert [path for path in prose.documents() if not pattern.search(str(path.relative_to(ROOT)))] == []
