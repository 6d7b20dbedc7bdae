"""Pictures of what an augmentation does.

Originals above, augmented versions of them below; or one image under each augmentation at its extremes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kit.data.images import Images
from kit.errors import DataError
from kit.report.pictures import save_picture
from kit.training.augment import augmentation
from kit.training.augment.catalog import Augmentation, Ranged, augmentation_stages

COLUMNS = 10  # images shown
ROWS = 5  # augmented versions of each
BATCH = 128  # images that are augmented together, so that mixing has partners as in a training
SHEET = 3  # rows and columns of a sheet of extremes, or more
DRAWS = 24  # of which the strongest are shown, where an augmentation does not know its own extremes
DRAWS_BATCH = 32  # images that are augmented together for each of them


def write_preview(
    images: Images, class_names: tuple[str, ...], spec: str, path: Path, seed: int = 0, *, extremes: bool = False
) -> Path:
    """Draw training images and what a spec makes of them, the classes in turn.

    Args:
        spec: such as ``flip|cutmix(0.25)``.
        path: the picture; its ending says the format, PNG, SVG or PDF.
        extremes: draw one image instead, under each augmentation of the spec at the ends of what it draws.

    Raises:
        RecipeError: the spec names something unknown.
        RunError: the picture cannot be written.
    """
    rows = _in_turn(images, seed)
    pixels, labels = images.pixels[rows], images.labels[rows]  # type: ignore[index]
    targets = np.eye(len(class_names), dtype=np.float32)[labels]
    names = [class_names[label] for label in labels]
    if extremes:
        panels = _panels(pixels[:DRAWS_BATCH], targets[:DRAWS_BATCH], spec, seed)
        figure = _sheet([(f"original: {names[0]}", pixels[0]), *panels])
    else:
        versions = [_augmented(pixels, targets, augmentation(spec), seed + number) for number in range(ROWS)]
        shown = min(COLUMNS, len(rows))
        figure = _draw(pixels[:shown], [version[:shown] for version in versions], names[:shown])
    return save_picture(figure, path)


def _in_turn(images: Images, seed: int) -> np.ndarray:
    """Row numbers of up to a batch of images: one of each class, then another of each, in a random order."""
    if images.labels is None:
        raise DataError("only labelled images can be shown by class")
    order = np.random.default_rng(seed).permutation(len(images))
    labels = images.labels[order]
    number_within = np.empty(len(order), np.int64)
    for label in np.unique(labels):
        number_within[labels == label] = np.arange((labels == label).sum())
    return order[np.lexsort((labels, number_within))][:BATCH]


def _augmented(pixels: np.ndarray, targets: np.ndarray, augment: Augmentation, seed: int) -> np.ndarray:
    """uint8 (batch, height, width, channels) -> the same, augmented."""
    import keras

    generator = keras.random.SeedGenerator(seed % 2**32)  # JAX takes no larger one
    return _changed(pixels, lambda images: augment(images, keras.ops.convert_to_tensor(targets), generator)[0])


def _changed(pixels: np.ndarray, change: Callable[[Any], Any]) -> np.ndarray:
    from keras import ops

    changed = ops.convert_to_numpy(change(ops.cast(pixels, "float32")))
    return np.rint(np.clip(changed, 0, 255)).astype(np.uint8)


def _panels(pixels: np.ndarray, targets: np.ndarray, spec: str, seed: int) -> list[tuple[str, np.ndarray]]:
    """What a sheet shows after the original, the first of the images: titles and uint8 (height, width, channels).

    An augmentation without ends of its own is shown by two draws. What fills the sheet is drawn from the whole spec.
    """
    panels: list[tuple[str, np.ndarray]] = []
    for name, stage in augmentation_stages(spec):
        if isinstance(stage, Ranged):
            panels += [(words, _changed(pixels[:1], change)[0]) for words, change in stage.extremes.items()]
        else:
            draws = np.stack([_augmented(pixels, targets, stage, seed + number)[0] for number in range(DRAWS)])
            panels += [(f"{name}, strong", image) for image in _furthest(draws, pixels[0])]
    rows, columns = _sheet_size(1 + len(panels) + 1)
    left = rows * columns - 1 - len(panels)
    whole = augmentation(spec)
    return panels + [("all, drawn", _augmented(pixels, targets, whole, seed + number)[0]) for number in range(left)]


def _furthest(draws: np.ndarray, original: np.ndarray) -> list[np.ndarray]:
    """Of uint8 (draws, ...), the one that is furthest from the original, and the one furthest from both."""

    def distances(image: np.ndarray) -> np.ndarray:
        return ((draws.astype(float) - image) ** 2).reshape(len(draws), -1).sum(axis=1)

    first = draws[np.argmax(distances(original))]
    if np.array_equal(first, original):
        return []
    return [first, draws[np.minimum(distances(original), distances(first)).argmax()]]


def _sheet_size(panels: int) -> tuple[int, int]:
    """Rows and columns."""
    columns = max(SHEET, math.ceil(math.sqrt(panels)))
    return max(SHEET, math.ceil(panels / columns)), columns


def _sheet(panels: list[tuple[str, np.ndarray]]) -> Any:
    from matplotlib.figure import Figure

    rows, columns = _sheet_size(len(panels))
    figure = Figure(figsize=(1.7 * columns, 1.9 * rows), layout="constrained")
    for axes, (title, image) in zip(figure.subplots(rows, columns).flat, panels, strict=True):
        _show(axes, image)
        axes.set_title(title, fontsize=8, parse_math=False)
    return figure


def _draw(originals: np.ndarray, versions: list[np.ndarray], names: list[str]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.1 * len(originals) + 0.9, 1.15 * (1 + len(versions))), layout="constrained")
    grid = figure.subplots(1 + len(versions), len(originals), squeeze=False)
    for row, pixels in enumerate([originals, *versions]):
        for axes, image in zip(grid[row], pixels, strict=True):
            _show(axes, image)
    for axes, name in zip(grid[0], names, strict=True):
        axes.set_title(name, fontsize=8, parse_math=False)
    grid[0][0].set_ylabel("original", fontsize=8)
    for row in grid[1:]:
        row[0].set_ylabel("augmented", fontsize=8)
    return figure


def _show(axes: Any, image: np.ndarray) -> None:
    """uint8 (height, width, channels), without a frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.imshow(image if image.shape[-1] == 3 else image[..., 0], cmap="gray", vmin=0, vmax=255)
