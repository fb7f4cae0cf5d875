import collections
import hashlib
import pathlib
from collections.abc import Callable
from typing import Any

import artifacts_on_disk as disk
import numpy as np
import pytest

from tfx_privacy.attacks import canaries
from tfx_privacy.attacks.canaries import CanarySet
from tfx_privacy.errors import DataError, EvidenceError, ParameterError, TFXPrivacyError

pytestmark = pytest.mark.slow

DEFAULTS: dict[str, Any] = {
    "mode": "tabular",
    "split": "train",
    "label_key": "label",
    "num_canaries": 60,
    "repetitions": "[1, 4]",
    "canaries_per_repetition": 8,
    "num_references": 100,
    "max_share": 0.2,
    "text_feature": None,
    "text_prefix": "",
    "secret_vocabulary": '["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]',
    "secret_length": 6,
}
TEXT = {"mode": "text", "text_feature": "group", "text_prefix": "my number is "}

TRAIN = [{**record, "age": [20 + index % 50]} for index, record in enumerate(disk.make_records(600, 1))]
EVAL = disk.make_records(100, 2)


class Bench:
    def __init__(self, root: pathlib.Path) -> None:
        from tfx.types import standard_artifacts

        from tfx_privacy.components import artifacts

        self.root = root
        self.inputs: dict[str, list[Any]] = {"schema": [disk.write_schema(root / "schema")]}
        self.examples({"train": TRAIN, "eval": EVAL})
        kinds = {"examples_with_canaries": standard_artifacts.Examples, "canaries": artifacts.Canaries}
        self.outputs = disk.outputs(root / "out", **kinds)

    def examples(self, splits: dict[str, Any], name: str = "examples") -> None:
        self.inputs["examples"] = [disk.write_examples(self.root / name, splits, 2)]
        self.inputs["examples"][0].span = 7
        self.inputs["examples"][0].set_string_custom_property("input_fingerprint", "split:single_split,num_files:1")

    def schema(self, text: str) -> None:
        (self.root / "schema" / "schema.pbtxt").write_text(text)

    def run(self, **properties: Any) -> CanarySet:
        from tfx_privacy.components.canary_inserter import executor

        executor.Executor().Do(self.inputs, self.outputs, {**DEFAULTS, **properties})
        return CanarySet.from_json((self.root / "out" / "canaries" / canaries.FILE_NAME).read_text())

    def made_up(self) -> list[bytes]:
        return read(self.root / "out" / "canaries" / canaries.RECORDS_FILE_NAME)

    def shard(self) -> list[bytes]:
        (path,) = (self.root / "out" / "examples_with_canaries" / "Split-train").glob("canaries*.gz")
        return read(path)


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    return Bench(tmp_path)


def read(path: pathlib.Path) -> list[bytes]:
    import tensorflow as tf

    return list(tf.data.TFRecordDataset([str(path)], compression_type="GZIP").as_numpy_iterator())


def values(serialized: bytes) -> dict[str, list[Any]]:
    import tensorflow as tf

    features = tf.train.Example.FromString(serialized).features.feature
    return {name: list(getattr(feature, feature.WhichOneof("kind")).value) for name, feature in features.items()}


def test_every_canary_stands_in_the_split_as_often_as_the_record_says(bench: Bench) -> None:
    record, made_up = bench.run(), bench.made_up()
    assert len(made_up) == len(record.canaries) == 60 + 2 * 8 + 100
    assert len(set(made_up)) == len(made_up)
    counts = collections.Counter(bench.shard())
    assert [counts[serialized] for serialized in made_up] == [canary.repetitions for canary in record.canaries]
    assert sum(counts.values()) == record.num_inserted_records == 8 + 8 * 4 + record.bits().sum()
    assert record.repetitions("inserted").tolist() == [1] * 8 + [4] * 8
    assert record.repetitions("reference").tolist() == [0] * 100
    assert (record.repetitions("coin") == record.bits()).all()
    assert (len(record.indices("coin")), record.num_split_records, record.split) == (60, 600, "train")
    digest = hashlib.sha256((bench.root / "out" / "canaries" / canaries.RECORDS_FILE_NAME).read_bytes()).hexdigest()
    assert record.records_digest == f"sha256:{digest}"
    for artifact in (bench.outputs["canaries"][0], bench.outputs["examples_with_canaries"][0]):
        assert artifact.get_int_custom_property("inserted_canary_records") == record.num_inserted_records


