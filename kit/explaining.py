"""Where in an image a run sees a class: images and class-activation maps, as a picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kit.data.images import class_title
from kit.errors import DataError, RecipeError, RunError
from kit.members import open_members
from kit.opening import StrPath, load_test_images, nothing_trained, saved_competition, training_images
from kit.predicting import input_images, load_models
from kit.training.fold_directory import FoldDirectory
from kit.training.runs import RunDirectory, open_run

if TYPE_CHECKING:
    from kit.deploy.model_file import Model, ModelCard
    from kit.models.activation import ActivationMap
    from kit.report.explanation import Explained

MOST_IMAGES = 12  # of a picture


@dataclass(frozen=True)
class Explanation:
    """What ``explain`` found and drew.

    images: with their maps and probabilities.
    class_names: in the order of the probabilities, with the competition's values where they are others.
    layer, layer_shape: what was looked at, and its (height, width, channels).
    models: that were asked, of each image.
    notes: what a reader should know, a line each.
    """

    path: Path
    images: tuple[Explained, ...]
    class_names: tuple[str, ...]
    layer: str
    layer_shape: tuple[int, int, int]
    models: tuple[tuple[Path, ...], ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """What is not drawn, as JSON has it; classes by their names."""
        images = [
            {
                "id": image.id,
                "label": None if image.label is None else self.class_names[image.label],
                "explained": self.class_names[image.explained],
                "probability": float(image.probabilities[image.explained]),
                "likeliest": [
                    {"class": self.class_names[i], "probability": float(image.probabilities[i])}
                    for i in image.likeliest
                ],
                "models": [str(path) for path in models],
            }
            for image, models in zip(self.images, self.models, strict=True)
        ]
        layer = {"layer": self.layer, "layer_shape": list(self.layer_shape)}
        return {"path": str(self.path), **layer, "notes": list(self.notes), "images": images}


@dataclass(frozen=True)
class _Chosen:
    """Images to look at, and whom to ask about each of them.

    pixels: uint8 (images, height, width, channels). labels: class indices, where they are known.
    """

    ids: list[str]
    pixels: np.ndarray
    folds: list[list[FoldDirectory]]
    labels: list[int | None]
    notes: list[str] = field(default_factory=list)


def explain(
    run: RunDirectory | StrPath | None = None,
    input: StrPath | None = None,
    *,
    ids: Sequence[str | int] = (),
    test: bool = False,
    class_name: str | None = None,
    out: StrPath = "explain.png",
    runs: StrPath = "runs",
) -> Explanation:
    """Draw what in an image speaks for a class, as a run's models see it (HiResCAM, arXiv 2011.08891).

    Args:
        run: a run, or its path; by default the newest one in ``runs``.
        input: a picture, or whatever else ``predict`` takes, of which the first images are shown.
        ids: of training images of the competition, instead of ``input``. Of an image that was held out, only the models
            are asked that had not seen it.
        test: the ids are of test images.
        class_name: the class to explain, or the competition's value for it; by default each image's likeliest.
        out: the picture to write: PNG, SVG or PDF.

    Returns:
        What was drawn; the probabilities are those of ``predict``.

    Raises:
        KitError: something that the caller can mend; nothing was written then.
    """
    from kit.report.drawing import drawing
    from kit.report.explanation import draw_explanations
    from kit.report.pictures import check_picture, save_picture

    path = Path(out)
    check_picture(path)
    if (input is None) == (not ids) or len(ids) > MOST_IMAGES:
        raise DataError(
            f"received {len(ids)} ids and {'no' if input is None else 'an'} --input: name the image to explain, by "
            f"either --input or up to {MOST_IMAGES} times --id"
        )
    if input is not None and path.exists() and Path(input).exists() and path.samefile(input):
        raise DataError(f"--out {path} is the --input itself, which would be lost: name another picture")
    run = open_run(run, Path(runs))
    if not run.trained_folds():
        raise nothing_trained(run)
    (member,) = open_members([run], Path(runs))
    (loaded,) = load_models([member])
    card = loaded[0].card
    names = [class_title(*each) for each in zip(card.class_names, card.label_values, strict=True)]
    wanted = None if class_name is None else _class_index(class_name, card, names)
    named = [str(each) for each in ids]
    chosen = _of_ids(named, run, test) if input is None else _of_input(Path(input), run, card)
    images, found = _explained(run, {model.path: model for model in loaded}, chosen, wanted)
    models = tuple(tuple(file for fold in folds for file in fold.model_files.values()) for folds in chosen.folds)
    notes = (*chosen.notes, *_remarks(run, images, names))
    explanation = Explanation(path, images, tuple(names), found.layer, found.layer_shape, models, notes)
    with drawing():  # where a dollar sign is one
        save_picture(draw_explanations(images, names, _caption(run, explanation)), path)
    return explanation


def _class_index(wanted: str, card: ModelCard, titles: Sequence[str]) -> int:
    from kit.registry import unknown_name

    for known in (card.class_names, [str(value) for value in card.label_values], titles):
        if wanted in known:
            return list(known).index(wanted)
    raise RecipeError(unknown_name("class", wanted, card.class_names))


# --- which images -----------------------------------------------------------------------------------------


def _of_input(path: Path, run: RunDirectory, card: ModelCard) -> _Chosen:
    source = input_images(path, card)
    with closing(source.read(min(len(source.ids), MOST_IMAGES))) as windows:  # type: ignore[type-var]
        pixels = np.array(next(windows))
    shown, rows = len(pixels), len(source.ids)
    ids = [str(name) for name in source.ids[:shown]]
    notes = [f"the first {shown} of {rows:,} images"] if shown < rows else []
    return _Chosen(ids, pixels, [run.trained_folds()] * shown, [None] * shown, notes)


def _of_ids(wanted: list[str], run: RunDirectory, test: bool) -> _Chosen:
    saved = run.read_recipe()
    competition = saved_competition(saved)
    images = load_test_images(competition) if test else training_images(saved, competition)
    part = "test" if test else "training"
    row_of = {str(name): row for row, name in enumerate(images.ids.tolist())}
    if missing := [name for name in wanted if name not in row_of]:
        raise DataError(
            f"there is no {part} image with the id {missing[0]!r}: expected one such as {images.ids[0]} or "
            f"{images.ids[-1]}" + ("" if test else ", or add --test for those of the test images")
        )
    rows = [row_of[name] for name in wanted]
    labels = [None if images.labels is None else int(images.labels[row]) for row in rows]
    everybody = run.trained_folds()
    parts = ("validation", "test") if run.tests_own_rows else ("validation",)
    held_out = [] if test else [(fold, _held_out(fold, parts)) for fold in everybody]
    folds = [[fold for fold, known in held_out if name in known] for name in wanted]
    notes = [] if test else _who_was_asked(wanted, folds, len(everybody))
    asked = [those or everybody for those in folds]
    return _Chosen([f"{part} image {name}" for name in wanted], images.pixels[rows], asked, labels, notes)


def _held_out(fold: FoldDirectory, parts: Sequence[str]) -> set[str]:
    """Ids of the rows that a model was scored on."""
    arrays = fold.read_predictions()
    return {str(name) for part in parts for name in arrays.get(f"{part}_ids", np.empty(0)).tolist()}


def _who_was_asked(ids: list[str], folds: list[list[FoldDirectory]], models: int) -> list[str]:
    notes = []
    if models > 1 and any(folds):
        notes.append("training images are answered by the models that had not seen them")
    if seen := [name for name, those in zip(ids, folds, strict=True) if not those]:
        notes.append(f"all models were trained on {', '.join(seen)}, and may know the answer by heart")
    return notes


# --- what is said of them ---------------------------------------------------------------------------------


def _explained(
    run: RunDirectory, loaded: Mapping[Path, Model], chosen: _Chosen, wanted: int | None
) -> tuple[tuple[Explained, ...], ActivationMap]:
    from kit.models.activation import activation_map
    from kit.report.explanation import Explained

    classifiers = _classifiers(run)
    explained = []
    for name, pixels, folds, label in zip(chosen.ids, chosen.pixels, chosen.folds, chosen.labels, strict=True):
        answer = _answer([loaded[file] for fold in folds for file in fold.model_files.values()], pixels)
        index = int(np.argmax(answer)) if wanted is None else wanted
        try:
            maps = [activation_map(model, pixels, index) for fold in folds for model in classifiers(fold)]
        except RecipeError as error:
            raise RunError(f"{run.path} cannot be explained: {error}") from None
        heat = np.mean([each.heat for each in maps], axis=0)
        explained.append(Explained(name, pixels, heat, answer, index, label))
    return tuple(explained), maps[0]


def _answer(models: Sequence[Model], pixels: np.ndarray) -> np.ndarray:
    """The probabilities (classes,) that ``predict`` tells."""
    from kit.deploy.predict import Ensemble

    return Ensemble((tuple(models),)).answer(pixels[np.newaxis])[0]


def _classifiers(run: RunDirectory) -> Callable[[FoldDirectory], list[Any]]:
    """A function that loads the models of a fold, each once."""
    from kit.training.weights import load_classifier

    loaded: dict[Path, list[Any]] = {}

    def of(fold: FoldDirectory) -> list[Any]:
        if fold.path not in loaded:
            loaded[fold.path] = [load_classifier(fold, which) for which in fold.model_files]
        return loaded[fold.path]

    return of


def _remarks(run: RunDirectory, images: Sequence[Explained], names: Sequence[str]) -> list[str]:
    remarks = [
        f"{image.id}: nothing in this layer speaks for {names[image.explained]}"
        for image in images
        if not image.heat.any()
    ]
    tta = run.trained_folds()[0].read_architecture().tta
    if tta != "none":
        remarks.append(f"probabilities are means over the views of {tta}; the maps are of the images as they are")
    return remarks


def _caption(run: RunDirectory, explanation: Explanation) -> list[str]:
    height, width, channels = explanation.layer_shape
    most = max(map(len, explanation.models))
    averaged = f"; mean of {most} models' maps" if most > 1 else ""
    return [
        f"{run.path.parent.name}, run {run.path.name}: "
        f"layer {explanation.layer}, {channels} features of {height}×{width}{averaged}",
        *explanation.notes,
    ]
