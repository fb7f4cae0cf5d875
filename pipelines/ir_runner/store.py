"""An object store in a folder: objects have names and bytes, and there are no folders among them."""

from __future__ import annotations

import os
import pathlib
import shutil

from tfx_privacy.errors import ParameterError

_SCHEMES = ("gs", "s3", "minio")
FOLDER_MARKER = ".folder-marker"
"""A file of this name is an object whose key ends in a slash: what TensorFlow leaves on gs://, and consoles elsewhere."""


class Store:
    """Artifacts by URI.

    `gs://`, `s3://` and `minio://` are folders below the store's; an object is a file.
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
        """Copies what a step wrote, as UploadBlob does: files alone, so empty folders are lost; nothing if there is nothing."""
        target = self.path(uri)
        if folder.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder, target)
        for place, _, files in os.walk(folder):
            into = target / pathlib.Path(place).relative_to(folder)
            for name in files:
                into.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(os.path.join(place, name), into / name)

    def download(self, uri: str, folder: pathlib.Path) -> None:
        """Copies an artifact to a step, as DownloadBlob does; nothing if there is nothing.

        Raises:
          NotADirectoryError: If an object stands for a folder that has other objects: it becomes a file, and they have no place.
        """
        source = self.path(uri)
        if source.is_file():
            folder.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder)
        for place, _, files in os.walk(source):
            into = folder / pathlib.Path(place).relative_to(source)
            if FOLDER_MARKER in files:
                # Its key is the shortest below the folder, so it comes first.
                into.parent.mkdir(parents=True, exist_ok=True)
                into.touch()
                files.remove(FOLDER_MARKER)
            for name in files:
                try:
                    into.mkdir(parents=True, exist_ok=True)
                except FileExistsError as error:
                    raise NotADirectoryError(
                        f"{uri} holds an object that stands for the folder {into.relative_to(folder.parent)}, and objects in it"
                    ) from error
                shutil.copyfile(os.path.join(place, name), into / name)