def test_the_examples_are_copied_to_the_byte(bench: Bench) -> None:
    from tfx.components.util import examples_utils

    from tfx_privacy.components import examples_read

    bench.run()
    source, copy = bench.root / "examples", bench.root / "out" / "examples_with_canaries"
    files = sorted(path.relative_to(source) for path in source.rglob("*.gz"))
    assert len(files) == 4
    for path in files:
        assert (copy / path).read_bytes() == (source / path).read_bytes()
    added = sorted(
        path.relative_to(copy).as_posix() for path in copy.rglob("*.gz") if path.relative_to(copy) not in files
    )
    assert added == ["Split-train/canaries_tfrecord-00000-of-00001.gz"]
    original, artifact = bench.inputs["examples"][0], bench.outputs["examples_with_canaries"][0]
    assert (artifact.split_names, artifact.span) == (original.split_names, 7)
    assert artifact.get_string_custom_property("input_fingerprint") == "split:single_split,num_files:1"
    (said,) = examples_read.of([artifact])
    assert said.inserted_canary_records == artifact.get_int_custom_property("inserted_canary_records") > 0
    (before,) = examples_read.of([original])
    assert before.inserted_canary_records == 0
    assert said.original == before
    assert artifact.get_string_custom_property("payload_format") == "FORMAT_TF_EXAMPLE"
    assert examples_utils.get_file_format(artifact) == "tfrecords_gzip"


def test_what_is_made_of_a_copy_says_that_canaries_are_in_it() -> None:
    """Whatever number an orchestrator makes of it, of one artifact or of several; what cannot be read is not none."""
    from tfx.types import standard_artifacts

    from tfx_privacy.components import examples_read

    def examples(value: Any = None) -> Any:
        artifact = standard_artifacts.Examples()
        if value is not None:
            kinds = {int: "int_value", float: "double_value", str: "string_value"}
            setattr(artifact.mlmd_artifact.custom_properties["inserted_canary_records"], kinds[type(value)], value)
        return artifact

    for given, inserted in (([7], 7), ([7.0], 7), (["7"], 7), ([0], 0), ([None], 0), ([None, 3, 4], 7)):
        made = examples()
        examples_read.copy([examples(value) for value in given], made)
        (said,) = examples_read.of([made])
        assert said.inserted_canary_records == inserted
    for value in (-1, 0.5, "many", "", "9" * 30):
        with pytest.raises(DataError, match="inserted_canary_records is no number"):
            examples_read.of([examples(value)])


def test_tabular_canaries_look_like_records(bench: Bench) -> None:
    """Ranges and values of what was seen, every one of them drawn; the label has nothing to do with the features."""
    bench.run(num_references=2000)
    made_up = [values(serialized) for serialized in bench.made_up()]
    numbers = np.array([record["features"] for record in TRAIN])
    drawn = np.array([record["features"] for record in made_up])
    assert drawn.shape[1] == disk.WIDTH
    assert numbers.min() <= drawn.min() < drawn.max() <= numbers.max() + 1e-6
    assert np.ptp(drawn) > 0.95 * np.ptp(numbers)
    assert {record["group"][0] for record in made_up} == {b"rare", b"common"}
    assert {record["age"][0] for record in made_up} == set(range(20, 70))
    labels = np.array([record["label"][0] for record in made_up])
    assert set(labels.tolist()) == {0, 1}
    # Of records, the sign of the first feature is the label; of canaries a standard error is 0.011.
    assert abs(np.mean((drawn[:, 0] > 0) == labels) - 0.5) < 0.06


def test_the_schema_knows_better_than_the_records(bench: Bench) -> None:
    bench.schema(
        disk.SCHEMA
        + 'feature { name: "age" type: INT int_domain { min: 100 max: 199 } }\n'
        + 'string_domain { name: "groups" value: "a" value: "b" value: "c" }\n'
    )
    text = (bench.root / "schema" / "schema.pbtxt").read_text()
    bench.schema(text.replace('name: "group" type: BYTES', 'name: "group" domain: "groups" type: BYTES'))
    bench.run()
    made_up = [values(serialized) for serialized in bench.made_up()]
    assert {record["group"][0] for record in made_up} == {b"a", b"b", b"c"}
    assert min(record["age"][0] for record in made_up) >= 100


