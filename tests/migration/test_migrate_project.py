"""What a proposal takes from the files around a module, how often its reader read, and which imports are left."""

from __future__ import annotations

import ast
import pathlib

import pytest

from tfx_privacy.migration import module as modules
from tfx_privacy.migration import report
from tfx_privacy.migration.notes import Proposal
from tfx_privacy.migration.proposal import propose

PREP = """
import tensorflow_transform as tft

LABEL = 'y'


def preprocessing_fn(inputs):
    return {'x': tft.scale_to_z_score(inputs['x']), LABEL: inputs[LABEL]}
"""
READER = """
def _reader(files, out, num_epochs=None):
    return tf.data.experimental.make_batched_features_dataset(
        files, 64, out.transformed_feature_spec(), num_epochs=num_epochs, label_key=LABEL)
"""
TRAINER = """
import tensorflow as tf
import tensorflow_transform as tft
IMPORT

READER
def run_fn(fn_args):
    out = tft.TFTransformOutput(fn_args.transform_output)
    train = READ
    model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
    model.compile('adam', 'mse')
    model.fit(train, FIT)
    model.save(fn_args.serving_model_dir)
"""


def proposed(
    folder: pathlib.Path,
    imported: str = "from prep import LABEL",
    reader: str = READER,
    read: str = "_reader(fn_args.train_files, out, num_epochs=30)",
    fit: str = "",
    **files: str,
) -> Proposal:
    """A proposal for `trainer.py`, with `prep.py` and other files beside it; `a__b` is the file b.py of the folder a."""
    for name, text in {"prep": PREP, **files}.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    path = folder / "trainer.py"
    text = TRAINER.replace("IMPORT", imported).replace("READER", reader).replace("READ", read).replace("FIT", fit)
    path.write_text(text)
    return propose(modules.read(path))


def analyzers(proposal: Proposal) -> list[str]:
    return [f"{found.file}:{found.text.split()[0]}" for found in proposal.uncovered]


@pytest.mark.parametrize(
    ("imported", "file"),
    [
        ("from prep import LABEL", "prep"),
        ("from prep import preprocessing_fn, LABEL as LABEL", "prep"),
        ("from .prep import LABEL", "prep"),
        ("from . import prep\nLABEL = prep.LABEL", "prep"),
        ("import prep\nLABEL = prep.LABEL", "prep"),
        ("from pkg.prep import LABEL", "pkg__prep"),
        ("from pkg import prep as p\nLABEL = p.LABEL", "pkg__prep"),
        ("import pkg.prep\nLABEL = pkg.prep.LABEL", "pkg__prep"),
    ],
)
def test_a_module_is_followed_however_it_is_imported(tmp_path: pathlib.Path, imported: str, file: str) -> None:
    proposal = proposed(tmp_path, imported, **{"prep": "x = 1", file: PREP})
    assert analyzers(proposal) == ["prep.py:tft.scale_to_z_score"]
    assert "LABEL_KEY = LABEL\n" in proposal.text
    assert not proposal.questions


def test_constants_and_modules_further_on_are_followed(tmp_path: pathlib.Path) -> None:
    files = {"prep": "from deep import LABEL, EPOCHS\n", "deep": PREP + "EPOCHS = 7\n"}
    read = "_reader(fn_args.train_files, out, num_epochs=EPOCHS)"
    proposal = proposed(tmp_path, "from prep import LABEL, EPOCHS", read=read, **files)
    assert analyzers(proposal) == ["deep.py:tft.scale_to_z_score"]
    assert proposal.privacy[1].startswith("epochs=7,")
    assert proposal.read == ["trainer.py", "prep.py", "deep.py"]


