"""Texts become classes by the schema's string domain, in its order."""

import numpy as np
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from tfx_privacy.components import text_labels

SCHEMA = """
feature { name: "own" type: BYTES string_domain { value: "z" value: "a" } }
feature { name: "shared" type: BYTES domain: "letters" }
feature { name: "nameless" type: BYTES string_domain { } }
feature { name: "free" type: BYTES }
string_domain { name: "letters" value: "b" value: "c\\303\\251" }
"""


def test_the_domain_is_in_the_feature_or_shared() -> None:
    schema = text_format.Parse(SCHEMA, schema_pb2.Schema())
    names = ("own", "shared", "nameless", "free", "unknown")
    assert [text_labels.texts_of(schema, name) for name in names] == [["z", "a"], ["b", "cé"], None, None, None]


def test_a_text_is_its_place_and_another_one_is_none() -> None:
    values = np.array([[b"a"], [b"z"], [b""], [b"A"], ["cé".encode()]], object)
    assert text_labels.as_numbers(values, ["z", "a", "cé"]).tolist() == [[1], [0], [-1], [-1], [2]]
    assert text_labels.as_numbers(values[:0], ["z"]).shape == (0, 1)


def test_the_order_is_in_the_digest() -> None:
    assert text_labels.digest_of(["a", "b"]) != text_labels.digest_of(["b", "a"])
    assert text_labels.digest_of(["a,b"]) != text_labels.digest_of(["a", "b"])
