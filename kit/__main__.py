"""Where the program begins, before anything that takes time is imported."""

from __future__ import annotations

import sys


def run() -> None:
    """Run the program; ended while it is imported, it says so in one line."""
    try:
        from kit.cli.main import main

        main()
    except KeyboardInterrupt:
        sys.stderr.write("kit: interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    run()