def test_transforms_module_is_read_though_nothing_imports_it_and_what_was_not_read_is_said(
    tmp_path: pathlib.Path,
) -> None:
    helper = "import tensorflow_transform as tft\n\ndef scaled(x):\n    return tft.scale_to_0_1(x)\n"
    files = {
        "prep": "from helper import scaled\n" + PREP,
        "helper": helper,
        "other": helper,
        "broken": "def (",
        "sub__far": PREP,
    }
    proposal = proposed(tmp_path, "LABEL = 'y'", **files)
    assert analyzers(proposal) == ["helper.py:tft.scale_to_0_1", "prep.py:tft.scale_to_z_score"]
    assert (proposal.read, proposal.only_seen) == (["trainer.py", "prep.py", "helper.py"], ["other.py"])
    assert proposal.not_read == ["broken.py"]
    said = report.render(proposal)
    assert "  read: trainer.py, prep.py, helper.py\n" in said
    assert "which they have not: other.py\n" in said
    assert "too many files): broken.py\n" in said
    assert "not looked into: tensorflow, tensorflow_transform\n" in said


@pytest.mark.parametrize(
    ("read", "fit", "privacy"),
    [
        ("_reader(fn_args.train_files, out, num_epochs=30)", "", "epochs=30,  # as fit() has it, times 30 passes"),
        ("_reader(fn_args.train_files, out, 30)", "epochs=2", "epochs=60,"),
        ("_reader(fn_args.train_files, out, num_epochs=1)", "epochs=4", "epochs=4,  # as fit() has it"),
        ("_reader(fn_args.train_files, out)", "epochs=4", "epochs=4,"),
        (
            "_reader(fn_args.train_files, out, num_epochs=int('3'))",
            "",
            "epochs=...,  # as fit() has it, times int('3')",
        ),
        ("_reader(fn_args.train_files, out, num_epochs=3)", "epochs=int('2')", "epochs=...,"),
        ("_reader(fn_args.train_files, out, num_epochs=1).repeat(5)", "", "epochs=5,"),
        ("_reader(fn_args.train_files, out, num_epochs=1).repeat(count=5)", "epochs=2", "epochs=10,"),
        ("_reader(fn_args.train_files, out, num_epochs=3).repeat(5)", "", "epochs=15,"),
        ("_reader(fn_args.train_files, out, num_epochs=3).repeat()", "epochs=2, steps_per_epoch=20", "steps=40,"),
        ("_reader(fn_args.train_files, out, num_epochs=30)", "steps_per_epoch=fn_args.train_steps", "steps=...,"),
    ],
)
def test_a_readers_passes_are_carried_over(tmp_path: pathlib.Path, read: str, fit: str, privacy: str) -> None:
    proposal = proposed(tmp_path, read=read, fit=fit)
    assert proposal.privacy[0].startswith("expected_batch_size=64,")
    assert proposal.privacy[1].startswith(privacy)
    assert "num_epochs=30" not in proposal.text
    assert "repeat" not in proposal.text


@pytest.mark.parametrize(
    "options",
    ["TensorFlowDatasetOptions(48, True, 3)", "TensorFlowDatasetOptions(48, drop_final_batch=True, num_epochs=3)"],
)
def test_a_number_of_passes_by_place_is_no_second_one(tmp_path: pathlib.Path, options: str) -> None:
    read = f"fn_args.data_accessor.tf_dataset_factory(fn_args.train_files, tfxio.{options}, None)"
    proposal = proposed(tmp_path, "from tfx_bsl.public import tfxio\nfrom prep import LABEL", read=read)
    assert proposal.privacy[:2] == [
        "expected_batch_size=48,  # 48 in run_fn; larger batches bear the noise better (docs/planning.md)",
        "epochs=3,  # as fit() has it, times 3 passes of the reader",
    ]
    calls = [part for part in ast.walk(ast.parse(proposal.text)) if isinstance(part, ast.Call)]
    (given,) = (call for call in calls if "Options" in ast.unparse(call.func))
    assert [*map(ast.unparse, given.args), *(ast.unparse(each.value) for each in given.keywords)] == [
        "48",
        "False",
        "1",
    ]


