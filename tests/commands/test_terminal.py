"""The one place that writes to a terminal."""

import pytest

from tfx_privacy.commands import terminal


def test_no_message_commands_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.echo("first\n\x1b[2Jsecond\u202e\t\x9b")
    terminal.echo("\x07third", err=True)
    shown = capsys.readouterr()
    assert shown.out == "first\n" + r"\x1b[2Jsecond\u202e" + "\t" + r"\x9b" + "\n"
    assert shown.err == r"\x07third" + "\n"
