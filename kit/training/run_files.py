"""Reading and writing the files of a run: whole or not there, and each fault in one line that names the file."""

from __future__ import annotations

import csv
import errno
import json
import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from kit.errors import RunError, first_line
from kit.files import replacing

_DAMAGED = (  # what the readers of CSV, JSON and NumPy's archives raise for a file that is torn or another's
    ValueError, TypeError, LookupError, EOFError, RuntimeError, csv.Error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip

_FILES_OF_RUN = frozenset(
    {"history.csv", "log.txt"}
    | {
        f"{stem}.json"
        for stem in (
            "recipe", "metrics", "scores", "calibration", "layers", "architecture", "carried", "exports"
        )
    }
)  # fmt: skip
_SUFFIXES_OF_RUN = (".h5", ".npz", ".onnx")


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """:func:`kit.files.replacing` for the files of a run.

    Raises:
        RunError: the file cannot be written; what was there still is.
    """
    try:
        with replacing(path) as scratch:
            yield scratch
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else first_line(error)  # HDF5 says much more
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        mend = "free space there" if full else "make the place writable"
        raise RunError(f"cannot write {path}: {reason}; {mend} and start again, or choose another --out") from None


def write_json(path: Path, values: dict[str, Any]) -> None:
    with writing(path) as scratch:
        scratch.write_text(json.dumps(values, indent=2), encoding="utf-8")


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with writing(path) as scratch:
        np.savez_compressed(scratch, **arrays)  # type: ignore[arg-type]


def run_around(path: Path) -> Path | None:
    """The directory of the run that a file lies in, or in a fold of; None if it lies in none."""
    place = path.parent
    run = place.parent if re.fullmatch(r"fold-\d+", place.name) else place
    return run if (run / "recipe.json").exists() else None


def refuse_file_of_run(path: Path) -> None:
    """Keep what a user writes from taking the place of a file that a run is made of, which nothing brings back.

    Raises:
        RunError: the path is such a file.
    """
    place = Path(os.path.realpath(path))
    run = run_around(place)
    if run is not None and (place.name in _FILES_OF_RUN or place.suffix in _SUFFIXES_OF_RUN):
        raise RunError(f"--out {path} is a file that the run {run.name} needs, expected one of your own: name another")


@contextmanager
def reading(path: Path) -> Iterator[Path]:
    """Around everything that takes a file of a run apart.

    Raises:
        RunError: the file is missing, cannot be read or is not what kit writes.
    """
    try:
        if not path.is_file():
            raise RunError(f"the run is incomplete: {path} is missing; put it back, or train the run anew")
        yield path
    except OSError as error:
        raise RunError(
            f"cannot read {path}: {error.strerror or error}; make it readable, or train the run anew"
        ) from None
    except _DAMAGED as error:
        # repr, because the text of a KeyError is the key alone
        raise RunError(f"{path} is damaged: it is not what kit train writes ({error!r}); train the run anew") from None


def read_json(path: Path) -> dict[str, Any]:
    with reading(path):
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise RunError(f"{path} is damaged: it is not JSON; put a copy back, or train the run anew") from None
    if not isinstance(values, dict):
        raise RunError(f"{path} is damaged: expected a JSON object; put a copy back, or train the run anew")
    return values


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    with reading(path), np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)
