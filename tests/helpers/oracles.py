"""Libraries that state the same numbers, where they install: tensorflow-privacy asks for numpy 1."""

from typing import Any

import pytest

from tfx_privacy import compat


def tensorflow_privacy(submodule: str) -> Any:
    """`tensorflow_privacy.<submodule>`, or a skip that says why it is not there."""
    try:
        return compat.tensorflow_privacy(submodule)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "tensorflow_privacy":
            raise
        pytest.skip(
            "tensorflow-privacy and tensorflow-empirical-privacy do not install beside this generation's numpy 2"
        )
