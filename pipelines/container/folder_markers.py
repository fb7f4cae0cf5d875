"""Zero-byte objects that stand for folders in an object store."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable

_SAVED_MODEL = "saved_model.pb"

# Folders of a SavedModel that may be empty, which an object store can only say by an object without bytes.
_SAVED_MODEL_FOLDERS = ("assets", "assets.extra", "variables")

_FOLDER_SUFFIX = "_$folder$"


def remove_folder_markers(root: str) -> list[str]:
    """Removes zero-byte files below a downloaded artifact that stand for folders, and makes the folders.

    A marker is what an object store keeps for an empty folder: `assets` beside a `saved_model.pb`, a name that ends in
    `_$folder$`, or the artifact's own folder. Other files without bytes are left: an empty `BLESSED` is a verdict.

    Args:
      root: Path of the artifact.

    Returns:
      Paths of the files that were removed.
    """
    if _is_empty_file(root):
        _to_folder(root)
        return [root]
    removed = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            of_model = name in _SAVED_MODEL_FOLDERS and _SAVED_MODEL in names
            if not (of_model or name.endswith(_FOLDER_SUFFIX)) or not _is_empty_file(path):
                continue
            if of_model:
                _to_folder(path)
            else:
                os.remove(path)
                os.makedirs(path.removesuffix(_FOLDER_SUFFIX), exist_ok=True)
            removed.append(path)
    return removed


def remove_remote_markers(uris: Iterable[str]) -> list[str]:
    """Removes the objects without bytes that TensorFlow leaves on `gs://` for folders, below outputs.

    Kubeflow's launcher makes a file of such an object when the next step is given the artifact, and then fails to make the folder
    (kubeflow/pipelines#13476).

    Args:
      uris: Of the outputs; only `gs://` has such objects.

    Returns:
      URIs of the objects that were removed.
    """
    # Beam comes with a client of Google Cloud Storage; only steps with remote workers need it.
    from apache_beam.io.gcp import gcsio

    places = [uri.rstrip("/") + "/" for uri in uris if uri.startswith("gs://")]
    if not places:
        return []
    client = gcsio.GcsIO()
    removed = []
    for place in places:
        for path, size in list(client.list_files(place)):
            if path.endswith("/") and size == 0:
                client.delete(path)
                removed.append(path)
    return removed


def _is_empty_file(path: str) -> bool:
    return os.path.isfile(path) and not os.path.islink(path) and os.path.getsize(path) == 0


def _to_folder(path: str) -> None:
    os.remove(path)
    pathlib.Path(path).mkdir()
