"""How much longer `kit predict` takes than a bare script with the same model.

`kit predict MODEL.onnx --out FILE` on the 10,000 test images against bench/bare_predict.py, both as whole
processes, with the model exported and the converted images cached. kit also finds the data, chooses the provider,
checks model, images and submission, and writes the file atomically. Both CSVs must be the same, byte for byte.
Bound: at most 1.5 times as long.

    python -m bench.predict [--run RUN] [--pairs 12] [--save]     RUN: a fashion_mnist run or its ONNX file
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from bench.inputs import KIT, fashion_mnist, modules_loaded, trained_model
from bench.pairs import Report, interleave, parser, process

HEAVY = ("tensorflow", "keras", "pandas", "sklearn", "scipy", "matplotlib")


def main() -> None:
    options = parser(__doc__, pairs=12)
    options.add_argument("--run", type=Path, help="a fashion_mnist run or ONNX file; by default one is trained")
    options = options.parse_args()
    with fashion_mnist() as (scratch, data):
        report = Report("predict", "kit predict against a bare script", data)
        model = (options.run and options.run.resolve()) or trained_model("fashion_mnist", scratch)
        model = model / "model.onnx" if model.is_dir() else model
        ours, bare = scratch / "kit.csv", scratch / "bare.csv"
        pixels, ids = _cached_test_arrays()
        script = Path(__file__).parent / "bare_predict.py"
        sides = {
            "kit predict": process([KIT, "predict", str(model), "--out", str(ours)]),
            "bare script": process([sys.executable, str(script), str(model), pixels, ids, str(bare)]),
        }
        seconds = interleave(sides, options.pairs)
        same = "identical" if ours.read_bytes() == bare.read_bytes() else "DIFFERENT"
        report.note("the two CSVs", f"{same}, {len(bare.read_text().splitlines()) - 1:,} rows")
        loaded = modules_loaded(["predict", str(model), "--out", str(ours)], HEAVY, scratch)
        report.note("heavy modules that kit predict loads", ", ".join(loaded) or "none")

    report.table(
        "wall time of a process",
        ["side", "median s", "min s", "max s"],
        [[name, statistics.median(times), min(times), max(times)] for name, times in seconds.items()],
    )
    what = "kit predict / bare script"
    report.ratios("seconds", {what: (seconds["kit predict"], seconds["bare script"])}, at_most={what: 1.5})
    report.finish(options.save)


def _cached_test_arrays() -> tuple[str, str]:
    """The files of the converted test images and their ids; converts them if that was not done yet."""
    from competitions.fashion_mnist import load_test

    images = load_test()
    return str(images.pixels.filename), str(images.ids.filename)  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
