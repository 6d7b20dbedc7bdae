"""How long the report of a run of CIFAR-100's size takes, in how much memory, and how large the page is.

The run has 100 classes, 10,000 out-of-fold rows of two folds, sixty epochs each, and an exported model: `brief` is
trained for one epoch on made images of 32x32 in the official format, and then its answers are replaced by made ones
that are right two times in three and confuse the classes of a superclass. `kit.reporting.report` runs in a process of
its own, as for the first time: the model is built to find its layers. Its imports, with Keras and TensorFlow, are
measured apart in the same process, and taken off; its processor time is told beside it, as both cores may be in use.
Bounds: at most 15 s beyond the imports, 1.5 GB of resident memory, a page of 5 MB.

    python -m bench.report [--pairs 3] [--save] [--keep DIRECTORY]     DIRECTORY: where the run is left to be looked at
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.pairs import Report, parser
from kit.training.events import Epoch
from kit.training.fold_directory import FoldDirectory
from kit.training.runs import RunDirectory

ROWS, CLASSES, EPOCHS = 10_000, 100, 60
IMPORTS = (
    "matplotlib.figure", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "jinja2", "PIL.Image",
    "sklearn.metrics", "scipy.cluster.hierarchy", "scipy.stats", "scipy.sparse", "onnxruntime", "kit.evaluating",
    "kit.report.run_page", "keras",
)  # fmt: skip
SECONDS, BYTES_OF_MEMORY, BYTES_OF_PAGE = 15.0, 1.5e9, 5e6


def main() -> None:
    options = parser(__doc__, pairs=3)
    options.add_argument("--keep", type=Path, help="a directory in which the run is left")
    options = options.parse_args()
    report = Report("report", "the page of a run", f"{ROWS:,} made images of 32x32 in {CLASSES} classes")
    with tempfile.TemporaryDirectory(prefix="kit-bench-") as name:
        run = made_run(Path(name))
        measured = [_in_a_process(run) for _ in range(options.pairs)]
        size = (run / "report.html").stat().st_size
        if options.keep:
            shutil.copytree(run, options.keep, dirs_exist_ok=True)
    seconds, busy, imports, peaks = ([one[key] for one in measured] for key in ("seconds", "cpu", "imports", "peak"))
    report.table(
        "each in a process of its own",
        ["what", "median", "min", "max"],
        [
            ["seconds beyond the imports", statistics.median(seconds), min(seconds), max(seconds)],
            ["processor seconds of it", statistics.median(busy), min(busy), max(busy)],
            ["seconds of the imports", statistics.median(imports), min(imports), max(imports)],
            ["peak MB", statistics.median(peaks) / 1e6, min(peaks) / 1e6, max(peaks) / 1e6],
            ["page MB", size / 1e6, size / 1e6, size / 1e6],
        ],
    )
    bounds = {
        f"seconds / {SECONDS:g}": (seconds, [SECONDS] * len(seconds)),
        f"peak / {BYTES_OF_MEMORY / 1e9:g} GB": (peaks, [BYTES_OF_MEMORY] * len(peaks)),
        f"page / {BYTES_OF_PAGE / 1e6:g} MB": ([size], [BYTES_OF_PAGE]),
    }
    report.ratios("against the bounds", bounds, at_most=dict.fromkeys(bounds, 1.0))
    report.finish(options.save)


def made_run(scratch: Path) -> Path:
    """A run of CIFAR-100's size, trained for a moment on made images, with made answers and epochs."""
    _write_images(scratch / "data")
    command = [
        sys.executable,
        "-m",
        "kit",
        "train",
        "cifar100",
        "--model",
        "brief",
        "--epochs",
        "1",
        "--folds",
        "2",
        "--name",
        "made",
    ]
    environment = {**os.environ, "KIT_DATA": str(scratch / "data"), "KIT_CACHE": str(scratch / "cache")}
    command += ["--schedule", "constant", "--out", str(scratch / "runs")]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    run = RunDirectory(scratch / "runs" / "cifar100" / "made")
    random = np.random.default_rng(0)
    for fold in run.trained_folds():
        arrays = fold.read_predictions()
        for part in ("validation", "test"):
            if f"{part}_labels" in arrays:
                labels = arrays[f"{part}_labels"]
                arrays[f"{part}_probabilities"] = _answers(labels, random)
        fold.write_predictions(arrays)
        _write_epochs(fold, random)
    return run.path


def _write_images(directory: Path) -> None:
    """The official binary files: soft blobs with some noise, about as hard to compress as photographs."""
    from scipy.ndimage import zoom

    from competitions.cifar100 import _COARSE_OF

    folder = directory / "cifar-100-binary"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, rows in (("train.bin", ROWS), ("test.bin", ROWS // 10)):
        blobs = zoom(random.uniform(0, 255, (rows, 3, 4, 4)), (1, 1, 8, 8), order=1)
        pixels = np.clip(blobs + random.normal(0, 6, blobs.shape), 0, 255).astype(np.uint8)
        fine = random.permutation(rows) % CLASSES
        columns = np.stack([_COARSE_OF[fine], fine], axis=1).astype(np.uint8)
        (folder / name).write_bytes(np.concatenate([columns, pixels.reshape(rows, -1)], axis=1).tobytes())


def _answers(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Probabilities (rows, classes) float32: two of three right, the wrong ones mostly within the superclass."""
    from competitions.cifar100 import _COARSE_OF

    scores = random.normal(0, 1.0, (len(labels), CLASSES))
    scores += 1.5 * (_COARSE_OF[labels][:, np.newaxis] == _COARSE_OF)
    scores[np.arange(len(labels)), labels] += random.normal(2.7, 1.3, len(labels))
    odds = np.exp(1.6 * scores)
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


def _write_epochs(fold: FoldDirectory, random: np.random.Generator) -> None:
    """As if it had been trained for sixty epochs, and watched."""
    epochs = []
    for number in range(1, EPOCHS + 1):
        way = 1 - np.exp(-number / 15) + random.normal(0, 0.005)
        loss, accuracy = 4.5 - 3.6 * way, 0.12 + 0.7 * way
        values = (number, 40, 0.1 * (1 - number / EPOCHS), loss, accuracy, loss + 0.4, accuracy - 0.1, accuracy - 0.1)
        epochs.append(Epoch(*values, seconds=20.0, images_per_second=2000.0))
    fold.write_history(epochs)


def _in_a_process(run: Path) -> dict[str, float]:
    scratch = run.parents[2]
    environment = {**os.environ, "KIT_DATA": str(scratch / "data"), "KIT_CACHE": str(scratch / "cache")}
    command = [sys.executable, "-m", "bench.report", "--measure", str(run)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def measure(run: Path) -> None:
    """In this process: the imports, and then the report without them."""
    started = time.perf_counter()
    for module in IMPORTS:
        importlib.import_module(module)
    (run / "layers.json").unlink(missing_ok=True)
    from kit.reporting import report

    imported, busy = time.perf_counter(), time.process_time()
    report(run)
    ended, busy = time.perf_counter(), time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)  # bytes
    print(json.dumps({"seconds": ended - imported, "cpu": busy, "imports": imported - started, "peak": peak}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(Path(sys.argv[2]))
    else:
        main()
