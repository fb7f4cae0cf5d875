"""`from tfx_privacy import ...`: one flat surface, lazy, and the same to a type checker as at run time."""

import ast
import importlib
import subprocess
import sys

import pytest
from places import ROOT

import tfx_privacy

SOURCE = ast.parse((ROOT / "src" / "tfx_privacy" / "__init__.py").read_text())


def declared() -> dict[str, str]:
    """What a type checker sees: each name, and the module that defines it."""
    (block,) = (node for node in SOURCE.body if isinstance(node, ast.If))
    return {
        name.asname or name.name: str(node.module)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }


def test_a_type_checker_sees_the_names_that_there_are() -> None:
    assert sorted(declared()) == sorted(set(tfx_privacy.__all__) - {"__version__"})
    assert set(dir(tfx_privacy)) >= set(tfx_privacy.__all__)


def test_names_of_the_core_need_neither_tfx_nor_tensorflow() -> None:
    code = (
        "import sys; from tfx_privacy import DPParameters, GatePolicy, Ledger, calibrate_noise_multiplier, epsilon;"
        "print([name for name in ('tensorflow', 'apache_beam', 'tfx', 'kfp') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["DPParameters", "GatePolicy", "Ledger", "calibrate_noise_multiplier", "epsilon"])
def test_a_name_of_the_core_is_what_its_module_defines(name: str) -> None:
    assert getattr(tfx_privacy, name) is getattr(importlib.import_module(declared()[name]), name)


@pytest.mark.slow
def test_every_name_is_what_its_module_defines() -> None:
    for name, module in declared().items():
        assert getattr(tfx_privacy, name) is getattr(importlib.import_module(module), name), name
    components = importlib.import_module("tfx_privacy.components")
    assert components.DPTrainer is tfx_privacy.DPTrainer


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Trainer'"):
        _ = tfx_privacy.Trainer