def test_text_canaries_are_a_prefix_and_a_secret(bench: Bench) -> None:
    record = bench.run(**TEXT)
    assert (record.mode, record.text_feature) == ("text", "group")
    texts = [values(serialized)["group"][0].decode() for serialized in bench.made_up()]
    assert len(set(texts)) == len(texts)
    secrets = [text.removeprefix("my number is ") for text in texts]
    assert all(len(secret) == 6 and secret.isdigit() for secret in secrets)
    words = '["red", "green", "blue", "black", "white"]'
    bench.run(**TEXT, secret_vocabulary=words)
    texts = [values(serialized)["group"][0].decode() for serialized in bench.made_up()]
    assert all(len(text.split()) == 3 + 6 for text in texts)


def test_coins_are_fair_and_fall_anew(bench: Bench) -> None:
    """Of 2,000 coins a share outside 0.5 +- 0.06 has a probability of 1e-7."""
    properties = {"num_canaries": 2000, "max_share": 1.0, "repetitions": "[]", "num_references": 0}
    bench.examples({"train": disk.make_records(2000, 4), "eval": EVAL}, name="more")
    bits = [bench.run(**properties).bits() for _ in range(2)]
    assert all(abs(side.mean() - 0.5) < 0.06 for side in bits)
    assert abs(np.mean(bits[0] == bits[1]) - 0.5) < 0.06


def test_the_largest_share_is_that_of_all_coins(bench: Bench) -> None:
    assert bench.run(max_share=0.17).num_inserted_records <= 100
    with pytest.raises(
        ParameterError, match=r"Up to 100 canary records.*60 by coins and 40 by.*16.67% of the 600.*0.16"
    ):
        bench.run(max_share=0.16)


def _few_combinations(bench: Bench) -> None:
    records = [{"label": [index % 2], "group": [b"a"]} for index in range(600)]
    bench.examples({"train": records, "eval": records}, name="few")


