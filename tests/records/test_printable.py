import io
import pathlib
import sys
import unicodedata

import click
import pytest
from click.testing import CliRunner

from tfx_privacy import _printable, errors
from tfx_privacy.commands import terminal

EVERY = [chr(code) for code in range(sys.maxunicode + 1)]
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
# All that have a meaning, all of the plane of tags, and one of 97 of those that have none.
MEANT = [
    character
    for code, character in enumerate(EVERY)
    if unicodedata.category(character) not in ("Cn", "Co") or 0xE0000 <= code < 0xE2000 or code % 97 == 0
]


def test_nothing_that_does_not_print_is_left() -> None:
    for start in range(0, len(EVERY), 64):
        shown = _printable.printable("".join(EVERY[start : start + 64]))
        assert not {unicodedata.category(each) for each in shown} & HIDDEN, start
        shown.encode()


def test_what_prints_stays() -> None:
    for text in ("plain", "caf\u00e9", "\u4e2d\u6587", "\u05e9\u05dc\u05d5\u05dd", "a\u00a0b", "\U0001f600", "", "\\"):
        assert _printable.printable(text) == text
        assert _printable.printable(text, lines=True) == text


def test_lines_are_kept_where_a_whole_message_is_shown() -> None:
    assert _printable.printable("a\n\tb\r\x1b[1A", lines=True) == "a\n\tb\\r\\x1b[1A"
    assert _printable.printable("a\nb") == r"a\nb"


def test_a_blank_name_has_no_visible_character() -> None:
    for character in MEANT:
        if not character.isspace() and character.isprintable() and unicodedata.category(character)[0] in "LNP":
            assert (
                not _printable.is_blank(f" {character}\u200b")
                or character in "\u115f\u1160\u3164\uffa0\U00013441\U00013442"
            )
    for character in MEANT:
        if unicodedata.category(character)[0] in "SMZC" or _printable.is_ignorable(character):
            assert _printable.is_blank(f" {character}\u200b"), ascii(character)
    for blank in (
        "",
        "\t",
        "\u200b\u200d",
        "\ufeff",
        "\u2800",
        "\u3164",
        "\u034f",
        "\u180e",
        "\U0001d159",
        "\ufffc",
        "\U00013441",
    ):
        assert _printable.is_blank(blank)


@pytest.mark.parametrize("kind", [errors.DataError, errors.LedgerError, errors.EvidenceError, errors.InternalError])
def test_errors_quote_nothing_that_commands_a_terminal(kind: type[Exception]) -> None:
    assert r"\x1b[2J" in str(kind("label \x1b[2J\nis unknown"))
    assert "\x1b" not in str(kind("label \x1b[2J"))
    assert "\n" in str(kind("label\nis unknown"))


def test_data_goes_into_a_pipe_as_it_is_and_to_a_terminal_printable(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def command() -> None:
        terminal.data("\x1b[2Jdata\n")

    assert CliRunner().invoke(command).output == "\x1b[2Jdata\n"

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shown = Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    terminal.data("\x1b[2Jdata\n")
    assert shown.getvalue() == "\\x1b[2Jdata\n"


def test_nothing_but_the_terminal_module_echoes() -> None:
    """Ruff forbids it as well; this says so where somebody turns that off."""
    folder = pathlib.Path(terminal.__file__).parent
    users = [path.name for path in folder.glob("*.py") if "click.echo(" in path.read_text()]
    assert users == ["terminal.py"]
