"""Vocabularies: which values, in which order, in which file, and which place each value gets."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import private_transform as bench
import pytest
import tensorflow as tf
import tensorflow_transform as tft

import tfx_privacy.transform as dpt
from tfx_privacy.errors import ParameterError
from tfx_privacy.random_bits import RandomBits
from tfx_privacy.releases.columns import Column
from tfx_privacy.releases.noisy import Values, noisy_values
from tfx_privacy.releases.parameters import DPPreprocessing
from tfx_privacy.releases.plan import plan
from tfx_privacy.releases.queries import Query, Vocabulary

pytestmark = pytest.mark.engine

VALUES = Values([b"often", b"some", b"e f", b"7"], [50, 20, 10, 9])
NOTHING = Values([], [])
WORDS = [b"often", b"some", b"e f", b"rare", b"", b"7"]
RECORDS = [{**record, "word": [WORDS[place % 6]]} for place, record in enumerate(bench.make_records(12))]


def released(values: Values) -> Callable[[Query, Column], Any]:
    """In the place of each vocabulary of texts."""
    return lambda query, column: (
        values if column.values.dtype == object or not values.keys else bench.exact_answer(query, column)
    )


def applied(folder: pathlib.Path, values: Values = VALUES, feature: str = "word", **options: Any) -> list[int]:
    """The places of the six words."""
    made = bench.run(
        lambda inputs: {"it": dpt.compute_and_apply_vocabulary(inputs[feature], **options)}, folder, RECORDS,
        answer=released(values),
    )  # fmt: skip
    return list(made.outputs["it"].numpy()[:6].tolist())


def test_values_get_their_places_by_how_common_they_are(tmp_path: pathlib.Path) -> None:
    assert applied(tmp_path) == [0, 1, 2, -1, -1, 3]


def test_other_values_get_the_default(tmp_path: pathlib.Path) -> None:
    assert applied(tmp_path, default_value=99) == [0, 1, 2, 99, 99, 3]


def test_other_values_get_a_place_by_their_hash(tmp_path: pathlib.Path) -> None:
    found = applied(tmp_path, num_oov_buckets=2)
    assert [found[place] for place in (0, 1, 2, 5)] == [0, 1, 2, 3]
    assert {found[3], found[4]} <= {4, 5}


def test_the_most_common_are_kept(tmp_path: pathlib.Path) -> None:
    assert applied(tmp_path, top_k=2) == [0, 1, -1, -1, -1, -1]
    assert applied(tmp_path / "b", top_k=100) == [0, 1, 2, -1, -1, 3]


def test_values_below_a_frequency_are_left_out(tmp_path: pathlib.Path) -> None:
    assert applied(tmp_path, frequency_threshold=10) == [0, 1, 2, -1, -1, -1]
    assert applied(tmp_path / "b", frequency_threshold=51) == [-1] * 6
    assert applied(tmp_path / "c", frequency_threshold=10, top_k=1) == [0, -1, -1, -1, -1, -1]


@pytest.mark.parametrize("num_oov_buckets", [0, 1])
def test_an_empty_vocabulary_holds_nothing(tmp_path: pathlib.Path, num_oov_buckets: int) -> None:
    """TensorFlow makes no table of an empty file; the line in its place is no value that a record is likely to have."""
    found = applied(tmp_path, NOTHING, num_oov_buckets=num_oov_buckets)
    assert found == [1 if num_oov_buckets else -1] * 6
    numbers = bench.run(
        lambda inputs: {"it": dpt.compute_and_apply_vocabulary(inputs["n"], num_oov_buckets=num_oov_buckets)},
        tmp_path / "b", RECORDS, answer=released(NOTHING),
    )  # fmt: skip
    assert set(numbers.outputs["it"].numpy().tolist()) == {1 if num_oov_buckets else -1}


def test_whole_numbers_are_values(tmp_path: pathlib.Path) -> None:
    made = bench.run(lambda inputs: {"it": dpt.compute_and_apply_vocabulary(inputs["n"])}, tmp_path)
    numbers, places = bench.values_of(bench.make_records(500), "n"), made.outputs["it"].numpy()
    common = sorted(range(6), key=lambda number: (-int(np.sum(numbers == number)), str(number).encode()))
    assert places.tolist() == [common.index(number) for number in numbers]


@pytest.mark.parametrize("kind", ["sparse", "ragged"])
def test_several_values_of_a_record(tmp_path: pathlib.Path, kind: str) -> None:
    def preprocessing_fn(inputs: Any) -> Any:
        words = inputs["words"] if kind == "sparse" else tf.RaggedTensor.from_sparse(inputs["words"])
        return {"it": dpt.compute_and_apply_vocabulary(words, max_values=4)}

    records = bench.make_records(500)
    made = bench.run(preprocessing_fn, tmp_path, records)
    counts = {
        word: sum(word in record["words"] for record in records) for word in set(bench.values_of(records, "words"))
    }
    common = sorted(counts, key=lambda word: (-counts[word], word))
    found = made.outputs["it"]
    assert type(found) is (tf.SparseTensor if kind == "sparse" else tf.RaggedTensor)
    values = found.values if kind == "sparse" else found.flat_values
    assert values.numpy().tolist() == [common.index(word) for word in bench.values_of(records, "words")]
    assert made.plan.answers[0].selection is not None
    assert made.plan.answers[0].selection.max_keys == 4


def test_a_file_of_values_is_what_was_released(tmp_path: pathlib.Path) -> None:
    paths: list[str] = []

    def preprocessing_fn(inputs: Any) -> Any:
        paths.append(dpt.vocabulary(inputs["word"], vocab_filename="words.txt", top_k=3))
        return {"it": tft.apply_vocabulary(inputs["word"], paths[-1])}

    made = bench.run(preprocessing_fn, tmp_path, RECORDS, answer=released(VALUES))
    assert pathlib.Path(paths[-1]).read_bytes() == b"often\nsome\ne f\n"
    assert pathlib.Path(paths[0]).read_bytes() != pathlib.Path(paths[-1]).read_bytes()
    assert made.session.vocabulary_files() == [paths[-1]]
    assert pathlib.Path(paths[-1]).name == "words.txt"
    assert made.outputs["it"].numpy()[:6].tolist() == [0, 1, 2, -1, -1, -1]


def test_hostile_values_stay_what_they_are(tmp_path: pathlib.Path) -> None:
    words = [b" ", b"  a  ", b"\xff\x00\xfe", "ä".encode(), b"a\tb", b"00000000-no-value-was-common-enough"]
    records = [{**record, "word": [words[place % 6]]} for place, record in enumerate(bench.make_records(60))]
    made = bench.run(lambda inputs: {"it": dpt.compute_and_apply_vocabulary(inputs["word"])}, tmp_path, records)
    assert made.outputs["it"].numpy()[:6].tolist() == [sorted(words).index(word) for word in words]


def test_files_have_names_of_their_own(tmp_path: pathlib.Path) -> None:
    """Other options of the same question are another file; the same ones are the same."""

    def preprocessing_fn(inputs: Any) -> Any:
        options: list[dict[str, Any]] = [{}, {"top_k": 1}, {"frequency_threshold": 20}, {"top_k": 1}, {}]
        outputs = {
            str(number): dpt.compute_and_apply_vocabulary(inputs["word"], **each) for number, each in enumerate(options)
        }
        return outputs | {"n": dpt.compute_and_apply_vocabulary(inputs["n"])}

    made = bench.run(preprocessing_fn, tmp_path, RECORDS, answer=released(VALUES))
    assert len(made.session.queries) == 2
    found = {name: places.numpy()[:6].tolist() for name, places in made.outputs.items()}
    assert found["0"] == found["4"] == [0, 1, 2, -1, -1, 3]
    assert found["1"] == found["3"] == [0, -1, -1, -1, -1, -1]
    assert found["2"] == [0, 1, -1, -1, -1, -1]
    assert [pathlib.Path(path).name for path in made.session.vocabulary_files()] == [
        "vocab_compute_and_apply_vocabulary_0_vocabulary", "vocab_compute_and_apply_vocabulary_0_2_vocabulary",
        "vocab_compute_and_apply_vocabulary_0_3_vocabulary", "vocab_compute_and_apply_vocabulary_1_vocabulary",
    ]  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"top_k": 1}], ids=["another question", "other options"])
def test_two_vocabularies_have_no_name_in_common(tmp_path: pathlib.Path, options: dict[str, Any]) -> None:
    def preprocessing_fn(inputs: Any) -> Any:
        first = dpt.compute_and_apply_vocabulary(inputs["word"], vocab_filename="mine")
        return {
            "it": first
            + dpt.compute_and_apply_vocabulary(inputs["word" if options else "n"], vocab_filename="mine", **options)
        }

    with pytest.raises(ParameterError, match="Two vocabularies are called 'mine'. Give each its own vocab_filename"):
        bench.run(preprocessing_fn, tmp_path, RECORDS)


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "../a", "a b", "ä", "a\n", 3, "x" * 300])
def test_a_file_s_name_is_a_plain_one(tmp_path: pathlib.Path, name: Any) -> None:
    with pytest.raises(ParameterError, match="Expected vocab_filename="):
        bench.run(
            lambda inputs: {"it": dpt.compute_and_apply_vocabulary(inputs["word"], vocab_filename=name)}, tmp_path
        )


@pytest.mark.parametrize(
    "options", [{"top_k": 0}, {"top_k": 1.5}, {"frequency_threshold": 0}, {"top_k": True}, {"max_values": 0}]
)
def test_options_are_whole_numbers(tmp_path: pathlib.Path, options: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=f"Expected {next(iter(options))}="):
        bench.run(lambda inputs: {"it": dpt.compute_and_apply_vocabulary(inputs["word"], **options)}, tmp_path)


def test_with_noise_common_values_are_found_and_rare_ones_are_not(tmp_path: pathlib.Path) -> None:
    """Counts of 1,000 and more against a threshold of 40; one of 1 passes with probability 5e-8."""
    privacy = DPPreprocessing(noise_multiplier=5.0, target_delta=1e-6)
    bits = RandomBits.of_system()
    words = [b"a"] * 2000 + [b"b"] * 1000 + [b"alone"]
    records = [{**record, "word": [word]} for record, word in zip(bench.make_records(3001), words, strict=True)]

    def answer(query: Query, column: Column) -> Any:
        assert isinstance(query, Vocabulary)
        counts = query.counts(column)
        assert counts[b"alone"] == 1
        return noisy_values(
            query, plan([query], privacy).answers[0], list(counts), np.array(list(counts.values())), bits
        )

    made = bench.run(
        lambda inputs: {"it": dpt.compute_and_apply_vocabulary(inputs["word"])},
        tmp_path,
        records,
        privacy=privacy,
        answer=answer,
    )
    assert made.outputs["it"].numpy()[[0, 2500, 3000]].tolist() == [0, 1, -1]
    (path,) = made.session.vocabulary_files()
    assert pathlib.Path(path).read_bytes() == b"a\nb\n"
