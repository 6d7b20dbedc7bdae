"""Run the benchmarks one after the other, or those named, each in a process of its own.

python -m bench
python -m bench training predict --save
python -m bench kills repeats                  # long ones, which run only when named
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from kit.registry import unknown_name

BENCHMARKS = (
    *("startup", "leaderboard", "reading", "pictures", "folds", "predict", "one_image", "million", "augmentation"),
    *("training", "report"),
)
LONG = ("checkpoints", "compression", "kills", "plain_keras", "repeats")


def main() -> int:
    """Returns 0 whatever was measured, 1 if a benchmark did not run to its end, 2 for an unknown name."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Run benchmarks, side by side.")
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"any of {', '.join(BENCHMARKS)}, by default all; or of {', '.join(LONG)}",
    )
    parser.add_argument("--pairs", type=int, help="measured pairs; by default each benchmark's own number")
    parser.add_argument("--save", action="store_true", help="write bench/results/NAME.json")
    options = parser.parse_args()
    for name in options.names:
        if name not in (*BENCHMARKS, *LONG):
            print(f"bench: {unknown_name('benchmark', name, [*BENCHMARKS, *LONG])}", file=sys.stderr)
            return 2
    broken = []
    for name in options.names or BENCHMARKS:
        pairs = ["--pairs", str(options.pairs)] if options.pairs and name not in LONG else []
        flags = ["--save"] * options.save + pairs
        if subprocess.run([sys.executable, "-m", f"bench.{name}", *flags], check=False).returncode:
            broken.append(name)
        print(flush=True)
    if broken:
        print(f"bench: {', '.join(broken)} did not run to the end", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
