"""Figures as picture files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kit.errors import DataError, RecipeError
from kit.files import check_replaceable, replacing
from kit.report.drawing import drawing

FORMATS = (".png", ".svg", ".pdf")


def check_picture(path: Path) -> None:
    """Refuse a picture that could not be written, before it is drawn.

    Raises:
        RecipeError: the ending of the name says no format that there is.
        DataError: nothing can be written there.
    """
    if path.suffix not in FORMATS:
        raise RecipeError(f"--out {path}: expected a name that ends in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    try:
        check_replaceable(path)
    except OSError as error:
        raise _unwritable(path, error) from None


def save_picture(figure: Any, path: Path) -> Path:
    """Write a Matplotlib figure; the ending of the name says the format.

    Raises:
        DataError: nothing can be written there.
    """
    try:
        with replacing(path) as scratch, drawing():
            figure.savefig(scratch, dpi=150)
    except OSError as error:
        raise _unwritable(path, error) from None
    return path


def _unwritable(path: Path, error: OSError) -> DataError:
    return DataError(f"cannot write {path}: {error.strerror or error}; choose another --out")
