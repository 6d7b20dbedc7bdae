"""How much memory it takes to predict more images than fit into it.

`kit.deploy.predict.predict_probabilities` on a memory-mapped array of 1,000,000 images of 28x28 (784 MB, written to
a temporary file) against a plain loop over the same map with ONNX Runtime, each in a process of its own.
Bound: kit's peak resident memory stays under 500 MB. Images per second are told beside it.

    python -m bench.memory [--pairs 1] [--save]
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.inputs import trained_model
from bench.pairs import ROOT, Report, parser

IMAGES = 1_000_000
BATCH_SIZE = 256
LIMIT = 500  # MB, of 10**6 bytes


def main() -> None:
    options = parser(__doc__, pairs=1).parse_args()
    report = Report("memory", "peak resident memory of a long prediction", f"{IMAGES:,} random uint8 images, 28x28")
    measured: dict[str, list[dict[str, float]]] = {"kit_side": [], "bare_side": []}
    with tempfile.TemporaryDirectory(prefix="kit-bench-") as name:
        scratch = Path(name)
        model = trained_model("digits", scratch)
        array = _write_images(scratch / "images.npy")
        for _ in range(options.pairs):
            for side, results in measured.items():
                results.append(_in_child(side, model, array))

    names = {"kit_side": "kit predict_probabilities", "bare_side": "bare onnxruntime loop"}
    rows = []
    for side, results in measured.items():
        peaks = [result["peak_mb"] for result in results]
        speeds = [IMAGES / result["seconds"] for result in results]
        rows.append([names[side], max(peaks), int(np.median(speeds))])
    report.table(
        "each side in its own process", ["side", "peak MB", "images/s"], [[n, round(p), s] for n, p, s in rows]
    )
    peak = rows[0][1]
    report.note("kit's peak", f"{peak:.0f} MB, bound under {LIMIT} MB: {'inside' if peak < LIMIT else 'outside'}")
    seconds = {side: [result["seconds"] for result in results] for side, results in measured.items()}
    report.ratios("seconds", {"kit / bare loop": (seconds["kit_side"], seconds["bare_side"])})
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


def _in_child(side: str, model: Path, array: Path) -> dict[str, float]:
    code = f"from bench import memory; memory.{side}({str(model)!r}, {str(array)!r})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def kit_side(model: str, array: str) -> None:
    from kit.deploy.model_file import load_model
    from kit.deploy.predict import predict_probabilities

    loaded = load_model(Path(model), "cpu")
    started = time.perf_counter()
    predict_probabilities([loaded], np.load(array, mmap_mode="r"))
    _tell(time.perf_counter() - started)


def bare_side(model: str, array: str) -> None:
    import onnxruntime

    session: Any = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    started = time.perf_counter()
    pixels = np.load(array, mmap_mode="r")
    probabilities = np.empty((len(pixels), 10), np.float32)
    for start in range(0, len(pixels), BATCH_SIZE):
        window = pixels[start : start + BATCH_SIZE]
        probabilities[start : start + len(window)] = session.run(None, {name: window})[0]
    _tell(time.perf_counter() - started)


def _tell(seconds: float) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)  # bytes
    print(json.dumps({"seconds": seconds, "peak_mb": peak / 1e6}))


if __name__ == "__main__":
    main()
