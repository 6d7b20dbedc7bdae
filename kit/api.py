"""What the command line and notebooks call: train, export, predict, report."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.errors import DataError, ModelFileError, RecipeError, RunError
from kit.opening import (
    StrPath,
    load_training_images,
    open_for_model,
    open_task,
    resolve_recipe,
    saved_competition,
    saved_data,
    training_images,
)
from kit.training.events import Broadcast, Listener
from kit.training.runs import FoldDirectory, RunDirectory, newest_run
from kit.version import __version__

if TYPE_CHECKING:
    from kit.data.folds import Fold
    from kit.data.images import Competition, Images
    from kit.deploy.export import Exported
    from kit.training.recipe import Recipe

logger = logging.getLogger("kit")

_NOTHING_TRAINED = (
    "the run {} has no scored model: its training was cut off before its end (log.txt and history.csv in it say "
    "where); train again, with fewer --epochs if time is short"
)


def train(
    competition: str,
    *,
    recipe: str | None = None,
    folds: int | StrPath | None = None,
    repeats: int | None = None,
    group: str | None = None,
    fold: int | None = None,
    data: StrPath | None = None,
    labels: str | int | None = None,
    image_size: int | None = None,
    out: StrPath = "runs",
    name: str | None = None,
    listener: Listener | None = None,
    **changes: Any,
) -> RunDirectory:
    """Train a model, score it on rows it has not seen, and export it.

    Args:
        competition: such as ``digits``, ``fashion_mnist`` or ``cifar100(labels='coarse')``.
        recipe: name of one of the competition's recipes, or path of a ``recipe.json``; by default the one that
            is named like the model.
        folds: stratified k-fold with this many folds, or a CSV of ``id,fold``, instead of the recipe's split.
        repeats: deal the folds anew this many times, and train them all.
        group: column whose rows share a fold, such as the patient; needs a number of ``folds``.
        fold: train this fold of the split only, counting from 0.
        data: directory or `.zip` with the competition's files; by default ``KIT_DATA``, else ``data``.
        labels: the competition's option of that name: ``fine`` or ``coarse``, 5 or 10.
        image_size: the competition's option of that name: pixels a side, where images come in any size.
        out: directory in which the run is created, as ``<competition>/<model>-<n>``.
        name: the run's own name instead of ``<model>-<n>``; it must be new.
        listener: hears of batches and epochs, and may stop the training.
        changes: recipe fields to set, such as ``model``, ``epochs``, ``batch_size``, ``optimizer``,
            ``learning_rate``, ``augment``, ``schedule``, ``split``, ``precision``, ``keep``, ``seed``.

    Returns:
        The run; ``run.read_metrics()`` has its scores.

    Raises:
        KitError: something that the caller can mend; raised before any file is written where possible.
    """
    from kit.data.folds import make_split, separated_duplicates, shared_images
    from kit.training.recipe import model_name
    from kit.training.session import interruptible, train_run
    from kit.training.summary import run_context
    from kit.training.switches import resolve_switches
    from kit.training.trainer import Task

    if folds is not None and changes.get("split") is not None:
        raise RecipeError("split and folds both say how to split: give one of them")
    changes["split"] = _split_spec(folds, repeats, group) or changes.get("split")
    _check_changes(changes)
    task = open_task(competition, data, labels=labels, image_size=image_size)
    plan = resolve_recipe(task, recipe, changes)
    split = make_split(plan.split)
    _check_fold(fold, split.num_folds, plan.split)
    switches = resolve_switches(plan.precision)
    _check_buildable(plan, task)
    images = load_training_images(task)
    parts = split.make_folds(images, plan.seed)
    _check_fold(fold, len(parts), plan.split)
    test = _labelled_test(task, parts)
    for line in (*images.notes, separated_duplicates(images, parts), test and shared_images(images, test)):
        if line:
            logger.warning(line)

    run = RunDirectory.create(Path(out), task.name, model_name(plan.model), name)
    context = run_context(plan, switches, images, task.data)
    run.write_recipe(plan.to_dict(), context)
    run.write_split(parts, plan.split, plan.seed)
    classes, images_hash = len(task.label_values), context["images"]["hash"]
    tasks = [
        Task(plan, switches, number, parts[number], classes, run.fold(number, len(parts)), images_hash)
        for number in (range(len(parts)) if fold is None else [fold])
    ]
    with interruptible() as interrupt:  # the export too: TensorFlow would answer an interrupt with a SystemError
        train_run(run, images, tasks, Broadcast(listener or Listener(), interrupt), test)
        export(run)
    return run


def _check_changes(changes: dict[str, Any]) -> None:
    """Refuse a wrong word before the competition is opened, which may read many files."""
    from kit.training.recipe import Recipe

    Recipe.from_dict({"competition": "any", "model": "deeper"} | {k: v for k, v in changes.items() if v is not None})


def _split_spec(folds: int | StrPath | None, repeats: int | None, group: str | None) -> str | None:
    """The split that the words of the command line ask for; None for the recipe's own."""
    from kit.registry import with_options

    if folds is None or not isinstance(folds, int):
        if repeats is not None or group is not None:
            raise RecipeError("repeats and group need a number of folds, such as folds 5")
        if folds is not None and not Path(folds).exists():
            raise RecipeError(
                f"folds is {os.fspath(folds)!r}, expected a whole number, or a CSV of id,fold that is there"
            )
        return None if folds is None else f"folds_file({os.fspath(folds)!r})"
    if repeats is None:
        return with_options(f"stratified_kfold({folds})", group=group)
    if group is not None:
        raise RecipeError("repeats and group cannot be had together: leave one of them out")
    return f"repeated_stratified_kfold({folds}, {repeats})"


