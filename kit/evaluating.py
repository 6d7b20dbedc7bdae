"""How good a run is: every usual figure on the rows that it was trained on, held out and tested, and its best epoch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kit.data.images import Competition, Images, LabelValue, Superclasses, class_title
from kit.data.progress import tell_progress
from kit.errors import KitError, RecipeError, RunError
from kit.members import check_weights, open_members
from kit.opening import StrPath, open_for_model, saved_competition, training_images
from kit.scoring.evaluation import Evaluation, evaluate_rows
from kit.scoring.metrics import make_metric
from kit.training.answered import PART_TITLES, answered_rows
from kit.training.best_epochs import BestEpoch, best_of_curves
from kit.training.fold_directory import FoldDirectory
from kit.training.runs import RunDirectory, open_run

TRAINING_ROWS = 5000  # of each model, whose answers take seconds; a share of 90 % is then told to within a point
_SEED = 0


@dataclass(frozen=True)
class RunEvaluation:
    """What can be said of a run, and in ``notes``, a line each, what cannot and why.

    competition: its title. metric: spec of its metric, whose figure is the first of each part.
    label_values: what the competition writes for each class, in the order of the class indices.
    parts: of ``training``, ``validation`` or ``out_of_fold``, and ``test``, those that there are.
    best_epochs: one a fold that has a history.
    keep: which weights the recipe keeps: last, best or snapshots.
    """

    run: Path
    competition: str
    class_names: tuple[str, ...]
    label_values: tuple[LabelValue, ...]
    metric: str
    keep: str
    parts: dict[str, Evaluation]
    best_epochs: tuple[BestEpoch, ...]
    notes: tuple[str, ...]

    def class_title(self, label: int) -> str:
        """A class's name, and the value that a submission has for it where that is another."""
        return class_title(self.class_names[label], self.label_values[label])

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON has it; classes by the competition's own labels, ``label``, and their names."""
        return {**asdict(self), "run": str(self.run), "parts": {name: self._part(e) for name, e in self.parts.items()}}

    def _part(self, found: Evaluation) -> dict[str, Any]:
        own = {
            "classes": [
                {**asdict(each), "label": self.label_values[each.label], "name": self.class_names[each.label]}
                for each in found.classes
            ],
            "best_class": self.label_values[found.best_class],
            "worst_class": self.label_values[found.worst_class],
            "missing_classes": [self.label_values[label] for label in found.missing_classes],
        }
        return {**asdict(found), **own}


@dataclass(frozen=True)
class _Rows:
    labels: np.ndarray  # int (rows,)
    probabilities: np.ndarray  # float32 (rows, classes)
    selected: bool = False


def evaluate(
    run: RunDirectory | StrPath | None = None, *, runs: StrPath = "runs", training_rows: int | None = TRAINING_ROWS
) -> RunEvaluation:
    """Every usual figure of a run, with its 95 % interval, on each part of the data; and its best epochs.

    Args:
        run: a run, finished or not, or its path; by default the newest finished one in ``runs``.
        training_rows: of each model's own training rows, which are answered by its exported file and kept in the run;
            None takes all of them, 0 none.

    Raises:
        KitError: there is no such run, or its recipe cannot be read. What else is missing is told in the notes.
    """
    if training_rows is not None and training_rows < 0:
        raise RecipeError(f"training_rows is {training_rows}, expected a whole number from 0 up, or all")
    run = open_run(run, Path(runs))
    saved = run.read_recipe()
    notes = _state(run, saved)
    rows = _held_out(run, notes)
    if training_rows != 0 and run.trained_folds():
        training = _training(run, saved, training_rows, notes)
        rows = ({"training": training} if training else {}) | rows
    metric = _known_metric(saved["recipe"]["metric"], notes)
    classes = next((part.probabilities.shape[1] for part in rows.values()), 0)
    competition = _opened(run, saved)
    names, values, superclasses = _classes(competition, saved.get("class_names"), classes, notes)
    parts = {
        name: evaluate_rows(
            part.probabilities, part.labels, metric=metric, superclasses=superclasses, selected=part.selected
        )
        for name, part in rows.items()
    }
    notes += _of_parts(parts, names)
    best_epochs = _best_epochs(run, saved["recipe"], metric, notes)
    title = competition.title if competition else saved["recipe"]["competition"]
    keep = saved["recipe"]["keep"]
    return RunEvaluation(run.path, title, names, values, metric, keep, parts, best_epochs, tuple(notes))


