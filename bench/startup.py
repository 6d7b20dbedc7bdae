"""How long the kit program takes to start.

`kit --help` against `python -c "import typer"`, as whole processes.
Bound: at most 2 times as long, plus 0.1 s. `kit runs`, `kit models` and `kit competitions` are measured beside it,
and for each it is told which heavy modules were loaded.

    python -m bench.startup [--pairs 10] [--save]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from bench.inputs import KIT, modules_loaded
from bench.pairs import Report, interleave, parser, process

COMMANDS = ("--help", "runs", "models", "competitions")
HEAVY = ("tensorflow", "keras", "onnxruntime", "pandas", "sklearn", "scipy", "matplotlib", "numpy")
ALLOWANCE = 0.1  # seconds


def main() -> None:
    options = parser(__doc__, pairs=10).parse_args()
    report = Report("startup", "seconds until the program ends", "none; kit runs finds no runs")
    with tempfile.TemporaryDirectory(prefix="kit-bench-") as name:
        directory = Path(name)
        sides = {"import typer": process([sys.executable, "-c", "import typer"], cwd=directory)}
        sides |= {f"kit {command}": process([KIT, command], cwd=directory) for command in COMMANDS}
        seconds = interleave(sides, options.pairs)
        loaded = {f"kit {command}": modules_loaded([command], HEAVY, directory) for command in COMMANDS}

    report.table(
        "wall time of a process",
        ["command", "median s", "min s", "max s", "heavy modules loaded"],
        [
            [name, statistics.median(times), min(times), max(times), ", ".join(loaded.get(name, [])) or "-"]
            for name, times in seconds.items()
        ],
    )
    typer = seconds.pop("import typer")
    bounded = f"kit --help / (2 x import typer + {ALLOWANCE} s)"
    measured = {bounded: (seconds["kit --help"], [2 * elapsed + ALLOWANCE for elapsed in typer])}
    measured |= {f"{name} / import typer": (times, typer) for name, times in seconds.items()}
    report.ratios("against import typer", measured, at_most={bounded: 1.0})
    report.finish(options.save)


if __name__ == "__main__":
    main()
