"""Whatever a module does with its inputs and outputs: DPTrainer trains and serves it, or says why not."""

import functools
import gzip
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import artifacts_on_disk as disk
import numpy as np
import pytest
from trainer_bench import Bench

from tfx_privacy import DPParameters
from tfx_privacy.errors import DataError, ModelError, ParameterError

pytestmark = pytest.mark.slow

PRIVACY = DPParameters(noise_multiplier=1.0, target_delta=1e-3, expected_batch_size=20, steps=3)
SCHEMA = """
feature { name: "x" type: FLOAT presence { min_fraction: 1 min_count: 1 } shape { dim { size: 1 } } }
feature { name: "flat" type: FLOAT presence { min_fraction: 1 min_count: 1 } shape { } }
feature { name: "city" type: BYTES presence { min_fraction: 1 min_count: 1 } shape { dim { size: 1 } } }
feature { name: "number" type: INT presence { min_fraction: 1 min_count: 1 } shape { dim { size: 1 } } }
feature { name: "sometimes" type: FLOAT presence { min_fraction: 0.1 } value_count { min: 1 max: 1 } }
feature { name: "tags" type: BYTES }
feature { name: "ids" type: INT }
feature { name: "places" type: INT }
feature { name: "amounts" type: FLOAT }
feature { name: "label" type: INT presence { min_fraction: 1 min_count: 1 } shape { dim { size: 1 } } }
feature { name: "score" type: FLOAT presence { min_fraction: 1 min_count: 1 } shape { dim { size: 1 } } }
feature { name: "weight" type: FLOAT presence { min_fraction: 1 min_count: 1 } shape { dim { size: 1 } } }
tensor_representation_group {
  key: ""
  value {
    tensor_representation {
      key: "ragged_ids"
      value { ragged_tensor { feature_path { step: "ids" } } }
    }
    tensor_representation {
      key: "spread"
      value {
        sparse_tensor { dense_shape { dim { size: 6 } } index_column_names: "places" value_column_name: "amounts" }
      }
    }
  }
}
"""


def make_records(size: int, seed: int = 0) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    return [
        {
            "x": [float(value)],
            "flat": [float(random.normal())],
            "city": [[b"rome", b"oslo", b"lima"][index % 3]],
            "number": [index % 5],
            "tags": [b"a", b"b", b"c"][: 1 + index % 3],
            "ids": list(range(1 + index % 4)),
            "places": [0, 2, 5][: 1 + index % 3],
            "amounts": [1.0, -1.0, 0.5][: 1 + index % 3],
            "label": [int(value > 0)],
            "score": [2 * float(value)],
            "weight": [1.0 + index % 2],
        }
        for index, value in enumerate(random.normal(size=size))
    ]


HEAD = """
import tensorflow as tf
K = KERAS
L = K.layers
LABEL_KEY = 'label'
"""
MODEL = """
def model_fn(fn_args):
    x = L.Input((1,), name='x')
    flat = L.Input((), name='flat')
    city = L.Input((1,), name='city', dtype='string')
    number = L.Input((1,), name='number', dtype='int64')
    inputs = {'x': x, 'flat': flat, 'city': city, 'number': number}
    hidden = HIDDEN
    model = K.Model({name: inputs[name] for name in USED}, L.Dense(1, 'sigmoid')(hidden))
    model.compile('sgd', 'binary_crossentropy')
    return model
"""
INPUT_FN = """
def input_fn(file_pattern, fn_args):
    dense = {name: tf.io.FixedLenFeature([1], tf.float32) for name in ('x', 'score', 'weight')}
    spec = {**dense, 'label': tf.io.FixedLenFeature([1], tf.int64), 'ids': tf.io.RaggedFeature(tf.int64)}
    def parse(batch):
        parsed = tf.io.parse_example(batch, spec)
        label = parsed['label']
        return RESULT
    return tf.data.TFRecordDataset(tf.io.gfile.glob(file_pattern), 'GZIP').batch(32).map(parse)
"""
SIMPLE = MODEL.replace("HIDDEN", "x").replace("USED", "('x',)")
HEADS = """
def model_fn(fn_args):
    x = L.Input((1,), name='x')
    hidden = L.Dense(4, 'relu')(x)
    label, score = L.Dense(1, 'sigmoid', name='label')(hidden), L.Dense(1, name='score')(hidden)
    model = K.Model({'x': x}, OUTPUTS)
    model.compile('sgd', LOSSES, loss_weights=WEIGHTS)
    return model
"""


