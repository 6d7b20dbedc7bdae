"""Run directories: the only place that knows what the files inside a run are called.

runs/<competition>/<name>/
    recipe.json         the recipe, the resolved switches, versions, the data's directory
    split.npz           scheme version, seed, and the row numbers of every fold
    metrics.json        scores; written last, so a run without it did not finish
    out_of_fold.npz     with several folds: ids, labels, probabilities of every validated row
    calibration.json    the temperature that its model files have, if they were given one
    ensemble.onnx       all of its models as one file, if that was exported
    layers.json         the layers of its models, once somebody asked for them
    log.txt
    lock                process id of who trains it now
and, in the run itself or, with several folds, in fold-0, fold-1, ...:
    history.csv         a row an epoch
    checkpoints/        until the training has ended: where it stands
    last.weights.h5, best.weights.h5, snapshot-1.weights.h5, ..., architecture.json
    carried.json        with --weights: which layers began with earlier weights, and why the others did not
    seen.npz            keys of the images that had a part in the weights, for who carries them on
    predictions.npz     ids, labels, probabilities of the validation and test rows
    training_answers.npz    rows, labels, probabilities of rows that the model was trained on; hash of the weights
    scores.json
    model.onnx          or snapshot-1.onnx, ...; other forms of it: model.int8.onnx, model.pruned.onnx, ...
    exports.json        how far each of its model files is from the trained model
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from kit.data.folds import SPLIT_VERSION, Fold
from kit.errors import RunError
from kit.training.fold_directory import FoldDirectory, trailing_number
from kit.training.run_files import read_arrays, read_json, reading, write_arrays, write_json

_PARTS = ("train", "validation", "test", "watched")


@dataclass(frozen=True)
class RunDirectory:
    """One run: a recipe, its folds, its scores."""

    path: Path

    @classmethod
    def create(cls, root: Path, competition: str, model_name: str, name: str | None) -> Self:
        """A new, empty directory ``root/competition/name``; without a name ``<model>-<n>``, counting up.

        Raises:
            RunError: the name is taken, is not a plain file name, or nothing can be written there.
        """
        parent = root / competition
        try:
            if name is not None:
                cls.check_name(root, competition, name)
            parent.mkdir(parents=True, exist_ok=True)
            if name is not None:
                return cls._claim(parent / name)
            taken = [trailing_number(path.name, model_name) for path in parent.iterdir()]
            number = max(taken, default=0) + 1
            while True:  # another process may claim the same number first
                try:
                    return cls._claim(parent / f"{model_name}-{number}")
                except RunError:
                    number += 1
        except OSError as error:
            raise RunError(f"cannot write to {parent}: {error.strerror or error}; choose another --out") from None

    @staticmethod
    def check_name(root: Path, competition: str, name: str) -> None:
        """Refuse a name that ``create`` would.

        Raises:
            RunError: it is taken, or no plain file name.
        """
        if not re.fullmatch(r"[\w][\w.+-]*", name):
            raise RunError(f"--name {name!r}: expected letters, digits, '.', '_', '+' and '-' only")
        if (path := root / competition / name).exists():
            raise _taken(path)

    @classmethod
    def _claim(cls, path: Path) -> Self:
        try:
            path.mkdir()
        except FileExistsError:
            raise _taken(path) from None
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> RunDirectory:
        if not (path / "recipe.json").is_file():
            raise RunError(f"{path} is not a run: it has no recipe.json (kit runs lists the runs)")
        return cls(path)

    @property
    def log_file(self) -> Path:
        return self.path / "log.txt"

    def write_recipe(self, recipe: dict[str, Any], context: dict[str, Any]) -> None:
        write_json(self.path / "recipe.json", {"recipe": recipe, **context})

    def read_recipe(self) -> dict[str, Any]:
        saved = read_json(self.path / "recipe.json")
        with reading(self.path / "recipe.json"):
            saved["recipe"]["competition"], saved["recipe"]["keep"], saved["data"], saved["images"]["hash"]
            saved["resolved"], saved["recipe_hash"], saved["versions"]
            saved["recipe"].setdefault("metric", "accuracy")  # as it was before there was a choice
        return saved

    def write_split(self, folds: list[Fold], scheme: str, seed: int) -> None:
        arrays = {"version": np.array(SPLIT_VERSION), "scheme": np.array(scheme), "seed": np.array(seed)}
        for number, fold in enumerate(folds):
            arrays |= {f"{part}_{number}": getattr(fold, part) for part in _PARTS}
        write_arrays(self.path / "split.npz", arrays)

    def read_split(self) -> list[Fold]:
        arrays = read_arrays(self.path / "split.npz")
        count = sum(name.startswith("train_") for name in arrays)
        with reading(self.path / "split.npz"):
            if not count:
                raise ValueError("it has no folds")
            folds = []
            for n in range(count):
                train, validation, test = (arrays[f"{part}_{n}"] for part in ("train", "validation", "test"))
                watched = arrays.get(f"watched_{n}", validation)  # as it was before there was a choice
                folds.append(Fold(train, validation, test, watched))
            return folds

    @property
    def tests_own_rows(self) -> bool:
        """Whether its test rows were set aside from its training images, and are not the competition's test images.

        The ids of the two may be the same numbers.
        """
        return any(len(fold.test) for fold in self.read_split())

    def fold(self, number: int, folds: int) -> FoldDirectory:
        """Where fold ``number`` of ``folds`` keeps its files."""
        return FoldDirectory(self.path if folds == 1 else self.path / f"fold-{number}")

    def trained_folds(self) -> list[FoldDirectory]:
        """The folds that were scored, in their order."""
        return [fold for fold in self._folds() if (fold.path / "scores.json").is_file()]

    def _folds(self) -> list[FoldDirectory]:
        numbered = sorted(self.path.glob("fold-*"), key=lambda path: trailing_number(path.name, "fold"))
        return [FoldDirectory(path) for path in [self.path, *numbered]]

    def onnx_files(self) -> list[Path]:
        """Every model file that is there: those of the run as a whole first, then those of its folds."""
        return [path for fold in self._folds() for path in sorted(fold.path.glob("*.onnx"))]

    def begun_folds(self) -> list[FoldDirectory]:
        """The folds of which an epoch was trained, in their order, scored or not."""
        return [fold for fold in self._folds() if (fold.path / "history.csv").is_file()]

    def built_folds(self) -> list[FoldDirectory]:
        """The folds whose model was built, whatever came of it."""
        return [fold for fold in self._folds() if (fold.path / "architecture.json").is_file()]

    def write_layers(self, layers: list[dict[str, Any]]) -> None:
        """What its models are made of, which takes Keras to find out; the same in all folds."""
        write_json(self.path / "layers.json", {"layers": layers})

    def read_layers(self) -> list[dict[str, Any]]:
        values = read_json(self.path / "layers.json")
        with reading(self.path / "layers.json"):
            if not (layers := list(values["layers"])):
                raise ValueError("it lists no layers")
            return layers

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run as its only writer. The lock goes with the process, so that none is left behind by a kill.

        Raises:
            RunError: another process holds it.
        """
        try:
            lock = (self.path / "lock").open("a+")
        except OSError as error:
            raise RunError(f"cannot write to {self.path}: {error.strerror or error}; make the place writable") from None
        with lock as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise RunError(
                    f"process {file.read().strip() or 'unknown'} is training {self.path}: wait for it, or end it"
                ) from None
            with suppress(OSError):  # on a full disk; the number only tells who it is
                file.truncate(0)
                file.write(str(os.getpid()))
                file.flush()
            yield
            with suppress(OSError):
                file.truncate(0)

    @property
    def is_locked(self) -> bool:
        """Whether a process is its writer now, such as a training."""
        with suppress(OSError), (self.path / "lock").open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # until the file is closed, a moment from now
            except BlockingIOError:
                return True
        return False

    @property
    def way_on(self) -> str:
        """What to do about a run that has not ended."""
        if self.is_locked:
            return "it is being trained now, wait for it"
        return f"go on with 'kit train --resume {self.path}'"

    def discard_unless_begun(self) -> None:
        """Leave nothing of a run without weights or a checkpoint, with which nothing can be done."""
        if not any(any(self.path.rglob(kept)) for kept in ("*.weights.h5", "checkpoints/*.json")):
            shutil.rmtree(self.path, ignore_errors=True)
            with suppress(OSError):  # other runs are there
                self.path.parent.rmdir()

    @property
    def is_finished(self) -> bool:
        return (self.path / "metrics.json").exists()

    def write_metrics(self, metrics: dict[str, Any]) -> None:
        write_json(self.path / "metrics.json", metrics)

    def read_metrics(self) -> dict[str, Any]:
        return read_json(self.path / "metrics.json")

    def write_temperature(self, temperature: float) -> None:
        write_json(self.path / "calibration.json", {"temperature": temperature})

    def read_temperature(self) -> float:
        """By which the models' probabilities are less sure; 1 where none was fitted."""
        path = self.path / "calibration.json"
        if not path.is_file():
            return 1.0
        values = read_json(path)
        with reading(path):
            return float(values["temperature"])

    def discard_derived(self) -> None:
        """Remove what was made of weights that are no longer those of the run."""
        for path in [self.path / "calibration.json", *self.path.glob("ensemble*.onnx")]:
            path.unlink(missing_ok=True)

    def write_out_of_fold(self, arrays: dict[str, np.ndarray]) -> None:
        """Keys ``ids``, ``labels``, ``probabilities``."""
        write_arrays(self.path / "out_of_fold.npz", arrays)

    @property
    def has_out_of_fold(self) -> bool:
        return (self.path / "out_of_fold.npz").is_file()

    def read_out_of_fold(self) -> dict[str, np.ndarray]:
        return read_arrays(self.path / "out_of_fold.npz")


def _taken(path: Path) -> RunError:
    return RunError(f"the run {path} exists and is never overwritten: choose another --name")


def find_runs(root: Path) -> Iterator[RunDirectory]:
    """Every run below ``root``, finished or not, oldest first."""
    recipes = sorted(root.glob("*/*/recipe.json"), key=_modified)
    return (RunDirectory(path.parent) for path in recipes)


def newest_run(root: Path) -> RunDirectory:
    """The run that was scored last.

    Raises:
        RunError: there is none.
    """
    scored = sorted(root.glob("*/*/metrics.json"), key=_modified)
    if not scored:
        raise RunError(f"there is no finished run in {root}: train one with 'kit train digits', or name a run")
    return RunDirectory(scored[-1].parent)


def open_run(run: RunDirectory | str | os.PathLike[str] | None, runs: Path) -> RunDirectory:
    """A run by its path; without one, the newest in ``runs``.

    Raises:
        RunError: there is none.
    """
    if run is None:
        return newest_run(runs)
    return run if isinstance(run, RunDirectory) else RunDirectory.open(Path(run))


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:  # removed since it was found
        return 0
