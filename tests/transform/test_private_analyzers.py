"""Each analyzer and mapper, with answers that have no noise, against numpy."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import private_transform as bench
import pytest
import tensorflow as tf

import tfx_privacy.transform as dpt

pytestmark = pytest.mark.engine

RECORDS = bench.make_records(500)
X, PAIR, NUMBERS, RAGGED = (bench.values_of(RECORDS, name) for name in ("x", "pair", "numbers", "ragged"))
PAIR = PAIR.reshape(-1, 2)
Bounds = tuple[float, float]


def one(value: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """An analyzer's result as an output: the same for each record."""
    return {"it": tf.repeat(value[tf.newaxis], tf.shape(inputs["x"])[0], axis=0)}


def result(folder: pathlib.Path, make: Any, **options: Any) -> Any:
    return bench.run(lambda inputs: one(make(inputs), inputs), folder, RECORDS, **options).outputs["it"].numpy()[0]


@pytest.mark.parametrize(
    ("name", "values", "bounds", "max_values"),
    [
        ("x", X, (0.0, 30.0), None), ("pair", PAIR, (-1.0, 1.0), None), ("numbers", NUMBERS, (0.0, 10.0), 4),
        ("ragged", RAGGED, (-9.0, 0.0), 4),
    ],
)  # fmt: skip
def test_mean_and_variance(
    tmp_path: pathlib.Path, name: str, values: np.ndarray, bounds: Bounds, max_values: int
) -> None:
    """Of dense, sparse and ragged features: values beyond the bounds count as the bound."""
    clipped = np.clip(values, *bounds)
    mean = result(tmp_path, lambda inputs: dpt.mean(inputs[name], bounds=bounds, max_values=max_values))
    variance = result(tmp_path, lambda inputs: dpt.var(inputs[name], bounds=bounds, max_values=max_values))
    assert mean == pytest.approx(clipped.mean(), abs=1e-4)
    assert variance == pytest.approx(clipped.var(), abs=1e-3)


def test_only_the_first_values_of_a_record_count_where_nothing_is_said(tmp_path: pathlib.Path) -> None:
    firsts = np.array([record["numbers"][0] for record in RECORDS if record["numbers"]])
    found = result(tmp_path, lambda inputs: dpt.mean(inputs["numbers"], bounds=(0.0, 10.0)))
    assert found == pytest.approx(np.clip(firsts, 0.0, 10.0).mean(), abs=1e-4)
    assert found != pytest.approx(np.clip(NUMBERS, 0.0, 10.0).mean(), abs=1e-4)


def test_columns_have_their_own_mean(tmp_path: pathlib.Path) -> None:
    made = bench.run(
        lambda inputs: one(
            tf.stack(
                [
                    dpt.mean(inputs["pair"], bounds=(-1.0, 1.0), reduce_instance_dims=False),
                    dpt.var(inputs["pair"], bounds=(-1.0, 1.0), reduce_instance_dims=False),
                ]
            ),
            inputs,
        ),
        tmp_path,
        RECORDS,
    )
    clipped = np.clip(PAIR, -1.0, 1.0)
    np.testing.assert_allclose(made.outputs["it"][0], [clipped.mean(axis=0), clipped.var(axis=0)], atol=1e-3)
    # Mean and variance of a column are one question.
    assert [query.name for query in made.session.queries] == ["mean(pair)", "mean(pair) 2"]


@pytest.mark.parametrize("dtype", [tf.float64, tf.int32])
def test_results_have_the_type_that_is_asked_for(tmp_path: pathlib.Path, dtype: Any) -> None:
    found = result(tmp_path, lambda inputs: dpt.mean(inputs["n"], bounds=(0, 6), output_dtype=dtype))
    assert found.dtype == dtype.as_numpy_dtype


