"""What is copied is upstream's, and states upstream's numbers."""

import importlib.metadata
import importlib.util
import pathlib
import re

import pytest
from places import ROOT

OURS = ROOT / "src" / "tfx_privacy" / "third_party" / "dp_accounting"
OWN = {"__init__.py"}


def upstream() -> pathlib.Path:
    spec = importlib.util.find_spec("dp_accounting")
    if spec is None or spec.origin is None:
        pytest.skip("dp-accounting 0.4.3 does not install beside numpy 2")
    return pathlib.Path(spec.origin).parent


# numpy 2.4 makes no number of an array of one.
CHANGED = {"return float(deltas) if is_scalar else deltas": "return float(deltas[0]) if is_scalar else deltas"}


def renamed(text: str) -> str:
    for before, after in CHANGED.items():
        text = text.replace(before, after)
    return re.sub(r"(?m)^from dp_accounting", "from tfx_privacy.third_party.dp_accounting", text)


def test_every_file_is_upstreams_but_for_the_names_of_imports() -> None:
    theirs = upstream()
    files = {str(path.relative_to(OURS)) for path in OURS.rglob("*.py")} - OWN
    assert {"dp_event.py", "pld/privacy_loss_distribution.py", "rdp/rdp_privacy_accountant.py"} <= files
    for name in files:
        assert (OURS / name).read_text() == renamed((theirs / name).read_text()), name


def test_upstreams_tests_are_upstreams_as_well() -> None:
    theirs = {path.name: path for path in upstream().rglob("*_test.py")}
    ours = list(pathlib.Path(__file__).parent.glob("*_test.py"))
    assert len(ours) == 9
    for path in ours:
        text = re.sub(
            r"(?m)^from tfx_privacy\.third_party\.dp_accounting(\.pld)? import (test_util|privacy_accountant_test)$", r"import \2",
            renamed(theirs[path.name].read_text()),
        )  # fmt: skip
        assert path.read_text() == text, path.name


def test_the_version_that_guarantees_state_is_upstreams() -> None:
    upstream()
    from tfx_privacy.third_party import dp_accounting

    assert importlib.metadata.version("dp-accounting") == dp_accounting.__version__
