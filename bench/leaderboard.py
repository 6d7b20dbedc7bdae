"""How long `kit leaderboard` takes on 500 finished runs.

The runs are copies of one that was trained on the digits for an epoch, with other scores; as whole processes.
Bound: at most 1 s, without TensorFlow or Keras. `import typer`, which no command is without, is measured beside it.

    python -m bench.leaderboard [--pairs 10] [--save]
"""

from __future__ import annotations

import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.inputs import KIT, modules_loaded
from bench.pairs import Report, interleave, parser, process

RUNS = 500
BOUND = 1.0  # seconds
HEAVY = ("tensorflow", "keras", "onnxruntime", "pandas", "sklearn", "scipy", "matplotlib", "jinja2")


def main() -> None:
    options = parser(__doc__, pairs=10).parse_args()
    report = Report("leaderboard", "seconds until kit leaderboard ends", f"{RUNS} runs on the digits, made of one")
    with tempfile.TemporaryDirectory(prefix="kit-bench-") as name:
        directory = Path(name)
        _make_runs(directory)
        sides = {
            "import typer": process([sys.executable, "-c", "import typer"], cwd=directory),
            "kit leaderboard": process([KIT, "leaderboard", "digits"], cwd=directory),
            "kit leaderboard --json": process([KIT, "leaderboard", "digits", "--json"], cwd=directory),
            "kit leaderboard --out board.html": process(
                [KIT, "leaderboard", "digits", "--out", "b.html"], cwd=directory
            ),
        }
        seconds = interleave(sides, options.pairs)
        loaded = modules_loaded(["leaderboard", "digits"], HEAVY, directory)

    report.table(
        "wall time of a process",
        ["command", "median s", "min s", "max s"],
        [[name, statistics.median(times), min(times), max(times)] for name, times in seconds.items()],
    )
    report.note("heavy modules that kit leaderboard loads", ", ".join(loaded) or "none")
    bounded = f"kit leaderboard / {BOUND:g} s"
    measured = {bounded: (seconds["kit leaderboard"], [BOUND] * options.pairs)}
    report.ratios("against the bound", measured, at_most={bounded: 1.0})
    report.finish(options.save)


def _make_runs(directory: Path) -> None:
    """Train one run, and copy what lists read of it; only the small files, as nothing else may be touched."""
    subprocess.run(
        [KIT, "train", "digits", "--epochs", "1", "--name", "first"], check=True, capture_output=True, cwd=directory
    )
    first, spread = directory / "runs" / "digits" / "first", random.Random(0)
    metrics = json.loads((first / "metrics.json").read_text())
    for number in range(1, RUNS):
        copy = first.with_name(f"copy-{number}")
        copy.mkdir()
        for file in ("recipe.json", "history.csv", "scores.json", "predictions.npz", "split.npz"):
            shutil.copy(first / file, copy)
        score = spread.uniform(0.5, 1)
        fit = {**metrics["fit"], "gap": spread.uniform(-0.05, 0.2)}
        (copy / "metrics.json").write_text(json.dumps({**metrics, "score": score, "fit": fit}, indent=2))


if __name__ == "__main__":
    main()