def _state(run: RunDirectory, saved: dict[str, Any]) -> list[str]:
    """What a person should know of how far the run came."""
    notes = []
    if not run.is_finished:
        notes.append(f"the run has not ended: {run.way_on}")
    else:
        try:
            status = run.read_metrics().get("status", "complete")
        except KitError as error:
            status = f"told by nothing: {error}"
        if status != "complete":
            notes.append(f"the training is {status}: what was learned until then is evaluated")
    with suppress(KitError):
        if (temperature := run.read_temperature()) != 1:
            notes.append(
                f"probabilities are those before the temperature of {temperature:.3g}, which kit predict --calibrate "
                "fitted to the held-out rows and gave the model files"
            )
    if found := saved.get("refit_of"):
        notes.append(f"the run was trained on every row, so none is held out: see {found['run']}")
    try:
        planned, trained = len(run.read_split()), len(run.trained_folds())
    except KitError as error:
        return [*notes, str(error)]
    if 0 < trained < planned:
        notes.append(f"{trained} of {planned} folds are trained")
    return notes


def _opened(run: RunDirectory, saved: dict[str, Any]) -> Competition | None:
    """The run's competition; where its data is gone, as a model file knows it, for the names of its classes."""
    from kit.deploy.model_file import load_model

    with suppress(KitError):
        return saved_competition(saved)
    for fold in run.trained_folds():
        with suppress(KitError):
            return open_for_model(load_model(next(iter(fold.model_files.values()))).card, None)
    return None


def _known_metric(metric: str, notes: list[str]) -> str:
    try:
        make_metric(metric)
    except KitError as error:
        notes.append(f"{error}; accuracy comes first instead")
        return "accuracy"
    return metric


def _classes(
    competition: Competition | None, noted: object, classes: int, notes: list[str]
) -> tuple[tuple[str, ...], tuple[LabelValue, ...], Superclasses | None]:
    """Names, label values and superclasses of as many classes as the answers have; else the names noted in the run."""
    if competition is not None and classes in (0, len(competition.class_names)):
        return competition.class_names, competition.label_values, competition.superclasses
    if classes and isinstance(noted, list) and len(noted) == classes:
        names = tuple(map(str, noted))
        notes.append("the values that the competition writes for the classes are not known: they go by their names")
        return names, names, None
    if classes:
        notes.append("the names of the classes are not known: they are numbered, from 0")
    return tuple(map(str, range(classes))), tuple(range(classes)), None


def _held_out(run: RunDirectory, notes: list[str]) -> dict[str, _Rows]:
    try:
        answered = answered_rows(run)
    except KitError as error:
        notes.append(str(error))
        return {}
    parts = {}
    for name, rows in answered.items():
        known = rows.finite
        if lost := len(rows) - len(known):
            notes.append(f"{PART_TITLES[name]}: {lost:,} of {len(rows):,} answers are not numbers and left out")
        if len(known):
            parts[name] = _Rows(known.labels, known.probabilities, known.selected)
    return parts


def _training(run: RunDirectory, saved: dict[str, Any], limit: int | None, notes: list[str]) -> _Rows | None:
    """Answers to training rows, of each model to its own; None, and a note, if they are not to be had."""
    folds = run.trained_folds()
    try:
        chosen, trained = _training_rows(run, folds, saved, limit)
        kept = [_kept(fold, rows) for fold, rows in zip(folds, chosen, strict=True)]
        if not all(kept):
            images = training_images(saved, saved_competition(saved))
            open_members([run], run.path)  # exports the models, if they were not
            kept = [
                one or _answer(fold, rows, images, notes) for fold, rows, one in zip(folds, chosen, kept, strict=True)
            ]
    except KitError as error:
        notes.append(f"training rows are not evaluated: {error}")
        return None
    of_each = f" of each of {len(folds)} models" if len(folds) > 1 else ""
    share = f"{len(chosen[0]):,} of {trained[0]:,} rows{of_each}"
    notes.append(f"training: {share}, chosen by a fixed seed and not augmented; they were trained on")
    labels, probabilities = (np.concatenate([one[number] for one in kept if one]) for number in (0, 1))
    return _Rows(labels, probabilities) if len(labels) else None


