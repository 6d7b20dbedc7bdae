"""Where a competition's files may lie."""

from __future__ import annotations

import os
from pathlib import Path

from kit.errors import DataError


def data_directories(competition: str, data: Path | None) -> list[Path]:
    """The directories to look in: ``--data`` if given, else ``KIT_DATA`` if set, else ``data``.

    Each may hold the files themselves or one subdirectory a competition.
    """
    if data is not None and not data.is_dir():
        raise DataError(f"--data {data} is not a directory: give the directory that holds the {competition} files")
    root = data or Path(os.environ.get("KIT_DATA") or "data")
    return [root / competition, root]


def find_file(competition: str, data: Path | None, name: str) -> Path | None:
    """The first file of that name in the competition's directories, or None."""
    for directory in data_directories(competition, data):
        if (directory / name).exists():
            return directory / name
    return None
