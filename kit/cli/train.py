"""kit train"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from kit.cli.format import percent
from kit.cli.grouping import GroupedCommand
from kit.cli.options import Data, ImageSize, Labels, limit_seconds
from kit.errors import RecipeError

if TYPE_CHECKING:
    from kit.planning import Estimate, Plan
    from kit.scoring.metrics import Metric
    from kit.training.recipe import Recipe
    from kit.training.runs import RunDirectory


class TrainCommand(GroupedCommand):
    headings: ClassVar = {
        "epochs": "How it learns",
        "weights": "What it starts from",
        "pseudo_labels": "What other models teach it",
        "keep": "What is kept, and when it ends",
        "split": "On which rows",
        "data": "Files",
        "resume": "Interruptions",
    }


NEW_LAYERS = 8  # told of those that earlier weights did not fit


def train(
    competition: Annotated[
        str | None, typer.Argument(help="Such as digits or fashion_mnist; kit competitions lists them.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="A recipe's name, or a recipe.json of a run.")] = None,
    model: Annotated[str | None, typer.Option(help="Such as deeper, or deeper(dropout=0.3).")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what it would do, and how long.")] = False,
    epochs: Annotated[int | None, typer.Option(help="How often every image is seen.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a training step.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="Such as adamax, adamw or sgd(momentum=0.9).")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The schedule's peak.")] = None,
    schedule: Annotated[str | None, typer.Option(help="Such as 'warmup(1)|cosine' or 'warm_restarts(0.001)'.")] = None,
    augment: Annotated[str | None, typer.Option(help="Such as 'flip|shift(height=2, width=0)|elastic'.")] = None,
    normalization: Annotated[str | None, typer.Option(help="none, rescale or standardize.")] = None,
    progressive: Annotated[str | None, typer.Option(help="Image heights in phases, such as 16,24,32.")] = None,
    loss: Annotated[str | None, typer.Option(help="crossentropy, or focal(gamma=2).")] = None,
    label_smoothing: Annotated[float | None, typer.Option(help="Share of a target spread over all classes.")] = None,
    balance: Annotated[str | None, typer.Option(help="Of classes, by weights or sampling; or none.")] = None,
    weight_decay: Annotated[
        float | None, typer.Option(help="Decoupled, per unit of learning rate; 0: the optimiser's own.")
    ] = None,
    clip_norm: Annotated[float | None, typer.Option(help="Largest norm of all gradients together.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of split, weights, order and augmentation.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, float32, bfloat16 or float16.")] = None,
    deterministic: Annotated[
        bool | None, typer.Option("--deterministic", help="The same bits again also where that is slow: on a GPU.")
    ] = None,
    weights: Annotated[str | None, typer.Option(help="imagenet, a weights file, or an earlier run.")] = None,
    frozen_epochs: Annotated[int | None, typer.Option(help="First epochs, which train the new layers alone.")] = None,
    fine_tune_rate: Annotated[float | None, typer.Option(help="Factor on the learning rate after those.")] = None,
    pseudo_labels: Annotated[
        str | None, typer.Option(help="CSV of kit predict --probabilities: test images it is sure of train too.")
    ] = None,
    confidence: Annotated[float | None, typer.Option(help="Probability from which on it is sure.")] = None,
    distill: Annotated[str | None, typer.Option(help="Run of all folds, whose probabilities are learned too.")] = None,
    distill_share: Annotated[float | None, typer.Option(help="Their part in the targets.")] = None,
    keep: Annotated[str | None, typer.Option(help="Weights: last, best on validation rows, or snapshots.")] = None,
    monitor: Annotated[str | None, typer.Option(help="What best goes by: score, accuracy or loss.")] = None,
    patience: Annotated[int | None, typer.Option(help="Epochs without progress to end after; keeps the best.")] = None,
    plateau: Annotated[str | None, typer.Option(help="Such as 'reduce(0.1, patience=4)', of the rate.")] = None,
    snapshots: Annotated[int | None, typer.Option(help="Keep the weights at so many minima of the rate.")] = None,
    average: Annotated[str | None, typer.Option(help="Of the weights: ema(0.999) or swa(0.75).")] = None,
    tta: Annotated[str | None, typer.Option(help="Predict by the mean over views: flip, or flip('both').")] = None,
    metric: Annotated[str | None, typer.Option(help="Instead of the competition's, such as macro_f1.")] = None,
    split: Annotated[
        str | None, typer.Option(help="Such as 'holdout', 'first_rows(40000)' or 'group_folders'.")
    ] = None,
    folds: Annotated[str | None, typer.Option(help="How many stratified folds, or a CSV of id,fold.")] = None,
    repeats: Annotated[int | None, typer.Option(help="Deal the folds anew, and train, this many times.")] = None,
    group: Annotated[str | None, typer.Option(help="Column whose rows share a fold, such as patient.")] = None,
    fold: Annotated[int | None, typer.Option(help="Train this fold only, counting from 0.")] = None,
    seeds: Annotated[int, typer.Option(help="Train every fold with so many seeds, counting up.")] = 1,
    data: Data = None,
    labels: Labels = None,
    image_size: ImageSize = None,
    out: Annotated[Path, typer.Option(help="Where runs are kept.")] = Path("runs"),
    name: Annotated[str | None, typer.Option(help="Name of the run; it must be new.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with this run from its last checkpoint.")] = None,
    refit: Annotated[Path | None, typer.Option(help="Train this cross-validated run's recipe on every row.")] = None,
    time_limit: Annotated[str | None, typer.Option(help="Such as 8h, 90m or 600s: end scored within it.")] = None,
    checkpoint_seconds: Annotated[
        float, typer.Option(help="Between two checkpoints, or more where they take long.")
    ] = 60.0,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write the epochs for TensorBoard.")] = False,
) -> None:
    """Train a model, score it on rows it has not seen, and export it to ONNX."""
    from kit import api
    from kit.cli.progress import progress_listener, reading_shown
    from kit.cli.quiet import import_keras_quietly
    from kit.training.runs import RunDirectory

    words: dict[str, Any] = {
        "recipe": recipe,
        "folds": int(folds) if folds is not None and folds.isdecimal() else folds,
        "repeats": repeats,
        "group": group,
        "fold": fold,
        "seeds": seeds,
        "data": data,
        "labels": labels,
        "image_size": image_size,
        "model": model,
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "schedule": schedule,
        "augment": augment,
        "normalization": normalization,
        "progressive": progressive,
        "loss": loss,
        "label_smoothing": label_smoothing,
        "balance": balance,
        "weight_decay": weight_decay,
        "clip_norm": clip_norm,
        "seed": seed,
        "precision": precision,
        "deterministic": deterministic,
        "weights": weights,
        "frozen_epochs": frozen_epochs,
        "fine_tune_rate": fine_tune_rate,
        "pseudo_labels": pseudo_labels,
        "confidence": confidence,
        "distill": distill,
        "distill_share": distill_share,
        "keep": keep,
        "monitor": monitor,
        "patience": patience,
        "plateau": plateau,
        "snapshots": snapshots,
        "average": average,
        "tta": tta,
        "metric": metric,
        "split": split,
    }
    if sum(each is not None for each in (competition, resume, refit)) != 1:
        raise RecipeError("name one of a competition to train, such as digits, a run to --resume, or a run to --refit")
    if resume is not None and name is not None:
        raise RecipeError("--resume goes on as the run began: leave out --name")
    endings: dict[str, Any] = {
        "time_limit": None if time_limit is None else limit_seconds(time_limit),
        "checkpoint_seconds": checkpoint_seconds,
        "tensorboard": tensorboard,
    }
    import_keras_quietly()
    if dry_run:
        api.check_checkpoint_seconds(checkpoint_seconds)
        with reading_shown(sys.stderr):
            plan = _plan(competition, resume, refit, words)
        if name is not None:
            RunDirectory.check_name(out, plan.competition.name, name)
        _print_plan(plan)
        return _print_estimate(plan, api.estimate(plan), endings["time_limit"])
    with reading_shown(sys.stderr), progress_listener(sys.stderr) as listener:
        if resume is not None:
            run = api.resume(resume, listener=listener, **endings, **_recipe_words(words))
        elif refit is not None:
            _refuse_others("--refit trains as the run did", words, [])
            run = api.refit(refit, out=out, name=name, listener=listener, **endings)
        else:
            run = api.train(str(competition), out=out, name=name, listener=listener, **endings, **words)
    metrics = run.read_metrics()
    _print_scores(metrics)
    _print_carried(run)
    _print("run", run.path)
    command = ["kit", "predict", str(run.path), "--out", f"submissions/{run.path.name}.csv"]
    _print("next", shlex.join(command))
    if metrics["status"] == "interrupted":
        _print("", shlex.join(["kit", "train", "--resume", str(run.path)]) + " goes on to the end")


def _plan(competition: str | None, resume: Path | None, refit: Path | None, words: dict[str, Any]) -> Plan:
    from kit import api
    from kit.training.runs import RunDirectory

    if resume is not None:
        recipe = _recipe_words(words)
        return api.plan_resumption(RunDirectory.open(resume), recipe)
    if refit is not None:
        _refuse_others("--refit trains as the run did", words, [])
        return api.plan_refit(RunDirectory.open(refit))[0]
    return api.plan(str(competition), **words)


def _recipe_words(words: dict[str, Any]) -> dict[str, Any]:
    """Those that a run that goes on may be told again.

    Raises:
        RecipeError: others were given; they belong to the run.
    """
    from kit.training.recipe import Recipe

    names = [field.name for field in fields(Recipe)]
    _refuse_others("--resume goes on as the run began", words, names)
    return {name: value for name, value in words.items() if name in names}


def _refuse_others(why: str, words: dict[str, Any], names: Sequence[str]) -> None:
    given = {name: value for name, value in words.items() if value is not None and (name, value) != ("seeds", 1)}
    if others := [name for name in given if name not in names]:
        raise RecipeError(f"{why}: leave out {', '.join('--' + each.replace('_', '-') for each in others)}")


def _print(what: str, finding: object) -> None:
    typer.echo(f"{what:<12}{finding}")


def _print_carried(run: RunDirectory) -> None:
    """Where earlier weights came from, and which layers began without."""
    if run.read_recipe()["recipe"]["weights"] == "random":
        return
    for fold in run.trained_folds():
        carried = fold.read_carried()
        _print("weights", carried["summary"])
        new = [f"{layer['name']}: {layer['note']}" for layer in carried["layers"] if layer["from"] is None]
        for line in new[:NEW_LAYERS]:
            _print("", line)
        more = f"{len(new) - NEW_LAYERS} more, and " if len(new) > NEW_LAYERS else ""
        _print("", f"{more}every layer in {fold.carried_file}")


def _print_plan(plan: Plan) -> None:
    """What would be trained; what no recipe and no word has changed stands together at the end."""
    recipe, switches = plan.recipe, plan.switches
    changed, kept = _fields_by_default(recipe)
    height, width, channels = plan.competition.image_shape
    _print("competition", plan.competition.spec)
    for field in changed:
        _print("recipe" if field is changed[0] else "", f"{field:<16}{getattr(recipe, field)}")
    by_default = ", ".join(f"{field} {getattr(recipe, field)}" for field in kept)
    typer.echo(fill(f"by default: {by_default}", 118, initial_indent=" " * 12, subsequent_indent=" " * 14))
    _print("images", f"{len(plan.images):,} labelled, {height}x{width}x{channels}, {_classes(plan)} classes")
    _print("split", _split_sizes(plan))
    _print("parameters", f"{plan.trainable_parameters:,} trainable of {plan.parameters:,}")
    steps = ", ".join(f"{count:,}" for count in sorted(set(plan.steps_per_epoch)))
    of_folds = f" and {len(plan.chosen)} folds" if len(plan.chosen) > 1 else ""
    _print("steps", f"{steps} an epoch, {plan.steps:,} in {recipe.planned_epochs} epochs{of_folds}")
    told = [f"{switches.backend} on {switches.device}", switches.precision, f"{switches.cores} cores"]
    told += ["XLA"] * switches.jit_compile + ["deterministic"] * switches.deterministic
    _print("machine", ", ".join(told))


def _classes(plan: Plan) -> int:
    return len(plan.competition.label_values)


def _fields_by_default(recipe: Recipe) -> tuple[list[str], list[str]]:
    """The names of the fields that differ from their defaults, and of those that do not."""
    changed: list[str] = []
    kept: list[str] = []
    for field in fields(recipe):
        if field.name != "competition":
            is_kept = field.default is not MISSING and getattr(recipe, field.name) == field.default
            (kept if is_kept else changed).append(field.name)
    return changed, kept


def _split_sizes(plan: Plan) -> str:
    from numpy import array_equal

    chosen = [plan.folds[number] for number in plan.chosen]
    parts = [
        f"{_range([len(rows) for rows in part])} {title}"
        for part, title in (
            ([fold.train for fold in chosen], "to train on"),
            ([fold.watched for fold in chosen if not array_equal(fold.watched, fold.validation)], "to watch"),
            ([fold.validation for fold in chosen], "to validate"),
            ([fold.test for fold in chosen] if plan.test is None else [plan.test.ids], "to test"),
        )
        if max(map(len, part), default=0)
    ]
    each = f", {len(chosen)} folds of" if len(chosen) > 1 else ":"
    return f"{plan.recipe.split}{each} {', '.join(parts)}"


def _range(sizes: Sequence[int]) -> str:
    return f"{min(sizes):,}" if min(sizes) == max(sizes) else f"{min(sizes):,} to {max(sizes):,}"


def _print_estimate(plan: Plan, estimate: Estimate, time_limit: float | None) -> None:
    """The time that was measured, with what it is made of and how far to trust it."""
    measured, batch = estimate.rehearsal, plan.recipe.batch_size
    for number, phase in enumerate(measured.phases):
        low, middle, high = (phase.epoch_seconds(q) / phase.steps for q in (0.1, 0.5, 0.9))
        title = f"{phase.title}, " if phase.title else ""
        _print(
            "" if number else "measured",
            f"{title}{len(phase.step_seconds)} steps: {1000 * middle:,.3g} ms each ({1000 * low:,.3g} to "
            f"{1000 * high:,.3g}), {min(batch, len(plan.folds[plan.chosen[0]].train)) / middle:,.0f} images/s",
        )
    _print("", f"{measured.start_seconds:.1f} s to start; {measured.epoch_seconds:.1f} s an epoch to validate and save")
    at_most = "at most " if plan.recipe.patience else ""
    planned = len(plan.chosen) * plan.recipe.planned_epochs
    of_rest = f", for the {planned - sum(plan.trained):,} of {planned:,} epochs that are left" if plan.trained else ""
    spread = f"{_time(estimate.fastest)} to {_time(estimate.slowest)}"
    _print("time", f"{at_most}{_time(estimate.seconds)} ({spread}){of_rest}")
    if time_limit is not None and time_limit < estimate.slowest:
        _print("", f"--time-limit ends it after {_time(time_limit)}, the export included")
    _print("", "if the machine stays as busy as it was; reading the data and the ONNX export are not in it")
    _print("written", "nothing; train it by leaving out --dry-run")


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def _print_members(scores: dict[str, Any], metric: Metric, what: str) -> None:
    """Snapshots, or the models of folds and seeds, one by one against all together."""
    if "members" not in scores:
        return
    members, best = scores["members"], scores["members"]["best"]
    figures = [metric.show(figure) for figure in members["scores"]]
    last = f", last {figures[-1]}" if what == "snapshots" else ""
    _print("", f"{what} {', '.join(figures)}: best {figures[best]} (selected){last}")
    _print("", f"their mean {metric.show(scores['score'])}, majority vote {percent(members['vote_accuracy'])} accuracy")


def _print_scores(metrics: dict) -> None:
    from kit.scoring.metrics import make_metric

    metric = make_metric(metrics["metric"])
    for part, title in (("validation", "validation"), ("out_of_fold", "out of fold"), ("test", "test")):
        if part in metrics:
            scores = metrics[part]
            low, high = scores["accuracy_interval"]
            figure = "" if metrics["metric"] == "accuracy" else f"{metrics['metric']} {metric.show(scores['score'])}, "
            note = ", selected: these rows had a say in the training" if scores["selected"] else ""
            _print(
                title,
                f"{figure}accuracy {percent(scores['accuracy'])} "
                f"({percent(low)} to {percent(high)}), log loss {scores['log_loss']:.4f}, "
                f"{scores['rows']:,} rows{note}",
            )
            _print_members(scores, metric, "models" if "folds" in metrics else "snapshots")
    if metrics.get("fold_deviation") is not None:
        mean, deviation = metric.show(metrics["fold_mean"]), metric.show_spread(metrics["fold_deviation"])
        each = ", ".join(map(metric.show, metrics["fold_scores"]))
        _print("folds", f"{each}: mean {mean}, standard deviation {deviation}")
    if metrics["score"] is None:
        _print("score", metrics["scored_on"])
    _print(
        "trained",
        f"{metrics['trainable_parameters']:,} parameters in {metrics['seconds']:.0f} s, "
        f"{metrics['images_per_second']:,.0f} images/s",
    )
