"""Writes real TFX artifacts for the executors' tests: TFRecords, a schema, outputs."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

WIDTH = 4

SCHEMA = """
feature { name: "features" type: FLOAT presence { min_fraction: 1 min_count: 1 } shape { dim { size: 4 } } }
feature { name: "label" type: INT presence { min_fraction: 1 min_count: 1 } shape { dim { size: 1 } } }
feature { name: "group" type: BYTES presence { min_fraction: 1 min_count: 1 } shape { dim { size: 1 } } }
"""


def make_records(size: int, seed: int) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    features = random.normal(size=(size, WIDTH))
    return [
        {"features": row.tolist(), "label": [int(row[0] > 0)], "group": [b"rare" if index % 40 == 0 else b"common"]}
        for index, row in enumerate(features)
    ]


def serialize(record: Mapping[str, Any]) -> bytes:
    import tensorflow as tf

    features = {}
    for name, values in record.items():
        if isinstance(values[0], bytes):
            features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        elif isinstance(values[0], float):
            features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
        else:
            features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return bytes(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


def write_examples(root: pathlib.Path, splits: Mapping[str, list[dict[str, Any]]], shards: int = 1) -> Any:
    import tensorflow as tf

    for split, records in splits.items():
        folder = root / f"Split-{split}"
        folder.mkdir(parents=True)
        for shard in range(shards):
            path = str(folder / f"data_tfrecord-{shard:05d}-of-{shards:05d}.gz")
            with tf.io.TFRecordWriter(path, "GZIP") as writer:
                for record in records[shard::shards]:
                    writer.write(serialize(record))
    return examples_at(root, sorted(splits))


def examples_at(root: pathlib.Path, splits: Sequence[str]) -> Any:
    from tfx.types import artifact_utils, standard_artifacts

    artifact = standard_artifacts.Examples()
    artifact.uri = str(root)
    artifact.split_names = artifact_utils.encode_split_names(sorted(splits))
    artifact.set_string_custom_property("payload_format", "FORMAT_TF_EXAMPLE")
    return artifact


def write_schema(root: pathlib.Path, text: str = SCHEMA) -> Any:
    root.mkdir(parents=True)
    (root / "schema.pbtxt").write_text(text)
    return schema_at(root)


def schema_at(root: pathlib.Path) -> Any:
    from tfx.types import standard_artifacts

    artifact = standard_artifacts.Schema()
    artifact.uri = str(root)
    return artifact


def outputs(root: pathlib.Path, **kinds: Any) -> dict[str, list[Any]]:
    made = {}
    for key, kind in kinds.items():
        artifact = kind()
        artifact.uri = str(root / key)
        made[key] = [artifact]
    return made
