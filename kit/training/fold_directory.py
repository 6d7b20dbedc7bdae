"""The files of one trained model: of a run, or of one of its folds. ``kit.training.runs`` lists them."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from kit.errors import RunError
from kit.files import file_hash
from kit.models.build import Architecture
from kit.training.events import Epoch
from kit.training.run_files import read_arrays, read_json, reading, write_arrays, write_json, writing


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
        """``which`` is ``last``, ``best``, or a snapshot such as ``snapshot-1``."""
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
        with reading(self.path / "history.csv") as path, path.open(newline="", encoding="utf-8") as file:
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
        with reading(self.path / "history.csv") as path, path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
            names = [field.name for field in fields(Epoch)]
            curves = {name: np.array([_number(row.get(name)) for row in rows]) for name in names if name in rows[0]}
            if "epoch" not in curves:
                raise ValueError("it has no column epoch")
            if "validation_accuracy" in curves:  # before there was a choice of metrics, the score was the accuracy
                curves.setdefault("validation_score", curves["validation_accuracy"])
            return curves

    def write_architecture(self, architecture: Architecture) -> None:
        write_json(self.path / "architecture.json", asdict(architecture))

    def read_architecture(self) -> Architecture:
        values = read_json(self.path / "architecture.json")
        tuples: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        with reading(self.path / "architecture.json"):
            return Architecture(**tuples)

    def write_predictions(self, arrays: dict[str, np.ndarray]) -> None:
        """Keys ``validation_ids``, ``validation_labels``, ``validation_probabilities``, and ``test_`` likewise."""
        write_arrays(self.path / "predictions.npz", arrays)

    def read_predictions(self) -> dict[str, np.ndarray]:
        return read_arrays(self.path / "predictions.npz")

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
            with reading(self.weights_file(which)) as path:
                hashes[which] = file_hash(path)
        return hashes

    def write_training_answers(self, arrays: dict[str, np.ndarray]) -> None:
        """Keys ``rows``, ``labels``, ``probabilities``, of rows that the model was trained on."""
        of = np.array(json.dumps(self.weights_hashes, sort_keys=True))
        write_arrays(self.path / "training_answers.npz", {**arrays, "weights": of})

    def read_training_answers(self) -> dict[str, np.ndarray] | None:
        """What :meth:`write_training_answers` wrote; None if it did not, or of other weights."""
        try:
            arrays = read_arrays(self.path / "training_answers.npz")
            is_of_these = str(arrays.pop("weights")) == json.dumps(self.weights_hashes, sort_keys=True)
        except (RunError, KeyError):  # made anew
            return None
        return arrays if is_of_these and {"rows", "labels", "probabilities"} <= set(arrays) else None

    @property
    def carried_file(self) -> Path:
        return self.path / "carried.json"

    def write_carried(self, carried: dict[str, Any]) -> None:
        write_json(self.carried_file, carried)

    def read_carried(self) -> dict[str, Any]:
        return read_json(self.carried_file)

    @property
    def number(self) -> int:
        """Of the fold, counting from 0."""
        return max(trailing_number(self.path.name, "fold"), 0)

    def write_seen(self, keys: np.ndarray) -> None:
        """Keys of the images that had a part in the weights: uint64 (images,), of ``row_keys`` under seed 0."""
        write_arrays(self.path / "seen.npz", {"keys": keys})

    @property
    def has_seen(self) -> bool:
        return (self.path / "seen.npz").is_file()

    def read_seen(self) -> np.ndarray:
        return read_arrays(self.path / "seen.npz")["keys"]

    def write_scores(self, scores: dict[str, Any]) -> None:
        write_json(self.path / "scores.json", scores)

    def read_scores(self) -> dict[str, Any]:
        return read_json(self.path / "scores.json")


def trailing_number(name: str, prefix: str) -> int:
    match = re.fullmatch(re.escape(prefix) + r"-(\d+)", name)
    return int(match[1]) if match else 0


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")
