"""Where the program begins, before anything that takes time is imported."""

from __future__ import annotations

import gc
import sys


def run() -> None:
    """Run the program; ended while it is imported, it says so in one line."""
    try:
        from kit.cli.main import main

        main()
    except KeyboardInterrupt:
        sys.stderr.write("kit: interrupted\n")
        sys.exit(130)
    finally:
        gc.freeze()  # at its end, Python would look through every object for cycles, thrice: 50 ms after a prediction


if __name__ == "__main__":
    run()
