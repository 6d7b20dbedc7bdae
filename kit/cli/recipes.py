"""kit recipes"""

from __future__ import annotations

import shlex
import textwrap
from dataclasses import asdict
from typing import Annotated, Any

import typer

from kit.cli.format import print_json, print_table
from kit.cli.options import Json

NOT_MEASURED = "not measured here"
WIDTH = 118  # columns of the notes below the table


def recipes(
    competition: Annotated[str, typer.Argument(help="Such as fashion_mnist; kit competitions lists them.")],
    as_json: Json = False,
) -> None:
    """List a competition's recipes with what each was measured to reach, and on which machine."""
    from competitions import named_recipes
    from kit.data.claims import Claim, claims_of, fields_of
    from kit.training.recipe import Recipe

    found = named_recipes(competition)
    # What was measured, was measured with the competition's options at their defaults.
    claims = claims_of(found) if competition.isidentifier() else {}
    rows: list[dict[str, Any]] = []
    for name, fields in fields_of(found).items():
        recipe = Recipe.from_dict({**fields, "competition": competition})
        claim = asdict(claims.get(name, Claim()))
        rows.append({"recipe": name, "model": recipe.model, "epochs": recipe.epochs, "fields": fields, "claim": claim})
    if as_json:
        return print_json(rows)
    if not rows:
        return typer.echo(f"{competition} names no recipes: its module has no RECIPES")
    print_table(
        ["recipe", "model", "epochs", "score", "minutes", "machine", "published"],
        [
            [
                row["recipe"],
                row["model"].partition("(")[0],
                row["epochs"],
                _score(row["claim"]),
                "-" if row["claim"]["minutes"] is None else f"{row['claim']['minutes']:.3g}",
                row["claim"]["machine"] or "-",
                _published(row["claim"]),
            ]
            for row in rows
        ],
    )
    _print_notes(rows)
    command = shlex.join(["kit", "train", competition])
    typer.echo(f"\n{command} --recipe NAME trains one, and --dry-run tells how long it takes here.")
    typer.echo("A recipe named like a model is that model's default. All of its fields: --json.")


def _score(claim: dict[str, Any]) -> str:
    """A figure with its spread: over seeds, or the 95 % Wilson interval of one."""
    from kit.scoring.metrics import make_metric

    if claim["score"] is None:
        return NOT_MEASURED
    metric = make_metric(claim["metric"])
    figure, seeds = metric.show(claim["score"]), len(claim["seeds"])
    if seeds > 1:
        return f"{figure} sd {metric.show_spread(claim['deviation']).removesuffix(' points')}, {seeds} seeds"
    if claim["metric"] != "accuracy":
        return f"{figure}, 1 seed"
    from scipy.stats import binomtest

    interval = binomtest(round(claim["score"] * claim["rows"]), claim["rows"]).proportion_ci(method="wilson")
    return f"{figure} ({100 * interval.low:.2f} to {100 * interval.high:.2f})"


def _published(claim: dict[str, Any]) -> str:
    from kit.scoring.metrics import make_metric

    if claim["published"] is None:
        return "-"
    figure = make_metric(claim["metric"]).show(claim["published"])
    return figure if claim["published_on"] == "test" else f"{figure} {claim['published_on']}"


def _print_notes(rows: list[dict[str, Any]]) -> None:
    """Each note once, with the recipes that it is of."""
    of: dict[str, list[str]] = {}
    for row in rows:
        if row["claim"]["note"]:
            of.setdefault(row["claim"]["note"], []).append(row["recipe"])
    if of:
        typer.echo()
    for note, names in of.items():
        typer.echo(textwrap.fill(f"{', '.join(names)}: {note}", WIDTH, subsequent_indent="  "))
