"""What is to be seen of a competition's images before anything is trained on them: ``kit eda``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.errors import DataError
from kit.opening import StrPath, load_training_images, open_task, resolve_recipe, with_test_images

if TYPE_CHECKING:
    from kit.data.exploration import Exploration
    from kit.data.folds import Fold
    from kit.data.images import Competition, Images
    from kit.report.exploration import Normalized
    from kit.training.recipe import Recipe


@dataclass(frozen=True)
class Explored:
    """What :func:`eda` found, and the page that shows it, if one was written."""

    competition: Competition
    found: Exploration
    normalized: Normalized
    page: Path | None

    def to_dict(self) -> dict[str, Any]:
        """The numbers as JSON has them."""
        about = {"competition": self.competition.spec, "class_names": list(self.competition.class_names)}
        return {**about, **self.normalized.to_dict(), **self.found.to_dict()}


def eda(
    competition: str,
    data: StrPath | None = None,
    *,
    out: StrPath | None = None,
    write: bool = True,
    recipe: str | None = None,
    labels: str | int | None = None,
    image_size: int | None = None,
    near: float = 0.0,
) -> Explored:
    """Look at a competition's images, and write a page about them.

    Args:
        out: the page; by default ``COMPETITION-eda.html`` in the working directory.
        write: False for the numbers alone.
        recipe: whose split and normalisation are shown; by default those of the default model.
        near: also look for pairs of images that differ by at most this many grey levels (root mean square).

    Raises:
        KitError: something that the caller can mend; what was asked for is checked before any image is read.
    """
    from kit.data.exploration import explore_images
    from kit.data.folds import check_near
    from kit.registry import parse_spec
    from kit.report.exploration import write_exploration
    from kit.report.pages import PAGES, check_out

    check_near(near)
    path = Path(out) if out is not None else Path(f"{parse_spec(competition)[0].name}-eda.html")
    if write:
        check_out(path, *PAGES)
    task = open_task(competition, data, labels=labels, image_size=image_size)
    resolved = resolve_recipe(task, recipe, {})
    train, test = with_test_images(task, load_training_images(task))
    train, folds = _split(train, resolved)
    found = explore_images(train, test, task.class_names, folds, near)
    normalized = _normalized(train, folds, resolved)
    page = write_exploration(path, task, train, test, found, normalized) if write else None
    return Explored(task, found, normalized, page)


def _split(train: Images, recipe: Recipe) -> tuple[Images, list[Fold]]:
    """The folds that a training would have, none where there are too few rows; and what a note must say of them."""
    from kit.data.folds import make_split, separated_duplicates

    try:
        folds = make_split(recipe.split).make_folds(train, recipe.seed)
    except DataError as error:
        return replace(train, notes=(*train.notes, f"the split {recipe.split} cannot be made: {error}")), []
    separated = separated_duplicates(train, folds)
    return (replace(train, notes=(*train.notes, separated)) if separated else train), folds


def _normalized(train: Images, folds: list[Fold], recipe: Recipe) -> Normalized:
    import numpy as np

    from kit.report.exploration import Normalized
    from kit.training.normalization import NORMALIZATIONS

    rows = folds[0].train if folds else np.arange(len(train))
    scale, offset = NORMALIZATIONS.bind_one(recipe.normalization)(train.pixels, rows)
    return Normalized(recipe.normalization, recipe.split if folds else "", rows, scale, offset)