def test_min_and_max_are_the_bounds(tmp_path: pathlib.Path) -> None:
    def limits(inputs: Any) -> Any:
        mean = tf.cast(dpt.mean(inputs["x"], bounds=(0.0, 1.0)), tf.float32)
        return tf.stack([dpt.min(inputs["x"], bounds=(1, 2)), dpt.max(inputs["x"], bounds=(1, 2)), mean])

    assert result(tmp_path, limits)[:2].tolist() == [1.0, 2.0]
    found = result(
        tmp_path,
        lambda inputs: tf.stack([dpt.min(inputs["x"], bounds="private"), dpt.max(inputs["x"], bounds=dpt.PRIVATE)]),
    )
    assert found[0] <= np.sort(X)[20]
    assert found[1] >= np.sort(X)[-20]
    assert np.all(np.log2(np.abs(found)) == np.rint(np.log2(np.abs(found))))


@pytest.mark.parametrize("num_buckets", [2, 5, 10])
def test_quantiles(tmp_path: pathlib.Path, num_buckets: int) -> None:
    found = result(tmp_path, lambda inputs: dpt.quantiles(inputs["x"], num_buckets, bounds=(0.0, 64.0)))
    assert found.shape == (1, num_buckets - 1)
    assert found.dtype == np.float32
    wanted = np.quantile(np.clip(X, 0.0, 64.0), np.arange(1, num_buckets) / num_buckets)
    np.testing.assert_allclose(found[0], wanted, atol=2 * 64 / 256)


def test_quantiles_of_columns(tmp_path: pathlib.Path) -> None:
    found = result(
        tmp_path,
        lambda inputs: dpt.quantiles(inputs["pair"], 4, bounds=(-3.0, 3.0), bins=1024, reduce_instance_dims=False),
    )
    assert found.shape == (2, 3)
    np.testing.assert_allclose(found, np.quantile(PAIR, [0.25, 0.5, 0.75], axis=0).T, atol=0.05)


@pytest.mark.parametrize("name", ["x", "pair", "numbers", "ragged"])
def test_scale_to_z_score(tmp_path: pathlib.Path, name: str) -> None:
    """Scaled values keep their shape and kind; all of them have mean 0 and variance 1 within the bounds."""
    values, bounds = bench.values_of(RECORDS, name).ravel(), (-20.0, 100.0)
    made = bench.run(
        lambda inputs: {"it": dpt.scale_to_z_score(inputs[name], bounds=bounds, max_values=4)}, tmp_path, RECORDS
    )
    it = made.outputs["it"]
    assert type(it) is {"numbers": tf.SparseTensor, "ragged": tf.RaggedTensor}.get(name, type(it))
    found = {"numbers": lambda: it.values, "ragged": lambda: it.flat_values}.get(name, lambda: it)()
    np.testing.assert_allclose(np.ravel(found), (values - values.mean()) / values.std(), atol=2e-3)
    assert it.dtype == tf.float32
    if name == "pair":
        assert it.shape == (500, 2)


def test_scale_to_z_score_of_columns(tmp_path: pathlib.Path) -> None:
    made = bench.run(
        lambda inputs: {"it": dpt.scale_to_z_score(inputs["pair"], elementwise=True, bounds=(-8.0, 8.0))},
        tmp_path,
        RECORDS,
    )
    np.testing.assert_allclose(made.outputs["it"], (PAIR - PAIR.mean(axis=0)) / PAIR.std(axis=0), atol=2e-3)
    assert len(made.session.queries) == 2


def test_what_is_scaled_is_clipped_to_public_bounds(tmp_path: pathlib.Path) -> None:
    made = bench.run(lambda inputs: {"it": dpt.scale_to_z_score(inputs["x"], bounds=(5.0, 10.0))}, tmp_path, RECORDS)
    clipped = np.clip(X, 5.0, 10.0)
    np.testing.assert_allclose(made.outputs["it"], (clipped - clipped.mean()) / clipped.std(), atol=2e-3)


def test_a_feature_that_is_always_zero_is_scaled_to_numbers(tmp_path: pathlib.Path) -> None:
    """A search finds bounds so near to each other that their variance is none in 32 bits."""
    made = bench.run(
        lambda inputs: {"it": dpt.scale_to_z_score(inputs["x"] * 0.0, bounds="private")}, tmp_path, RECORDS
    )
    assert np.all(np.isfinite(made.outputs["it"]))
    again = bench.run(
        lambda inputs: {"it": dpt.scale_to_0_1(inputs["x"] * 0.0, bounds="private")}, tmp_path / "b", RECORDS
    )
    np.testing.assert_allclose(again.outputs["it"], 0.5)


