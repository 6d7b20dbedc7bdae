"""kit train"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from kit.cli.format import percent
from kit.cli.options import Data, ImageSize, Labels


def train(
    competition: Annotated[str, typer.Argument(help="Such as digits or fashion_mnist; kit competitions lists them.")],
    model: Annotated[str | None, typer.Option(help="Such as deeper, or deeper(dropout=0.3).")] = None,
    recipe: Annotated[str | None, typer.Option(help="A recipe's name, or a recipe.json of a run.")] = None,
    epochs: Annotated[int | None, typer.Option(help="How often every image is seen.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a training step.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="adam, adamw, adamax, sgd(momentum=0.9) or rmsprop.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The schedule's peak.")] = None,
    augment: Annotated[str | None, typer.Option(help="Such as 'flip|shift(height=2, width=0)|elastic'.")] = None,
    schedule: Annotated[str | None, typer.Option(help="Such as 'warmup(1)|cosine' or 'warm_restarts(0.001)'.")] = None,
    normalization: Annotated[str | None, typer.Option(help="none, rescale or standardize.")] = None,
    label_smoothing: Annotated[float | None, typer.Option(help="Share of a target spread over all classes.")] = None,
    split: Annotated[
        str | None, typer.Option(help="Such as 'holdout', 'first_rows(40000)' or 'group_folders'.")
    ] = None,
    folds: Annotated[str | None, typer.Option(help="How many stratified folds, or a CSV of id,fold.")] = None,
    repeats: Annotated[int | None, typer.Option(help="Deal the folds anew, and train, this many times.")] = None,
    group: Annotated[str | None, typer.Option(help="Column whose rows share a fold, such as patient.")] = None,
    fold: Annotated[int | None, typer.Option(help="Train this fold only, counting from 0.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of split, weights, order and augmentation.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, float32, bfloat16 or float16.")] = None,
    metric: Annotated[str | None, typer.Option(help="Instead of the competition's, such as macro_f1.")] = None,
    keep: Annotated[str | None, typer.Option(help="Weights of the last epoch, or of the best validation.")] = None,
    data: Data = None,
    labels: Labels = None,
    image_size: ImageSize = None,
    out: Annotated[Path, typer.Option(help="Where runs are kept.")] = Path("runs"),
    name: Annotated[str | None, typer.Option(help="Name of the run; it must be new.")] = None,
) -> None:
    """Train a model, score it on rows it has not seen, and export it to ONNX."""
    from kit import api
    from kit.cli.progress import progress_listener, reading_shown
    from kit.cli.quiet import import_keras_quietly

    import_keras_quietly()
    with reading_shown(sys.stderr), progress_listener(sys.stderr) as listener:
        run = api.train(
            competition,
            recipe=recipe,
            folds=int(folds) if folds is not None and folds.isdecimal() else folds,
            repeats=repeats,
            group=group,
            fold=fold,
            data=data,
            labels=labels,
            image_size=image_size,
            out=out,
            name=name,
            listener=listener,
            model=model,
            epochs=epochs,
            batch_size=batch_size,
            optimizer=optimizer,
            learning_rate=learning_rate,
            augment=augment,
            schedule=schedule,
            normalization=normalization,
            label_smoothing=label_smoothing,
            seed=seed,
            precision=precision,
            keep=keep,
            split=split,
            metric=metric,
        )
    metrics = run.read_metrics()
    _print_scores(metrics)
    typer.echo(f"run         {run.path}")
    command = ["kit", "predict", str(run.path), "--out", f"submissions/{run.path.name}.csv"]
    typer.echo(f"next        {shlex.join(command)}")
    if metrics["status"] == "interrupted":
        raise typer.Exit(130)


def _print_scores(metrics: dict) -> None:
    from kit.scoring.metrics import make_metric

    metric = make_metric(metrics["metric"])
    for part, title in (("validation", "validation"), ("out_of_fold", "out of fold"), ("test", "test")):
        if part in metrics:
            scores = metrics[part]
            low, high = scores["accuracy_interval"]
            figure = "" if metrics["metric"] == "accuracy" else f"{metrics['metric']} {metric.show(scores['score'])}, "
            note = ", selected: the best epoch was chosen on these rows" if scores["selected"] else ""
            typer.echo(
                f"{title:<12}{figure}accuracy {percent(scores['accuracy'])} "
                f"({percent(low)} to {percent(high)}), log loss {scores['log_loss']:.4f}, {scores['rows']:,} rows{note}"
            )
    if metrics.get("fold_deviation") is not None:
        mean, deviation = metric.show(metrics["fold_mean"]), metric.show_spread(metrics["fold_deviation"])
        each = ", ".join(map(metric.show, metrics["fold_scores"]))
        typer.echo(f"folds       {each}: mean {mean}, standard deviation {deviation}")
    typer.echo(
        f"trained     {metrics['trainable_parameters']:,} parameters in {metrics['seconds']:.0f} s, "
        f"{metrics['images_per_second']:,.0f} images/s"
    )
