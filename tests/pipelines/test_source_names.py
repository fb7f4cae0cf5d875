import pathlib

import pytest

from tfx_privacy.pipelines import source_names


def read(tmp_path: pathlib.Path, text: str) -> source_names.Names:
    (tmp_path / "beside.py").write_text("VALUE = 1\n")
    (tmp_path / "given.py").write_text(text)
    found = source_names.read(tmp_path / "given.py")
    assert found is not None
    return found


@pytest.mark.parametrize(
    "text",
    [
        "import os\nVALUE = os.path.join(os.environ['HOME'], 'x')",
        "VALUE: list[str] = ['--a']\nOTHER = VALUE + [str(len(VALUE))]",
        "from tfx.components import Pusher as VALUE",
        "from beside import VALUE as _\nVALUE = 1",
        "class VALUE: pass",
        "@component\ndef VALUE(): pass",
        "import tfx.orchestration as VALUE",
        "try:\n    import json as VALUE\nexcept ImportError:\n    VALUE = None",
        "if __name__ == '__main__':\n    VALUE = made()\nVALUE = 'text'",
    ],
)
def test_what_is_no_pipeline_is_known(text: str, tmp_path: pathlib.Path) -> None:
    found = read(tmp_path, text)
    assert "VALUE" in found.inert
    assert found.complete


@pytest.mark.parametrize(
    "text",
    [
        "from tfx.orchestration import pipeline\nVALUE = pipeline.Pipeline('a', 'b')",
        "def make(): ...\nVALUE = make()",
        "from beside import VALUE",
        "from .beside import VALUE",
        "@dsl.pipeline\ndef VALUE_pipeline(): ...\nVALUE = VALUE_pipeline",
        "VALUE = 1\nVALUE += made()",
        "import os\nos = made()\nVALUE = os.x",
        "with made() as VALUE: ...",
        "if made():\n    VALUE = made()\nelse:\n    VALUE = None",
    ],
)
def test_what_may_be_one_is_not_ruled_out(text: str, tmp_path: pathlib.Path) -> None:
    found = read(tmp_path, text)
    assert "VALUE" in found.others
    assert "VALUE" not in found.inert


@pytest.mark.parametrize(
    "text",
    [
        "from tfx.components import *",
        "globals()['VALUE'] = 1",
        "exec('VALUE = 1')",
        "for VALUE in made(): ...",
        "def make():\n    global VALUE\n    VALUE = 1",
        "print(VALUE := made())",
        "def __getattr__(name): ...",
    ],
)
def test_names_that_the_text_does_not_show_are_not_denied(text: str, tmp_path: pathlib.Path) -> None:
    assert not read(tmp_path, text).complete


def test_functions_and_their_arguments(tmp_path: pathlib.Path) -> None:
    text = "def a(): ...\ndef b(x, y=1): ...\ndef c(*x, y=1, **z): ...\ndef d(*, x): ...\ndef e(): ...\ne = a()\n"
    found = read(tmp_path, text)
    assert {name: source_names.requires_arguments(node) for name, node in found.functions.items()} == {
        "a": False, "b": True, "c": False, "d": True,
    }  # fmt: skip
    assert "e" in found.others


def test_what_is_no_python_is_left_to_the_import(tmp_path: pathlib.Path) -> None:
    (tmp_path / "given.py").write_text("def (:")
    assert source_names.read(tmp_path / "given.py") is None
    assert source_names.read(tmp_path / "missing.py") is None


def test_a_module_is_found_without_running_its_packages(tmp_path: pathlib.Path) -> None:
    (tmp_path / "mine" / "deep").mkdir(parents=True)
    (tmp_path / "mine" / "__init__.py").write_text("raise SystemExit\n")
    (tmp_path / "mine" / "deep" / "model.py").touch()
    folders = [str(tmp_path)]
    assert source_names.find("mine.deep.model", folders) == tmp_path / "mine" / "deep" / "model.py"
    for name in ("mine.deep.other", "mine.deep.model.model_fn", "theirs", "mine.deep"):
        assert source_names.find(name, folders) is None