def _training_rows(
    run: RunDirectory, folds: Sequence[FoldDirectory], saved: dict[str, Any], limit: int | None
) -> tuple[list[np.ndarray], list[int]]:
    """Which of its training rows each fold answers, sorted, and how many it has; as far as it goes, no row twice.

    An image that two models answer would count in the intervals as two.
    """
    split = run.read_split()
    own = saved["images"].get("rows", np.iinfo(np.int64).max)  # those behind have labels that models gave
    random, taken = np.random.default_rng(_SEED), np.empty(0, np.int64)
    chosen, trained = [], []
    for fold in folds:
        number = 0 if fold.path == run.path else fold.number
        if number >= len(split):
            raise RunError(f"{run.path / 'split.npz'} has no fold {number}: it is of another run; put its own back")
        rows = split[number].train
        rows = rows[rows < own]
        shuffled = random.permutation(rows)
        new_first = shuffled[np.argsort(np.isin(shuffled, taken), kind="stable")]
        chosen.append(np.sort(new_first[:limit]))
        trained.append(len(rows))
        taken = np.union1d(taken, chosen[-1])
    return chosen, trained


def _kept(fold: FoldDirectory, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Labels and probabilities that the run has of these rows, from the weights as they are; None if it lacks some."""
    arrays = fold.read_training_answers()
    if arrays is None or not np.isin(rows, arrays["rows"]).all():
        return None
    place = np.searchsorted(arrays["rows"], rows)
    return arrays["labels"][place], arrays["probabilities"][place]


def _answer(fold: FoldDirectory, rows: np.ndarray, images: Images, notes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of training rows, by the fold's model files, also kept in the run.

    At temperature 1, as all answers that a run keeps.
    """
    from kit.deploy.batch_size import batch_size_by_rule
    from kit.deploy.model_file import load_model
    from kit.deploy.predict import check_models
    from kit.scoring.calibration import tempered

    models = [load_model(path) for path in fold.model_files.values()]
    for model in models:
        check_weights(model)
    check_models(models, images.pixels.shape[1:])
    size = batch_size_by_rule(images.pixels.shape[1:])
    parts = [np.empty((0, len(models[0].card.label_values)), np.float32)]
    for start in range(0, len(rows), size):
        pixels = np.ascontiguousarray(images.pixels[rows[start : start + size]])
        each = [tempered(model.probabilities(pixels), 1 / model.card.temperature) for model in models]
        parts.append(np.mean(each, axis=0))
        tell_progress(f"training rows of {fold.path}", min(start + size, len(rows)), len(rows))
    probabilities = np.concatenate(parts)
    labels: np.ndarray = images.labels[rows]  # type: ignore[index]
    try:
        fold.write_training_answers({"rows": rows, "labels": labels, "probabilities": probabilities})
    except KitError as error:
        notes.append(f"the answers to training rows are not kept: {error}")
    return labels, probabilities


def _of_parts(parts: dict[str, Evaluation], names: Sequence[str]) -> list[str]:
    notes = []
    for part, found in parts.items():
        if found.selected:
            notes.append(f"{PART_TITLES[part]}: its rows had a say in the training, so that its figures are too good")
        if found.missing_classes:
            missing = ", ".join(names[label] for label in found.missing_classes)
            notes.append(f"{PART_TITLES[part]}: it has no rows of {missing}")
    return notes


def _best_epochs(run: RunDirectory, recipe: dict[str, Any], metric: str, notes: list[str]) -> tuple[BestEpoch, ...]:
    found, unwatched = [], []
    folds = run.begun_folds()
    for fold in folds:
        number = 0 if fold.path == run.path else fold.number
        name = "the training" if fold.path == run.path else f"fold {number}"
        try:
            curves = fold.read_curves()
        except KitError as error:
            notes.append(str(error))
            continue
        best = best_of_curves(number, curves, recipe.get("monitor", "score"), metric)
        found.append(best)
        unwatched += [] if best.by else [name]
        for loss in ("loss", "validation_loss") if best.by else ("loss",):
            lost = ~np.isfinite(curves.get(loss, np.full(best.epochs, np.nan)))
            if lost.any():
                notes.append(
                    f"the {loss.replace('_', ' ')} of {name} is not a number in {_epochs(curves['epoch'][lost])}"
                )
    if unwatched:
        notes.append(f"no rows watched {', '.join(unwatched)}: the last epoch is told instead of the best")
    if not folds:
        notes.append(f"there is no history.csv in {run.path}: no epoch has ended")
    return tuple(found)


def _epochs(numbers: np.ndarray) -> str:
    listed = ", ".join(f"{number:.0f}" for number in numbers[:5])
    return f"epoch{'s' if len(numbers) > 1 else ''} {listed}{' and others' if len(numbers) > 5 else ''}"
