"""What is done with a competition's data before and after a training: check, folds, preview, prepare, score, new."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.errors import RecipeError
from kit.opening import StrPath, load_training_images, open_task, with_test_images

if TYPE_CHECKING:
    from kit.data.audit import Audit


def check(
    competition: str,
    data: StrPath | None = None,
    *,
    labels: str | int | None = None,
    image_size: int | None = None,
    near: float = 0.0,
) -> Audit:
    """Look for what spoils a training or its score: duplicates, conflicting labels, leaks, uneven classes.

    Args:
        near: also count pairs of images that differ by at most this many grey levels (root mean square).
    """
    from kit.data.audit import audit
    from kit.data.folds import check_near

    task = open_task(competition, data, labels=labels, image_size=image_size)
    check_near(near)
    train, test = with_test_images(task, load_training_images(task))
    return audit(train, test, task.class_names, near)


def folds(
    competition: str,
    out: StrPath,
    folds: int = 5,
    *,
    group: str | None = None,
    near: float = 0.0,
    seed: int = 0,
    data: StrPath | None = None,
    labels: str | int | None = None,
    image_size: int | None = None,
) -> list[int]:
    """Deal the training images into stratified folds and write them as a CSV of ``id,fold``.

    Returns:
        The number of images of each fold.
    """
    import numpy as np

    from kit.data.folds import make_split
    from kit.data.folds_file import write_folds_file
    from kit.registry import with_options

    split = make_split(with_options("stratified_kfold", folds=folds, group=group, near=near or None))
    _check_seed(seed)
    images = load_training_images(open_task(competition, data, labels=labels, image_size=image_size))
    hand = np.empty(len(images), np.int64)
    parts = split.make_folds(images, seed)
    for number, part in enumerate(parts):
        hand[part.validation] = number
    write_folds_file(Path(out), images.ids, hand)
    return [len(part.validation) for part in parts]


def _check_seed(seed: int) -> None:
    if not 0 <= seed < 2**32:
        raise RecipeError(f"seed is {seed}, expected a whole number from 0 to {2**32 - 1}")


def preview(
    competition: str,
    augment: str,
    out: StrPath,
    *,
    extremes: bool = False,
    seed: int = 0,
    data: StrPath | None = None,
    labels: str | int | None = None,
    image_size: int | None = None,
) -> Path:
    """Draw training images and what an augmentation spec makes of them.

    Args:
        extremes: draw one image instead, under each augmentation of the spec at the ends of what it draws.
    """
    from kit.report.pictures import check_picture
    from kit.report.preview import write_preview
    from kit.training.augment import augmentation
    from kit.training.augment.catalog import check_reach

    _check_seed(seed)
    check_picture(Path(out))
    augmentation(augment)  # a wrong word is told before any file is read
    task = open_task(competition, data, labels=labels, image_size=image_size)
    check_reach(augment, task.image_shape)
    return write_preview(load_training_images(task), task.class_names, augment, Path(out), seed, extremes=extremes)


def score(submission: StrPath, answers: StrPath, metric: str | None = None, public: float = 0.3) -> dict[str, Any]:
    """Score a submission against held-out answers; see :func:`kit.deploy.leaderboard.score_submission`."""
    from kit.deploy.leaderboard import score_submission

    return score_submission(Path(submission), Path(answers), metric, public)


def prepare(competition: str, out: StrPath | None = None, data: StrPath | None = None) -> list[Path]:
    """Write a competition's files from the public data set behind it, with the test answers in a file of their own.

    Raises:
        DataError: there is no such data set, or no network.
    """
    task = open_task(competition, data)
    if task.prepare is None:
        raise RecipeError(f"there is no public data set to make files of {task.name} from: bring its own files")
    return task.prepare(Path(out) if out else Path("data") / task.name)


def new_competition(name: str) -> list[Path]:
    """Write a commented competition module and its test into the working directory's ``competitions``.

    Raises:
        RecipeError: the name is taken, or is no name of a Python module.
    """
    import importlib.resources
    import importlib.util
    import keyword

    from competitions import OWN_DIRECTORY, competition_names
    from kit.files import write_text

    if not (name.isidentifier() and name.islower() and not name.startswith(("_", "test_"))):
        raise RecipeError(f"competition name {name!r}: expected lower-case letters, digits and _, such as leaf_disease")
    if keyword.iskeyword(name) or importlib.util.find_spec(name) is not None:
        raise RecipeError(f"competition name {name!r}: Python has a meaning for it; choose another name")
    written = {
        OWN_DIRECTORY / f"{name}.py": "competition.txt",
        OWN_DIRECTORY / f"test_{name}.py": "test_competition.txt",
    }
    for path in written:
        if path.exists():
            raise RecipeError(f"{path} exists and is never overwritten: choose another name")
    if name in competition_names():
        raise RecipeError(f"there is a competition {name!r} already: choose another name")
    templates = importlib.resources.files("kit.data") / "templates"
    try:
        for path, template in written.items():
            write_text(path, (templates / template).read_text(encoding="utf-8").replace("NAME", name))
    except OSError:
        for path in written:  # one without the other would keep the name from being taken again
            with suppress(OSError):
                path.unlink()
        raise
    return list(written)
