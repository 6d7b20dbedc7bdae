"""Where a competition's files may lie: in a directory, or in an archive as it was downloaded."""

from __future__ import annotations

import os
from pathlib import Path

from kit.data.cache import unpacked
from kit.data.images import TextFile
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
                    f"{name} {given} is not a directory or a .zip: name the one that holds the competition's "
                    "files, also where they are a .tar.gz"
                )
            return path
    return Path("data")


def data_directories(competition: str, data: Path | None) -> list[Path]:
    """Where a competition's files may be: in a subdirectory of its name, or in the root itself."""
    return [data_root(data) / competition, data_root(data)]


def find_file(competition: str, data: Path | None, name: str) -> Path | None:
    """The first file of that name in the competition's directories, or None; one in a `.zip` is unpacked.

    Raises:
        DataError: the `.zip` is damaged, or has several of that name.
    """
    if data_root(data).is_file():
        return unpacked(data_root(data), name)
    for directory in data_directories(competition, data):
        if (directory / name).exists():
            return directory / name
    return None


def find_text(competition: str, data: Path | None, name: str) -> TextFile | None:
    """The first small text file of that name in the competition's directories, or None.

    Raises:
        DataError: it cannot be read as UTF-8.
    """
    path = find_file(competition, data, name)
    if path is None:
        return None
    try:
        return TextFile(str(path), path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}; expected a text file in UTF-8") from None