def variable(name: str, kind: str, hidden: str, *, dtype: str = "int64", shape: str = "None,") -> str:
    return f"""
def model_fn(fn_args):
    v = L.Input(({shape}), name={name!r}, dtype={dtype!r}, {kind}=True)
    hidden = {hidden}
    model = K.Model({{{name!r}: v}}, L.Dense(1, 'sigmoid')(hidden))
    model.compile('sgd', 'binary_crossentropy')
    return model
"""


LAYERS = {
    "several inputs": (
        "L.Concatenate()([x, L.Reshape((1,))(flat), L.Embedding(5, 3)(number)[:, 0, :]])",
        ("x", "flat", "number"),
    ),
    "StringLookup": ("L.StringLookup(vocabulary=['rome', 'oslo'], output_mode='one_hot')(city)", ("city",)),
    "StringLookup, embedded": (
        "L.Embedding(4, 2)(L.StringLookup(vocabulary=['rome', 'oslo'])(city))[:, 0, :]",
        ("city",),
    ),
    "IntegerLookup": ("L.IntegerLookup(vocabulary=[0, 1, 2], output_mode='one_hot')(number)", ("number",)),
    "Hashing": ("L.Embedding(8, 2)(L.Hashing(8)(city))[:, 0, :]", ("city",)),
    "HashedCrossing": ("L.HashedCrossing(8, output_mode='one_hot')((city, number))", ("city", "number")),
    "CategoryEncoding": ("L.CategoryEncoding(5, output_mode='one_hot')(number)", ("number",)),
    "Discretization": ("L.CategoryEncoding(4, output_mode='one_hot')(L.Discretization([-1.0, 0.0, 1.0])(x))", ("x",)),
    "Normalization": ("L.Normalization(mean=0.5, variance=2.0)(x)", ("x",)),
    "TextVectorization": (
        "L.Embedding(9, 2)(L.TextVectorization(vocabulary=['rome', 'oslo'], output_sequence_length=3)(city))[:, 0, :]",
        ("city",),
    ),
}
TF_KERAS: dict[str, str] = {
    **{name: MODEL.replace("HIDDEN", hidden).replace("USED", repr(used)) for name, (hidden, used) in LAYERS.items()},
    "sample weights": SIMPLE + INPUT_FN.replace("RESULT", "{'x': parsed['x']}, label, parsed['weight']"),
    "one tensor": SIMPLE.replace("K.Model({name: inputs[name] for name in USED}", "K.Model(x")
    + INPUT_FN.replace("RESULT", "parsed['x'], label"),
    "outputs by name": HEADS.replace("OUTPUTS", "{'label': label, 'score': score}")
    .replace("LOSSES", "{'label': 'binary_crossentropy', 'score': 'mse'}")
    .replace("WEIGHTS", "{'label': 1.0, 'score': 0.5}")
    + INPUT_FN.replace("RESULT", "{'x': parsed['x']}, {'label': label, 'score': parsed['score']}"),
    "a list of outputs": HEADS.replace("OUTPUTS", "[label, score]")
    .replace("LOSSES", "['binary_crossentropy', 'mse']")
    .replace("WEIGHTS", "[1.0, 0.5]")
    + INPUT_FN.replace("RESULT", "{'x': parsed['x']}, {'label': label, 'score': parsed['score']}, parsed['weight']"),
    "sparse texts": variable(
        "tags", "sparse", "L.StringLookup(vocabulary=['a', 'b'], output_mode='multi_hot')(v)", dtype="string"
    ),
    "sparse with places": variable("spread", "sparse", "L.Dense(2)(v)", dtype="float32", shape="6,"),
    "ragged by the schema": variable("ragged_ids", "ragged", "tf.reduce_mean(L.Embedding(5, 3)(v), axis=1)"),
    "ragged by an input_fn": variable("ragged_ids", "ragged", "tf.reduce_mean(L.Embedding(5, 3)(v), axis=1)")
    + INPUT_FN.replace("RESULT", "{'ragged_ids': parsed['ids']}, label"),
}
KERAS_3 = [
    "several inputs", "StringLookup", "Hashing", "CategoryEncoding", "Discretization", "Normalization", "sample weights",
    "outputs by name", "a list of outputs",
]  # fmt: skip
CASES = [("tf.keras", name) for name in TF_KERAS] + [("keras", name) for name in KERAS_3]


