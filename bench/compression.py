"""How much faster a model of 8-bit integers answers than the same in float32, and what that costs.

`kit export --int8` of a `custom_vgg16` trained on CIFAR-10, both files in turn on the processor, in batches of 256;
accuracy on the run's own validation and test rows. Targets, on a processor that multiplies bytes (VNNI or AMX): at
least 3 times as many images per second, and at most 0.3 points of accuracy lost. Without KIT_DATA, nothing is measured.

    python -m bench.compression [--run RUN] [--epochs 4] [--pairs 12] [--save]     RUN: of cifar10; else it trains
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.inputs import KIT
from bench.pairs import Report, Side, interleave, parser

BATCH, IMAGES = 256, 512  # at once, and in one measured turn
FASTER, LOST = 3, 0.3  # targets: times, points


def main() -> None:
    options = parser(__doc__, pairs=12)
    options.add_argument("--run", type=Path, help="a finished cifar10 run; by default a custom_vgg16 is trained")
    options.add_argument("--epochs", type=int, default=4, help="of the training; by default 4")
    options = options.parse_args()
    if not os.environ.get("KIT_DATA"):
        sys.exit("bench: compression needs the real CIFAR-10: set KIT_DATA to where its files are")
    with tempfile.TemporaryDirectory(prefix="kit-bench-") as scratch:
        run = _copied(options.run, Path(scratch)) if options.run else _trained(options.epochs, Path(scratch))
        _measure(run, options.pairs, options.save)


def _copied(run: Path, scratch: Path) -> Path:
    """The export leaves files in the run."""
    return Path(shutil.copytree(run, scratch / "run", ignore=shutil.ignore_patterns("checkpoints")))


def _trained(epochs: int, scratch: Path) -> Path:
    words = ["--model", "custom_vgg16(momentum=0.9)", "--epochs", str(epochs), "--optimizer", "adamw"]
    words += ["--learning-rate", "0.001", "--augment", "flip", "--out", str(scratch), "--name", "bench"]
    subprocess.run([KIT, "train", "cifar10", *words], check=True)
    return scratch / "cifar10" / "bench"


def _measure(run: Path, pairs: int, save: bool) -> None:
    from kit.deploy.model_file import load_model
    from kit.exporting import export
    from kit.opening import saved_competition, training_images
    from kit.training.runs import RunDirectory

    directory = RunDirectory.open(run)
    saved = directory.read_recipe()
    images, (fold, *_) = training_images(saved, saved_competition(saved)), directory.read_split()
    model = saved["recipe"]["model"]
    report = Report("compression", "int8 against float32", f"CIFAR-10 from KIT_DATA, {model}")
    report.note("VNNI or AMX", ", ".join(_instructions()) or "neither: the targets are not meant for this processor")
    files = {"float32": export(directory)[0].path, "int8": export(directory, int8=True, max_loss=100.0)[0].path}
    models = {name: load_model(path, "cpu") for name, path in files.items()}

    rows = []
    for part in ("validation", "test"):
        chosen = getattr(fold, part)
        right = {name: _right(each, images, chosen) for name, each in models.items()}
        lost = 100 * (right["float32"].mean() - right["int8"].mean())
        verdict = "inside" if lost <= LOST else "outside"
        cells = [f"{100 * each.mean():.2f} %" for each in right.values()]
        rows.append([part, len(chosen), *cells, f"{lost:.2f}", f"at most {LOST}", verdict])
    report.table("accuracy", ["rows", "number", "float32", "int8", "points lost", "target", ""], rows)

    pixels = np.ascontiguousarray(images.pixels[fold.validation[:IMAGES]])
    seconds = interleave({name: _side(each, pixels) for name, each in models.items()}, pairs)
    report.table(
        f"batches of {BATCH}",
        ["file", "MB", "median images/s", "slowest", "fastest"],
        [
            [name, files[name].stat().st_size / 1e6, *(round(len(pixels) / of(times)) for of in (np.median, max, min))]
            for name, times in seconds.items()
        ],
    )
    what = "int8 / float32"
    report.ratios("images per second", {what: (seconds["float32"], seconds["int8"])}, at_least={what: FASTER})
    report.finish(save)


def _right(model: Any, images: Any, rows: np.ndarray) -> np.ndarray:
    """Whether each row gets its own label: bool (rows,)."""
    windows = (rows[start : start + BATCH] for start in range(0, len(rows), BATCH))
    labels = [model.probabilities(images.pixels[some]).argmax(axis=1) for some in windows]
    return np.concatenate(labels) == images.labels[rows]


def _side(model: Any, pixels: np.ndarray) -> Side:
    def run() -> float:
        started = time.perf_counter()
        for start in range(0, len(pixels), BATCH):
            model.probabilities(pixels[start : start + BATCH])
        return time.perf_counter() - started

    return run


def _instructions() -> list[str]:
    cpuinfo = Path("/proc/cpuinfo")
    words = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    return sorted(words & {"avx_vnni", "avx512_vnni", "amx_int8"})


if __name__ == "__main__":
    main()
