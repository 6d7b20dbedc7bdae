"""The ``kit`` program: its commands, and how mistakes are told."""

from __future__ import annotations

import io
import logging
import signal
import sys
from itertools import pairwise
from typing import Annotated

import typer
from typer.exceptions import TyperException

from kit.cli import (
    blend,
    data,
    doctor,
    evaluate,
    explain,
    export,
    listings,
    lr_find,
    predict,
    recipes,
    report,
    submit,
    train,
)
from kit.errors import Interrupted, KitError
from kit.version import __version__

app = typer.Typer(
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


app.command("train", cls=train.TrainCommand)(train.train)
app.command("lr-find")(lr_find.lr_find)
app.command("export")(export.export)
app.command("predict", cls=predict.PredictCommand)(predict.predict)
app.command("evaluate")(evaluate.evaluate)
app.command("blend")(blend.blend)
app.command("submit")(submit.submit)
app.command("report")(report.report)
app.command("explain")(explain.explain)
app.command("score")(data.score)
app.command("folds")(data.folds)
app.command("preview")(data.preview)
app.command("runs")(listings.runs)
app.command("competitions")(listings.competitions)
app.command("recipes")(recipes.recipes)
app.command("new")(listings.new)
app.command("models")(listings.models)
app.command("doctor")(doctor.doctor)
app.add_typer(data.app, name="data")


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
