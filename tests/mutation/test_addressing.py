"""The mechanism that applies the bugs: a bug's place is found by name, and in it by syntax."""

from __future__ import annotations

import ast
import pathlib

import pytest
from addressing import AddressError, Package
from mutants import MUTANTS
from run import all_prepared
from syntax import SnippetError

CODE = """
LIMIT = 3
register(at_exit=LIMIT)


class Sampler:
    size: int = 4

    @cached(maxsize=8)
    def draw(self, count, *, replace=False):
        größe = "ä" * count; total = self.size * (count + 1)
        if total > LIMIT and not replace and count:
            # Why.
            self.shuffle(total, seed=0)
            return [
                total,
                count,
            ]
        raise ValueError(f"{größe} of {total!r} " "do not fit")


def both(first):
    def twice(step):
        return step + first

    yield twice(2)
    yield twice(3)
"""


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    return _write(tmp_path / "code", "batches.py")


def _write(folder: pathlib.Path, name: str, text: str = CODE) -> pathlib.Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def _change(folder: pathlib.Path, where: str, old: str, new: str) -> str:
    return ast.unparse(Package(folder).find(where).changed(old, new))


def _replaced(old: str, new: str) -> str:
    """The same change, made in the text."""
    assert CODE.count(old) == 1
    return ast.unparse(ast.parse(CODE.replace(old, new)))


def test_every_bug_has_its_place_and_its_tests() -> None:
    bugs, problems = all_prepared(MUTANTS)
    assert not problems, "\n".join(problems)
    assert len(bugs) == len(MUTANTS)
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)  # a log that names one names no other


@pytest.mark.parametrize("tests", ["test_nowhere", "test_addressing::test_nothing", "test_addressing test_nowhere"])
def test_a_bug_whose_tests_are_not_there_is_a_problem(tests: str) -> None:
    """Else pytest would run nothing, or others."""
    bugs, problems = all_prepared([MUTANTS[0]._replace(tests=tests), MUTANTS[0]])
    assert (len(bugs), len(problems)) == (1, 1)


@pytest.mark.parametrize(
    ("where", "module"),
    [
        ("LIMIT", "code.batches"),
        ("register", "code.batches"),
        ("Sampler", "code.batches"),
        ("Sampler.size", "code.batches"),
        ("Sampler.draw", "code.batches"),
        ("both.twice", "code.batches"),
        ("batches:both", "code.batches"),
        ("code.batches:both", "code.batches"),
    ],
)
def test_code_is_found_by_its_qualified_name(folder: pathlib.Path, where: str, module: str) -> None:
    place = Package(folder).find(where)
    assert (place.module, place.name) == (module, where.rpartition(":")[2])


@pytest.mark.parametrize("where", ["draw", "total", "Sampler.drew", "es:both", "other:both", ""])
def test_an_address_of_nothing_is_an_error(folder: pathlib.Path, where: str) -> None:
    with pytest.raises(AddressError, match="is the address of 0 places"):
        Package(folder).find(where)


def test_an_address_of_nothing_names_what_is_like_it(folder: pathlib.Path) -> None:
    with pytest.raises(AddressError, match=r"code.batches:Sampler.draw \(line 10\)"):
        Package(folder).find("draw")


def test_an_ambiguous_address_names_all_places_and_takes_the_modules_name(folder: pathlib.Path) -> None:
    _write(folder, "old/batches.py")
    _write(folder, "loop.py")
    with pytest.raises(AddressError, match=r"3 places(?s:.*)code\.loop:both(?s:.*)code\.old\.batches:both"):
        Package(folder).find("both")
    with pytest.raises(AddressError, match="2 places"):
        Package(folder).find("batches:both")
    assert Package(folder).find("loop:both").module == "code.loop"
    assert Package(folder).find("old.batches:both").module == "code.old.batches"


def test_a_name_given_twice_in_one_module_is_ambiguous(tmp_path: pathlib.Path) -> None:
    folder = _write(tmp_path / "code", "batches.py", "if fast:\n    LIMIT = 1\nelse:\n    LIMIT = 2\n")
    with pytest.raises(AddressError, match=r"2 places(?s:.*)line 2(?s:.*)line 4"):
        Package(folder).find("LIMIT")


def test_a_bug_survives_that_its_code_moves(folder: pathlib.Path) -> None:
    before = _change(folder, "Sampler.draw", "not replace", "replace")
    (folder / "batches.py").unlink()
    _write(folder, "drawing/__init__.py")
    assert _change(folder, "Sampler.draw", "not replace", "replace") == before
    assert Package(folder).find("Sampler.draw").module == "code.drawing"


