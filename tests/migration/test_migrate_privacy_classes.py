"""Modules with tensorflow-privacy's classes: their numbers are carried over, and they become Keras' own."""

from __future__ import annotations

import ast
import pathlib

import pytest

from tfx_privacy.migration import module as modules
from tfx_privacy.migration import report
from tfx_privacy.migration.notes import Proposal
from tfx_privacy.migration.proposal import propose

MODULE = """
import tensorflow as tf
import tensorflow_privacy
IMPORT

CLIP = 1.5
NOISE = 0.9


def run_fn(fn_args):
    train = tf.data.TFRecordDataset(fn_args.train_files).batch(32)
    MAKE
    model.fit(train, epochs=2)
    model.save(fn_args.serving_model_dir)
"""
SEQUENTIAL = "model = tf.keras.Sequential([tf.keras.layers.Dense(1)])"


def proposed(folder: pathlib.Path, make: str, imported: str = "") -> Proposal:
    path = folder / "trainer.py"
    path.write_text(MODULE.replace("IMPORT", imported).replace("MAKE", make))
    return propose(modules.read(path))


def with_optimizer(call: str) -> str:
    return f"{SEQUENTIAL}\n    model.compile({call}, 'mse')"


def statement(proposal: Proposal, number: int) -> str:
    """A statement of model_fn behind its docstring."""
    (found,) = (
        node for node in ast.parse(proposal.text).body if isinstance(node, ast.FunctionDef) and node.name == "model_fn"
    )
    return ast.unparse(found.body[1 + number])


def numbers(proposal: Proposal) -> list[str]:
    return [line.split("  #")[0] for line in proposal.privacy[2:]]


@pytest.mark.parametrize(
    ("make", "plain", "privacy"),
    [
        (
            "model = tensorflow_privacy.DPSequential(l2_norm_clip=1.0, noise_multiplier=1.1, layers=[tf.keras.layers.Dense(1)])",
            "model = tf.keras.Sequential(layers=[tf.keras.layers.Dense(1)])",
            ["l2_norm_clip=1.0,", "noise_multiplier=1.1,"],
        ),
        (
            "model = tensorflow_privacy.DPModel(CLIP, NOISE, None, True, inputs=x, outputs=y, name='n')",
            "model = tf.keras.Model(inputs=x, outputs=y, name='n')",
            ["l2_norm_clip=1.5,", "noise_multiplier=0.9,"],
        ),
        (
            "model = tensorflow_privacy.DPSequential(CLIP, given(), layers=[])",
            "model = tf.keras.Sequential(layers=[])",
            ["l2_norm_clip=1.5,", "noise_multiplier=...,"],
        ),
    ],
)
def test_a_model_becomes_keras_own(tmp_path: pathlib.Path, make: str, plain: str, privacy: list[str]) -> None:
    proposal = proposed(tmp_path, make + "\n    model.compile('sgd', 'mse')")
    assert statement(proposal, 0) == plain
    assert numbers(proposal) == privacy
    assert "tensorflow_privacy" not in proposal.text
    assert not proposal.questions