@pytest.mark.parametrize("elementwise", [False, True])
def test_scaling_to_public_bounds_costs_nothing(tmp_path: pathlib.Path, elementwise: bool) -> None:
    def preprocessing_fn(inputs: Any) -> Any:
        return {
            "to_one": dpt.scale_to_0_1(inputs["pair"], elementwise=elementwise, bounds=(-1.0, 3.0)),
            "between": dpt.scale_by_min_max(inputs["pair"], -5.0, 5.0, elementwise=elementwise, bounds=(-1.0, 3.0)),
            "asked": dpt.scale_to_z_score(inputs["x"], bounds=(0.0, 1.0)),
        }

    made = bench.run(preprocessing_fn, tmp_path, RECORDS)
    wanted = (np.clip(PAIR, -1.0, 3.0) + 1.0) / 4.0
    np.testing.assert_allclose(made.outputs["to_one"], wanted, atol=1e-6)
    np.testing.assert_allclose(made.outputs["between"], wanted * 10.0 - 5.0, atol=1e-5)
    assert [query.name for query in made.session.queries] == ["scale_to_z_score(x)"]


def test_scaling_to_found_bounds(tmp_path: pathlib.Path) -> None:
    made = bench.run(
        lambda inputs: {"it": dpt.scale_to_0_1(inputs["pair"], elementwise=True, bounds="private")}, tmp_path, RECORDS
    )
    assert made.outputs["it"].shape == (500, 2)
    assert float(np.min(made.outputs["it"])) >= 0.0
    assert float(np.max(made.outputs["it"])) <= 1.0
    assert 0.3 < float(np.mean(made.outputs["it"])) < 0.7
    assert len(made.session.queries) == 2


@pytest.mark.parametrize("name", ["x", "numbers", "ragged"])
def test_bucketize(tmp_path: pathlib.Path, name: str) -> None:
    bounds = (-20.0, 108.0)
    made = bench.run(
        lambda inputs: {"it": dpt.bucketize(inputs[name], 4, bounds=bounds, bins=4096, max_values=4)}, tmp_path, RECORDS
    )
    it = made.outputs["it"]
    assert type(it) is {"numbers": tf.SparseTensor, "ragged": tf.RaggedTensor}.get(name, type(it))
    found = {"numbers": lambda: it.values, "ragged": lambda: it.flat_values}.get(name, lambda: it)()
    counts = np.bincount(np.ravel(found), minlength=4)
    assert it.dtype == tf.int64
    assert counts.sum() == len(bench.values_of(RECORDS, name))
    np.testing.assert_allclose(counts, counts.sum() / 4, atol=4)


def test_bucketize_columns(tmp_path: pathlib.Path) -> None:
    made = bench.run(
        lambda inputs: {"it": dpt.bucketize(inputs["pair"], 3, elementwise=True, bounds=(-4.0, 4.0), bins=1024)},
        tmp_path,
        RECORDS,
    )
    for column in made.outputs["it"].numpy().T:
        np.testing.assert_allclose(np.bincount(column), 500 / 3, atol=5)


def test_counts_of_public_values(tmp_path: pathlib.Path) -> None:
    words = bench.values_of(RECORDS, "words")

    def preprocessing_fn(inputs: Any) -> Any:
        keys, counts = dpt.count_per_key(inputs["words"], keys=["e f", "never", b"a"], max_values=4)
        numbers, of_numbers = dpt.count_per_key(inputs["n"], keys=[5, 0])
        again, values = dpt.histogram(inputs["words"], categorical=True, keys=["a"], max_values=4)
        outputs = one(counts, inputs) | {"keys": one(keys, inputs)["it"]}
        outputs |= {"numbers": one(numbers, inputs)["it"], "of_numbers": one(of_numbers, inputs)["it"]}
        return outputs | {"again": one(again, inputs)["it"], "values": one(values, inputs)["it"]}

    found = {
        name: value.numpy()[0].tolist()
        for name, value in bench.run(preprocessing_fn, tmp_path, RECORDS).outputs.items()
    }
    counted = [int(np.sum(words == word)) for word in (b"e f", b"never", b"a")]
    n = bench.values_of(RECORDS, "n")
    assert found == {
        "it": counted, "keys": [b"e f", b"never", b"a"], "numbers": [5, 0],
        "of_numbers": [int(np.sum(n == 5)), int(np.sum(n == 0))], "again": [counted[2]], "values": [b"a"],
    }  # fmt: skip


