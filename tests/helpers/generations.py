"""Which generation of TFX is installed, e.g. "1.16"; nothing is imported."""

import importlib.metadata

INSTALLED = ".".join(importlib.metadata.version("tfx").split(".")[:2])