def module_of(text: str, keras: str = "tf.keras") -> str:
    imported = "tf.keras" if keras == "tf.keras" else "__import__('keras')"
    return HEAD.replace("KERAS", imported) + text


@functools.cache
def _records() -> list[dict[str, Any]]:
    return make_records(60)


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    bench = Bench(tmp_path)
    bench.inputs["schema"] = [disk.write_schema(tmp_path / "wide_schema", SCHEMA)]
    bench.inputs["examples"] = [
        disk.write_examples(tmp_path / "other", {"train": _records(), "eval": _records()[:5]}, shards=3)
    ]
    return bench


@pytest.mark.parametrize(("keras", "name"), CASES, ids=[f"{keras}-{name}" for keras, name in CASES])
def test_a_module_trains_and_serves(bench: Bench, keras: str, name: str) -> None:
    import tensorflow as tf

    bench.module(module_of(TF_KERAS[name], keras))
    record = bench.run(PRIVACY)
    assert record.population.records == 60
    assert ("keras 3." in record.engine) is (keras == "keras")
    served = tf.saved_model.load(str(bench.root / "model/Format-Serving"))
    unlabelled = ("label", "score", "weight")
    requests = [
        disk.serialize({key: value for key, value in each.items() if key not in unlabelled}) for each in _records()[:4]
    ]
    answers = served.signatures["serving_default"](tf.constant(requests))
    assert set(answers) == ({"label", "score"} if "outputs" in name else {"outputs"})
    for answer in answers.values():
        assert answer.shape == (4, 1)
        assert np.isfinite(answer).all()


