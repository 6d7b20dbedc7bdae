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

import csv
import errno
import fcntl
import json
import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np

from kit.data.folds import SPLIT_VERSION, Fold
from kit.errors import RunError
from kit.files import file_hash, replacing
from kit.models.build import Architecture
from kit.training.events import Epoch

_PARTS = ("train", "validation", "test", "watched")
_DAMAGED = (  # what the readers of CSV, JSON and NumPy's archives raise for a file that is torn or another's
    ValueError, TypeError, LookupError, EOFError, RuntimeError, csv.Error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@dataclass(frozen=True)
class FoldDirectory:
    """The files of one trained model."""

    path: Path

    @property
    def model_files(self) -> dict[str, Path]:
        """Where the model with each of the kept weights is exported to; the mean of their answers was scored."""
        kept = self.read_scores().get("kept")
        if not kept:
            raise RunError(f"{self.path / 'scores.json'} does not say which weights were kept; train the run anew")
        if isinstance(kept, str):  # as it was before there were snapshots
            kept = [kept]
        return {which: self.path / ("model.onnx" if len(kept) == 1 else f"{which}.onnx") for which in kept}

    def variant_files(self, variant: str) -> dict[str, Path]:
        """Likewise for another form of the models, such as ``int8`` in model.int8.onnx; for "", ``model_files``."""
        suffix = f".{variant}.onnx" if variant else ".onnx"
        return {which: path.with_suffix(suffix) for which, path in self.model_files.items()}

    def weights_file(self, which: str) -> Path:
        """``which`` is last or best."""
        return self.path / f"{which}.weights.h5"

    def weights_files(self) -> list[Path]:
        """Those that are there."""
        return sorted(self.path.glob("*.weights.h5"))

    @property
    def is_finished(self) -> bool:
        """Whether the training has come to its end, and not to an error or that of a time limit."""
        scores = self.path / "scores.json"
        return scores.is_file() and bool(self.read_scores().get("ended", True))

    @property
    def checkpoints(self) -> Path:
        """Where a training that has not ended keeps what it takes to go on."""
        return self.path / "checkpoints"

    def write_history(self, epochs: list[Epoch]) -> None:
        with writing(self.path / "history.csv") as scratch, scratch.open("w", newline="") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Epoch)], lineterminator="\n")
            writer.writeheader()
            writer.writerows(asdict(epoch) for epoch in epochs)

    def read_history(self) -> list[Epoch]:
        with _reading(self.path / "history.csv") as path, path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
            kinds: dict[str, Any] = {name: int if name in ("epoch", "steps") else float for name in rows[0]}
            epochs = [{name: kinds[name](value) for name, value in row.items()} for row in rows]
            # Before there was a choice of metrics, the score was the accuracy.
            return [Epoch(**{"validation_score": epoch.get("validation_accuracy"), **epoch}) for epoch in epochs]

    def read_curves(self) -> dict[str, np.ndarray]:
        """The history by its columns, as far as there are any: name -> float64 (epochs,), not a number where one lacks.

        For who looks at a training, whichever version made it; :meth:`read_history` is for who goes on by it.

        Raises:
            RunError: there is no row to read.
        """
        with _reading(self.path / "history.csv") as path, path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
            names = [field.name for field in fields(Epoch)]
            curves = {name: np.array([_number(row.get(name)) for row in rows]) for name in names if name in rows[0]}
            if "epoch" not in curves:
                raise ValueError("it has no column epoch")
            if "validation_accuracy" in curves:  # before there was a choice of metrics, the score was the accuracy
                curves.setdefault("validation_score", curves["validation_accuracy"])
            return curves

    def write_architecture(self, architecture: Architecture) -> None:
        _write_json(self.path / "architecture.json", asdict(architecture))

    def read_architecture(self) -> Architecture:
        values = _read_json(self.path / "architecture.json")
        tuples: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        with _reading(self.path / "architecture.json"):
            return Architecture(**tuples)

    def write_predictions(self, arrays: dict[str, np.ndarray]) -> None:
        """Keys ``validation_ids``, ``validation_labels``, ``validation_probabilities``, and ``test_`` likewise."""
        _write_arrays(self.path / "predictions.npz", arrays)

    def read_predictions(self) -> dict[str, np.ndarray]:
        return _read_arrays(self.path / "predictions.npz")

    @property
    def weights_hashes(self) -> dict[str, str]:
        """SHA-256 of each of the kept weights.

        Raises:
            RunError: scores or weights are missing.
        """
        known = self.read_scores().get("weights_sha256")
        if isinstance(known, dict):
            return known
        hashes = {}
        for which in self.model_files:  # before the scores had them
            with _reading(self.weights_file(which)) as path:
                hashes[which] = file_hash(path)
        return hashes

    def write_training_answers(self, arrays: dict[str, np.ndarray]) -> None:
        """Keys ``rows``, ``labels``, ``probabilities``, of rows that the model was trained on."""
        of = np.array(json.dumps(self.weights_hashes, sort_keys=True))
        _write_arrays(self.path / "training_answers.npz", {**arrays, "weights": of})

    def read_training_answers(self) -> dict[str, np.ndarray] | None:
        """What :meth:`write_training_answers` wrote; None if it did not, or of other weights."""
        try:
            arrays = _read_arrays(self.path / "training_answers.npz")
            is_of_these = str(arrays.pop("weights")) == json.dumps(self.weights_hashes, sort_keys=True)
        except (RunError, KeyError):  # made anew
            return None
        return arrays if is_of_these and {"rows", "labels", "probabilities"} <= set(arrays) else None

    @property
    def carried_file(self) -> Path:
        return self.path / "carried.json"

    def write_carried(self, carried: dict[str, Any]) -> None:
        _write_json(self.carried_file, carried)

    def read_carried(self) -> dict[str, Any]:
        return _read_json(self.carried_file)

    @property
    def number(self) -> int:
        """Of the fold, counting from 0."""
        return max(_trailing_number(self.path.name, "fold"), 0)

    def write_seen(self, keys: np.ndarray) -> None:
        """Keys of the images that had a part in the weights: uint64 (images,), of ``row_keys`` under seed 0."""
        _write_arrays(self.path / "seen.npz", {"keys": keys})

    def read_seen(self) -> np.ndarray:
        return _read_arrays(self.path / "seen.npz")["keys"]

    def write_scores(self, scores: dict[str, Any]) -> None:
        _write_json(self.path / "scores.json", scores)

    def read_scores(self) -> dict[str, Any]:
        return _read_json(self.path / "scores.json")


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
            taken = [_trailing_number(path.name, model_name) for path in parent.iterdir()]
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
        _write_json(self.path / "recipe.json", {"recipe": recipe, **context})

    def read_recipe(self) -> dict[str, Any]:
        saved = _read_json(self.path / "recipe.json")
        with _reading(self.path / "recipe.json"):
            saved["recipe"]["competition"], saved["recipe"]["keep"], saved["data"], saved["images"]["hash"]
            saved["resolved"], saved["recipe_hash"], saved["versions"]
            saved["recipe"].setdefault("metric", "accuracy")  # as it was before there was a choice
        return saved

    def write_split(self, folds: list[Fold], scheme: str, seed: int) -> None:
        arrays = {"version": np.array(SPLIT_VERSION), "scheme": np.array(scheme), "seed": np.array(seed)}
        for number, fold in enumerate(folds):
            arrays |= {f"{part}_{number}": getattr(fold, part) for part in _PARTS}
        _write_arrays(self.path / "split.npz", arrays)

    def read_split(self) -> list[Fold]:
        arrays = _read_arrays(self.path / "split.npz")
        count = sum(name.startswith("train_") for name in arrays)
        with _reading(self.path / "split.npz"):
            folds = []
            for n in range(count):
                train, validation, test = (arrays[f"{part}_{n}"] for part in ("train", "validation", "test"))
                watched = arrays.get(f"watched_{n}", validation)  # as it was before there was a choice
                folds.append(Fold(train, validation, test, watched))
            return folds

    def fold(self, number: int, folds: int) -> FoldDirectory:
        """Where fold ``number`` of ``folds`` keeps its files."""
        return FoldDirectory(self.path if folds == 1 else self.path / f"fold-{number}")

    def trained_folds(self) -> list[FoldDirectory]:
        """The folds that were scored, in their order."""
        return [fold for fold in self._folds() if (fold.path / "scores.json").is_file()]

    def _folds(self) -> list[FoldDirectory]:
        numbered = sorted(self.path.glob("fold-*"), key=lambda path: _trailing_number(path.name, "fold"))
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
        _write_json(self.path / "layers.json", {"layers": layers})

    def read_layers(self) -> list[dict[str, Any]]:
        values = _read_json(self.path / "layers.json")
        with _reading(self.path / "layers.json"):
            return list(values["layers"])

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
        _write_json(self.path / "metrics.json", metrics)

    def read_metrics(self) -> dict[str, Any]:
        return _read_json(self.path / "metrics.json")

    def write_temperature(self, temperature: float) -> None:
        _write_json(self.path / "calibration.json", {"temperature": temperature})

    def read_temperature(self) -> float:
        """By which the models' probabilities are less sure; 1 where none was fitted."""
        path = self.path / "calibration.json"
        if not path.is_file():
            return 1.0
        values = _read_json(path)
        with _reading(path):
            return float(values["temperature"])

    def discard_derived(self) -> None:
        """Remove what was made of weights that are no longer those of the run."""
        for path in [self.path / "calibration.json", *self.path.glob("ensemble*.onnx")]:
            path.unlink(missing_ok=True)

    def write_out_of_fold(self, arrays: dict[str, np.ndarray]) -> None:
        """Keys ``ids``, ``labels``, ``probabilities``."""
        _write_arrays(self.path / "out_of_fold.npz", arrays)

    def read_out_of_fold(self) -> dict[str, np.ndarray]:
        return _read_arrays(self.path / "out_of_fold.npz")


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


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


