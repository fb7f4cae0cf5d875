"""What tests transform records with: each a `preprocessing_fn`."""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

import tfx_privacy.transform as dpt


def two_rounds(inputs: Any) -> Any:
    """A z-score and what is bucketized of it, vocabularies of one and of several values, a scaling without a question."""
    scaled = dpt.scale_to_z_score(inputs["x"], bounds=(0.0, 60.0))
    return {
        "x": scaled,
        "bucket": dpt.bucketize(scaled, 4, bounds=(-3.0, 3.0)),
        "word": dpt.compute_and_apply_vocabulary(inputs["word"], vocab_filename="words", num_oov_buckets=1),
        "n": dpt.compute_and_apply_vocabulary(inputs["n"], top_k=3, vocab_filename="numbers"),
        "words": dpt.compute_and_apply_vocabulary(inputs["words"], max_values=3),
        "pair": dpt.scale_to_0_1(inputs["pair"], bounds=(-2.0, 2.0)),
    }


def one_mean(inputs: Any) -> Any:
    """One question."""
    return {"x": inputs["x"] - dpt.mean(inputs["x"], bounds=(0.0, 60.0))}


def with_config(inputs: Any, custom_config: Any) -> Any:
    """Bounds from outside."""
    high = custom_config["high"]
    return {"x": dpt.scale_to_0_1(inputs["x"], bounds=(0.0, high)) - dpt.mean(inputs["x"], bounds=(0.0, high))}


def uncovered(inputs: Any) -> Any:
    """A private analyzer, and one of tft's own."""
    return {**one_mean(inputs), "n": tft.scale_to_z_score(inputs["n"])}


def nothing_private(inputs: Any) -> Any:
    """No question at all."""
    return {"x": inputs["x"] * 2.0}


def texts_as_numbers(inputs: Any) -> Any:
    """A wrong call."""
    return {"x": inputs["x"] - dpt.mean(inputs["word"], bounds=(0.0, 1.0))}


def reads_a_file(inputs: Any) -> Any:
    """A constant that is not of the source."""
    with open(os.environ["TFX_PRIVACY_TEST_FILE"]) as file:
        mean = float(file.read())
    return {"x": one_mean(inputs)["x"] - mean}


def brings_a_vocabulary(inputs: Any) -> Any:
    """A file of somebody's, under the name that a released one has, which is made and not used."""
    dpt.compute_vocabulary(inputs["word"], vocab_filename="words")
    foreign = os.path.join(os.environ["TFX_PRIVACY_TEST_FOLDER"], "words")
    return {**one_mean(inputs), "word": tft.apply_vocabulary(inputs["word"], foreign)}


def fails_on_records(inputs: Any) -> Any:
    """Texts of real records are no numbers; made-up ones are."""
    return {**one_mean(inputs), "y": tf.strings.to_number(inputs["word"])}
