"""What a traced preprocessing_fn makes of serialized records is what the sums are of, users included."""

from __future__ import annotations

import pathlib
import pickle
from typing import Any

import artifacts_on_disk as disk
import pytest

from tfx_privacy.errors import DataError

pytestmark = pytest.mark.slow

RECORDS: list[dict[str, Any]] = [{"fare": [1.0, 2.0], "id": [b"ann"]}, {"fare": [3.0]}, {"id": [b"bob"]}]


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    import tfx_privacy.transform as dpt

    return {"fare": dpt.scale_to_z_score(inputs["fare"], bounds=(0.0, 10.0))}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Any:
    import tensorflow as tf

    from tfx_privacy.components.dp_transform.traced_reader import TracedReader
    from tfx_privacy.transform.session import Session

    folder: pathlib.Path = tmp_path_factory.mktemp("traced")
    spec = {"fare": tf.io.VarLenFeature(tf.float32), "id": tf.io.VarLenFeature(tf.string)}
    draft = Session(str(folder / "vocabularies")).draft(preprocessing_fn, spec, "id")
    # As it travels to a worker.
    return pickle.loads(pickle.dumps(TracedReader.save(draft, str(folder / "columns"))))


def serialized(records: list[dict[str, Any]]) -> Any:
    import tensorflow as tf

    return tf.constant([disk.serialize(record) for record in records], tf.string)


def test_columns_are_what_the_function_asks_of(reader: Any) -> None:
    (fare,) = reader.columns(serialized(RECORDS))
    assert (fare.values.tolist(), fare.rows.tolist()) == ([1.0, 2.0, 3.0], [0, 0, 1])


def test_users_are_those_of_the_key(reader: Any) -> None:
    users = reader.users(serialized(RECORDS))
    assert (users.values.tolist(), users.rows.tolist()) == ([b"ann", b"bob"], [0, 2])


def test_what_fails_quotes_no_record(reader: Any) -> None:
    with pytest.raises(DataError, match="preprocessing_fn") as failure:
        reader.columns(serialized([{"fare": [b"secret"]}]))
    assert "secret" not in str(failure.value)