def _check_fold(fold: int | None, num_folds: int | None, split: str) -> None:
    if fold is not None and not 0 <= fold < (num_folds or fold + 1):
        raise RecipeError(
            f"fold is {fold}, expected 0 to {(num_folds or 0) - 1}, counting from 0, with split {split!r}"
        )


def _labelled_test(competition: Competition, folds: Sequence[Fold]) -> Images | None:
    """The competition's test images where their labels are known and the split holds out no test rows itself."""
    if not competition.test_is_labelled or all(len(fold.test) for fold in folds):
        return None
    try:
        test = competition.load_test()
    except DataError as error:  # people may train before they have the test files
        logger.warning("the test images are not scored: %s", error)
        return None
    if test.pixels.shape[1:] != competition.image_shape:
        logger.warning(
            "the test images are not scored: they are %s, expected %s (height, width, channels) as in training",
            test.pixels.shape[1:],
            competition.image_shape,
        )
        return None
    return test


def _check_buildable(recipe: Recipe, competition: Competition) -> None:
    """Build the model and the optimiser once, so that a value that Keras refuses is met before the data is read."""
    from kit.models.build import Architecture, build_classifier
    from kit.training.fine_tuning import check_weights
    from kit.training.optimizers import build_optimizer

    check_weights(recipe.weights, recipe.model)
    channels = competition.image_shape[-1]
    size = len(competition.label_values)
    try:
        build_optimizer(recipe.optimizer, recipe.learning_rate, recipe.weight_decay, recipe.clip_norm)
        build_classifier(
            Architecture(recipe.model, competition.image_shape, size, (1.0,) * channels, (0.0,) * channels)
        )
    except ValueError as error:
        reason = str(error).strip().splitlines()[0]
        raise RecipeError(
            f"model {recipe.model!r} with optimizer {recipe.optimizer!r} cannot be built: {reason}"
        ) from None


def export(run: RunDirectory | StrPath | None = None, *, runs: StrPath = "runs") -> list[Exported]:
    """Write each trained fold of a run as an ONNX file, checked against the trained model on real images.

    Args:
        run: a run, or its path; by default the newest one in ``runs``.

    Returns:
        One entry a fold.

    Raises:
        KitError: the run is incomplete, its images are gone, or an exported model would differ from the trained one.
    """
    import keras

    run = _open_run(run, Path(runs))
    if keras.backend.backend() != "tensorflow":
        return _export_in_child(run)  # Keras exports ONNX through TensorFlow
    from kit.deploy.export import export_onnx
    from kit.training.weights import load_predictor

    saved = run.read_recipe()
    competition = saved_competition(saved)
    images = training_images(saved, competition)
    exported = [
        export_onnx(
            load_predictor(fold, saved["recipe"]["keep"]),
            _model_card(fold, competition, saved),
            images.pixels,
            fold.model_file,
        )
        for fold in run.trained_folds()
    ]
    if not exported:
        raise RunError(_NOTHING_TRAINED.format(run.path))
    return exported


