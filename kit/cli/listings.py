"""kit runs, kit competitions, kit new, kit models"""

from __future__ import annotations

import inspect
import math
from pathlib import Path
from typing import Annotated, Any

import typer

from kit.cli.format import print_json, print_table
from kit.cli.options import DEFAULT_RUNS, Json, Runs


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
    from kit.training.runs import find_runs

    if runs != DEFAULT_RUNS and not runs.is_dir():
        raise RunError(f"--runs {runs} is not a directory: name the one that kit train has as --out")
    found = list(find_runs(runs))
    known = {*competition_names(), *(run.path.parent.name for run in found)}
    if competition not in (None, *known):
        raise RecipeError(unknown_name("competition", str(competition), sorted(known)))
    submitted = latest_submissions(submissions)
    rows = [
        _run_row(run) | {"submitted": submitted.get(run.path.resolve())}
        for run in found
        if competition in (None, run.path.parent.name)
    ]
    rows.sort(key=_rank)
    if as_json:
        return print_json(rows)
    if not rows:
        return typer.echo(
            f"no runs{f' of {competition}' if competition else ''} in {runs}: "
            f"train one with 'kit train {competition or 'digits'}'"
        )
    _print_runs(rows)


def _print_runs(rows: list[dict[str, Any]]) -> None:
    from kit.scoring.metrics import make_metric

    print_table(
        ["run", "metric", "score", "scored on", "selected", "test", "epochs", "seconds", "status", "submitted"],
        [
            [
                row["run"],
                row["metric"] or "-",
                "-" if row["score"] is None else make_metric(row["metric"]).show(row["score"]),
                row["scored_on"] or "-",
                "yes" if row["selected"] else "no",
                "-" if row["test"] is None else make_metric(row["metric"]).show(row["test"]),
                row["epochs"] or "-",
                round(row["seconds"] or 0),
                row["status"],
                _leaderboard(row["submitted"]),
            ]
            for row in rows
        ],
    )


def _leaderboard(entry: dict[str, Any] | None) -> str:
    """The public score of a submission, or how far it is."""
    if entry is None:
        return "-"
    return str(entry.get("status") if entry.get("public_score") is None else entry["public_score"])


def _rank(row: dict[str, Any]) -> tuple[Any, ...]:
    """Runs of the same images, labels and metric together, the best first, those without a score last."""
    from kit.scoring.metrics import make_metric

    if row["score"] is None:
        return (row["competition"], True, "", "", 0)
    return (row["competition"], False, row["task"], row["metric"], -make_metric(row["metric"]).key(row["score"]))


def _run_row(run: Any) -> dict[str, Any]:
    """What the list says about a run; a run that is damaged or did not finish is listed as such."""
    from kit.errors import RecipeError, RunError
    from kit.scoring.metrics import make_metric

    row: dict[str, Any] = dict.fromkeys(
        ("model", "metric", "score", "scored_on", "selected", "test", "epochs", "seconds")
    )
    row |= {"run": str(run.path), "competition": run.path.parent.name, "status": "unfinished"}
    if not run.is_finished:
        return row
    try:
        saved, metrics = run.read_recipe(), run.read_metrics()
        recipe = saved["recipe"]
        validated = metrics.get("validation") or metrics.get("out_of_fold") or {"selected": False}
        read = row | {
            "model": recipe["model"],
            "task": f"{recipe['competition']} {saved['images']['hash']}",
            "selected": validated["selected"],
            "test": metrics["test"]["score"] if "test" in metrics else None,
            **{name: metrics[name] for name in ("metric", "score", "scored_on", "epochs", "seconds", "status")},
        }
        make_metric(read["metric"])
    except (RunError, RecipeError, LookupError, TypeError, AttributeError):
        return row | {"status": "damaged"}
    return read if _is_listable(read) else row | {"status": "damaged"}


def _is_listable(row: dict[str, Any]) -> bool:
    """Whether every value is of the kind that the table and its order need."""
    numbers = [row["epochs"], row["seconds"], *(row[name] for name in ("score", "test") if row[name] is not None)]
    texts = [row[name] for name in ("model", "metric", "scored_on", "status")]
    return all(type(number) in (int, float) and math.isfinite(number) for number in numbers) and all(
        isinstance(text, str) for text in texts
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
