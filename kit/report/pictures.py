"""Figures as picture files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kit.files import replacing
from kit.report.drawing import drawing
from kit.report.pages import cannot_write, check_out


def check_picture(path: Path) -> None:
    """Refuse a picture that could not be written, before it is drawn.

    Raises:
        RunError: the ending of the name says no format that there is, or nothing can be written there.
    """
    check_out(path, ".png", ".svg", ".pdf")


def save_picture(figure: Any, path: Path) -> Path:
    """Write a Matplotlib figure; the ending of the name says the format.

    Raises:
        RunError: nothing can be written there.
    """
    try:
        with replacing(path) as scratch, drawing():
            figure.savefig(scratch, dpi=150)
    except OSError as error:
        raise cannot_write(path, error) from None
    return path
