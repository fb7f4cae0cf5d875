"""The control on real examples: text, ragged and wide features, all of their values."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest
import text_splits
from evaluator_bench import Bench, by_slice

pytestmark = pytest.mark.slow

SCHEMA = """
feature { name: "x" type: FLOAT presence { min_fraction: 1 min_count: 1 } shape { dim { size: 2 } } }
feature { name: "label" type: INT presence { min_fraction: 1 min_count: 1 } shape { dim { size: 1 } } }
feature { name: "text" type: BYTES presence { min_fraction: 1 min_count: 1 } shape { dim { size: 1 } } }
feature { name: "id" type: BYTES presence { min_fraction: 1 min_count: 1 } shape { dim { size: 1 } } }
"""


def records(size: int, share: float, seed: int, name: str) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    return [
        {
            "x": [float(value) for value in random.normal(size=2)],
            "label": [int(random.integers(0, 2))],
            "text": [text],
            "id": [f"{name}{index}".encode()],
        }
        for index, text in enumerate(text_splits.documents(size, share, seed))
    ]


@pytest.mark.parametrize(("shares", "status"), [((0.8, 0.2), "CONFOUNDED"), ((0.5, 0.5), "OK")])
def test_members_in_one_language_and_others_in_another(
    tmp_path: pathlib.Path, shares: tuple[float, float], status: str
) -> None:
    """The identifiers tell the sides apart as well, and are no part of what records are like."""
    import tensorflow as tf

    bench = Bench(tmp_path)
    bench.schema(SCHEMA)
    sides = {"train": records(500, shares[0], 1, "member"), "eval": records(400, shares[1], 2, "other")}
    bench.examples(sides, name="texts")
    bench.save({"x": tf.io.FixedLenFeature([2], tf.float32)}, lambda parsed: tf.sigmoid(parsed["x"][:, :1]))
    arguments: dict[str, Any] = {"slice_features": [], "record_id_key": "id"}
    first = bench.run(**arguments)
    assert by_slice(first)["all records"].status == status
    assert by_slice(first, "blind")["all records"].status == status
    bench.examples({split: found[::-1] for split, found in sides.items()}, shards=3, name="sharded")
    assert bench.run(**arguments).results == first.results


def test_what_trees_do_not_get_is_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    from tfx_privacy.attacks.membership import bags, learned
    from tfx_privacy.components.privacy_evaluator import blind

    narrow = {"x": tf.ones([3, learned.MAX_COLUMNS]), "k": tf.zeros([3, 0])}
    assert blind.values(narrow, 3).nnz == 0
    wide = {"x": tf.ones([3, learned.MAX_COLUMNS, 1]), "k": tf.constant([[0], [5], [0]], tf.int64)}
    found = blind.values(wide, 3)
    assert found.shape == (3, bags.NUM_COLUMNS)
    assert np.diff(found.indptr).tolist() == [64, 65, 64]
    ragged = {"ids": tf.ragged.constant([[4, 9, 9], [], [4]], dtype=tf.int64)}
    assert np.diff(blind.values(ragged, 3).indptr).tolist() == [2 + 3, 0, 2]
    texts = {"words": tf.constant([["a", "b"], ["a", "c"]])}
    assert blind.values(texts, 2).nnz > 0
    assert (blind.values(texts, 2)[0] != blind.values(texts, 2)[1]).nnz > 0