@pytest.mark.parametrize(
    ("imported", "call", "plain"),
    [
        (
            "",
            "tensorflow_privacy.DPKerasAdamOptimizer(l2_norm_clip=CLIP, noise_multiplier=NOISE, num_microbatches=32, epsilon=b)",
            "tf.keras.optimizers.Adam(epsilon=b)",
        ),
        (
            "from tensorflow_privacy.privacy.optimizers.dp_optimizer_keras import DPKerasSGDOptimizer",
            "DPKerasSGDOptimizer(CLIP, NOISE, learning_rate=0.1, momentum=0.9)",
            "tf.keras.optimizers.SGD(learning_rate=0.1, momentum=0.9)",
        ),
        (
            "",
            "tensorflow_privacy.DPKerasAdamOptimizer(CLIP, NOISE, lr=0.15)",
            "tf.keras.optimizers.Adam(learning_rate=0.15)",
        ),
        (
            "from tensorflow_privacy.privacy.optimizers import dp_optimizer_keras_vectorized as v",
            "v.VectorizedDPKerasAdagradOptimizer(CLIP, NOISE, 32, True, 0.1)",
            "tf.keras.optimizers.Adagrad(0.1)",
        ),
        (
            "import tensorflow_privacy as tfp",
            "tfp.DPSparseKerasAdamOptimizer(noise_multiplier=NOISE, l2_norm_clip=CLIP)",
            "tf.keras.optimizers.Adam()",
        ),
    ],
)
def test_an_optimizer_becomes_keras_own(tmp_path: pathlib.Path, imported: str, call: str, plain: str) -> None:
    proposal = proposed(tmp_path, with_optimizer(call), imported)
    assert statement(proposal, 1) == f"model.compile({plain}, 'mse')"
    assert numbers(proposal) == ["l2_norm_clip=1.5,", "noise_multiplier=0.9,"]
    assert "tensorflow_privacy" not in proposal.text
    assert not proposal.questions
    said = report.render(proposal)
    assert "target_epsilon=" not in said
    assert "          target_delta=...,  # yours to choose; the noise below is the module's" in said


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            "tensorflow_privacy.DPKerasSGDOptimizer(1.0, 1.1, num_microbatches=1)",
            "(one, of the whole batch): several records",
        ),
        ("tensorflow_privacy.DPKerasSGDOptimizer(1.0, 1.1, 8)", "num_microbatches=8: several records"),
        ("tensorflow_privacy.DPKerasSGDOptimizer(1.0, 1.1, given())", "num_microbatches=given(): several records"),
        ("tensorflow_privacy.DPKerasSGDOptimizer(1.0, 1.1, None, 4)", "gradient_accumulation_steps"),
        (
            "tensorflow_privacy.DPKerasSGDOptimizer(1.0, 1.1, gradient_accumulation_steps=given())",
            "gradient_accumulation_steps",
        ),
        ("tensorflow_privacy.DPKerasSGDOptimizer(1.0, 1.1, decay=0.1)", "decay is of Keras' earlier optimizers"),
        ("tensorflow_privacy.DPKerasSGDOptimizer(**settings)", "not written out, so it was left"),
        ("(tensorflow_privacy.DPKerasSGDOptimizer if private else tf.keras.optimizers.SGD)(0.1)", "is not called here"),
    ],
)
def test_what_does_not_carry_over_is_named(tmp_path: pathlib.Path, call: str, words: str) -> None:
    proposal = proposed(tmp_path, with_optimizer(call))
    assert [question for question in proposal.questions if words in question.text and question.line == 13]
    compile(proposal.text, "proposal", "exec")


def test_two_classes_that_differ_are_a_question(tmp_path: pathlib.Path) -> None:
    other = "    other = tensorflow_privacy.DPKerasSGDOptimizer(2.0, 0.9)\n    model.compile(other, 'mse')"
    proposal = proposed(tmp_path, with_optimizer("tensorflow_privacy.DPKerasSGDOptimizer(1.5, 0.9)") + "\n" + other)
    assert any("another l2_norm_clip" in question.text for question in proposal.questions)
    assert numbers(proposal) == ["l2_norm_clip=1.5,", "noise_multiplier=0.9,"]


def test_a_class_in_another_module_is_named_and_its_numbers_are_carried_over(tmp_path: pathlib.Path) -> None:
    (tmp_path / "nets.py").write_text(
        "import tensorflow_privacy\n\n\ndef build():\n    model = tensorflow_privacy.DPSequential(0.5, 1.2, layers=[])\n"
        "    model.compile('sgd', 'mse')\n    return model\n"
    )
    proposal = proposed(tmp_path, "model = build()", "from nets import build")
    assert numbers(proposal) == ["l2_norm_clip=0.5,", "noise_multiplier=1.2,"]
    assert any(question.file == "nets.py" and "is not changed" in question.text for question in proposal.questions)


def test_where_keras_is_not_imported_it_is(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "trainer.py"
    text = MODULE.replace("import tensorflow as tf\n", "import tensorflow.compat.v1 as tf\n").replace("IMPORT", "")
    path.write_text(text.replace("MAKE", with_optimizer("tensorflow_privacy.DPKerasSGDOptimizer(1.0, 1.1)")))
    proposal = propose(modules.read(path))
    assert "import tensorflow as tf_\n" in proposal.text
    assert "tf_.keras.optimizers.SGD()" in proposal.text
