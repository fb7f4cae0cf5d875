import io
from collections.abc import Iterator

import pytest
import yaml

from tfx_privacy.pipelines import quoted_yaml

# Texts that one version of YAML or one reader takes for something else.
STRANGE = [
    "1e3",
    "1e-05",
    "0o7",
    "0b1",
    "0x1f",
    "1_000",
    "yes",
    "on",
    "null",
    "~",
    "true",
    ".inf",
    "12:30",
    "2026-01-01",
    "-",
    "",
    "a: b",
    "a\nb",
]


def dumped(*documents: object) -> str:
    file = io.StringIO()
    quoted_yaml.dump_all(documents, file)
    return file.getvalue()


def texts(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    """Every text of a document, keys included."""
    if isinstance(node, yaml.MappingNode):
        for pair in node.value:
            for part in pair:
                yield from texts(part)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from texts(value)
    elif isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str":
        yield node


@pytest.mark.parametrize("text", STRANGE)
def test_a_text_is_quoted_wherever_it_stands(text: str) -> None:
    document = {"dataset_id": text, "list": [text, {"deep": text}], text: 1}
    written = dumped(document, {"second": text})
    assert list(yaml.safe_load_all(written)) == [document, {"second": text}]
    found = [node for part in yaml.compose_all(written) for node in texts(part) if node.value == text]
    assert len(found) == 5
    assert {node.style for node in found} <= {"'", '"'}


def test_what_is_no_text_is_not_quoted_and_keys_stay_readable() -> None:
    assert dumped({"b": 1e-05, "a": True, "n": None, "i": 3}) == "a: true\nb: 1.0e-05\ni: 3\nn: null\n"


def test_what_stands_there_twice_is_written_twice() -> None:
    twice = {"image": "i"}
    assert dumped([twice, twice]) == '- image: "i"\n- image: "i"\n'
