"""What is refused of a `preprocessing_fn`, and with which remedy: always before a record is read."""

from __future__ import annotations

import math
import pathlib
from typing import Any

import private_transform as bench
import pytest
import tensorflow as tf

import tfx_privacy.transform as dpt
from tfx_privacy.errors import ParameterError
from tfx_privacy.transform.session import Session

pytestmark = pytest.mark.engine

RANGE = r"Give bounds=\(lowest, highest\), a range that the values have for reasons other"
SPEC = {**bench.SPEC, "half": tf.io.FixedLenFeature([], tf.float32)}


def _wrong(value: Any) -> Any:
    """What no type checker would let pass."""
    return value


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda i: dpt.mean(i["x"]), f"mean has bounds=None. {RANGE}"),
        (lambda i: dpt.var(i["x"]), f"var has bounds=None. {RANGE}"),
        (lambda i: dpt.min(i["x"]), f"min has bounds=None. {RANGE}"),
        (lambda i: dpt.max(i["x"]), f"max has bounds=None. {RANGE}"),
        (lambda i: dpt.scale_to_z_score(i["x"]), f"scale_to_z_score has bounds=None. {RANGE}"),
        (lambda i: dpt.scale_to_0_1(i["x"]), f"scale_to_0_1 has bounds=None. {RANGE}"),
        (lambda i: dpt.scale_by_min_max(i["x"]), f"scale_by_min_max has bounds=None. {RANGE}"),
        (lambda i: dpt.quantiles(i["x"], 3), f"quantiles has bounds=None. {RANGE}"),
        (lambda i: dpt.bucketize(i["x"], 3), f"bucketize has bounds=None. {RANGE}"),
        (lambda i: dpt.histogram(i["x"])[0], f"histogram has bounds=None. {RANGE}"),
        (lambda i: dpt.mean(i["x"], bounds="public"), f"mean has bounds='public'. {RANGE}"),
        (lambda i: dpt.mean(i["x"], bounds=(2.0, 1.0)), r"bounds=\(2.0, 1.0\) to be the lowest value that counts and a higher"),
        (lambda i: dpt.scale_to_0_1(i["x"], bounds=(1.0, 1.0)), r"bounds=\(1.0, 1.0\) to be the lowest value"),
        (lambda i: dpt.mean(i["x"], bounds=(0.0, math.nan)), "bounds=nan to be a finite number"),
        (lambda i: dpt.mean(i["x"], bounds=(0.0, math.inf)), "bounds=inf to be a finite number"),
        (lambda i: dpt.mean(i["x"], bounds=_wrong(5.0)), "bounds=5.0 to be two numbers"),
        (lambda i: dpt.mean(i["x"], bounds=(0.0, 1e30)), "to be two different numbers below 1e.18 in 32 bits"),
        (lambda i: dpt.scale_to_0_1(i["x"], bounds=(1e9, 1e9 + 1)), "to be two different numbers"),
        (lambda i: dpt.mean(i["word"], bounds=(0.0, 1.0)), r"mean\(word\) needs numbers, and its feature holds texts"),
        (lambda i: dpt.quantiles(i["word"], 2, bounds=(0.0, 1.0)), "needs numbers, and its feature holds texts"),
        (lambda i: dpt.mean(i["words"], bounds=(0.0, 1.0)), "needs numbers, and its feature holds texts"),
        (lambda i: dpt.min(i["word"], bounds="private"), "needs numbers, and its feature holds texts"),
        (lambda i: dpt.histogram(i["word"], [1.0])[0], "needs numbers, and its feature holds texts"),
        (lambda i: dpt.compute_and_apply_vocabulary(i["x"]), r"vocabulary\(x\) needs texts or whole numbers, and .* float32"),
        (lambda i: dpt.mean(i["x"] > 1.0, bounds=(0, 1)), "cannot be asked of values of type bool"),
        (lambda i: dpt.mean(tf.cast(i["x"], tf.bfloat16), bounds=(0, 1)), "cannot be asked of values of type bfloat16"),
        (lambda i: dpt.mean(tf.cast(i["x"], tf.complex64), bounds=(0, 1)), "cannot be asked of values of type complex64"),
        (lambda i: dpt.compute_and_apply_vocabulary(i["x"] > 1.0), "needs texts or whole numbers, and its feature holds bool"),
        (lambda i: dpt.mean(3.0, bounds=(0, 1)), "Expected a tensor with records along its first dimension, not 3.0"),
        (lambda i: dpt.mean(i["x"][0], bounds=(0, 1)), "Expected a tensor with records along its first dimension"),
        (lambda i: dpt.mean(i["x"], bounds=(0, 1), reduce_instance_dims=False), r"tensor of shape \(num_records, columns\)"),
        (lambda i: dpt.mean(i["numbers"], bounds=(0, 1), reduce_instance_dims=False), "needs a dense tensor of shape"),
        (lambda i: dpt.bucketize(i["ragged"], 2, elementwise=True, bounds=(0, 1)), "bucketize of each column needs a dense"),
        (lambda i: dpt.quantiles(i["x"], 1, bounds=(0, 1)), "num_buckets=1 to be a whole number, 2 to bins=256"),
        (lambda i: dpt.quantiles(i["x"], 300, bounds=(0, 1)), "num_buckets=300 to be a whole number, 2 to bins=256"),
        (lambda i: dpt.quantiles(i["x"], True, bounds=(0, 1)), "num_buckets=True"),
        (lambda i: dpt.quantiles(i["x"], 2, bounds=(0, 1), bins=100), "bins=100 to be a power of two"),
        (lambda i: dpt.mean(i["x"], bounds=(0, 1), max_values=0), "max_values=0 to be a whole number"),
        (lambda i: dpt.mean(i["x"], bounds=(0, 1), share=0.0), "share=0.0 > 0"),
        (lambda i: dpt.scale_by_min_max(i["x"], 1.0, 0.0, bounds=(0, 1)), "output_min=1.0 < output_max=0.0"),
        (lambda i: dpt.count_per_key(i["word"], keys="abc")[1], "keys='abc' to be a list of values"),
        (lambda i: dpt.count_per_key(i["word"], keys=_wrong({"a"}))[1], "to be a list of values"),
        (lambda i: dpt.count_per_key(i["word"], keys=[])[1], "to be different values, at least one"),
        (lambda i: dpt.count_per_key(i["word"], keys=["a", b"a"])[1], "to be different values, at least one"),
        (lambda i: dpt.count_per_key(i["n"], keys=["a"])[1], "to be whole numbers, as the feature holds"),
        (lambda i: dpt.count_per_key(i["n"], keys=_wrong([1.5]))[1], "to be whole numbers, as the feature holds"),
        (lambda i: dpt.count_per_key(i["n"], keys=[2**70])[1], "whole numbers of 64 bits"),
        (lambda i: dpt.histogram(i["word"], categorical=True)[0], "needs keys: the values that are counted, known without"),
        (lambda i: dpt.histogram(i["x"], [2.0, 1.0])[0], "to be numbers that rise"),
        (lambda i: dpt.histogram(i["x"], 0, bounds=(0, 1))[0], "boundaries=0 to be a whole number"),
    ],
)  # fmt: skip
def test_a_wrong_call_is_refused_with_its_remedy(tmp_path: pathlib.Path, call: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Session(str(tmp_path)).draft(lambda inputs: {"it": call(inputs)}, SPEC)


def test_what_tft_has_and_this_has_not_is_an_error_of_python(tmp_path: pathlib.Path) -> None:
    """Weights, labels and other options would need a sensitivity of their own."""
    others: list[dict[str, Any]] = [{"weights": None}, {"labels": None}, {"coverage_top_k": 3}, {"key_fn": str}]
    for options in others:

        def preprocessing_fn(inputs: Any, options: dict[str, Any] = options) -> Any:
            return {"it": dpt.compute_and_apply_vocabulary(inputs["word"], **options)}

        with pytest.raises(TypeError, match=next(iter(options))):
            Session(str(tmp_path)).draft(preprocessing_fn, SPEC)
    for name in ("pca", "covariance", "tfidf", "ngrams", "scale_to_z_score_per_key", "sum", "size"):
        assert not hasattr(dpt, name)
