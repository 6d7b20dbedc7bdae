"""kit runs, kit competitions, kit new, kit models"""

from __future__ import annotations

import inspect
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kit.cli.format import print_json, print_table, public_score, shown
from kit.cli.options import DEFAULT_RUNS, Json, Runs

if TYPE_CHECKING:
    from kit.training.outline import RunOutline


def runs(
    competition: Annotated[str | None, typer.Argument(help="Only runs of this competition.")] = None,
    runs: Runs = DEFAULT_RUNS,
    submissions: Annotated[Path, typer.Option(help="Where their CSVs are kept.")] = Path("submissions"),
    as_json: Json = False,
) -> None:
    """List runs, best first within each competition, by its metric on validated rows."""
    from competitions import competition_names
    from kit.deploy.provenance import latest_submissions
    from kit.errors import RecipeError, RunError
    from kit.registry import unknown_name
    from kit.training.outline import outline, rank
    from kit.training.runs import find_runs

    if runs != DEFAULT_RUNS and not runs.is_dir():
        raise RunError(f"--runs {runs} is not a directory: name the one that kit train has as --out")
    found = list(find_runs(runs))
    known = {*competition_names(), *(run.path.parent.name for run in found)}
    if competition not in (None, *known):
        raise RecipeError(unknown_name("competition", str(competition), sorted(known)))
    submitted = latest_submissions(submissions)
    rows = [
        outline(run, submitted.get(run.path.resolve())) for run in found if competition in (None, run.path.parent.name)
    ]
    rows.sort(key=rank)
    if as_json:
        return print_json([asdict(row) for row in rows])
    if not rows:
        return typer.echo(
            f"no runs{f' of {competition}' if competition else ''} in {runs}: "
            f"train one with 'kit train {competition or 'digits'}'"
        )
    _print_runs(rows)


def _print_runs(rows: list[RunOutline]) -> None:
    print_table(
        ["run", "metric", "score", "scored on", "selected", "test", "epochs", "seconds", "status", "submitted"],
        [
            [
                row.run,
                row.metric or "-",
                shown(row.metric, row.score),
                row.scored_on or "-",
                "yes" if row.selected else "no",
                shown(row.metric, row.test),
                row.epochs or "-",
                round(row.seconds or 0),
                row.status,
                public_score(row.submitted),
            ]
            for row in rows
        ],
    )


def competitions(
    competition: Annotated[str | None, typer.Argument(help="Tell of this one: its files, options, recipes.")] = None,
    as_json: Json = False,
) -> None:
    """List the competitions, or tell which files one reads, and its options and recipes."""
    from competitions import competition_names, describe_competition

    if competition is not None:
        described = describe_competition(competition)
        if as_json:
            return print_json(described)
        typer.echo(described["files"] or described["about"])
        typer.echo(f"\noptions  {', '.join(described['options']) or 'none'}")
        return typer.echo(f"recipes  {', '.join(described['recipes']) or 'none'}")
    rows = [describe_competition(name) for name in competition_names()]
    if as_json:
        return print_json(rows)
    print_table(["competition", "about"], [[row["competition"], row["about"]] for row in rows])
    typer.echo("\n'kit competitions NAME' tells which files it reads, and its options and recipes.")


def new(name: Annotated[str, typer.Argument(help="The competition's name, such as leaf_disease.")]) -> None:
    """Write a competition module of your own, with its test, into competitions/."""
    from kit import data_tools

    module, test = data_tools.new_competition(name)
    typer.echo(f"wrote  {module}  change it to how your files are")
    typer.echo(f"wrote  {test}  run it with: python -m pytest {test.parent}")
    typer.echo(f"next   kit train {name} --data DIRECTORY   (this runs the code in {module})")


def models(
    model: Annotated[str | None, typer.Argument(help="Tell of this one: what it is, and its options.")] = None,
    as_json: Json = False,
) -> None:
    """List the models, with their trainable parameters at the reference input and classes."""
    from kit.models import MODELS
    from kit.registry import option_parameters, parse_spec

    rows = []
    for name in MODELS.names() if model is None else [parse_spec(model)[0].name]:
        build = MODELS[name]
        rows.append(
            {
                "model": name,
                "trainable_parameters": build.reference.trainable_parameters,  # type: ignore[attr-defined]
                "image_shape": list(build.reference.image_shape),  # type: ignore[attr-defined]
                "classes": build.reference.num_classes,  # type: ignore[attr-defined]
                "options": [str(p.replace(annotation=p.empty)) for p in option_parameters(build)],
                "about": inspect.getdoc(build) or "",
            }
        )
    if as_json:
        return print_json(rows)
    if model is not None:
        typer.echo(rows[0]["about"])
        return typer.echo(f"\noptions  {', '.join(rows[0]['options']) or 'none'}")
    print_table(
        ["model", "parameters", "images", "classes", "about"],
        [
            [
                row["model"],
                f"{row['trainable_parameters']:,}",
                "x".join(map(str, row["image_shape"])),
                row["classes"],
                row["about"].partition("\n")[0],
            ]
            for row in rows
        ],
    )
    typer.echo("\n'kit models NAME' tells more of one, and its options.")
