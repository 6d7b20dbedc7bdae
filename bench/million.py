"""Predicting 1,000,000 images out of a file, into a checked CSV.

`kit predict MODEL.onnx --input IMAGES.npy --out FILE` as a whole process, on 784 MB of random images of 28x28, against
a bare ONNX Runtime loop over the same mapped file, which writes nothing, at the batch size at which it is fastest.
Bounds: at least 0.9 of the loop's images per second; resident memory below 500 MB.

    python -m bench.million [--run RUN] [--pairs 3] [--save]     RUN: a fashion_mnist run or its ONNX file
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.inputs import KIT, fashion_mnist, trained_model
from bench.pairs import ROOT, Report, parser

IMAGES = 1_000_000
BATCH_SIZES = (32, 64, 128, 256, 512, 1024)
TRIED = 30_000  # images at each batch size
LIMIT = 500  # MB, of 10**6 bytes


def main() -> None:
    options = parser(__doc__, pairs=3)
    options.add_argument("--run", type=Path, help="a run or ONNX file of 28x28 images; by default one is trained")
    options = options.parse_args()
    report = Report("million", "predicting 1,000,000 images", f"{IMAGES:,} random uint8 images, 28x28, mapped")
    with fashion_mnist() as (_, _data), tempfile.TemporaryDirectory(prefix="kit-bench-") as name:
        scratch = Path(name)
        model = (options.run and options.run.resolve()) or trained_model("fashion_mnist", scratch)
        model = model / "model.onnx" if model.is_dir() else model
        array = _write_images(scratch / "images.npy")
        tried = {size: _bare(model, array, size, TRIED)["images_per_second"] for size in BATCH_SIZES}
        best = max(tried, key=lambda size: tried[size])
        report.table("bare loop, images/s", ["batch size", *map(str, tried)], [["", *map(int, tried.values())]])
        ours, bare = [], []
        for _ in range(options.pairs):
            ours.append(_kit(model, array, scratch))
            bare.append(_bare(model, array, best, IMAGES))
        facts = json.loads((scratch / "run.json").read_text())

    rows = [["kit predict, CSV included", ours], [f"bare loop, batches of {best}", bare]]
    report.table(
        "each in its own process",
        ["side", "images/s", "peak MB"],
        [
            [side, int(np.median([each["images_per_second"] for each in found])), round(max(e["mb"] for e in found))]
            for side, found in rows
        ],
    )
    report.note("kit's batch size", f"{facts['batch_size']} ({facts['batch_size_by']})")
    peak = max(each["mb"] for each in ours)
    report.note("kit's peak", f"{peak:.0f} MB, bound under {LIMIT} MB: {'inside' if peak < LIMIT else 'outside'}")
    what = "kit / bare loop"
    speeds = [[each["images_per_second"] for each in side] for side in (ours, bare)]
    report.ratios("images per second", {what: (speeds[0], speeds[1])}, at_least={what: 0.9})
    report.finish(options.save)


def _write_images(path: Path) -> Path:
    """Written in pieces to a file: a map of it would make this process large, and its size is the children's too."""
    random = np.random.default_rng(0)
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (IMAGES, 28, 28, 1)}
        np.lib.format.write_array_header_1_0(file, header)
        for _ in range(100):
            file.write(random.integers(0, 256, IMAGES // 100 * 784, np.uint8).tobytes())
    return path


def _kit(model: Path, array: Path, scratch: Path) -> dict[str, float]:
    """Wall time of the whole program, and what it took in memory at most."""
    command = [KIT, "predict", str(model), "--input", str(array), "--out", str(scratch / "run.csv")]
    started = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=scratch)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(f"kit predict ended with {status}")
    unit = 1 if sys.platform == "darwin" else 1024
    return {"images_per_second": IMAGES / seconds, "mb": usage.ru_maxrss * unit / 1e6}


def _bare(model: Path, array: Path, batch_size: int, images: int) -> dict[str, float]:
    code = f"from bench import million; million.bare_loop({str(model)!r}, {str(array)!r}, {batch_size}, {images})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def bare_loop(model: str, array: str, batch_size: int, images: int) -> None:
    """Prints images per second of the loop alone, and the peak memory of its process."""
    import resource

    import onnxruntime

    session: Any = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    pixels = np.load(array, mmap_mode="r")
    session.run(None, {name: pixels[:batch_size]})
    started = time.perf_counter()
    classes = np.empty(images, np.int64)
    for start in range(0, images, batch_size):
        window = pixels[start : min(start + batch_size, images)]
        classes[start : start + len(window)] = session.run(None, {name: window})[0].argmax(axis=1)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"images_per_second": images / seconds, "mb": peak / 1e6}))


if __name__ == "__main__":
    main()
