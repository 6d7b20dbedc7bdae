"""From words to the things they name: a competition on its data, a recipe, the images of a run."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from competitions import competition_names, named_recipes, open_competition
from kit.errors import DataError, KitError, RecipeError, RunError

if TYPE_CHECKING:
    from kit.data.claims import Claim
    from kit.data.images import Competition, Images
    from kit.deploy.model_file import ModelCard
    from kit.training.recipe import Recipe
    from kit.training.runs import RunDirectory

StrPath = str | os.PathLike[str]
_CYCLIC = ("warm_restarts", "triangular")


def open_task(
    competition: str, data: StrPath | None = None, *, labels: str | int | None = None, image_size: int | None = None
) -> Competition:
    """Open a competition by its spec, with options that the command line has words of their own for."""
    from kit.registry import with_options

    if isinstance(labels, str) and labels.isdecimal():  # as the command line has it
        labels = int(labels)
    spec = with_options(competition, labels=labels, image_size=image_size)
    return open_competition(spec, Path(data) if data is not None else None)


def open_for_model(card: ModelCard, data: Path | None) -> Competition:
    """Open the competition of a model file; where the training files are not, by what the file knows."""
    from kit.data.images import Trained

    known = Trained(card.label_values, card.input_shape, card.id_column, card.target_column)
    return open_competition(card.competition, data, known)


def known_competitions() -> list[str]:
    """The names of all competitions."""
    return competition_names()


def claims_of_competition(name: str) -> dict[str, Claim]:
    """What is claimed of a competition's recipes, by their names; nothing of one that is no longer there."""
    from kit.data.claims import claims_of

    return claims_of(named_recipes(name)) if name in competition_names() else {}


def nothing_trained(run: RunDirectory) -> RunError:
    """What to raise where a run has no model that was scored."""
    if run.is_locked:
        return RunError(f"the run {run.path} has no scored model yet: it is being trained now, wait for it")
    return RunError(
        f"the run {run.path} has no scored model: its training was cut off before its end (log.txt and history.csv in "
        f"it say where); {run.way_on}, with a --time-limit if time is short"
    )


def load_training_images(competition: Competition) -> Images:
    """The labelled images of a competition, which may be anybody's code.

    Raises:
        DataError: they are not what the competition says.
    """
    from kit.data.contract import broken_promises_of

    images = competition.load_train()
    return _unbroken(competition, images, broken_promises_of(competition, images))


def load_test_images(competition: Competition) -> Images:
    """The test images of a competition, labelled or not.

    Raises:
        DataError: they are not what the competition says.
    """
    from kit.data.contract import broken_promises_of_test

    images = competition.load_test()
    return _unbroken(competition, images, broken_promises_of_test(competition, images))


def _unbroken(competition: Competition, images: Images, broken: list[str]) -> Images:
    if broken:
        raise DataError(f"competition {competition.name!r}: {broken[0]}: mend its module or its files")
    return images


def with_test_images(competition: Competition, train: Images) -> tuple[Images, Images | None]:
    """The training images, and the test images; where those cannot be read, a note of the former says why."""
    try:
        return train, load_test_images(competition)
    except KitError as error:  # the training images are worth a look without them
        return replace(train, notes=(*train.notes, f"the test images were not looked at: {error}")), None


