"""Ways of doing the same thing, measured in turn in one run (A B A B ...), and what is told about them.

Ratios are taken within a pair and only then summarised, so that a machine that slows down for a while slows
both sides of the pairs it meets.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("numpy", "scipy", "pillow", "tensorflow", "keras", "onnxruntime", "typer")

Side = Callable[[], float]
"""Does the work once and returns its seconds."""


def parser(doc: str, pairs: int) -> argparse.ArgumentParser:
    """The options that every benchmark has; ``pairs`` is its own number of measured pairs."""
    options = argparse.ArgumentParser(description=doc.splitlines()[0])
    options.add_argument("--pairs", type=int, default=pairs, help=f"measured pairs, by default {pairs}")
    options.add_argument("--save", action="store_true", help="write bench/results/NAME.json")
    return options


def interleave(sides: Mapping[str, Side], pairs: int, warm_up: int = 1) -> dict[str, list[float]]:
    """Seconds of each side, measured in turn; the first ``warm_up`` rounds are not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for measured in [False] * warm_up + [True] * pairs:
        for name, side in sides.items():
            elapsed = side()
            if measured:
                seconds[name].append(elapsed)
    return seconds


def process(command: Sequence[str], **options: Any) -> Side:
    """The wall time of a whole process, which must succeed.

    It keeps bytecode, as every Python does that was not told otherwise: installed packages have theirs, and kit,
    compiled anew at each start, would be compared with them.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def run() -> float:
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment, **options)
        return time.perf_counter() - started

    return run


def processor(side: Side) -> Side:
    """The processor's seconds in the processes of a side, which hardly depend on what else runs."""

    def run() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        side()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return run


class Report:
    """Prints what was measured as it comes, and keeps it for the JSON file."""

    def __init__(self, name: str, title: str, data: str) -> None:
        """``data`` says what was measured on, in words."""
        self.name = name
        self.content: dict[str, Any] = {"benchmark": name, "data": data, "machine": machine()}
        print(f"== {name}: {title}")
        for key, value in {"data": data, **self.content["machine"]}.items():
            print(f"{key:<13} {value}")

    def note(self, key: str, value: Any) -> None:
        self.content.setdefault("notes", {})[key] = value
        print(f"{key}: {value}")

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """The first column to the left, the others to the right."""
        self.content.setdefault("tables", []).append({"title": title, "header": list(header), "rows": list(rows)})
        lines = [list(map(_cell, row)) for row in (header, *rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        print(f"\n{title}")
        for first, *others in lines:
            cells = [
                first.ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)),
            ]
            print("  " + "  ".join(cells).rstrip(), flush=True)

    def ratios(
        self,
        title: str,
        measured: Mapping[str, tuple[Sequence[float], Sequence[float]]],
        *,
        at_most: Mapping[str, float] | None = None,
        at_least: Mapping[str, float] | None = None,
    ) -> None:
        """A table of numerator / denominator, pair by pair, with the bounds of those that have one."""
        rows = []
        for what, (numerators, denominators) in measured.items():
            ratios = [a / b for a, b in zip(numerators, denominators, strict=True)]
            self.content.setdefault("ratios", {})[what] = [round(ratio, 3) for ratio in ratios]
            median = statistics.median(ratios)
            bound, verdict = "", ""
            if what in (at_most or {}):
                limit = at_most[what]  # type: ignore[index]
                bound, verdict = f"at most {limit:g}", "inside" if median <= limit else "outside"
            elif what in (at_least or {}):
                limit = at_least[what]  # type: ignore[index]
                bound, verdict = f"at least {limit:g}", "inside" if median >= limit else "outside"
            spread = f"{min(ratios):.2f}..{max(ratios):.2f}"
            rows.append([what, f"{median:.2f}", spread, len(ratios), bound, verdict])
        self.table(title, ["ratio", "median", "min..max", "pairs", "bound", ""], rows)

    def finish(self, save: bool) -> None:
        if save:
            RESULTS.mkdir(exist_ok=True)
            path = RESULTS / f"{self.name}.json"
            path.write_text(json.dumps(self.content, indent=2) + "\n", encoding="utf-8")
            print(f"\nsaved {path.relative_to(ROOT)}")


def machine() -> dict[str, Any]:
    """What a figure depends on besides the code; the load tells whether something else was running."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f"{os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else "unknown"
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    return {
        "cpu": _cpu_model(),
        "cores": cores,
        "load": load,
        "python": f"{platform.python_version()} on {platform.system()}",
        "libraries": versions,
    }


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    names = (
        [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")] if cpuinfo.exists() else []
    )
    return names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine()


def _cell(value: Any) -> str:
    return f"{value:,.3g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
