"""kit runs, kit competitions, kit models"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kit.cli.format import percent, print_json, print_table

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def runs(
    competition: Annotated[str | None, typer.Argument(help="Only runs of this competition.")] = None,
    runs: Annotated[Path, typer.Option(help="Where runs are kept.")] = Path("runs"),
    as_json: Json = False,
) -> None:
    """List runs, best first within each competition, by accuracy on validated rows."""
    from kit.training.runs import find_runs

    rows = [_run_row(run) for run in find_runs(runs) if competition in (None, run.path.parent.name)]
    rows.sort(key=lambda row: (row["competition"], row["score"] is None, -(row["score"] or 0)))
    if as_json:
        return print_json(rows)
    if not rows:
        return typer.echo(f"no runs in {runs}: train one with 'kit train digits'")
    print_table(
        ["run", "score", "scored on", "selected", "test", "epochs", "seconds", "status"],
        [
            [
                row["run"],
                percent(row["score"]),
                row["scored_on"] or "-",
                "yes" if row["selected"] else "no",
                percent(row["test"]),
                row["epochs"] or "-",
                round(row["seconds"] or 0),
                row["status"],
            ]
            for row in rows
        ],
    )


def _run_row(run: Any) -> dict[str, Any]:
    """What the list says about a run; a run that is damaged or did not finish is listed as such."""
    from kit.errors import RunError

    row: dict[str, Any] = dict.fromkeys(("model", "score", "scored_on", "selected", "test", "epochs", "seconds"))
    row |= {"run": str(run.path), "competition": run.path.parent.name, "status": "unfinished"}
    try:
        recipe, metrics = run.read_recipe()["recipe"], run.read_metrics()
        validated = metrics.get("validation") or metrics["out_of_fold"]
        return row | {
            "model": recipe["model"],
            "selected": validated["selected"],
            "test": metrics["test"]["accuracy"] if "test" in metrics else None,
            **{name: metrics[name] for name in ("score", "scored_on", "epochs", "seconds", "status")},
        }
    except (RunError, KeyError, TypeError):
        return row


def competitions(as_json: Json = False) -> None:
    """List the competitions, their classes and their recipes."""
    from competitions import competition_names, load_competition

    found = [load_competition(name) for name in competition_names()]
    rows = [
        {
            "competition": entry.name,
            "title": entry.title,
            "image_shape": list(entry.image_shape),
            "classes": len(entry.label_values),
            "recipes": list(entry.recipes),
        }
        for entry in found
    ]
    if as_json:
        return print_json(rows)
    print_table(
        ["competition", "images", "classes", "recipes", "title"],
        [
            [
                row["competition"],
                "x".join(map(str, row["image_shape"])),  # type: ignore[call-overload]
                row["classes"],
                ", ".join(row["recipes"]),  # type: ignore[arg-type]
                row["title"],
            ]
            for row in rows
        ],
    )


def models(as_json: Json = False) -> None:
    """List the models, with their trainable parameters at the reference input and classes."""
    from kit.models import MODELS
    from kit.registry import option_parameters

    rows = []
    for name in MODELS.names():
        model = MODELS[name]
        rows.append(
            {
                "model": name,
                "trainable_parameters": model.reference.trainable_parameters,  # type: ignore[attr-defined]
                "image_shape": list(model.reference.image_shape),  # type: ignore[attr-defined]
                "classes": model.reference.num_classes,  # type: ignore[attr-defined]
                "options": [f"{p.name}={p.default!r}" for p in option_parameters(model)],
                "about": (model.__doc__ or "").strip().splitlines()[0],
            }
        )
    if as_json:
        return print_json(rows)
    print_table(
        ["model", "parameters", "images", "classes", "options", "about"],
        [
            [
                row["model"],
                f"{row['trainable_parameters']:,}",
                "x".join(map(str, row["image_shape"])),
                row["classes"],
                ", ".join(row["options"]) or "-",
                row["about"],
            ]
            for row in rows
        ],
    )
