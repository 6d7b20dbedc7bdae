"""Data sets that Keras knows where to download."""

from __future__ import annotations

import gzip
import importlib
import os
import zlib
from pathlib import Path
from typing import Any

from kit.data.progress import downloads_shown
from kit.errors import DataError, first_line


def downloaded(name: str, **options: Any) -> Any:
    """A data set as ``keras.datasets`` downloads it, or finds it where it has downloaded it before.

    Args:
        name: of its module there.
        options: of its ``load_data``.

    Returns:
        ``(images, labels), (test_images, test_labels)``.

    Raises:
        DataError: why it cannot be had.
    """
    try:
        with downloads_shown():
            return importlib.import_module(f"keras.datasets.{name}").load_data(**options)
    except Exception as error:  # noqa: BLE001  Keras raises bare Exceptions for a failed download
        reason = first_line(error)
        if isinstance(error, (EOFError, zlib.error, gzip.BadGzipFile)):  # Fashion-MNIST's files come without a hash
            home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
            reason += f"; a download was cut off before: remove it from {home}/datasets"
        raise DataError(reason) from None
