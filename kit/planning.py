"""What a training will do: settled from a person's words, and checked, before any file is written."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.errors import DataError, RecipeError, RunError
from kit.opening import (
    StrPath,
    load_test_images,
    load_training_images,
    open_task,
    resolve_recipe,
    saved_competition,
    training_images,
)
from kit.teaching import taught

if TYPE_CHECKING:
    from kit.data.folds import Fold
    from kit.data.images import Competition, Images
    from kit.training.fold_directory import FoldDirectory
    from kit.training.recipe import Recipe
    from kit.training.rehearsal import Rehearsal
    from kit.training.runs import RunDirectory
    from kit.training.switches import Switches

logger = logging.getLogger("kit")


@dataclass(frozen=True)
class Plan:
    """A training that can begin.

    folds: all of the split, once for each seed; ``chosen`` are the numbers of those that are trained.
    test: the competition's own labelled test images, where no fold holds out test rows.
    parameters, trainable_parameters: of the model; a recipe may keep some of the latter still in its first epochs.
    """

    competition: Competition
    recipe: Recipe
    switches: Switches
    images: Images
    folds: tuple[Fold, ...]
    chosen: tuple[int, ...]
    test: Images | None
    parameters: int
    trainable_parameters: int
    seeds: int = 1
    labelled: Images | None = None  # by the competition, where ``images`` has others too
    trained: tuple[int, ...] = ()  # epochs of each chosen fold, where a run goes on

    def recipe_of(self, number: int) -> Recipe:
        """The recipe of a fold: those of a further seed differ in it, and have the rows of the first."""
        return replace(self.recipe, seed=self.recipe.seed + number // (len(self.folds) // self.seeds))

    @property
    def steps_per_epoch(self) -> tuple[int, ...]:
        """Of each chosen fold."""
        from kit.training.batches import steps_per_epoch

        return tuple(steps_per_epoch(len(self.folds[n].train), self.recipe.batch_size) for n in self.chosen)

    @property
    def steps(self) -> int:
        """Of all chosen folds, if none ends early."""
        return self.recipe.planned_epochs * sum(self.steps_per_epoch)


@dataclass(frozen=True)
class Estimate:
    """How long a plan takes on this machine, from what its first fold was measured to take.

    seconds: if every step is like the median one; ``fastest`` and ``slowest``, if like the first and last tenth.
        A machine that is busier or calmer later is not foreseen. Reading the data and the ONNX export come on top.
    """

    rehearsal: Rehearsal
    seconds: float
    fastest: float
    slowest: float


def plan_training(
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
    **changes: Any,
) -> Plan:
    """Settle everything that a training needs. See ``kit.api.train`` for the arguments.

    Raises:
        KitError: something that the caller can mend.
    """
    import numpy as np

    from kit.data.folds import make_split, separated_duplicates, shared_images, unwatched, watched_apart
    from kit.training.switches import resolve_switches

    if folds is not None and changes.get("split") is not None:
        raise RecipeError("split and folds both say how to split: give one of them")
    if not 1 <= seeds <= 1000:
        raise RecipeError(f"seeds is {seeds}, expected a whole number from 1 to 1000")
    changes["split"] = _split_spec(folds, repeats, group) or changes.get("split")
    _check_changes(changes)
    task = open_task(competition, data, labels=labels, image_size=image_size)
    resolved = resolve_recipe(task, recipe, changes)
    if resolved.seed + seeds > 2**32:
        raise RecipeError(
            f"seed is {resolved.seed} with {seeds} seeds, which count up from it: expected at most {2**32 - seeds}"
        )
    split = make_split(resolved.split)
    _check_fold(fold, split.num_folds, resolved.split)
    switches = resolve_switches(resolved.precision, resolved.deterministic)
    parameters, trainable = _parameters(resolved, task)
    images = load_training_images(task)
    parts = split.make_folds(images, resolved.seed)
    _check_fold(fold, len(parts), resolved.split)
    if len(parts) > 1:  # out-of-fold rows are scored once
        chooses, seed = resolved.chooses, resolved.seed
        parts = [watched_apart(part, images, split, seed) if chooses else unwatched(part) for part in parts]
    test = _labelled_test(task, parts)
    duplicates = separated_duplicates(images, parts), test and shared_images(images, test)
    labelled, images = images, taught(images, task, resolved)
    extra = np.arange(len(labelled), len(images))
    parts = [replace(part, train=np.concatenate([part.train, extra])) for part in parts]
    for line in (*resolved.without_effect(), *images.notes, *duplicates):
        if line:
            logger.warning(line)
    chosen = tuple(n for n in range(seeds * len(parts)) if fold is None or n % len(parts) == fold)
    return Plan(
        task, resolved, switches, images, tuple(parts) * seeds, chosen, test, parameters, trainable, seeds, labelled
    )


def plan_resumption(run: RunDirectory, changes: Mapping[str, Any]) -> Plan:
    """A run as it was planned, and how much of it is trained.

    Args:
        changes: recipe fields that somebody names again; they must be what the run has.

    Raises:
        KitError: the run was planned otherwise, or its images, or the machine, are others now.
    """
    from kit.training.checkpoints import differences
    from kit.training.recipe import Recipe, recipe_hash
    from kit.training.summary import taught_hash
    from kit.training.switches import resolve_switches

    saved = run.read_recipe()
    recipe = Recipe.from_dict(saved["recipe"])
    asked = {name: _as_saved(name, value) for name, value in changes.items() if value is not None}
    if changed := differences({name: saved["recipe"].get(name) for name in asked}, asked):
        raise RunError(f"{run.path} cannot go on with another recipe: {'; '.join(changed)}: train a new run")
    if recipe_hash(saved["recipe"]) != saved["recipe_hash"]:  # as it was saved: later versions know more fields
        raise RunError(f"{run.path}/recipe.json was changed since the run began: put it back, or train a new run")
    switches = resolve_switches(recipe.precision, recipe.deterministic)
    if changed := differences(saved["resolved"], {**asdict(switches), "cores": saved["resolved"]["cores"]}):
        raise RunError(f"{run.path} cannot go on here: {'; '.join(changed)}")
    before = {**saved["versions"], "cores": saved["resolved"]["cores"]}
    if changed := differences(before, {**_versions(saved["versions"]), "cores": switches.cores}):
        logger.warning("%s; the rest of the run may round otherwise than its beginning", "; ".join(changed))
    competition = saved_competition(saved)
    labelled = training_images(saved, competition)
    images = taught(labelled, competition, recipe)
    if taught_hash(images) != saved.get("taught"):
        raise RunError(f"{run.path} cannot go on: its pseudo_labels or its teacher are others now; put them back")
    parts = tuple(run.read_split())
    parameters, trainable = _parameters(recipe, competition)
    test = _labelled_test(competition, parts)
    chosen = tuple(saved.get("folds", range(len(parts))))
    seeds = saved.get("seeds", 1)
    trained = tuple(_epochs_trained(run.fold(n, len(parts)), recipe) for n in chosen)
    return Plan(
        competition, recipe, switches, images, parts, chosen, test, parameters, trainable, seeds, trained=trained
    )


def _epochs_trained(fold: FoldDirectory, recipe: Recipe) -> int:
    """All, where it is finished, though patience may have ended it sooner."""
    if fold.is_finished:
        return recipe.planned_epochs
    try:
        return len(fold.read_history())
    except RunError:  # not begun, or damaged, as the training will tell
        return 0


def _as_saved(field: str, value: Any) -> Any:
    """A path as a recipe has it."""
    is_path = field in ("weights", "pseudo_labels", "distill") and value not in ("random", "imagenet", "")
    return str(Path(value).resolve()) if is_path else value


def _versions(of: Mapping[str, str]) -> dict[str, str]:
    """What is installed now of the same packages."""
    import importlib.metadata
    import platform

    return {name: platform.python_version() if name == "python" else importlib.metadata.version(name) for name in of}


def plan_refit(run: RunDirectory) -> tuple[Plan, dict[str, Any]]:
    """The recipe of a cross-validated run on every row, for as many epochs as its folds have found.

    Where rows that were watched chose, they are trained on now: the epochs are the median of the folds', and the rate
    falls as it did in the fold with that many.

    Returns:
        The plan, and what the new run says of its origin: run, score, scored_on.

    Raises:
        KitError: the run is not whole, or has no folds; or its images are others now.
    """
    import numpy as np

    from kit.data.folds import Fold
    from kit.training.recipe import Recipe
    from kit.training.switches import resolve_switches

    saved, metrics = run.read_recipe(), run.read_metrics()
    whole = len(run.trained_folds()) == len(run.read_split())
    if "out_of_fold" not in metrics or metrics["status"] != "complete" or not whole:
        raise RunError(f"{run.path} is no complete cross-validation to refit: train one with --folds 5")
    recipe = Recipe.from_dict(saved["recipe"])
    if recipe.chooses:
        recipe = _as_found(recipe, run)
    competition = saved_competition(saved)
    labelled = training_images(saved, competition)
    images = taught(labelled, competition, recipe)
    none = np.empty(0, np.int64)
    fold = Fold(np.arange(len(images)), none, none)
    parameters, trainable = _parameters(recipe, competition)
    test, switches = _labelled_test(competition, [fold]), resolve_switches(recipe.precision, recipe.deterministic)
    of_selected = ", selected" if metrics["out_of_fold"]["selected"] else ""
    origin = {"run": str(run.path), "score": metrics["score"], "scored_on": metrics["scored_on"] + of_selected}
    return Plan(competition, recipe, switches, images, (fold,), (0,), test, parameters, trainable, 1, labelled), origin


def _as_found(recipe: Recipe, run: RunDirectory) -> Recipe:
    """A recipe that chooses nothing, and does what the choices of a run's folds were."""
    from kit.training.control import PLATEAUS, best_epoch, quality

    histories = [fold.read_history() for fold in run.trained_folds()]
    kept = [best_epoch(h, recipe.monitor, recipe.metric).epoch if recipe.keep == "best" else len(h) for h in histories]
    middle = sorted(range(len(kept)), key=kept.__getitem__)[len(kept) // 2]
    if recipe.snapshots:
        raise RecipeError(
            "snapshots with patience or a plateau cannot be refitted: leave those out of the folds' recipe"
        )
    plateau = "none"
    if recipe.plateau != "none":
        if recipe.frozen_epochs:
            raise RecipeError("a plateau after frozen epochs cannot be refitted: take a schedule of its own")
        reduced = PLATEAUS.bind_one(recipe.plateau)()
        qualities = [quality(epoch, recipe.monitor, recipe.metric) for epoch in histories[middle]]
        plateau = f"follow({tuple(reduced(qualities[:number]) for number in range(kept[middle]))})"
    return replace(recipe, keep="last", patience=0, monitor="score", plateau=plateau, stop_after=kept[middle])


def estimate(plan: Plan) -> Estimate:
    """Measure how long a plan takes, by some steps of its first fold; writes nothing.

    Raises:
        KitError: what would also end the training at its start.
    """
    from kit.training.rehearsal import rehearse

    recipe, first = plan.recipe, plan.chosen[0]
    classes = len(plan.competition.label_values)
    measured = rehearse(plan.images, plan.folds[first], recipe, plan.switches, classes, first)
    sizes = [steps / plan.steps_per_epoch[0] for steps in plan.steps_per_epoch]  # of folds, beside the first
    folds = [
        (size, trained)
        for size, trained in zip(sizes, plan.trained or [0] * len(sizes), strict=True)
        if trained < recipe.planned_epochs
    ]
    fold_seconds = (
        sum(size * measured.seconds(quantile, trained) for size, trained in folds) for quantile in (0.5, 0.1, 0.9)
    )
    return Estimate(measured, *fold_seconds)


def _check_changes(changes: dict[str, Any]) -> None:
    """Refuse a wrong word before the competition is opened, which may read many files."""
    from kit.training.recipe import Recipe
    from kit.training.schedules import SCHEDULES

    # What a recipe may say beside these words is not known yet: here it is whatever lets most of them pass.
    lenient = {"competition": "any", "model": "deeper", "weights": "imagenet", "epochs": 100_000}
    later = {"schedule"}  # whose numbers are weighed against the rate and the epochs
    if isinstance(changes.get("schedule"), str):
        SCHEDULES.bind(changes["schedule"])
    if (
        changes.get("snapshots") or changes.get("keep") == "snapshots"
    ):  # whether the rate has so many minima, and that they are kept, follows from the rest
        later |= {"snapshots", "keep"}
    known = {name: value for name, value in changes.items() if value is not None and name not in later}
    Recipe.from_dict(lenient | {"schedule": "constant"} | known)


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
        if num_folds == 1:
            raise RecipeError(f"fold is {fold}, but split {split!r} has one fold, 0: --folds deals more")
        expected = f"0 to {num_folds - 1}" if num_folds else "0 or more"
        raise RecipeError(f"fold is {fold}, expected {expected}, counting from 0, with split {split!r}")


def _labelled_test(competition: Competition, folds: Sequence[Fold]) -> Images | None:
    """The competition's test images where their labels are known and the split holds out no test rows itself."""
    if not competition.test_is_labelled or all(len(fold.test) for fold in folds):
        return None
    try:
        return load_test_images(competition)
    except DataError as error:  # people may train before they have the test files
        logger.warning("the test images are not scored: %s", error)
        return None


def _parameters(recipe: Recipe, competition: Competition) -> tuple[int, int]:
    """The numbers of all parameters of a recipe's model, and of those that are trained; checked to be buildable."""
    from kit.training.buildable import check_buildable

    return check_buildable(recipe, competition.image_shape, len(competition.label_values))