def test_links_are_followed_and_what_is_left_out_is_not_read(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    _write(tmp_path / "elsewhere", "steps.py", "def step(): pass\n")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    _write(folder, "templates/broken.py", "def {{ name }}(): pass\n")
    assert Package(folder, without=["templates"]).find("step").module == "code.linked.steps"


@pytest.mark.parametrize(
    ("where", "old", "new", "in_text", "new_in_text"),
    [
        ("Sampler.draw", "(self . size*(count+1))", "0", "self.size * (count + 1)", "0"),
        ("Sampler.draw", "total = self.size * (count + 1)", "total = 0", "self.size * (count + 1)", "0"),
        ("Sampler.draw", "'ä'", "'a'", '"ä"', '"a"'),
        ("Sampler.draw", "count + 1", "count", "(count + 1)", "count"),
        ("Sampler.draw", "self.size", "a + b", "self.size", "(a + b)"),
        ("Sampler.draw", "total\n  > LIMIT", "total >= LIMIT", "total > LIMIT", "total >= LIMIT"),
        ("Sampler.draw", "not replace", "", " and not replace", ""),
        ("Sampler.draw", "[total, count]  # Both.", "[]", "total,\n                count,", ""),
        ("Sampler.draw", "seed=0", "seed=1", "seed=0", "seed=1"),
        ("Sampler.draw", "seed=0", "", ", seed=0", ""),
        ("Sampler.draw", "maxsize=8", "maxsize=9", "maxsize=8", "maxsize=9"),
        ("Sampler.draw", "False", "True", "False", "True"),
        ("Sampler.draw", 'f"{größe} of {total!r} do not fit"', '""', 'f"{größe} of {total!r} " "do not fit"', '""'),
        ("Sampler", "size: int = 4", "size: int", "size: int = 4", "size: int"),
        ("Sampler.size", "4", "5", "int = 4", "int = 5"),
        ("LIMIT", "LIMIT = 3", "LIMIT = 4", "LIMIT = 3", "LIMIT = 4"),
        ("register", "register(at_exit=LIMIT)", "assert LIMIT", "register(at_exit=LIMIT)", "assert LIMIT"),
        ("both", "yield twice(2)\nyield twice(3)", "yield twice(3)", "    yield twice(2)\n", ""),
        ("both", "yield twice(2)", "pass", "yield twice(2)", "pass"),
        ("both.twice", "return step + first", "", "return step + first", "pass"),
        (
            "both.twice",
            "  return step + first",
            "  step = 0\n  return step",
            "return step + first",
            "step = 0; return step",
        ),
    ],
)
def test_a_place_is_found_by_its_syntax(
    folder: pathlib.Path, where: str, old: str, new: str, in_text: str, new_in_text: str
) -> None:
    assert _change(folder, where, old, new) == _replaced(in_text, new_in_text)


@pytest.mark.parametrize(
    ("old", "new", "in_text", "new_in_text"),
    [
        ("raise ValueError(...)", "return None\nraise ValueError(...)", "raise Val", "return None\n        raise Val"),
        (
            "if ... and not replace and count: ...",
            "if ... or not replace: ...",
            "and not replace and count",
            "or not replace",
        ),
        ("if ...: ...", "count = 1\nif ...: ...", "        if total", "        count = 1\n        if total"),
        ("total > ...", "total < ...", "total >", "total <"),
        ("seed=...", "seed=1 + ...", "seed=0", "seed=1 + 0"),
    ],
)
def test_what_a_snippet_leaves_open_stays(
    folder: pathlib.Path, old: str, new: str, in_text: str, new_in_text: str
) -> None:
    assert _change(folder, "Sampler.draw", old, new) == _replaced(in_text, new_in_text)


def test_a_block_that_is_left_open_can_stay_alone(tmp_path: pathlib.Path) -> None:
    folder = _write(tmp_path / "code", "stop.py", "def stop():\n    if late:\n        note()\n        end()\n")
    assert _change(folder, "stop", "if late: ...", "...") == "def stop():\n    note()\n    end()"


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("if total > LIMIT and not replace and count: ...", "if ...: ...", "1 times in the old snippet, and 2 "),
        ("if ...: ...", "if True: ...", "2 times in the old snippet, and 1 "),
    ],
)
def test_all_that_is_left_open_stays_or_none(folder: pathlib.Path, old: str, new: str, counts: str) -> None:
    with pytest.raises(SnippetError, match=counts):
        _change(folder, "Sampler.draw", old, new)


@pytest.mark.parametrize("old", ["count * 1", "yield twice(2)", "count + 1.0", "replace=True", "größer"])
def test_a_place_that_is_not_there_is_an_error(folder: pathlib.Path, old: str) -> None:
    with pytest.raises(SnippetError, match=r"Sampler.draw \(line 10\): stands 0 times"):
        _change(folder, "Sampler.draw", old, old)


@pytest.mark.parametrize(
    ("where", "old", "times"),
    [
        ("Sampler.draw", "count", "4 times, line 11, line 11, line 12, line 17"),
        ("both", "twice(...)", "2 times, line 26, line 27"),
    ],
)
def test_a_place_that_is_there_twice_is_an_error(folder: pathlib.Path, where: str, old: str, times: str) -> None:
    with pytest.raises(SnippetError, match=times):
        _change(folder, where, old, "0")


def test_a_run_of_statements_is_one_block_of_code(folder: pathlib.Path) -> None:
    with pytest.raises(SnippetError, match="stands 0 times"):
        _change(folder, "both", "return step + first\nyield twice(2)", "pass")


@pytest.mark.parametrize(("old", "new"), [("total >", "0"), ("3", "return"), ("LIMIT = 3", "break")])
def test_what_is_no_python_is_an_error(folder: pathlib.Path, old: str, new: str) -> None:
    with pytest.raises(SnippetError):
        _change(folder, "LIMIT", old, new)


def test_the_rest_keeps_its_lines(folder: pathlib.Path) -> None:
    tree = Package(folder).find("Sampler.draw").changed("self.size * (count + 1)", "(\n0,\n\n1)")
    assert [node.lineno for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)] == [22, 10, 23]
