"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write to the path this yields; it takes the place of ``path`` when the block ends without an error.

    Until then, and after an error, whatever was at ``path`` is still there. The scratch file lies in a
    directory of its own beside ``path`` (same file system, so that the last step is a rename) and keeps
    the name, because some writers look at the suffix.
    """
    missing = [parent for parent in path.parents if not parent.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=path.parent) as directory:
            scratch = Path(directory) / path.name
            yield scratch
            with scratch.open("rb+") as file:
                os.fsync(file.fileno())
            scratch.replace(path)
    except BaseException:
        for parent in missing:
            with contextlib.suppress(OSError):  # somebody else uses it by now
                parent.rmdir()
        raise


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text through :func:`replacing`."""
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8")
