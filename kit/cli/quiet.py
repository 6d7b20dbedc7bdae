"""A terminal without TensorFlow's remarks on the machine."""

from __future__ import annotations

import logging
import os
import sys


def import_keras_quietly() -> None:
    """Import Keras with the native standard error closed.

    TensorFlow's libraries write a dozen lines to it before any log level applies; Python's own errors still show.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # for what comes later
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        import keras  # noqa: F401
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of each fold's model being a new one
