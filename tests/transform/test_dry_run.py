"""A preprocessing_fn called outside of a pipeline, as a project's own tests call it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft

import tfx_privacy.transform as dpt
from tfx_privacy.errors import ParameterError

RECORDS: dict[str, Any] = {
    "fare": tf.constant([[10.0], [20.0], [990.0]]),
    "company": tf.SparseTensor([[0, 0], [2, 0]], ["blue", "yellow"], [3, 1]),
    "words": tf.ragged.constant([["a", "b"], [], ["c"]]),
}


def test_nothing_is_asked_of_the_records() -> None:
    """Answers are made up of the bounds alone: other records give the same scale."""

    def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"scaled": dpt.scale_to_z_score(inputs["fare"], bounds=(0.0, 100.0))}

    found = dpt.dry_run(preprocessing_fn, {"fare": RECORDS["fare"]})
    assert found.analyzers == ["scale_to_z_score(fare)"]
    assert found.uncovered == []
    deviation = 100.0 / np.sqrt(12.0)
    np.testing.assert_allclose(
        found.outputs["scaled"][:, 0], [-40 / deviation, -30 / deviation, 50 / deviation], rtol=1e-5
    )


def test_each_kind_of_tensor_keeps_its_kind() -> None:
    def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
        return {
            name: dpt.compute_and_apply_vocabulary(inputs[name], max_values=2, vocab_filename=name)
            for name in ("company", "words")
        } | {"bucket": dpt.bucketize(inputs["fare"], 4, bounds=(0.0, 100.0))}

    found = dpt.dry_run(preprocessing_fn, RECORDS)
    assert isinstance(found.outputs["company"], tf.SparseTensor)
    assert isinstance(found.outputs["words"], tf.RaggedTensor)
    assert found.outputs["bucket"].numpy()[:, 0].tolist() == [0, 0, 3]
    assert found.analyzers == ["vocabulary(company)", "vocabulary(words)", "bucketize(fare)"]


def test_analyzers_without_noise_are_named() -> None:
    def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"half": inputs["fare"] / 2.0, "scaled": tft.scale_to_z_score(inputs["fare"])}

    found = dpt.dry_run(preprocessing_fn, {"fare": RECORDS["fare"]})
    assert any("scale_to_z_score" in name for name in found.uncovered), found.uncovered
    assert found.analyzers == []


def test_wrong_calls_are_refused_as_in_a_pipeline() -> None:
    with pytest.raises(ParameterError, match="Give bounds"):
        dpt.dry_run(lambda inputs: {"mean": dpt.mean(inputs["fare"])}, {"fare": RECORDS["fare"]})
