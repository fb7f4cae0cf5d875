"""What TensorFlow logs while records are read quotes them: those lines are kept back, and all others are not."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tfx_privacy.errors import DataError

pytestmark = pytest.mark.slow

# As TensorFlow writes it by itself, whatever becomes of the error.
QUOTED = (
    b"2026-01-31 12:00:00.000000: W tensorflow/core/framework/op_kernel.cc:1839] OP_REQUIRES failed at x: SECRET-4711\n"
)
NEEDED = b"2026-01-31 12:00:00.000000: I tensorflow/core/x.cc:1] A line that people need.\n"


def fail() -> None:
    import tensorflow as tf

    os.write(2, QUOTED)
    os.write(2, NEEDED)
    tf.strings.to_number(tf.constant("SECRET-4711"))


def fail_with_bytes() -> None:
    raise UnicodeDecodeError("utf-8", b"SECRET\xff-4711", 6, 7, "invalid start byte")


def reading_for_training(function: Callable[[], None]) -> None:
    from tfx_privacy.components.dp_trainer import data

    data.reading(function, [])


def reading_for_attacks(function: Callable[[], None]) -> None:
    from tfx_privacy.components.privacy_evaluator import reader

    with reader._without_records("A record does not fit."):
        function()


@pytest.mark.parametrize("reading", [reading_for_training, reading_for_attacks])
@pytest.mark.parametrize("function", [fail, fail_with_bytes])
def test_neither_the_error_nor_the_log_quotes_a_record(
    reading: Callable[[Callable[[], None]], None], function: Callable[[], None], capfd: pytest.CaptureFixture[str]
) -> None:
    from tfx_privacy.components.privacy_evaluator.failures import UnjudgedError

    with pytest.raises((DataError, UnjudgedError)) as raised:
        reading(function)
    logged = capfd.readouterr().err
    assert "SECRET" not in str(raised.value) + logged
    assert raised.value.__cause__ is None
    if function is fail:
        assert "A line that people need." in logged
