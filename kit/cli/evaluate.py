"""kit evaluate"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kit.cli.format import percent, print_json, print_table
from kit.cli.options import DEFAULT_RUNS, Json, Runs
from kit.cli.progress import reading_shown
from kit.errors import RecipeError

if TYPE_CHECKING:
    from kit.evaluating import RunEvaluation
    from kit.scoring.evaluation import Score
    from kit.training.best_epochs import BestEpoch


def evaluate(
    run: Annotated[Path | None, typer.Argument(help="A run; by default the newest finished run.")] = None,
    training_rows: Annotated[
        str, typer.Option(metavar="N|all", help="Training rows that each model answers; 0 leaves them out.")
    ] = "5000",
    runs: Runs = DEFAULT_RUNS,
    as_json: Json = False,
) -> None:
    """How good a run is: every usual figure, with its 95 % interval, on training, held-out and test rows."""
    from kit import evaluating  # not through kit.api, which imports more than is needed here

    with reading_shown(sys.stderr):
        found = evaluating.evaluate(run, runs=runs, training_rows=_rows(training_rows))
    if as_json:
        return print_json(found.to_dict())
    typer.echo(f"{found.run}  {found.competition}\n")
    if found.parts:
        _print_figures(found)
    for best in found.best_epochs:
        typer.echo(_best_epoch_in_words(best, found))
    for note in found.notes:
        typer.echo(f"note        {note}")


def _rows(words: str) -> int | None:
    if words == "all":
        return None
    if not words.isdecimal():
        raise RecipeError(f"--training-rows is {words!r}, expected a whole number from 0 up, or all")
    return int(words)


def _print_figures(found: RunEvaluation) -> None:
    from kit.scoring.evaluation import figure_title
    from kit.training.answered import PART_TITLES

    parts = found.parts.values()
    names = dict.fromkeys(name for part in parts for name in part.scores)
    header = ["", *(f"{PART_TITLES[name]}, {part.rows:,} rows" for name, part in found.parts.items())]
    rows = [[figure_title(name), *(_cell(name, part.scores.get(name)) for part in parts)] for name in names]
    for title, which in (("best class", "best_class"), ("worst class", "worst_class")):
        labels = [getattr(part, which) for part in parts]
        recalls = [part.classes[label].recall for part, label in zip(parts, labels, strict=True)]
        cells = [
            f"{found.class_title(label)}, {percent(recall)}" for label, recall in zip(labels, recalls, strict=True)
        ]
        rows.append([title, *cells])
    print_table(header, rows)
    typer.echo(
        "\nin brackets: 95 % of bootstrap samples of the rows; a class's figure is the share of its rows found\n"
    )


def _cell(name: str, score: Score | None) -> str:
    from kit.scoring.evaluation import show_figure

    if score is None:
        return "-"
    low, high = (show_figure(name, value).removesuffix(" %") for value in (score.low, score.high))
    return f"{show_figure(name, score.value)} ({low} to {high})"


def _best_epoch_in_words(best: BestEpoch, found: RunEvaluation) -> str:
    of_fold = f" of fold {best.fold}" if len(found.best_epochs) > 1 else ""
    training = _loss_and_accuracy("training, as augmented", best.loss, best.accuracy)
    if not best.by:
        return f"last epoch  {best.epoch} of {best.epochs}{of_fold}: {training}"
    watched = _loss_and_accuracy("watched rows", best.validation_loss, best.validation_accuracy)
    kept = f"; the weights kept are the {found.keep} epoch's" if found.keep in ("last", "best") else ""
    return f"best epoch  {best.epoch} of {best.epochs}{of_fold}, by {best.by}: {training}; {watched}{kept}"


def _loss_and_accuracy(rows: str, loss: float | None, accuracy: float | None) -> str:
    return f"{rows}: loss {'-' if loss is None else f'{loss:.4f}'}, accuracy {percent(accuracy)}"
