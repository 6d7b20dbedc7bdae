"""One picture from its file to its label.

`kit predict MODEL.onnx --input PICTURE` against `python -c "import onnxruntime, numpy, PIL.Image"`, as whole processes.
Bound: at most 1.3 times as long, plus 0.2 s. The processor's seconds are told beside it: on a busy machine both sides
wait for their turn, and the 0.2 s do not.

    python -m bench.one_image [--run RUN] [--pairs 10] [--save]     RUN: any run or ONNX file
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

import numpy as np

from bench.inputs import KIT, fashion_mnist, modules_loaded, trained_model
from bench.pairs import Report, interleave, parser, process, processor

ALLOWANCE = 0.2  # seconds
HEAVY = ("tensorflow", "keras", "pandas", "sklearn", "scipy", "matplotlib", "onnx", "rich")


def main() -> None:
    from PIL import Image

    options = parser(__doc__, pairs=10)
    options.add_argument("--run", type=Path, help="a run or ONNX file; by default one is trained")
    options = options.parse_args()
    with fashion_mnist() as (scratch, _):
        report = Report("one_image", "one picture from its file to its label", "a PNG file of 64x64")
        model = (options.run and options.run.resolve()) or trained_model("digits", scratch)
        model = model / "model.onnx" if model.is_dir() else model
        picture = scratch / "one.png"
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)).save(picture)
        command = ["predict", str(model), "--input", str(picture)]
        sides = {
            "imports": process([sys.executable, "-c", "import onnxruntime, numpy, PIL.Image"]),
            "kit predict": process([KIT, *command]),
        }
        seconds = interleave(sides, options.pairs)
        worked = interleave({name: processor(side) for name, side in sides.items()}, options.pairs)
        loaded = modules_loaded(command, HEAVY, scratch)
    report.note("heavy modules that it loads", ", ".join(loaded) or "none")
    report.table(
        "a process",
        ["side", "median s", "min s", "max s", "median s of the processor"],
        [
            [name, statistics.median(times), min(times), max(times), statistics.median(worked[name])]
            for name, times in seconds.items()
        ],
    )
    what = f"kit predict / (1.3 x imports + {ALLOWANCE} s)"
    measured = {
        name: (each["kit predict"], [1.3 * elapsed + ALLOWANCE for elapsed in each["imports"]])
        for name, each in ((what, seconds), (f"{what}, of the processor", worked))
    }
    report.ratios("seconds", measured, at_most={what: 1.0})
    report.finish(options.save)


if __name__ == "__main__":
    main()
