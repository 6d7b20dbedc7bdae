"""Whether a training that is killed again and again ends as one that never was.

Each of four runs is trained once straight through, and once more in processes that are ended by SIGKILL at random
moments, twenty times, each going on where the one before was cut off. Weights, history (but its times) and
probabilities must be equal bit for bit.

    python -m bench.kills [--kills 20] [--seed 0] [--save]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from bench.pairs import Report
from kit.training.fold_directory import FoldDirectory
from kit.training.runs import RunDirectory

KIT = """
from kit.cli.main import main
from kit.training import checkpoints
checkpoints.SHARE = 1  # often, whatever share of the time that takes: a kill shall fall anywhere between two
main()
"""
RUNS = {
    "deeper, elastic, warm restarts": [
        *("digits", "--epochs", "48", "--augment", "flip|elastic((2, 3), sigma=2)"),
        *("--schedule", "warm_restarts(0.0001, period=4)"),
    ],
    "model_s, CutMix, plateau, stopping, moving average": [
        *("folder", "--data", "shapes", "--model", "model_s", "--epochs", "30", "--batch-size", "32"),
        *("--augment", "flip|cutmix", "--plateau", "reduce(0.5, patience=2)", "--patience", "5"),
        *("--average", "ema(0.99)", "--learning-rate", "0.001"),
    ],
    "three folds": ["digits", "--epochs", "14", "--folds", "3", "--keep", "best"],
    "three snapshots": ["digits", "--epochs", "48", "--snapshots", "3"],
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--kills", type=int, default=20, help="of each run, by default 20")
    options.add_argument("--seed", type=int, default=0, help="of the moments")
    options.add_argument("--save", action="store_true", help="write bench/results/kills.json")
    asked = options.parse_args()
    report = Report("kills", "straight through against killed", "embedded digits, and 600 drawn images of 32x32")
    moments = random.Random(asked.seed)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        _draw_shapes(directory / "shapes")
        for title, words in RUNS.items():
            starting, training = _straight(directory, words)
            fell = _killed(directory, words, asked.kills, moments, starting, training)
            competition = words[0]
            same = _same(*(RunDirectory(directory / "runs" / competition / name) for name in ("straight", "killed")))
            report.table(f"{title}: where the kills fell", ["kill", "after s", "epochs, steps done"], fell)
            rows.append([title, len(fell), "equal bit for bit" if same else "DIFFERENT"])
            for name in ("straight", "killed"):
                (directory / "runs" / competition / name).rename(directory / f"{len(rows)}-{name}")
    report.table("in the end", ["run", "kills", "weights, history, probabilities"], rows)
    report.finish(asked.save)
    if any(row[-1] == "DIFFERENT" for row in rows):
        sys.exit(1)


def _command(words: list[str]) -> list[str]:
    return [sys.executable, "-c", KIT, *words, "--checkpoint-seconds", "0.5"]


def _straight(directory: Path, words: list[str]) -> tuple[float, float]:
    """Train without a kill; the seconds until the run began, as Python reads TensorFlow, and those from there on."""
    started = time.monotonic()
    process = _start(directory, ["train", *words, "--name", "straight"])
    while not (directory / "runs" / words[0] / "straight/recipe.json").exists() and process.poll() is None:
        time.sleep(0.05)
    begun = time.monotonic()
    if process.wait():
        sys.exit(f"bench: kit train {' '.join(words)} failed")
    return begun - started, time.monotonic() - begun


def _start(directory: Path, words: list[str]) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    return subprocess.Popen(_command(words), cwd=directory, stdout=quiet, stderr=quiet, env=_environment())


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}


def _killed(
    directory: Path, words: list[str], kills: int, moments: random.Random, starting: float, training: float
) -> list[list[object]]:
    """Kill a run so many times, unless it ends before, then let it end; a row for each kill.

    One in five comes while Python starts, the others after the log says that a fold begins: while its model is
    built and its checkpoint read, or until twice as much was trained as makes the run last for all kills.
    """
    run = directory / "runs" / words[0] / "killed"
    fell: list[list[object]] = []
    while True:
        begun = (run / "recipe.json").exists()  # else there is nothing to go on with: it starts anew
        if not begun and run.exists():
            shutil.rmtree(run)
        process = _start(directory, ["train", "--resume", str(run)] if begun else ["train", *words, "--name", "killed"])
        started = time.monotonic()
        wait = moments.uniform(0, starting)
        if moments.random() < 0.8:
            _wait_for_more(run / "log.txt", process)
            wait = moments.uniform(0, max(8.0, 2 * training / kills))
        try:
            if process.wait(wait if len(fell) < kills else None):
                sys.exit(f"bench: a run that was killed {len(fell)} times did not go on")
            return fell
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        fell.append([len(fell) + 1, f"{time.monotonic() - started:.1f}", _standing(run)])


def _wait_for_more(log: Path, process: subprocess.Popen[bytes]) -> None:
    size = log.stat().st_size if log.exists() else 0
    while process.poll() is None and (not log.exists() or log.stat().st_size == size):
        time.sleep(0.02)


def _standing(run: Path) -> str:
    """What the newest checkpoint of each fold says."""
    told = []
    for checkpoints in sorted(run.rglob("checkpoints")):
        for manifest in sorted(checkpoints.glob("*.json"))[-1:]:
            try:
                values = json.loads(manifest.read_text())
            except ValueError:
                return "torn"
            told.append(f"{checkpoints.parent.name} {len(values['history'])}, {values['step']}")
    ended = len(list(run.rglob("scores.json")))
    return "; ".join(told) or (f"{ended} folds ended" if ended else "no checkpoint yet")


def _same(one: RunDirectory, other: RunDirectory) -> bool:
    pairs = list(zip(one.trained_folds(), other.trained_folds(), strict=True))
    return all(_same_fold(*pair) for pair in pairs)


def _same_fold(one: FoldDirectory, other: FoldDirectory) -> bool:
    histories = [
        [replace(epoch, seconds=0.0, images_per_second=0.0) for epoch in fold.read_history()] for fold in (one, other)
    ]
    if repr(histories[0]) != repr(histories[1]):  # not a number equals itself in this
        return False
    first, second = one.read_predictions(), other.read_predictions()
    if first.keys() != second.keys() or not all(np.array_equal(first[name], second[name]) for name in first):
        return False
    return _weights(one) == _weights(other)


def _weights(fold: FoldDirectory) -> dict[str, bytes]:
    """Every number in every weights file, by its place."""
    import h5py

    numbers: dict[str, bytes] = {}
    for path in fold.weights_files():
        with h5py.File(path) as file:
            file.visititems(
                lambda name, item, path=path: (
                    numbers.update({f"{path.name} {name}": item[()].tobytes()})
                    if isinstance(item, h5py.Dataset)
                    else None
                )
            )
    return numbers


def _draw_shapes(directory: Path) -> None:
    """Bars and boxes under noise, as PNG files in folders of classes."""
    numbers = np.random.default_rng(0)
    for name, area in {"bar": np.s_[12:20, :], "pole": np.s_[:, 12:20], "box": np.s_[8:24, 8:24]}.items():
        (directory / name).mkdir(parents=True)
        for number in range(200):
            pixels = numbers.integers(0, 120, (32, 32, 3))
            pixels[area] += 100
            Image.fromarray(pixels.astype(np.uint8)).save(directory / name / f"{number}.png")


if __name__ == "__main__":
    main()