INNER = """
def _files(files, times):
    return tf.data.TFRecordDataset(files).repeat(times)


def _reader(files, out):
    return _files(files, 4).batch(16)
"""


def test_repeat_goes_out_of_what_the_reader_calls(tmp_path: pathlib.Path) -> None:
    proposal = proposed(tmp_path, reader=INNER, read="_reader(fn_args.train_files, out)")
    assert "repeat" not in proposal.text
    assert proposal.privacy[0].startswith("expected_batch_size=16,")
    assert proposal.privacy[1].startswith("epochs=4,")
    shared = INNER + "\n\nOTHER = _files('x', 1)\n"
    asked = proposed(tmp_path, reader=shared, read="_reader(fn_args.train_files, out)")
    assert any(
        "_files of trainer.py" in question.text and "repeat() is gone" in question.text for question in asked.questions
    )


def test_a_reader_that_is_given_the_files_by_another_name(tmp_path: pathlib.Path) -> None:
    proposal = proposed(
        tmp_path, read="0\n    files = fn_args.train_files\n    train = _reader(files, out, 3).repeat()"
    )
    assert "num_epochs=1, label_key" in proposal.text
    assert "repeat" not in proposal.text
    assert not any("what reads the files" in question.text for question in proposal.questions)


@pytest.mark.parametrize(
    ("imported", "added", "file"),
    [
        ("from reading import load", "import reading", "reading"),
        ("from .reading import load", "from . import reading", "reading"),
        ("from pkg.reading import load as load", "from pkg import reading", "pkg__reading"),
    ],
)
def test_a_reader_that_was_imported_by_name_is_copied(
    tmp_path: pathlib.Path, imported: str, added: str, file: str
) -> None:
    body = "    return tf.data.TFRecordDataset(files).batch(SIZE).repeat(2)\n"
    text = f"import tensorflow as tf\nSIZE = 8\n\n\ndef load(files):\n{body}"
    proposal = proposed(tmp_path, imported, reader="", read="load(fn_args.train_files)", **{file: text})
    assert f"\n{added}\n" in proposal.text
    assert imported not in proposal.text
    assert "def _load_once(files):\n    return tf.data.TFRecordDataset(files).batch(reading.SIZE)\n" in proposal.text
    assert proposal.privacy[0].startswith("expected_batch_size=8,")
    assert proposal.privacy[1].startswith("epochs=2,")


@pytest.mark.parametrize(
    ("imported", "left"),
    [
        ("import os", ""),
        ("import os  # paths", ""),
        ("# Paths.\nimport os", "# Paths.\n"),
        ("import sys, os", "import sys\n"),
        ("import os, sys", "import sys\n"),
        ("from here import (\n    a,\n    os,\n)", "from here import (\n    a,\n)"),
        ("from here import (\n    os,\n    a,\n)", "from here import (\n    a,\n)"),
        ("from here import a, os, b, tempfile as t", "from here import a, b\n"),
        ("import os\n__all__ = ['os']", "import os\n__all__ = ['os']"),
        ("import effects\nimport os", "import effects\n"),
        ("import tensorflow_privacy", ""),
        (
            "try:\n    import os\nexcept ImportError:\n    os = None",
            "try:\n    import os\nexcept ImportError:\n    os = None",
        ),
    ],
)
def test_imports_that_nothing_uses_any_more_are_gone(tmp_path: pathlib.Path, imported: str, left: str) -> None:
    read = "_reader(fn_args.train_files, out)\n    print(os.getcwd())"
    if " t" in imported and "tempfile" in imported:
        read += "\n    print(t.gettempdir())"
    proposal = proposed(tmp_path, f"LABEL = 'y'\n{imported}", read=read)
    top = proposal.text.split("\n\n")[0].strip()
    assert top == f"import tensorflow as tf\nimport tensorflow_transform as tft\nLABEL = 'y'\n{left}".strip()