def test_counts_are_never_below_zero(tmp_path: pathlib.Path) -> None:
    found = result(
        tmp_path,
        lambda inputs: dpt.histogram(inputs["x"], boundaries=[0.0, 1.0])[0],
        answer=lambda query, column: np.full(query.numbers, -7, np.int64),
    )
    assert found.tolist() == [0, 0, 0]


@pytest.mark.parametrize(("boundaries", "bounds"), [([10.0, 20.0], None), (2, (10.0, 30.0)), (None, (0.0, 100.0))])
def test_histograms(tmp_path: pathlib.Path, boundaries: Any, bounds: Any) -> None:
    def preprocessing_fn(inputs: Any) -> Any:
        counts, edges = dpt.histogram(inputs["x"], boundaries=boundaries, bounds=bounds)
        return one(counts, inputs) | {"edges": one(edges, inputs)["it"]}

    made = bench.run(preprocessing_fn, tmp_path, RECORDS).outputs
    edges = made["edges"].numpy()[0, 0].tolist()
    assert edges == {2: [10.0, 20.0, 30.0], None: np.linspace(0, 100, 11).tolist()}.get(
        boundaries if bounds else 0, [10.0, 20.0]
    )
    wanted = np.histogram(X, [-np.inf, *edges, np.inf])[0]
    assert made["it"].numpy()[0].tolist() == wanted.tolist()


def test_a_histogram_between_found_bounds(tmp_path: pathlib.Path) -> None:
    """Its boundaries are others in the second draft than in the first; their number is not."""
    made = bench.run(
        lambda inputs: one(dpt.histogram(inputs["x"], boundaries=4, bounds="private")[0], inputs), tmp_path, RECORDS
    )
    assert made.rounds == [["bounds(x)"], ["histogram(x)"]]
    assert made.outputs["it"].numpy()[0].sum() == 500
    assert made.outputs["it"].numpy()[0].shape == (6,)


def test_noise_is_all_that_differs_from_the_exact_answers(tmp_path: pathlib.Path) -> None:
    """With real noise and many records both agree as nearly as the noise says; 6 standard deviations, a false alarm of 4e-9."""
    from tfx_privacy.random_bits import RandomBits
    from tfx_privacy.releases.noisy import noisy_vector
    from tfx_privacy.releases.parameters import DPPreprocessing
    from tfx_privacy.releases.plan import plan

    privacy = DPPreprocessing(noise_multiplier=0.5, target_delta=1e-6)
    records, bits = bench.make_records(4000), RandomBits.of_system()
    made: list[Any] = []

    def noisy(query: Any, column: Any) -> Any:
        answer = plan([query], privacy).answers[0]
        made.append((query, query.sums(column), noisy_vector(query, answer, query.sums(column), bits)))
        return made[-1][2]

    preprocessing_fn = lambda inputs: one(dpt.mean(inputs["x"], bounds=(0.0, 100.0)), inputs)
    found = bench.run(preprocessing_fn, tmp_path, records, privacy=privacy, answer=noisy).outputs["it"].numpy()[0]
    ((query, exact, released),) = made
    assert exact.tolist() != released.tolist()
    deviation = 0.5 * 3**0.5 / 4000 * 50
    assert found == pytest.approx(np.clip(bench.values_of(records, "x"), 0, 100).mean(), abs=6 * 2**0.5 * deviation)
    assert found == pytest.approx(query.mean_and_variance(released)[0], abs=1e-4)
