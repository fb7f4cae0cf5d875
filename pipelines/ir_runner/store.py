"""An object store in a folder: objects have names and bytes, and there are no folders among them."""

from __future__ import annotations

import os
import pathlib
import shutil

from tfx_privacy.errors import ParameterError

_SCHEMES = ("gs", "s3", "minio")
_MARKER = ".folder-marker"


class Store:
    """Artifacts by URI.

    `gs://`, `s3://` and `minio://` are folders below the store's; an object is a file. TensorFlow and web consoles
    write an object without bytes for an empty folder: so does `upload`, and `download` makes of it what the launcher
    does, a file without bytes.
    """

    def __init__(self, root: pathlib.Path, *, mirrored: bool) -> None:
        """Takes the folder.

        Args:
          root: Where the objects lie.
          mirrored: Whether steps work on copies; else they work here, and a URI is a path.
        """
        self._root = root
        self.mirrored = mirrored

    def path(self, uri: str) -> pathlib.Path:
        """Where an artifact lies in the store.

        Raises:
          ParameterError: If the URI leads out of the store.
        """
        scheme, separator, rest = uri.partition("://")
        if not separator:
            return pathlib.Path(uri)
        if scheme not in _SCHEMES or ".." in rest.split("/"):
            raise ParameterError(f"{uri!r} is no address of an object store. Use gs://, s3:// or minio://.")
        return self._root / scheme / rest

    def upload(self, folder: pathlib.Path, uri: str) -> None:
        """Copies what a step wrote; nothing if it wrote nothing."""
        target = self.path(uri)
        if folder.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder, target)
        for place, folders, files in os.walk(folder):
            into = target / pathlib.Path(place).relative_to(folder)
            into.mkdir(parents=True, exist_ok=True)
            for name in files:
                shutil.copyfile(os.path.join(place, name), into / name)
            if not folders and not files and pathlib.Path(place) != folder:
                (into / _MARKER).touch()

    def download(self, uri: str, folder: pathlib.Path) -> None:
        """Copies an artifact to a step; nothing if there is nothing."""
        source = self.path(uri)
        if source.is_file():
            folder.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder)
        for place, _, files in os.walk(source):
            into = folder / pathlib.Path(place).relative_to(source)
            if files == [_MARKER]:
                into.parent.mkdir(parents=True, exist_ok=True)
                into.touch()
                continue
            for name in files:
                into.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(os.path.join(place, name), into / name)
