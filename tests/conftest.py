"""Shared by all tests: one Keras generation, chosen before anything imports TensorFlow; databases."""

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import pathlib
import uuid
from collections.abc import Iterator

import pytest
from postgresql_server import NoServerError, Server


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of minutes run where they are asked for by name, `-m long`, and nowhere else."""
    if "long" in config.option.markexpr:
        return
    long = [item for item in items if item.get_closest_marker("long")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a command's remark that it is at work would be among what a test expects it to print."""
    monkeypatch.setattr("tfx_privacy.commands.terminal.PATIENCE", 3600.0)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A real server, or a skip that says why there is none."""
    try:
        server = Server()
    except NoServerError as error:
        pytest.skip(str(error))
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_address(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> str:
    """Address of an empty database, of both kinds in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger/ledger.db"
    server: Server = request.getfixturevalue("postgresql")
    return server.create(f"ledger_{uuid.uuid4().hex}")
