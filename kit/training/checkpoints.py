"""Where a training stands, on disk: all it takes to go on after a kill as if nothing had happened.

A checkpoint is two files in ``checkpoints/`` beside the weights: the numbers (`.npz`), then a manifest (`.json`) with
their hash, which makes them count. Both are synced and renamed into place, and the one before is kept.
"""

from __future__ import annotations

import json
import logging
import math
import re
import shutil
import time
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kit.errors import RunError
from kit.files import file_hash
from kit.training.events import Epoch
from kit.training.fold_directory import FoldDirectory
from kit.training.preparation import Training, thaw
from kit.training.recipe import Recipe
from kit.training.run_files import writing
from kit.training.weights import check_space

logger = logging.getLogger("kit")

SHARE = 0.01  # of the training time that checkpoints may take
LARGE, BYTES_A_SECOND = 1e8, 2e8  # what is larger is taken to be written so fast, until the first checkpoint tells
KEPT = 2


@dataclass
class Standing:
    """How far a training has come: the epochs that ended, and the steps of the one under way."""

    history: list[Epoch] = field(default_factory=list)
    step: int = 0
    loss: float = 0.0  # sum over those steps, as is the accuracy
    accuracy: float = 0.0
    seconds: float = 0.0  # of those steps

    @property
    def recent_loss(self) -> float:
        """Mean of the epoch so far, or of the one before; not a number at the very start."""
        if self.step:
            return self.loss / self.step
        return self.history[-1].loss if self.history else math.nan

    def begin_epoch(self, ended: Epoch) -> None:
        """The epoch under way has ended; the next one is at its start."""
        self.history.append(ended)
        self.step, self.loss, self.accuracy, self.seconds = 0, 0.0, 0.0, 0.0


