"""kit submit"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from kit.cli.format import print_json
from kit.cli.options import Data, Json, limit_seconds
from kit.cli.progress import reading_shown
from kit.errors import SubmissionError


def submit(
    file: Annotated[Path, typer.Argument(help="The CSV, of kit predict or of anybody.")],
    check: Annotated[bool, typer.Option("--check", help="Only tell whether it would score.")] = False,
    message: Annotated[str | None, typer.Option("-m", "--message", help="Submit it, with this description.")] = None,
    competition: Annotated[
        str | None,
        typer.Option(help="Its name on Kaggle; by default the last one's, or KAGGLE_COMPETITION."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the score; without -m, the last one's.")] = False,
    time_limit: Annotated[str, typer.Option(help="Of --wait: such as 1h, 15m or 600s.")] = "15m",
    against: Annotated[
        str | None, typer.Option(help="kit's competition to check against; by default as the JSON beside it says.")
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Check a CSV as its competition would, submit it to Kaggle, wait for its score."""
    from kit import submitting

    if not (check or message is not None or wait):
        raise SubmissionError(
            f"say what to do with {file}: --check it, submit it with -m MESSAGE, or --wait for a score"
        )
    if check and (message is not None or wait):
        raise SubmissionError("--check submits nothing: leave out -m and --wait; -m checks first by itself")
    seconds = limit_seconds(time_limit)
    if check:
        return _check(file, against, data, as_json)
    entry = None
    if message is not None:
        with reading_shown(sys.stderr):
            entry = submitting.submit(file, message, competition=competition, against=against, data=data)
        print(f"submitted {file} to {entry['kaggle_competition']}", file=sys.stderr)
    if wait:
        entry = submitting.wait_for_score(file, entry, time_limit=seconds, tell=_Told())
    if as_json:
        return print_json(entry)
    _print(file, entry or {})


def _check(file: Path, against: str | None, data: Path | None, as_json: bool) -> None:
    from kit import submitting

    with reading_shown(sys.stderr):
        checked = submitting.check_submission(file, against, data=data)
    if as_json:
        return print_json({"rows": checked.rows, "competition": checked.competition, "against": checked.against})
    typer.echo(f"valid   {checked.rows:,} rows in {file}, against {checked.against} of {checked.competition}")


def _print(file: Path, entry: dict) -> None:
    if entry["status"] == "pending":
        return typer.echo(f"next    {shlex.join(['kit', 'submit', str(file), '--wait'])}")
    private = "" if entry.get("private_score") is None else f", private {entry['private_score']}"
    typer.echo(f"score   {'not shown' if entry['public_score'] is None else entry['public_score']}{private}")


class _Told:
    """Says each status once."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, status: str) -> None:
        if status != self._last and status != "complete":
            print(f"score   {status}", file=sys.stderr, flush=True)
        self._last = status
