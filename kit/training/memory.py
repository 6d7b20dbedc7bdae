"""Out of memory, in words: each backend says it in its own way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kit.errors import RunError

_NAMES = ("ResourceExhaustedError", "XlaRuntimeError", "JaxRuntimeError", "OutOfMemoryError")  # not all are importable


@contextmanager
def out_of_memory_told(what: str, fix: str) -> Iterator[None]:
    """Around whatever may need more memory than there is.

    Raises:
        RunError: it did; ``what`` did not fit, and ``fix`` says what to try.
    """
    try:
        yield
    except MemoryError:
        raise RunError(f"out of memory: {what}; {fix}") from None
    except Exception as error:
        if type(error).__name__ not in _NAMES or not _says_so(error):
            raise
        raise RunError(f"out of memory: {what}; {fix}") from None


def _says_so(error: Exception) -> bool:
    text = str(error).lower()
    return any(word in text for word in ("resource_exhausted", "resourceexhausted", "oom", "out of memory", "allocat"))
