"""YAML in which every text is one for every reader.

PyYAML writes YAML 1.1, where 1e3 and 0o7 are texts and need no quotes. Kubeflow reads 1.2, where they are numbers: a dataset of
such a name would be charged under another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Any

import yaml


def dump_all(documents: Sequence[Any], file: IO[str]) -> None:
    """Writes documents with sorted keys.

    Args:
      documents: Maps, lists, numbers and texts.
      file: Where to.
    """
    yaml.dump_all(documents, file, Dumper=_Quoting, sort_keys=True, width=120)


class _Quoting(yaml.SafeDumper):
    def represent_str(self, data: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style='"')

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        """Keys that begin with a letter are no numbers anywhere, and stay readable; PyYAML quotes words such as `yes`."""
        node = super().represent_mapping(tag, mapping, flow_style)
        for key, _ in node.value:
            if key.value[:1].isalpha():
                key.style = None
        return node

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Quoting.add_representer(str, _Quoting.represent_str)
