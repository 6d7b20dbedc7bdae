"""A terminal without the remarks of libraries on the machine."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from kit.errors import KitError, first_line


@contextmanager
def native_errors_hidden() -> Iterator[int]:
    """Close the native standard error; yields what it was, to write to all the same. Python's own errors still show."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield kept
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


def silence_matplotlib() -> None:
    """Where its directory cannot be written to, it takes a temporary one and warns of it at length."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)


def import_keras_quietly() -> None:
    """Import Keras with the native standard error closed.

    TensorFlow's libraries write a dozen lines to it before any log level applies.

    Raises:
        KitError: the backend that KERAS_BACKEND names is not there.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # for what comes later
    before = signal.getsignal(signal.SIGINT)
    try:
        with native_errors_hidden() as kept:

            def leave(number: int, frame: FrameType | None) -> None:
                """Keras would tell an interrupted import as a missing package."""
                os.write(kept, b"kit: interrupted\n")
                os._exit(130)

            signal.signal(signal.SIGINT, leave)
            import keras  # noqa: F401
    except (ImportError, ValueError) as error:
        backend = os.environ.get("KERAS_BACKEND", "tensorflow")
        reason = first_line(error)
        raise KitError(
            f"Keras cannot be loaded with KERAS_BACKEND={backend} ({reason}): use tensorflow or jax, installed here"
        ) from None
    finally:
        signal.signal(signal.SIGINT, before)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of each fold's model being a new one
