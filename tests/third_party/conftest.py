"""Upstream's own tests of the copies in third_party/: they change as little as the copies, so the fast tests do without."""

import pathlib

import pytest

HERE = pathlib.Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what is upstream's, and not test_copies.py, which compares the copies with what is installed."""
    for item in items:
        if item.path.parent == HERE and item.path.name.endswith("_test.py"):
            item.add_marker(pytest.mark.slow)
