"""What checkpoints cost at their default interval: seconds to write one, and the share of the training that is.

An interval is a minute, or longer where writing takes more than a hundredth of it. Models of several sizes each take a
few steps on noise, so that the optimiser's memory is there, and are then written again and again.

    python -m bench.checkpoints [--times 7] [--save]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from bench.inputs import noise
from bench.pairs import Report
from kit.training.checkpoints import SHARE, Checkpoints, Standing
from kit.training.events import Listener
from kit.training.fold_directory import FoldDirectory
from kit.training.preparation import Task, Training, prepare
from kit.training.recipe import Recipe
from kit.training.switches import resolve_switches
from kit.training.trainer import keep, train_epoch

ROWS, CLASSES = 200, 10
MODELS = {
    "deeper": {},
    "model_s": {"optimizer": "rmsprop", "average": "ema"},
    "speed_net": {"optimizer": "muon"},
    "custom_vgg16": {"optimizer": "adam"},
    "backbone('ResNet152', size=32, train_blocks=-1)": {"optimizer": "adam"},
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--times", type=int, default=7, help="that each is written, by default 7")
    options.add_argument("--save", action="store_true", help="write bench/results/checkpoints.json")
    asked = options.parse_args()
    report = Report("checkpoints", "what they cost", f"{ROWS} images of noise, 32x32x3, {CLASSES} classes")
    images, fold = noise(ROWS, CLASSES)
    rows = []
    for model, words in MODELS.items():
        recipe = Recipe("noise", model, epochs=1000, batch_size=20, **words)  # type: ignore[arg-type]
        with tempfile.TemporaryDirectory() as scratch:
            directory = FoldDirectory(Path(scratch))
            training = prepare(images, Task(recipe, resolve_switches("auto"), 0, fold, CLASSES, directory), None)
            seconds = _write(training, asked.times)
            size = max(path.stat().st_size for path in directory.checkpoints.glob("*.npz")) / 1e6
        interval = max(Task.checkpoint_seconds, seconds / SHARE)
        rows.append([model, f"{size:.1f}", f"{seconds:.3f}", f"{interval:.0f}", f"{seconds / interval:.2%}"])
    report.table("checkpoints", ["model", "MB", "s to write", "s between two", "share of the time"], rows)
    report.finish(asked.save)


def _write(training: Training, times: int) -> float:
    """Median seconds of a checkpoint, after an epoch whose weights are on disk as they are in a run."""
    checkpoints = Checkpoints(training.task.directory, training.task.recipe.to_dict(), 0.0)
    standing = Standing()
    ended = train_epoch(training, 0, standing, Listener())
    keep(training, [ended])
    standing.begin_epoch(ended)
    seconds = []
    for step in range(times):
        standing.step = step  # another name each time
        started = time.perf_counter()
        checkpoints.save(training, standing)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
