"""Figures as picture files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kit.errors import DataError, RecipeError
from kit.files import replacing
from kit.report.figures import STYLE

FORMATS = (".png", ".svg", ".pdf")


def check_picture_name(path: Path) -> None:
    """Refuse a name whose ending says no format that can be written.

    Raises:
        RecipeError: so it is.
    """
    if path.suffix not in FORMATS:
        raise RecipeError(f"--out {path}: expected a name that ends in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")


def save_picture(figure: Any, path: Path) -> Path:
    """Write a Matplotlib figure; the ending of the name says the format.

    Raises:
        DataError: nothing can be written there.
    """
    import matplotlib

    try:
        with replacing(path) as scratch, matplotlib.rc_context(STYLE):
            figure.savefig(scratch, dpi=150)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}; choose another --out") from None
    return path
