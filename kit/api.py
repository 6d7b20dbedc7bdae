"""What the command line and notebooks call: train, resume, export, predict, report; and what comes before them."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.blending import blend as blend
from kit.comparing import compare_runs as compare_runs
from kit.comparing import leaderboard as leaderboard
from kit.errors import Interrupted, KitError, RecipeError
from kit.evaluating import evaluate as evaluate
from kit.explaining import explain as explain
from kit.exploring import eda as eda
from kit.exporting import compare_forms as compare_forms
from kit.exporting import export as export
from kit.exporting import export_ensemble as export_ensemble
from kit.notebook import Run as Run
from kit.opening import StrPath
from kit.planning import Plan, plan_refit, plan_resumption
from kit.planning import estimate as estimate
from kit.planning import plan_training as plan
from kit.predicting import predict as predict
from kit.reporting import report as report
from kit.training.events import Broadcast, Listener
from kit.training.runs import RunDirectory, open_run

if TYPE_CHECKING:
    from kit.training.lr_find import RangeTest

CHECKPOINT_SECONDS = 60.0
logger = logging.getLogger("kit")


def train(
    competition: str,
    *,
    recipe: str | None = None,
    folds: int | StrPath | None = None,
    repeats: int | None = None,
    group: str | None = None,
    fold: int | None = None,
    seeds: int = 1,
    data: StrPath | None = None,
    labels: str | int | None = None,
    image_size: int | None = None,
    out: StrPath = "runs",
    name: str | None = None,
    listener: Listener | None = None,
    time_limit: float | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    tensorboard: bool = False,
    **changes: Any,
) -> Run:
    """Train a model, score it on rows it has not seen, and export it.

    Args:
        competition: such as ``digits``, ``fashion_mnist`` or ``cifar100(labels='coarse')``.
        recipe: name of one of the competition's recipes, or path of a ``recipe.json``; by default the one that
            is named like the model.
        folds: stratified k-fold with this many folds, or a CSV of ``id,fold``, instead of the recipe's split.
        repeats: deal the folds anew this many times, and train them all.
        group: column whose rows share a fold, such as the patient; needs a number of ``folds``.
        fold: train this fold of the split only, counting from 0.
        seeds: train every fold with so many seeds, counting up from the recipe's; all have the same rows.
        data: directory or `.zip` with the competition's files; by default ``KIT_DATA``, else ``data``.
        labels: the competition's option of that name: ``fine`` or ``coarse``, 5 or 10.
        image_size: the competition's option of that name: pixels a side, where images come in any size.
        out: directory in which the run is created, as ``<competition>/<model>-<n>``.
        name: the run's own name instead of ``<model>-<n>``; it must be new.
        listener: hears of batches and epochs, and may stop the training.
        time_limit: seconds from now within which the training ends, scored and exported, be it in an epoch's middle;
            ``resume`` goes on with it. It makes one step at least, and says if it took longer.
        checkpoint_seconds: between two checkpoints; or more, where they would take over a hundredth of the time.
        tensorboard: write the epochs for TensorBoard, into ``tensorboard/`` in the run.
        changes: recipe fields to set, such as ``model``, ``epochs``, ``batch_size``, ``optimizer``,
            ``learning_rate``, ``augment``, ``schedule``, ``split``, ``precision``, ``keep``, ``seed``.

    Returns:
        The run, which shows itself in a notebook; ``run.read_metrics()`` has its scores.

    Raises:
        KitError: something that the caller can mend; raised before any file is written where possible.
    """
    from kit.training.recipe import model_name

    started = time.monotonic()
    check_checkpoint_seconds(checkpoint_seconds)
    ready = plan(
        competition,
        recipe=recipe,
        folds=folds,
        repeats=repeats,
        group=group,
        fold=fold,
        seeds=seeds,
        data=data,
        labels=labels,
        image_size=image_size,
        **changes,
    )
    run = Run.create(Path(out), ready.competition.name, model_name(ready.recipe.model), name)
    with _discarded_unless_begun(run):
        _write_plan(run, ready, ready.recipe.split, {"folds": ready.chosen, "seeds": ready.seeds})
        _train(run, ready, listener, time_limit, checkpoint_seconds, tensorboard, started)
    return run


def resume(
    run: RunDirectory | StrPath,
    *,
    listener: Listener | None = None,
    time_limit: float | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    tensorboard: bool = False,
    **changes: Any,
) -> Run:
    """Go on with a run that was interrupted or killed, from its last checkpoint, to the same end.

    Args:
        run: its path.
        listener, time_limit, checkpoint_seconds, tensorboard: as for ``train``.
        changes: recipe fields to name again; whatever is not as the run has it is refused.

    Raises:
        KitError: the recipe, the images or the machine are others now; or no checkpoint is whole.
    """
    started = time.monotonic()
    check_checkpoint_seconds(checkpoint_seconds)
    run = Run(open_run(run, Path("runs")).path)
    _train(run, plan_resumption(run, changes), listener, time_limit, checkpoint_seconds, tensorboard, started)
    return run


def refit(
    run: RunDirectory | StrPath | None = None,
    *,
    out: StrPath = "runs",
    name: str | None = None,
    listener: Listener | None = None,
    time_limit: float | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    tensorboard: bool = False,
) -> Run:
    """Train a cross-validated run's recipe on every row, for as many epochs as its folds have found.

    The new run has no honest score of its own, and says so; the folds' score is what can be said of its recipe.

    Args:
        run: the cross-validated run, or its path; by default the newest one.
        out, name, listener, time_limit, checkpoint_seconds, tensorboard: as for ``train``.

    Raises:
        KitError: the run has no folds or is not complete, or something as in ``train``.
    """
    from kit.training.recipe import model_name

    started = time.monotonic()
    check_checkpoint_seconds(checkpoint_seconds)
    ready, origin = plan_refit(open_run(run, Path("runs")))
    new = Run.create(Path(out), ready.competition.name, f"{model_name(ready.recipe.model)}-refit", name)
    with _discarded_unless_begun(new):
        _write_plan(new, ready, "every row", {"refit_of": origin})
        _train(new, ready, listener, time_limit, checkpoint_seconds, tensorboard, started)
    return new


def check_checkpoint_seconds(seconds: float) -> None:
    if not 0 <= seconds < math.inf:
        raise RecipeError(f"checkpoint_seconds is {seconds}, expected a number from 0 up")


def _write_plan(run: RunDirectory, ready: Plan, split: str, more: dict[str, Any]) -> None:
    """The recipe comes last: with it, the directory is a run that can go on."""
    from kit.training.summary import run_context

    context = run_context(ready.recipe, ready.switches, ready.images, ready.competition.data, ready.labelled)
    run.write_split(list(ready.folds), split, ready.recipe.seed)
    class_names = list(ready.competition.class_names)  # lists tell of classes without opening the competition
    run.write_recipe(ready.recipe.to_dict(), {**context, "class_names": class_names, **more})


@contextmanager
def _discarded_unless_begun(run: RunDirectory) -> Iterator[None]:
    try:
        yield
    except KitError:
        run.discard_unless_begun()
        raise


def _train(
    run: RunDirectory,
    ready: Plan,
    listener: Listener | None,
    time_limit: float | None,
    checkpoint_seconds: float,
    tensorboard: bool,
    started: float,
) -> None:
    from kit.models.views import view_axes
    from kit.training.preparation import Task
    from kit.training.session import TimeLimit, signals_heard, train_run
    from kit.training.tensorboard import TensorBoard

    tasks = [
        Task(
            ready.recipe_of(number),
            ready.switches,
            number,
            ready.folds[number],
            len(ready.competition.label_values),
            run.fold(number, len(ready.folds)),
            checkpoint_seconds,
            number % (len(ready.folds) // ready.seeds),
        )
        for number in ready.chosen
    ]
    listeners = [listener] if listener else []
    if time_limit is not None:
        rows = max(len(fold.validation) + len(fold.test) for fold in ready.folds) + len(ready.test or ())
        answers = rows * len(ready.recipe.kept) * len(view_axes(ready.recipe.tta))
        models = len(tasks) * len(ready.recipe.kept)
        listeners.append(TimeLimit(started + time_limit, answers, ready.recipe.batch_size, models))
    if tensorboard:
        listeners.append(TensorBoard(run.path / "tensorboard"))
    # The export too: another process would change what it reads; TensorFlow answers an interrupt with a SystemError.
    with run.locked(), signals_heard() as signals:
        train_run(run, ready.images, tasks, Broadcast(*listeners, signals), ready.test)
        if number := signals.signalled():
            raise Interrupted(number, f"the training has ended, without an export: kit export --onnx {run.path}")
        export(run)
    if time_limit is not None and (over := time.monotonic() - started - time_limit) > 0:
        logger.warning(
            "it took %d s longer than the time limit of %g s: a step, scoring and the export take that long",
            *(math.ceil(over), time_limit),
        )
    if number := signals.signalled():
        raise Interrupted(number, f"{run.path} is trained and exported")


def find_learning_rate(
    competition: str,
    *,
    steps: int = 300,
    out: StrPath | None = None,
    listener: Listener | None = None,
    **words: Any,
) -> RangeTest:
    """Find a learning rate for a recipe: train while the rate rises, until the loss diverges; nothing is kept.

    Args:
        competition, words: as for ``train``; of several folds, the training rows of the first that it would train.
        steps: training steps from the lowest rate to the highest.
        out: picture to draw of loss against rate; None draws none.
        listener: hears of each step.

    Returns:
        Rates, losses and the suggestion; see ``kit.training.lr_find.RangeTest``.

    Raises:
        KitError: something that the caller can mend, or a loss that falls at no rate.
    """
    from kit.report.lr_curve import write_lr_curve
    from kit.report.pictures import check_picture
    from kit.training.lr_find import range_test

    if out is not None:
        check_picture(Path(out))
    ready = plan(competition, **words)
    found = range_test(
        ready.images,
        ready.folds[ready.chosen[0]],
        ready.recipe,
        ready.switches,
        len(ready.competition.label_values),
        steps=steps,
        number=ready.chosen[0],
        listener=listener,
    )
    if out is not None:
        write_lr_curve(found, Path(out), ready.recipe.learning_rate)
    return found