def resolve_recipe(competition: Competition, name: str | None, changes: dict[str, Any]) -> Recipe:
    """The recipe that a name and changes to it make, checked in every field.

    Who ends a training for lack of progress wants its best epoch: ``patience`` alone also sets ``keep`` to ``best``.
    And ``snapshots`` alone sets ``keep`` to them, and a schedule with so many cycles where there is none. A network of
    ``keras.applications`` brings the scaling of its pixels along, unless a recipe of that model has another. Where the
    competition's own test images are labelled, no training rows are held out for a test, unless the recipe wants it.

    Raises:
        RecipeError: anything in it that does not exist or does not fit; of a file, also before the changes.
    """
    from kit.models import MODELS
    from kit.registry import unknown_name
    from kit.training.recipe import Recipe, model_name

    changes = {field: value for field, value in changes.items() if value is not None}
    if name is None:
        model = changes.pop("model", competition.default_model)
        base = {**competition.recipes.get(model_name(model), {})}
        if model != model_name(model) or not base:  # else the bare name means the model as its recipe has it
            base["model"] = model
    elif name in competition.recipes:
        base = dict(competition.recipes[name])
    elif Path(name).is_file():
        base = _recipe_from_file(Path(name), competition)
    elif Path(name).suffix == ".json":
        raise RecipeError(f"the recipe {name} is not there: name a recipe.json of a run, or see 'kit recipes'")
    else:
        valid = [*competition.recipes, "or the path of a recipe.json"]
        raise RecipeError(unknown_name(f"recipe of {competition.name}", name, valid))
    usual = {"metric": competition.metric, **({"split": "holdout_90_10"} if competition.test_is_labelled else {})}
    resolved = {**usual, **base, "competition": competition.spec, **changes}
    backbone = getattr(MODELS[model_name(resolved["model"])], "backbone", None)
    is_its_own = "normalization" in base and model_name(base["model"]) == model_name(resolved["model"])
    if backbone and "normalization" not in changes and not is_its_own:
        resolved["normalization"] = backbone.normalization
    keeps = {**(base if "patience" not in changes else {}), **changes}.get("keep")
    if resolved.get("patience") and keeps is None and not resolved.get("snapshots"):
        resolved["keep"] = "best"
    if changes.get("snapshots"):
        resolved["keep"] = changes.get("keep", "snapshots")
        if "schedule" not in changes and not str(resolved.get("schedule")).startswith(_CYCLIC):
            epochs = resolved.get("epochs", Recipe.epochs)
            resolved["schedule"] = f"warm_restarts(period={epochs / changes['snapshots']:.17g})"
    for field in ("weights", "pseudo_labels", "distill"):
        path = str(resolved.get(field, ""))
        if path not in ("", "random", "imagenet") and Path(path).exists():
            resolved[field] = str(Path(path).resolve())  # a recipe is repeated from other directories too
    return Recipe.from_dict(resolved)


def _recipe_from_file(path: Path, competition: Competition) -> dict[str, Any]:
    from kit.training.recipe import Recipe

    try:
        recipe = json.loads(path.read_text(encoding="utf-8"))["recipe"]
        of = recipe["competition"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise RecipeError(f"{path} is not a recipe.json of a run") from None
    if of != competition.spec:
        raise RecipeError(f"{path} is a recipe of {of}, expected one of {competition.spec}")
    try:
        Recipe.from_dict(recipe)  # what follows takes its fields for what they should be
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from None
    return dict(recipe)


def saved_competition(saved: dict[str, Any]) -> Competition:
    """The competition of a run, on the files where the run found them, or on those that KIT_DATA has now."""
    data = saved_data(saved, "set KIT_DATA to where they are now")
    return open_competition(saved["recipe"]["competition"], data)


def training_images(saved: dict[str, Any], competition: Competition) -> Images:
    """The images that a run was trained on.

    Raises:
        RunError: the images there are others.
    """
    from kit.training.summary import images_hash, order_hash

    images = competition.load_train()
    order = saved["images"].get("order")  # rows are known by their numbers
    if images_hash(images) != saved["images"]["hash"] or order not in (None, order_hash(images)):
        raise RunError(
            f"the {competition.name} images are not those that this run was trained on, or stand in another order, or "
            f"have other ids: put those back into {saved['data']}"
        )
    return images


def saved_data(saved: dict[str, Any], fix: str) -> Path | None:
    """Where a run found its data; None, which is where data is looked for by default, if KIT_DATA replaces it.

    Raises:
        DataError: it is gone, and nothing replaces it. Other data must not be taken for it.
    """
    if saved["data"] is None or Path(saved["data"]).exists():
        return saved["data"] and Path(saved["data"])
    if not os.environ.get("KIT_DATA"):
        raise DataError(f"this run was trained on the files in {saved['data']}, which is gone: {fix}")
    return None
