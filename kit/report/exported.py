"""The exported files of a run: what they weigh, how fast they answer, how close they are to the trained model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kit.deploy.comparison import Speed, brief_speed, gzip_size
from kit.deploy.parity import Parity, read_parity
from kit.errors import ModelFileError

SECONDS = 1.0  # in which all speeds are measured
BATCH = 64  # images at once, or fewer
GZIP_WITHIN = 40_000_000  # bytes in all: gzip takes a second for twenty million


@dataclass(frozen=True)
class ModelFile:
    """A row of the table.

    name: relative to the run.
    gzip_bytes, speed: None where they were not measured; of several folds' files that are alike, one is.
    parity: None where it was not written down.
    fault: why it could not be asked.
    """

    name: str
    size_bytes: int
    gzip_bytes: int | None
    parity: Parity | None
    speed: Speed | None
    fault: str = ""


def measure_files(run: Path, files: Sequence[Path], pixels: np.ndarray | None) -> list[ModelFile]:
    """Measure the model files of a run.

    Args:
        pixels: uint8 (rows, height, width, channels), images to answer to; without any, speed is not measured.
    """
    kinds = {path.name: path for path in reversed(files)}  # name -> the first file of that name
    rows, left = [], GZIP_WITHIN
    for path in files:
        speed, fault, packed = None, "", None
        if kinds[path.name] == path:
            size = path.stat().st_size
            if size <= left:
                packed, left = gzip_size(path), left - size
            if pixels is not None:
                try:
                    speed = brief_speed(path, np.ascontiguousarray(pixels[:BATCH]), SECONDS / len(kinds))
                except ModelFileError as error:
                    fault = str(error)
        name = path.relative_to(run).as_posix()
        rows.append(ModelFile(name, path.stat().st_size, packed, read_parity(path), speed, fault))
    return rows
