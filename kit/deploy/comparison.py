"""Model files side by side: their sizes, and how fast they answer, measured in turn."""

from __future__ import annotations

import gzip
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kit.deploy.model_file import Model, load_model

ROUNDS = 9  # the first is not counted
SINGLE_IMAGES = 20  # a round


@dataclass(frozen=True)
class Speed:
    """Medians over the rounds."""

    seconds_per_image: float  # one image at a time
    images_per_second: float  # in batches


def gzip_size(path: Path) -> int:
    """Bytes of a file after gzip, which is what a download of it takes."""
    return len(gzip.compress(path.read_bytes(), mtime=0))


def speeds(files: Mapping[str, Path], pixels: np.ndarray, batch_size: int) -> dict[str, Speed]:
    """How fast model files answer on this machine's processor.

    Each round asks all files in turn (A B C A B C ...), so that a machine that slows down for a while slows all.

    Args:
        pixels: uint8 (rows, height, width, channels), one batch or more of which are asked about.
        batch_size: images at once.

    Raises:
        ModelFileError: a file cannot be loaded.
    """
    models = {name: load_model(path, "cpu") for name, path in files.items()}
    batch = np.ascontiguousarray(pixels[np.arange(batch_size) % len(pixels)])
    alone: dict[str, list[float]] = {name: [] for name in models}
    together: dict[str, list[float]] = {name: [] for name in models}
    for counted in [False] + [True] * (ROUNDS - 1):
        for name, model in models.items():
            singles, whole = _seconds(model, batch[:1], SINGLE_IMAGES), _seconds(model, batch, 1)
            if counted:
                alone[name].append(singles / SINGLE_IMAGES)
                together[name].append(whole)
    return {
        name: Speed(statistics.median(alone[name]), batch_size / statistics.median(together[name])) for name in models
    }


def brief_speed(file: Path, pixels: np.ndarray, seconds: float) -> Speed:
    """How fast one model file answers on this machine's processor, as far as that shows in a short time.

    Args:
        pixels: uint8 (rows, height, width, channels), all of which are asked about at once.
        seconds: about as long as this may take: a slow model is asked about fewer images.

    Raises:
        ModelFileError: the file cannot be loaded.
    """
    model = load_model(file, "cpu")
    model.probabilities(pixels[:1])  # the first answer allocates
    alone = _median_seconds(model, pixels[:1], 0.3 * seconds)
    rows = int(np.clip(0.2 * seconds / alone, 1, len(pixels)))
    return Speed(alone, rows / _median_seconds(model, pixels[:rows], 0.5 * seconds))


def _median_seconds(model: Model, pixels: np.ndarray, seconds: float) -> float:
    taken = [_seconds(model, pixels, 1)]
    while sum(taken) + taken[-1] < seconds and len(taken) < SINGLE_IMAGES:
        taken.append(_seconds(model, pixels, 1))
    return statistics.median(taken)


def _seconds(model: Model, pixels: np.ndarray, times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        model.probabilities(pixels)
    return time.perf_counter() - started