class Checkpoints:
    """The checkpoints of a fold."""

    def __init__(self, directory: FoldDirectory, recipe: dict[str, Any], seconds: float) -> None:
        """``recipe`` is written into each, and must be that of the checkpoint which is restored."""
        self._fold, self._recipe, self._seconds = directory, recipe, seconds
        self._path = directory.checkpoints
        self._saved = time.monotonic()
        self._took: float | None = None

    def save_if_due(self, training: Training, standing: Standing) -> None:
        """Save, unless it was done a moment ago, or would take too large a part of the time."""
        elapsed = time.monotonic() - self._saved
        if elapsed < self._seconds:
            return
        if self._took is None:
            size = sum(array.nbytes for array in _numbers(training).values())
            self._took = size / BYTES_A_SECOND if size > LARGE else 0.0
        if elapsed >= self._took / SHARE:
            self.save(training, standing)

    def save(self, training: Training, standing: Standing) -> None:
        """Put a checkpoint on disk, and remove all but the one before it.

        Raises:
            RunError: it cannot be written; those before are still there.
        """
        started = time.monotonic()
        number = len(standing.history) * (training.steps + 1) + standing.step
        numbers = self._path / f"{number:09d}.npz"
        if numbers.with_suffix(".json").is_file():  # it is the same
            return
        try:
            self._path.mkdir(exist_ok=True)
        except OSError as error:
            raise RunError(f"cannot write {self._path}: {error.strerror}; make the place writable") from None
        arrays = _numbers(training) | {
            f"file {path.name}": np.frombuffer(path.read_bytes(), np.uint8) for path in self._fold.weights_files()
        }
        check_space(numbers, sum(array.nbytes for array in arrays.values()))
        with writing(numbers) as scratch:
            np.savez(scratch, **arrays)  # type: ignore[arg-type]
            digest = file_hash(scratch)
        manifest = {"sha256": digest, "thawed": _is_thawed(training), "recipe": self._recipe, **asdict(standing)}
        with writing(numbers.with_suffix(".json")) as scratch:
            scratch.write_text(json.dumps(manifest), encoding="utf-8")
        self._tidy()
        self._saved, self._took = time.monotonic(), time.monotonic() - started

    def restore(self, training: Training) -> Standing:
        """Put the newest whole checkpoint into a training that was just prepared, and its weights files on disk.

        Returns:
            Where it stands; at the very start if there is no checkpoint.

        Raises:
            RunError: there are checkpoints, but none is whole; they are of another recipe; or there are none any more
                of a training that was scored when it ended early.
        """
        found, damaged = self._newest_first(), list[Path]()
        for manifest in found:
            try:
                values, arrays = _read(manifest)
            except (FileNotFoundError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
                logger.warning("the checkpoint %s is damaged (%s): trying the one before", manifest, error)
                damaged.append(manifest)
                continue
            except OSError as error:  # nothing says that it is damaged
                raise RunError(f"cannot read {manifest}: {error.strerror or error}") from None
            if changed := differences(Recipe.from_dict(values["recipe"]).to_dict(), self._recipe):
                raise RunError(f"{manifest} is a checkpoint of another recipe: {'; '.join(changed)}")
            if values["thawed"]:
                thaw(training)
            _put(training, arrays, manifest)
            self._put_files(arrays)
            for each in damaged:
                each.unlink()
            self._tidy()
            history = [Epoch(**epoch) for epoch in values["history"]]
            return Standing(history, values["step"], values["loss"], values["accuracy"], values["seconds"])
        if found:
            raise RunError(f"no checkpoint in {self._path} is whole: put the files back, or train a new run")
        if (self._fold.path / "scores.json").is_file() and self._fold.read_scores().get("checkpoint"):
            raise RunError(
                f"{self._path} has no checkpoint of what was trained: put the files back, or train a new run"
            )
        if old := self._fold.weights_files():
            logger.warning("%s has no checkpoint: this training begins again", self._path)
        for path in old:  # of epochs that come again
            path.unlink()
        return Standing()

    def _put_files(self, arrays: dict[str, np.ndarray]) -> None:
        """The weights files as they were; later ones are those of epochs that come again."""
        files = {name.removeprefix("file "): array for name, array in arrays.items() if name.startswith("file ")}
        for name, array in files.items():
            with writing(self._fold.path / name) as scratch:
                scratch.write_bytes(array.tobytes())
        for path in self._fold.weights_files():
            if path.name not in files:
                path.unlink()

    def _tidy(self) -> None:
        """Remove all but the newest, and what a kill left of others."""
        for path in self._fold.path.glob(".writing-*"):
            shutil.rmtree(path, ignore_errors=True)
        kept = {path.stem for path in self._newest_first()[:KEPT]}
        for path in self._path.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.stem not in kept:
                path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove all: the fold has ended."""
        shutil.rmtree(self._path, ignore_errors=True)

    def _newest_first(self) -> list[Path]:
        """The manifests."""
        return sorted((p for p in self._path.glob("*.json") if re.fullmatch(r"\d+", p.stem)), reverse=True)


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What a recipe has that another has otherwise, a line each."""
    names = sorted(old.keys() | new.keys())
    return [f"{name} was {old.get(name)!r}, is {new.get(name)!r}" for name in names if old.get(name) != new.get(name)]


def _is_thawed(training: Training) -> bool:
    return bool(training.frozen) and training.frozen[0].trainable


def _variables(training: Training) -> list[Any]:
    """Everything that a step changes: weights, moving statistics, random generators, the optimiser's memory."""
    step = training.step
    return [*step.variables, *step.metrics_variables, *step.optimizer.variables]


def _numbers(training: Training) -> dict[str, np.ndarray]:
    from keras import ops

    arrays = {f"variable {n}": ops.convert_to_numpy(each) for n, each in enumerate(_variables(training))}
    average = training.average.state() if training.average else []
    return arrays | {f"average {n}": array for n, array in enumerate(average)}


def _put(training: Training, arrays: dict[str, np.ndarray], manifest: Path) -> None:
    variables = _variables(training)
    saved = [arrays[f"variable {n}"] for n in range(sum(name.startswith("variable ") for name in arrays))]
    if [each.shape for each in saved] != [tuple(each.shape) for each in variables]:
        raise RunError(f"{manifest} is a checkpoint of another model or optimiser: it was made by another version")
    for variable, value in zip(variables, saved, strict=True):
        variable.assign(value)
    if training.average:
        count = sum(name.startswith("average ") for name in arrays)
        training.average.restore([arrays[f"average {n}"] for n in range(count)])


def _read(manifest: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    values = json.loads(manifest.read_text(encoding="utf-8"))
    if lost := {"sha256", "thawed", "recipe", *Standing.__dataclass_fields__} - values.keys():
        raise ValueError(f"it lacks {', '.join(sorted(lost))}")
    numbers = manifest.with_suffix(".npz")
    if file_hash(numbers) != values["sha256"]:
        raise ValueError(f"{numbers.name} has another hash than it says")
    with np.load(numbers, allow_pickle=False) as arrays:
        return values, dict(arrays)