def _model_card(fold: FoldDirectory, competition: Competition, saved: dict[str, Any]) -> Any:
    from kit.deploy.model_file import ModelCard

    validation = fold.read_scores().get("validation")
    return ModelCard(
        competition=competition.spec,
        class_names=competition.class_names,
        label_values=competition.label_values,
        input_shape=competition.image_shape,
        input_dtype="uint8",
        id_column=competition.id_column,
        target_column=competition.target_column,
        recipe_hash=saved["recipe_hash"],
        kit_version=__version__,
        metric=saved["recipe"]["metric"],
        score=validation and validation["score"],
        selected=bool(validation and validation["selected"]),
    )


def _export_in_child(run: RunDirectory) -> list[Exported]:
    """Export in a process of its own, so that this one need not load TensorFlow.

    ``-P`` keeps the working directory off its path: a user's random.py is not Python's.
    """
    from kit.deploy.export import Exported

    command = [sys.executable, "-P", "-m", "kit", "export", str(run.path), "--json"]
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if finished.returncode:
        reason = (finished.stderr.strip().splitlines() or ["no message"])[-1].removeprefix("kit: ")
        raise ModelFileError(f"the run {run.path} could not be exported: {reason}")
    answer = finished.stdout[finished.stdout.rindex("[\n") :]  # after what a download may have printed
    return [Exported(**{**values, "path": Path(values["path"])}) for values in json.loads(answer)]


@dataclass(frozen=True)
class Prediction:
    """What ``predict`` wrote."""

    path: Path
    rows: int
    label_counts: Counter[str]
    models: tuple[Path, ...]
    provider: str


def predict(
    *models: RunDirectory | StrPath,
    out: StrPath,
    data: StrPath | None = None,
    provider: str = "auto",
    runs: StrPath = "runs",
) -> Prediction:
    """Predict the competition's test images and write a submission that was checked.

    Args:
        models: runs or ONNX files, whose probabilities are averaged; by default the newest run in ``runs``.
        out: the CSV; replaced only by a complete and valid one.
        data: directory with the competition's files; by default the one that the first run was trained from,
            else ``KIT_DATA``, else ``data``.
        provider: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        KitError: something that the caller can mend; nothing was written then.
    """
    from kit.deploy.model_file import load_model
    from kit.deploy.predict import predict_probabilities
    from kit.deploy.submission import expected_submission, write_submission

    sources = [_run_or_file(source) for source in models] or [newest_run(Path(runs))]
    files = [file for source in sources for file in _model_files(source)]
    loaded = [load_model(file, provider) for file in files]
    directory = Path(data) if data is not None else None
    if directory is None and isinstance(sources[0], RunDirectory):
        directory = saved_data(sources[0].read_recipe(), "name their directory with --data")
    card = loaded[0].card
    competition = open_for_model(card, directory)
    images = competition.load_test()
    header = (competition.id_column, competition.target_column)
    expected = expected_submission(header, images.ids, card.label_values, competition.sample_submission)
    probabilities = predict_probabilities(loaded, images.pixels)
    counts = write_submission(Path(out), images.ids, probabilities, expected)
    return Prediction(Path(out), len(images), counts, tuple(files), loaded[0].provider)


def _run_or_file(source: RunDirectory | StrPath) -> RunDirectory | Path:
    if isinstance(source, RunDirectory):
        return source
    return RunDirectory.open(Path(source)) if Path(source).is_dir() else Path(source)


def _model_files(source: RunDirectory | Path) -> list[Path]:
    if isinstance(source, Path):
        return [source]
    folds = source.trained_folds()
    if not folds:
        raise RunError(_NOTHING_TRAINED.format(source.path))
    if not all(fold.model_file.is_file() for fold in folds):
        _export_in_child(source)
    return [fold.model_file for fold in folds]


def report(run: RunDirectory | StrPath | None = None, out: StrPath | None = None, *, runs: StrPath = "runs") -> Path:
    """Write a run as one self-contained HTML page, by default ``report.html`` in the run itself."""
    from kit.report.page import write_report

    run = _open_run(run, Path(runs))
    saved = run.read_recipe()
    competition = saved_competition(saved)
    images = training_images(saved, competition)
    return write_report(run, competition, images, Path(out) if out else run.path / "report.html")


def _open_run(run: RunDirectory | StrPath | None, runs: Path) -> RunDirectory:
    if run is None:
        return newest_run(runs)
    return run if isinstance(run, RunDirectory) else RunDirectory.open(Path(run))
