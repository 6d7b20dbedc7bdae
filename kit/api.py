"""What the command line and notebooks call: plan, estimate, train, find_learning_rate, export, predict, report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.errors import KitError, ModelFileError, RunError
from kit.opening import StrPath, open_for_model, saved_competition, saved_data, training_images
from kit.planning import estimate as estimate
from kit.planning import plan_training as plan
from kit.training.events import Broadcast, Listener
from kit.training.runs import FoldDirectory, RunDirectory, newest_run
from kit.version import __version__

if TYPE_CHECKING:
    from kit.data.images import Competition
    from kit.deploy.export import Exported
    from kit.training.lr_find import RangeTest

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
    from kit.training.preparation import Task
    from kit.training.recipe import model_name
    from kit.training.session import interruptible, train_run
    from kit.training.summary import run_context

    ready = plan(
        competition,
        recipe=recipe,
        folds=folds,
        repeats=repeats,
        group=group,
        fold=fold,
        data=data,
        labels=labels,
        image_size=image_size,
        **changes,
    )
    asked, settled = ready.competition, ready.recipe
    run = RunDirectory.create(Path(out), asked.name, model_name(settled.model), name)
    context = run_context(settled, ready.switches, ready.images, asked.data)
    run.write_recipe(settled.to_dict(), context)
    run.write_split(list(ready.folds), settled.split, settled.seed)
    tasks = [
        Task(
            settled,
            ready.switches,
            number,
            ready.folds[number],
            len(asked.label_values),
            run.fold(number, len(ready.folds)),
        )
        for number in ready.chosen
    ]
    try:
        with interruptible() as interrupt:  # the export too: TensorFlow would answer an interrupt with a SystemError
            train_run(run, ready.images, tasks, Broadcast(listener or Listener(), interrupt), ready.test)
            export(run)
    except KitError:
        run.discard_unless_begun()
        raise
    return run


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