OWN_LOSS = "lambda y, outputs: tf.reduce_mean(outputs, axis=-1)"
ONE = SIMPLE + INPUT_FN
TWO = TF_KERAS["outputs by name"]
# Module, and per output: source, loss, features.
LABELS: Mapping[str, tuple[str, dict[str, tuple[str, str, list[str]]]]] = {
    "DPTrainer's own reader": (SIMPLE, {"": ("read", "keras", ["label"])}),
    "the author's word and the values agree": (
        ONE.replace("RESULT", "{'x': parsed['x']}, label"), {"": ("compared", "keras", ["label"])},
    ),
    "one-hot": (
        ONE.replace("Dense(1, 'sigmoid')", "Dense(2, 'softmax')").replace("binary", "categorical")
        .replace("RESULT", "{'x': parsed['x']}, tf.one_hot(label[:, 0], 2)"), {"": ("compared", "keras", ["label"])},
    ),
    "smoothed, by the author's word": (
        ONE.replace("RESULT", "{'x': parsed['x']}, 0.1 + 0.8 * tf.cast(label, tf.float32)"),
        {"": ("declared", "keras", ["label"])},
    ),
    "another feature than the author says": (
        ONE.replace("'binary_crossentropy'", "'mse'").replace("RESULT", "{'x': parsed['x']}, parsed['score']"),
        {"": ("compared", "keras", ["score"])},
    ),
    "no feature": (
        ONE.replace("RESULT", "{'x': parsed['x']}, tf.cast(parsed['score'] > 1.0, tf.int64)"), {"": ("compared", "keras", [])},
    ),
    "outputs by name, without a word": (
        TWO, {"label": ("compared", "keras", ["label"]), "score": ("compared", "keras", ["score"])},
    ),
    "outputs by name": (
        TWO.replace("'score': parsed['score']}", "'score': 3.0 * parsed['score']}") + "LABEL_KEY = {'score': 'score'}",
        {"label": ("compared", "keras", ["label"]), "score": ("declared", "keras", ["score"])},
    ),
    "class numbers": (
        SIMPLE.replace("Dense(1, 'sigmoid')", "Dense(2)").replace(
            "'binary_crossentropy'", "K.losses.SparseCategoricalCrossentropy(from_logits=True)"
        ), {"": ("read", "classes", ["label"])},
    ),
    "a loss of one's own": (
        SIMPLE.replace("'binary_crossentropy'", "lambda y, p: tf.reduce_mean((tf.cast(y, p.dtype) - p) ** 2, axis=-1)"),
        {"": ("read", "own", ["label"])},
    ),
    "a loss that reads no label": (SIMPLE.replace("'binary_crossentropy'", OWN_LOSS), {"": ("read", "without_label", ["label"])}),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), LABELS.values(), ids=LABELS.keys())
def test_the_guarantee_states_what_was_trained_on(
    bench: Bench, text: str, expected: dict[str, tuple[str, str, list[str]]]
) -> None:
    bench.module(module_of(text))
    record = bench.run(PRIVACY)
    assert {
        label.output: (label.source, label.loss, [each.name for each in label.features]) for label in record.labels
    } == expected
    assert {each.features for label in record.labels for each in label.features} <= {"examples"}
    names = [name for _, _, found in expected.values() for name in found]
    told = bench.outputs["model"][0].get_string_custom_property("label_key")
    assert told == (names[0] if len(names) == 1 else "")


BAD: Mapping[str, tuple[str, type[Exception], str]] = {
    "a run_fn": ("def run_fn(fn_args):\n    pass", ParameterError, "It has a run_fn.*tfx-privacy migrate"),
    "labels by output without an input_fn": (
        SIMPLE + "LABEL_KEY = {'outputs': 'label'}", ParameterError, "DPTrainer's own reader gives one label.*input_fn",
    ),
    "a label of another kind": (SIMPLE + "LABEL_KEY = 3", ParameterError, "LABEL_KEY=3 to be the label's name"),
    "reads the records": (
        "def model_fn(fn_args):\n"
        "    return list(fn_args.train_files)", ParameterError, "must not read the records.*adapt",
    ),
    "opens the records": (
        "def model_fn(fn_args):\n"
        "    return fn_args.data_accessor.tf_dataset_factory([])", ParameterError, "fn_args.data_accessor",
    ),
    "an adapted layer": (
        SIMPLE.replace("hidden = x",
        "scale = L.Normalization(); scale.adapt([[1.0], [2.0]]); hidden = scale(x)"), ModelError,
        "by adapt\\(\\) without privacy",
    ),
    "a dense input of variable length": (
        variable("tags", "sparse",
        "L.StringLookup(vocabulary=['a'], output_mode='multi_hot')(v)", dtype="string").replace(
            "sparse=True", ""
        ).replace("None,", "3,"), ModelError, "'tags' has a variable number.*sparse=True",
    ),
    "an input that nobody fills": (
        SIMPLE.replace("{name: inputs[name] for name in ('x',)}", "{'z': x}"), ParameterError, "an input 'z', but",
    ),
    "outputs without labels": (
        HEADS.replace("OUTPUTS", "[label, score]").replace("LOSSES", "'mse'").replace("WEIGHTS", "None"), ModelError,
        "needs labels of its name",
    ),
    "a loss for no output": (
        TF_KERAS["outputs by name"].replace("'score': 'mse'", "'score': 'mse'").replace(
            "'score': parsed['score']", "'other': parsed['score']"),
        ModelError, "outputs 'label', 'score', and the labels are 'label', 'other'",
    ),
    "negative weights": (
        SIMPLE + INPUT_FN.replace("RESULT", "{'x': parsed['x']}, label, -parsed['weight']"), DataError, "weight is negative",
    ),
    "texts for weights": (
        SIMPLE + INPUT_FN.replace("RESULT",
        "{'x': parsed['x']}, label, tf.strings.as_string(label)"), DataError, "expected numbers",
    ),
    "unnamed features": (
        SIMPLE + INPUT_FN.replace("RESULT", "(parsed['x'],), label"), ParameterError,
        "features are a tuple; expected a dict by name",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "kind", "message"), BAD.values(), ids=BAD.keys())