def _trailing_number(name: str, prefix: str) -> int:
    match = re.fullmatch(re.escape(prefix) + r"-(\d+)", name)
    return int(match[1]) if match else 0


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:  # removed since it was found
        return 0


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
        reason = os.strerror(error.errno) if error.errno else str(error).splitlines()[0]  # HDF5 says much more
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        mend = "free space there" if full else "make the place writable"
        raise RunError(f"cannot write {path}: {reason}; {mend} and start again, or choose another --out") from None


def _write_json(path: Path, values: dict[str, Any]) -> None:
    with writing(path) as scratch:
        scratch.write_text(json.dumps(values, indent=2), encoding="utf-8")


def _write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with writing(path) as scratch:
        np.savez_compressed(scratch, **arrays)  # type: ignore[arg-type]


@contextmanager
def _reading(path: Path) -> Iterator[Path]:
    """Around everything that takes a file of a run apart.

    Raises:
        RunError: the file is missing, cannot be read or is not what kit writes.
    """
    try:
        if not path.is_file():
            raise RunError(f"the run is incomplete: {path} is missing")
        yield path
    except OSError as error:
        raise RunError(
            f"cannot read {path}: {error.strerror or error}; make it readable, or train the run anew"
        ) from None
    except _DAMAGED as error:
        # repr, because the text of a KeyError is the key alone
        raise RunError(f"{path} is damaged: it is not what kit train writes ({error!r}); train the run anew") from None


def _read_json(path: Path) -> dict[str, Any]:
    with _reading(path):
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise RunError(f"{path} is damaged: it is not JSON") from None
    if not isinstance(values, dict):
        raise RunError(f"{path} is damaged: expected a JSON object")
    return values


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    with _reading(path), np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)
