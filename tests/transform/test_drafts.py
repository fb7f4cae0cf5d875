"""A function is traced several times: what waits for what, what is the same question, and what may not change."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import private_transform as bench
import pytest
import tensorflow as tf
import tensorflow_transform as tft

import tfx_privacy.transform as dpt
from tfx_privacy.errors import ParameterError
from tfx_privacy.releases.plan import plan
from tfx_privacy.releases.record import MAX_ANSWERS
from tfx_privacy.transform import drafting
from tfx_privacy.transform import session as sessions
from tfx_privacy.transform.session import Session

pytestmark = pytest.mark.engine


def draft(preprocessing_fn: Any, folder: pathlib.Path, **options: Any) -> Session:
    session = Session(str(folder))
    session.draft(preprocessing_fn, options.pop("spec", bench.SPEC), **options)
    return session


def test_what_depends_on_an_answer_waits_for_it(tmp_path: pathlib.Path) -> None:
    """The z-score is bucketized as it will be: by the noisy mean and variance, in a round of its own."""

    def preprocessing_fn(inputs: Any) -> Any:
        scaled = dpt.scale_to_z_score(inputs["x"], bounds=(0.0, 60.0))
        return {"it": dpt.bucketize(scaled, 4, bounds=(-4.0, 4.0), bins=1024), "scaled": scaled}

    made = bench.run(preprocessing_fn, tmp_path)
    assert made.rounds == [["scale_to_z_score(x)"], ["bucketize(x)"]]
    np.testing.assert_allclose(np.bincount(made.outputs["it"]), 125, atol=3)
    wanted = np.quantile(made.outputs["scaled"], [0.25, 0.5, 0.75])
    np.testing.assert_allclose(np.searchsorted(wanted, made.outputs["scaled"]), made.outputs["it"], atol=1)


def test_four_rounds(tmp_path: pathlib.Path) -> None:
    def preprocessing_fn(inputs: Any) -> Any:
        place = dpt.bucketize(dpt.scale_to_z_score(inputs["x"], bounds="private"), 4, bounds=(-4.0, 4.0))
        return {
            "it": dpt.scale_to_z_score(place, bounds=(0, 4)),
            "beside": dpt.scale_to_z_score(inputs["n"], bounds=(0, 6)),
        }

    made = bench.run(preprocessing_fn, tmp_path)
    assert made.rounds == [
        ["bounds(x)", "scale_to_z_score(n)"], ["scale_to_z_score(x)"], ["bucketize(x)"], ["scale_to_z_score(x) 2"],
    ]  # fmt: skip
    assert np.mean(made.outputs["it"]) == pytest.approx(0.0, abs=1e-2)
    assert np.std(made.outputs["it"]) == pytest.approx(1.0, abs=1e-2)


def test_a_question_about_places_in_a_vocabulary_waits_for_it(tmp_path: pathlib.Path) -> None:
    def preprocessing_fn(inputs: Any) -> Any:
        place = dpt.compute_and_apply_vocabulary(inputs["word"])
        return {"it": place, "scaled": dpt.scale_to_z_score(place, bounds=(0, 5))}

    made = bench.run(preprocessing_fn, tmp_path)
    assert made.rounds == [["vocabulary(word)"], ["scale_to_z_score(word)"]]
    places = made.outputs["it"].numpy()
    np.testing.assert_allclose(made.outputs["scaled"], (places - places.mean()) / places.std(), atol=1e-3)


def test_every_question_after_a_vocabulary_s_file_waits_for_it(tmp_path: pathlib.Path) -> None:
    """Who has the path may make anything of it, and the graph does not show what."""

    def preprocessing_fn(inputs: Any) -> Any:
        before = dpt.mean(inputs["x"], bounds=(0.0, 1.0))
        path = dpt.compute_vocabulary(inputs["word"])
        after = dpt.mean(tft.apply_vocabulary(inputs["word"], path), bounds=(0.0, 5.0))
        return {"it": inputs["x"] - before - after}

    made = bench.run(preprocessing_fn, tmp_path)
    assert made.rounds == [["mean(x)", "vocabulary(word)"], ["mean(word)"]]


def test_a_wait_is_seen_through_functions_and_control_flow(tmp_path: pathlib.Path) -> None:
    def preprocessing_fn(inputs: Any) -> Any:
        mean = dpt.mean(inputs["x"], bounds=(0.0, 60.0))
        through = tf.function(lambda values: values - mean)(inputs["x"])
        chosen = tf.cond(mean > 0.0, lambda: inputs["x"] - mean, lambda: inputs["x"])
        with tf.control_dependencies([mean]):
            after = tf.identity(inputs["x"])
        asked = [dpt.mean(values, bounds=(-60.0, 60.0)) for values in (through, chosen, after)]
        return {"it": inputs["x"] + sum(asked)}

    assert [len(names) for names in bench.run(preprocessing_fn, tmp_path).rounds] == [1, 3]


def test_the_same_question_of_the_same_tensor_is_asked_once(tmp_path: pathlib.Path) -> None:
    def preprocessing_fn(inputs: Any) -> Any:
        x, other = inputs["x"], inputs["x"] + 0.0
        options: dict[str, Any] = {"bounds": (0.0, 1.0)}
        same = [dpt.mean(x, **options), dpt.var(x, **options), dpt.mean(x, **options, name="mine")]
        different = [
            dpt.mean(other, **options), dpt.mean(x, bounds=(0.0, 2.0)), dpt.mean(x, **options, max_values=2),
            dpt.mean(x, **options, share=2.0),
        ]  # fmt: skip
        scaled = dpt.scale_to_z_score(x, **options)
        return {"it": scaled + sum(same) + sum(different)}

    assert len(bench.run(preprocessing_fn, tmp_path).session.queries) == 5


def test_names_are_of_features(tmp_path: pathlib.Path) -> None:
    def preprocessing_fn(inputs: Any) -> Any:
        asked = [
            dpt.mean(inputs["x"], bounds=(0.0, 1.0)),
            dpt.mean(inputs["x"] * 2.0, bounds=(0.0, 1.0)),
            dpt.mean(inputs["x"] + tf.cast(inputs["n"], tf.float32), bounds=(0.0, 1.0)),
            dpt.mean(inputs["x"], bounds=(0.0, 3.0), name="mine"),
            dpt.mean(inputs["x"], bounds=(0.0, 4.0), name="mine"),
            dpt.min(inputs["x"], bounds="private", name="low"),
            dpt.mean(
                inputs["x"] + tf.cast(inputs["n"], tf.float32) + inputs["pair"][:, 0] + tf.strings.to_number(
                    tf.strings.regex_replace(inputs["word"], ".*", "1")), bounds=(0.0, 5.0),
            ),
        ]  # fmt: skip
        dpt.quantiles(inputs["x"], 2, bounds=(0.0, 1.0))
        return {"it": inputs["x"] + sum(asked)}

    assert [query.name for query in bench.run(preprocessing_fn, tmp_path).session.queries] == [
        "mean(x)", "mean(x) 2", "mean(n, x)", "mine", "mine 2", "bounds of low", "mean(n, pair, word, ...)", "quantiles(x)",
    ]  # fmt: skip


def changing(*functions: Any) -> Any:
    """One function in the first draft, which is two tracings, another one in the second, and the last of them from then on."""
    left = [functions[0], *functions]
    return lambda inputs: (left.pop(0) if len(left) > 1 else left[0])(inputs)


MEAN = lambda inputs: {"it": inputs["x"] - dpt.mean(inputs["x"], bounds=(0.0, 1.0))}
TWICE = lambda inputs: {"it": MEAN(inputs)["it"] - dpt.mean(inputs["n"], bounds=(0.0, 1.0))}
OTHER = lambda inputs: {"it": inputs["x"] - dpt.mean(inputs["x"], bounds=(0.0, 2.0))}
NONE = lambda inputs: {"it": inputs["x"]}
WITHOUT_NOISE = lambda inputs: {"it": MEAN(inputs)["it"] - tft.mean(inputs["x"])}


@pytest.mark.parametrize(
    "functions",
    [(MEAN, TWICE), (MEAN, OTHER), (TWICE, MEAN), (MEAN, NONE), (MEAN, MEAN, TWICE), (MEAN, MEAN, OTHER)],
    ids=["more", "other", "fewer", "none", "more at last", "other at last"],
)
def test_a_function_that_asks_something_else_each_time_is_refused(tmp_path: pathlib.Path, functions: Any) -> None:
    with pytest.raises(ParameterError, match="asks something else each time it is traced"):
        bench.run(changing(*functions), tmp_path)


def test_an_analyzer_of_tft_that_comes_in_the_last_tracing_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ParameterError, match="asks something else each time it is traced: now tft's own"):
        bench.run(changing(MEAN, MEAN, WITHOUT_NOISE), tmp_path)


def test_an_analyzer_of_tft_that_comes_in_a_later_draft_is_found(tmp_path: pathlib.Path) -> None:
    session = Session(str(tmp_path))
    function = changing(MEAN, WITHOUT_NOISE)
    session.draft(function, bench.SPEC)
    assert session.uncovered == []
    session.answers = plan(session.queries, bench.PRIVACY).answers
    session.released[0] = np.zeros(3, np.int64)
    session.draft(function, bench.SPEC)
    assert session.uncovered == ["mean/mean_and_var"]


def test_tft_s_own_analyzers_are_found(tmp_path: pathlib.Path) -> None:
    def preprocessing_fn(inputs: Any) -> Any:
        tft.scale_to_z_score(inputs["x"])
        tft.compute_and_apply_vocabulary(inputs["word"])
        tft.bucketize(inputs["x"], 3)
        tft.experimental.ptransform_analyzer([inputs["x"]], None, [tf.float32], [[]])
        return MEAN(inputs)

    assert draft(preprocessing_fn, tmp_path).uncovered == [
        "scale_to_z_score/mean_and_var", "compute_and_apply_vocabulary/vocabulary", "bucketize/quantiles", "ptransform",
    ]  # fmt: skip
    harmless = lambda inputs: MEAN(inputs) | {"h": tft.hash_strings(inputs["word"], 10)}
    assert draft(harmless, tmp_path / "b").uncovered == []


def test_nothing_is_asked_of_what_tft_s_own_analyzer_gives(tmp_path: pathlib.Path) -> None:
    with pytest.raises(
        ParameterError, match=r"'mean\(x\)' is asked of what tft's own analyzer gives. Let one of tfx_privacy"
    ):
        draft(lambda inputs: {"it": dpt.mean(tft.scale_to_0_1(inputs["x"]), bounds=(0.0, 1.0))}, tmp_path)


@pytest.mark.parametrize(
    "make",
    [
        lambda inputs: tf.cond(inputs["x"][0] > 0, lambda: MEAN(inputs)["it"], lambda: inputs["x"]),
        lambda inputs: tf.function(MEAN, autograph=False)(inputs)["it"],
        lambda inputs: tf.map_fn(lambda value: dpt.mean(value[tf.newaxis], bounds=(0.0, 1.0)), inputs["x"]),
    ],
    ids=["cond", "function", "map_fn"],
)
def test_analyzers_are_called_in_the_function_itself(tmp_path: pathlib.Path, make: Any) -> None:
    """Places of questions would be counted anew in a graph within the graph."""
    with pytest.raises(
        ParameterError, match="mean is called within a tf.function, tf.cond, tf.while_loop or tf.map_fn"
    ):
        draft(lambda inputs: {"it": make(inputs)}, tmp_path)
    # tf.map_fn sets it, and does not take it back where its function fails: later tests in this process need it so.
    tf.compat.v1.get_variable_scope()._caching_device = None


def test_there_is_a_limit_of_questions(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert drafting.MAX_ANALYZERS <= MAX_ANSWERS
    monkeypatch.setattr(sessions, "MAX_ANALYZERS", 3)
    with pytest.raises(ParameterError, match="asks more than 3 questions"):
        draft(lambda inputs: {"it": sum(dpt.mean(inputs["x"], bounds=(0, n + 1)) for n in range(4))}, tmp_path)


def test_users_are_told_apart_by_a_feature(tmp_path: pathlib.Path) -> None:
    records = bench.make_records(20)
    session = Session(str(tmp_path))
    made = session.draft(MEAN, bench.SPEC, "user")
    users, rows = made.module.users.traced(bench.serialized(records))
    assert users.numpy().tolist() == bench.values_of(records, "user").tolist()
    assert rows.numpy().tolist() == list(range(20))
    words, of_words = (
        Session(str(tmp_path)).draft(MEAN, bench.SPEC, "words").module.users.traced(bench.serialized(records))
    )
    assert len(words) == len(of_words) == sum(len(record["words"]) for record in records)
    with pytest.raises(ParameterError, match="Unknown user_id_key='nobody'. The examples have: n, numbers"):
        Session(str(tmp_path)).draft(MEAN, bench.SPEC, "nobody")


def test_outside_of_dp_transform_there_is_no_noise_so_nothing_is_given() -> None:
    for call in (
        lambda: dpt.mean(tf.zeros(3), bounds=(0.0, 1.0)),
        lambda: dpt.scale_to_0_1(tf.zeros(3), bounds=(0.0, 1.0)),
        lambda: dpt.compute_and_apply_vocabulary(tf.constant(["a"])),
        lambda: dpt.count_per_key(tf.constant(["a"]), keys=["a"]),
        lambda: dpt.quantiles(tf.zeros((3, 2)), 3, bounds=(0.0, 1.0), reduce_instance_dims=False),
    ):
        with pytest.raises(ParameterError, match="was called outside of DPTransform, which alone adds its noise"):
            call()


def test_a_session_ends_with_its_drafts(tmp_path: pathlib.Path) -> None:
    def broken(inputs: Any) -> Any:
        raise ValueError("broken")

    for function in (MEAN, broken):
        with pytest.raises(ValueError, match="broken") if function is broken else pytest.MonkeyPatch.context():
            draft(function, tmp_path)
        with pytest.raises(ParameterError, match="outside of DPTransform"):
            dpt.mean(tf.zeros(3), bounds=(0.0, 1.0))


def test_before_its_drafts_the_last_tracing_gives_nothing(tmp_path: pathlib.Path) -> None:
    session = Session(str(tmp_path))
    with pytest.raises(ParameterError, match="Nothing was released of 'mean"):
        bench.last(session, MEAN, bench.SPEC, bench.serialized(bench.make_records(3)))