def test_what_cannot_work_names_the_rule_and_the_way_out(
    bench: Bench, text: str, kind: type[Exception], message: str
) -> None:
    bench.module(module_of(text))
    with pytest.raises(kind, match=message):
        bench.run(PRIVACY)


def test_what_cannot_be_served_is_refused_before_a_record_is_read(bench: Bench) -> None:
    for file in bench.root.glob("other/**/*.gz"):
        file.write_bytes(gzip.compress(b""))
    subclass = """
class Model(K.Model):
    def __init__(self):
        super().__init__()
        self.last = L.Dense(1, 'sigmoid')
    def call(self, features):
        return self.last(features['no such feature'])

def model_fn(fn_args):
    model = Model()
    model.compile('sgd', 'binary_crossentropy')
    return model
"""
    bench.module(module_of(subclass))
    with pytest.raises(ParameterError, match="cannot answer requests.*signatures_fn"):
        bench.run(PRIVACY)


@pytest.mark.parametrize("kind", ["uncompressed", "sequence examples", "no examples", "cut short"])
def test_files_of_another_format(bench: Bench, kind: str) -> None:
    """Told by what is in them, where the artifact says nothing, and without a word of it."""
    import tensorflow as tf

    file, *others = bench.root.glob("other/**/Split-train/*")
    for other in others:
        other.unlink()
    with tf.io.TFRecordWriter(str(file), "" if kind == "uncompressed" else "GZIP") as writer:
        for record in make_records(60):
            example = tf.train.Example.FromString(disk.serialize(record))
            sequences = tf.train.SequenceExample(context=example.features)
            sequences.feature_lists.feature_list["tokens"].feature.add().int64_list.value.append(3)
            written = {"sequence examples": sequences.SerializeToString(), "no examples": b"\xff secret"}
            writer.write(written.get(kind, example.SerializeToString()))
    bench.module(module_of(SIMPLE))
    if kind == "uncompressed":
        assert bench.run(PRIVACY).population.records == 60
        return
    if kind == "cut short":
        file.write_bytes(file.read_bytes()[:-20])
    expected = {"sequence examples": "hold tf.SequenceExamples", "cut short": f"{file} is cut short"}
    with pytest.raises(DataError, match=expected.get(kind, "does not fit the features")) as caught:
        bench.run(PRIVACY)
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None


def test_what_an_input_fn_raises_is_told_without_its_text(bench: Bench) -> None:
    bench.module(
        module_of(
            SIMPLE
            + """
def input_fn(file_pattern, fn_args):
    for record in tf.data.TFRecordDataset(tf.io.gfile.glob(file_pattern), 'GZIP').take(1):
        raise ValueError(f'secret {record}')
"""
        )
    )
    with pytest.raises(
        DataError, match=r"could not be read or parsed \(ValueError at user_module.py:\d+; the text is"
    ) as caught:
        bench.run(PRIVACY)
    assert caught.value.__cause__ is caught.value.__context__ is None


