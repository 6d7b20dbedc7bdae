"""The ``kit`` program: its commands, and how mistakes are told."""

from __future__ import annotations

import io
import logging
import signal
import sys
from itertools import pairwise
from typing import Annotated, ClassVar

import typer
from typer.exceptions import TyperException

from kit.cli.on_demand import GroupOnDemand, Place
from kit.errors import Interrupted, KitError
from kit.version import __version__


class Commands(GroupOnDemand):
    """A command is a line here; ``kit --help`` lists them in this order, with the first line of their docstrings."""

    places: ClassVar = {
        "train": Place("kit.cli.train", "train", "TrainCommand"),
        "lr-find": Place("kit.cli.lr_find", "lr_find"),
        "export": Place("kit.cli.export", "export"),
        "predict": Place("kit.cli.predict", "predict", "PredictCommand"),
        "evaluate": Place("kit.cli.evaluate", "evaluate"),
        "blend": Place("kit.cli.blend", "blend"),
        "submit": Place("kit.cli.submit", "submit"),
        "report": Place("kit.cli.report", "report"),
        "explain": Place("kit.cli.explain", "explain"),
        "compare": Place("kit.cli.compare", "compare"),
        "leaderboard": Place("kit.cli.leaderboard", "leaderboard"),
        "eda": Place("kit.cli.eda", "eda"),
        "score": Place("kit.cli.data", "score"),
        "folds": Place("kit.cli.data", "folds"),
        "preview": Place("kit.cli.data", "preview"),
        "runs": Place("kit.cli.listings", "runs"),
        "competitions": Place("kit.cli.listings", "competitions"),
        "recipes": Place("kit.cli.recipes", "recipes"),
        "new": Place("kit.cli.listings", "new"),
        "models": Place("kit.cli.listings", "models"),
        "doctor": Place("kit.cli.doctor", "doctor"),
        "data": Place("kit.cli.data", "app"),
    }


app = typer.Typer(
    cls=Commands,
    help="Train, export and predict for image-classification competitions.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kit {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the program; a mistake of the user's is one line on stderr and exit code 2."""
    try:
        _show_warnings()
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))  # unwinds, so that no scratch is left behind
        sys.exit(app(standalone_mode=False) or 0)
    except TyperException as error:
        if len(sys.argv) > 1 and (line := " ".join(error.format_message().split())):
            print(f"kit: {line}{_received(error)} (--help tells more)", file=sys.stderr)
        else:
            error.show()  # type: ignore[attr-defined]  # the help
        sys.exit(2)
    except KitError as error:
        print(f"kit: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        reason = str(error.strerror or error or type(error).__name__).splitlines()[0]
        print(f"kit: {error.filename or 'output'}: {reason}", file=sys.stderr)
        _drop_unwritten_output()
        sys.exit(2)
    except SystemExit as stop:
        if stop.code == 130:  # Typer makes this of a Ctrl-C, without a word
            print("kit: interrupted", file=sys.stderr)
        raise
    except Interrupted as stop:
        print(f"kit: {stop}", file=sys.stderr)
        sys.exit(128 + stop.number)
    except (typer.Abort, KeyboardInterrupt):
        print("kit: interrupted", file=sys.stderr)
        sys.exit(130)


def _received(error: TyperException) -> str:
    """The value that an option got and does not take, which the message leaves out."""
    for option in getattr(getattr(error, "param", None), "opts", ()):
        for word, following in pairwise([*sys.argv, ""]):
            if word == option or word.startswith(f"{option}="):
                return f", received {word.partition('=')[2] or following!r}"
    return ""


def _show_warnings() -> None:
    """What the library has to say, such as files it skipped, on stderr as the program's own lines."""
    logger = logging.getLogger("kit")
    logger.handlers = [logging.StreamHandler(sys.stderr)]
    logger.handlers[0].setFormatter(logging.Formatter("kit: %(message)s"))
    logger.handlers[0].setLevel(logging.WARNING)


def _drop_unwritten_output() -> None:
    """Python would try once more at its end, and tell of the same failure at length."""
    try:
        sys.stdout.flush()
    except OSError:
        sys.stdout = io.StringIO()
