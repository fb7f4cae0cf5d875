"""The documents keep to the rules of the prose linter, and to our own on idioms that crept in everywhere."""

import pathlib
import re

import prose
import pytest
from places import ROOT

# Pattern and the most often that all documents together may use it: plain words say the same.
IDIOMS = {
    r"so that": 10,
    r"beside": 10,
    r"stands? in": 5,
    r"is none": 5,
    r"comes? to": 5,
}


def test_every_document_is_there() -> None:
    documents = prose.documents()
    assert {"README.md", "SECURITY.md", "guarantee.md"} <= {path.name for path in documents}
    assert all(path.is_file() for path in documents)


@pytest.mark.parametrize("idiom", IDIOMS)
def test_an_idiom_is_not_worn_out(idiom: str) -> None:
    pattern = re.compile(r"\b" + idiom.replace(" ", r"\s+") + r"\b", re.IGNORECASE)
    found = {
        str(path.relative_to(ROOT)): len(pattern.findall(prose.without_code(path.read_text())))
        for path in prose.documents()
    }
    assert sum(found.values()) <= IDIOMS[idiom], {name: count for name, count in found.items() if count}


def test_code_is_left_out_and_places_stay() -> None:
    text = "See `so that` in [it](docs/so_that.md).\n\n```python\nso = that\n```\n\nSo that so that.\n"
    found = prose.without_code(text)
    assert [len(line) for line in found.splitlines()] == [len(line) for line in text.splitlines()]
    assert [line for line in found.splitlines() if "hat" in line] == ["So that so that."]
    assert found.startswith("See \N{MIDDLE DOT}")
    assert "[it](\N{MIDDLE DOT}" in found


def test_a_finding_names_its_place(tmp_path: pathlib.Path) -> None:
    (tmp_path / ".proselintrc.json").write_text((ROOT / ".proselintrc.json").read_text())
    page, clean = tmp_path / "page.md", tmp_path / "clean.md"
    page.write_text("Plain words.\n\nThe the gate refuses `it it`.\n")
    clean.write_text('"Plain" words ...\n')
    (line,) = prose.findings([page, clean], tmp_path)
    assert re.match(r"page\.md:3:\d+: lexical_illusions: ", line)


def test_what_proselint_leaves_out_is_an_error(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("Plain words.\n")
    monkeypatch.setattr(pathlib.Path, "as_uri", lambda self: "file:///elsewhere")
    with pytest.raises(RuntimeError, match=r"did not check .*page\.md"):
        prose.findings([page])