TEXT_LABEL = """
feature { name: "x" type: FLOAT presence { min_fraction: 1 min_count: 1 } shape { dim { size: 1 } } }
feature { name: "label" type: BYTES DOMAIN presence { min_fraction: 1 min_count: 1 } shape { dim { size: 1 } } }
"""


def test_a_label_that_is_text(bench: Bench, tmp_path: pathlib.Path) -> None:
    """By the schema's domain, in its order, and the served model and the guarantee say so."""
    from tfx_privacy.components import text_labels

    texts = [b"no", b"yes"]
    records = [{"x": record["x"], "label": [texts[record["label"][0]]]} for record in _records()]
    bench.inputs["examples"] = [disk.write_examples(tmp_path / "texts", {"train": records})]
    bench.module(module_of(SIMPLE))
    for name, domain in (("none", ""), ("another", 'string_domain { value: "no" value: "maybe" }')):
        bench.inputs["schema"] = [disk.write_schema(tmp_path / name, TEXT_LABEL.replace("DOMAIN", domain))]
        message = "Give the feature a string_domain" if name == "none" else "none of the 2 values of its string domain"
        with pytest.raises((DataError, ParameterError), match=message):
            bench.run(PRIVACY)
    order = 'string_domain { value: "no" value: "yes" }'
    bench.inputs["schema"] = [disk.write_schema(tmp_path / "domain", TEXT_LABEL.replace("DOMAIN", order))]
    record = bench.run(PRIVACY)
    (label,) = record.labels
    assert label.texts_digest == text_labels.digest_of(["no", "yes"])
    told = bench.root / "model" / "Format-Serving" / "assets.extra" / "label_texts.json"
    assert told.read_text() == '["no","yes"]'
    (item,) = record.scope
    assert (item.artifact, item.covered) == ("schema", False)
    assert "The texts that the classes of the label are called by" in item.detail
    (item,) = bench.run(PRIVACY, schema_is_public=1).scope
    assert item.covered
    assert "no private record had a part in it; nothing checked that" in item.detail


def test_records_without_a_label_are_left_out(bench: Bench, tmp_path: pathlib.Path) -> None:
    """A whole file of them as well; and no split called eval is needed."""
    optional = SCHEMA.replace(
        'name: "label" type: INT presence { min_fraction: 1 min_count: 1 } shape { dim { size: 1 } }',
        'name: "label" type: INT value_count { min: 1 max: 1 }',
    )
    records = [
        {name: value for name, value in record.items() if name != "label" or index % 3}
        for index, record in enumerate(_records())
    ]
    bench.inputs["schema"] = [disk.write_schema(tmp_path / "optional", optional)]
    bench.inputs["examples"] = [disk.write_examples(tmp_path / "some", {"train": records}, shards=3)]
    bench.module(module_of(SIMPLE))
    record = bench.run(PRIVACY)
    assert record.population.records == 40
    told = json.loads((bench.root / "model" / "trained_records.json").read_text())
    assert (told["num_read"], told["num_used"]) == (60, 40)
    with pytest.raises(ParameterError, match="Unknown split 'val'"):
        bench.run(PRIVACY, eval_args='{"splits": ["val"]}')


def test_a_feature_that_the_model_does_not_take_may_be_missing(bench: Bench) -> None:
    """`sometimes` stands in no record, and the schema says that it may."""
    bench.module(module_of(SIMPLE))
    assert bench.run(PRIVACY).population.records == 60


def test_an_importable_module_in_place_of_a_file(
    bench: Bench, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "importable_user_module.py").write_text(module_of(SIMPLE))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert bench.run(PRIVACY, module_file=None, module_path="importable_user_module").population.records == 60
