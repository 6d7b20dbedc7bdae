"""Where a competition's files may lie: in a directory, or in an archive as it was downloaded."""

from __future__ import annotations

import os
from pathlib import Path

from kit.errors import DataError


def data_root(data: Path | None) -> Path:
    """The directory or `.zip` to look in: ``--data`` if given, else ``KIT_DATA`` if set, else ``data``.

    Raises:
        DataError: what was named is not there.
    """
    for given, name in ((data, "--data"), (os.environ.get("KIT_DATA"), "KIT_DATA")):
        if given:
            path = Path(given)
            if not (path.is_dir() or (path.is_file() and path.suffix.lower() == ".zip")):
                raise DataError(
                    f"{name} {given} is not a directory or a .zip: name the one that holds the competition's files"
                )
            return path
    return Path("data")


def data_directories(competition: str, data: Path | None) -> list[Path]:
    """Where a competition's files may be: in a subdirectory of its name, or in the root itself."""
    return [data_root(data) / competition, data_root(data)]


def find_file(competition: str, data: Path | None, name: str) -> Path | None:
    """The first file of that name in the competition's directories, or None."""
    for directory in data_directories(competition, data):
        if (directory / name).exists():
            return directory / name
    return None