def _known(bench: Bench) -> None:
    records = [{"label": [index % 2], "age": [index % 19], "size": [index // 19 % 19]} for index in range(1444)]
    bench.examples({"train": records, "eval": records}, name="known")


def _unlike(bench: Bench) -> None:
    bench.examples({"train": [*TRAIN, {**TRAIN[0], "label": [b"yes"]}], "eval": EVAL}, name="unlike")


def _empty(bench: Bench) -> None:
    bench.examples({"train": [], "eval": EVAL}, name="none")


def _parquet(bench: Bench) -> None:
    bench.inputs["examples"][0].set_string_custom_property("payload_format", "FORMAT_PARQUET")


def _cut_short(bench: Bench) -> None:
    for path in (bench.root / "examples" / "Split-train").glob("*.gz"):
        path.write_bytes(path.read_bytes()[:-200])


def _cut_by_a_byte(bench: Bench) -> None:
    """TensorFlow reads such a file without a word."""
    path = min((bench.root / "examples" / "Split-train").glob("*.gz"))
    path.write_bytes(path.read_bytes()[:-1])


def _not_an_example(bench: Bench) -> None:
    import tensorflow as tf

    folder = bench.root / "examples" / "Split-train"
    with tf.io.TFRecordWriter(str(folder / "data_tfrecord-00002-of-00003.gz"), "GZIP") as writer:
        writer.write(b"SECRET CONTENT")


def _twice(bench: Bench) -> None:
    bench.inputs["examples"][0].set_int_custom_property("inserted_canary_records", 5)


FAULTS: dict[str, tuple[Callable[[Bench], object], dict[str, Any], str]] = {
    "unknown split": (lambda b: None, {"split": "test"}, "Unknown split 'test'.*eval, train"),
    "unknown label": (lambda b: None, {"label_key": "tips"}, "Unknown label_key='tips'.*age, features, group, label"),
    "unknown text": (lambda b: None, {**TEXT, "text_feature": "age"},
    "text_feature='age' is no feature of text.*group"),
    "text without a feature": (lambda b: None, {"mode": "text"}, "text_feature=None to be set in mode 'text'"),
    "a feature without text": (lambda b: None, {"text_feature": "group"}, "there only, not in 'tabular'"),
    "unknown mode": (lambda b: None, {"mode": "image"}, "mode='image' to be one of tabular, text"),
    "no repetition": (lambda b: None, {"repetitions": "[0]"}, "repetitions=0"),
    "a number twice": (lambda b: None, {"repetitions": "[4, 4]"}, "no number twice"),
    "negative": (lambda b: None, {"num_canaries": -1}, "num_canaries=-1"),
    "one word": (lambda b: None, {**TEXT, "secret_vocabulary": '["a", "a"]'}, "at least two different"),
    "short secrets": (lambda b: None, {**TEXT, "secret_length": 1}, "Only 10 different canaries.*longer secrets"),
    "few combinations": (_few_combinations, {}, "Only 2 different canaries.*more values"),
    "canaries that are records": (_known, {}, "records of the split are equal to canaries"),
    "two types": (_unlike, {}, "Feature 'label' is a bytes_list in some records and a int64_list"),
    "no record": (_empty, {}, "holds no record"),
    "another format": (_parquet, {}, "FORMAT_PARQUET"),
    "canaries twice": (_twice, {}, "hold canaries already"),
    "a file cut short": (_cut_short, {}, "cut short"),
    "a file cut by a byte": (_cut_by_a_byte, {}, "cut short"),
    "no tf.Example": (_not_an_example, {}, "A record is no tf.Example"),
    "no schema": (lambda b: b.inputs.pop("schema"), {}, "Input 'schema' has no artifact"),
    "too many": (lambda b: None, {"num_references": 50_000}, "1 to 50000 canaries"),
}  # fmt: skip


@pytest.mark.parametrize(("break_it", "properties", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_bad_input_is_an_error_and_leaves_nothing(
    bench: Bench, break_it: Callable[[Bench], object], properties: dict[str, Any], message: str
) -> None:
    break_it(bench)
    with pytest.raises(TFXPrivacyError, match=message) as caught:
        bench.run(**properties)
    assert "SECRET" not in str(caught.value)
    assert not (bench.root / "out").exists()


def test_the_component_declares_its_channels_and_checks_numbers() -> None:
    from tfx.types import channel_utils, standard_artifacts

    import tfx_privacy
    from tfx_privacy.components import CanaryInserter, artifacts

    channels = {
        "examples": channel_utils.as_channel([standard_artifacts.Examples()]),
        "schema": channel_utils.as_channel([standard_artifacts.Schema()]),
    }
    component = CanaryInserter(**channels, label_key="label", repetitions=(1, 8))
    assert component.exec_properties["repetitions"] == "[1, 8]"
    assert component.outputs["canaries"].type is artifacts.Canaries is tfx_privacy.Canaries
    assert component.outputs["examples_with_canaries"].type is standard_artifacts.Examples
    for bad in ({"max_share": 0.0}, {"max_share": 1.1}, {"num_canaries": -1}, {"canaries_per_repetition": 0}):
        with pytest.raises(ParameterError, match=next(iter(bad))):
            CanaryInserter(**channels, **bad)


def test_the_record_refuses_what_contradicts_itself() -> None:
    assigned = canaries.assign([True, False], [2], 1, 1)
    record = CanarySet(
        issued_at="2024-01-01T00:00:00+00:00",
        mode="tabular",
        split="train",
        records_digest="sha256:" + "0" * 64,
        num_split_records=10,
        canaries=assigned,
        engine="test",
    )
    text = record.to_json()
    assert CanarySet.from_json(text) == record
    assert [canary.group for canary in record.canaries] == ["inserted", "coin", "coin", "reference"]
    assert record.indices("coin").tolist() == [1, 2]
    assert record.bits().tolist() == [True, False]
    for change in (
        ('"inserted": true', '"inserted": false'),
        ('"index": 3', '"index": 4'),
        ('"repetitions": 2', '"repetitions": 0'),
        ('"schema_version": 1', '"schema_version": 2'),
    ):
        assert change[0] in text
        with pytest.raises(EvidenceError):
            CanarySet.from_json(text.replace(*change))
