"""How long reading still takes: whoever reads says how far it is, whoever has a screen listens."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Progress = Callable[[str, int, int], None]
"""(what is read, images done, images in all)"""

_listener: ContextVar[Progress | None] = ContextVar("progress", default=None)


@contextmanager
def progress_told_to(listener: Progress) -> Iterator[None]:
    """Within this, reading many files tells the listener how far it is.

    A context variable, so that loaders need not hand on an argument that most of them have no use for.
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def downloads_shown() -> Iterator[None]:
    """Keras writes the progress of its downloads to standard output, where results go; a log has no use for it."""
    with contextlib.redirect_stdout(sys.stderr if sys.stderr.isatty() else io.StringIO()):
        yield


def tell_progress(what: str, done: int, total: int) -> None:
    if listener := _listener.get():
        listener(what, done, total)
