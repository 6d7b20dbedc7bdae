"""A picture of what an augmentation does: originals above, augmented versions of them below."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kit.data.images import Images
from kit.errors import DataError, RecipeError
from kit.files import replacing
from kit.report.figures import STYLE
from kit.training.augment import augmentation

COLUMNS = 10  # images shown
ROWS = 5  # augmented versions of each
BATCH = 128  # images that are augmented together, so that mixing has partners as in a training


def write_preview(images: Images, class_names: tuple[str, ...], spec: str, path: Path, seed: int = 0) -> Path:
    """Draw training images and what a spec makes of them, the classes in turn.

    Args:
        spec: such as ``flip|cutmix(0.25)``.
        path: the picture; its ending says the format, PNG, SVG or PDF.

    Raises:
        RecipeError: the spec names something unknown, or the format is unknown.
        DataError: the picture cannot be written.
    """
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise RecipeError(f"--out {path}: expected a name that ends in .png, .svg or .pdf")
    rows = _in_turn(images, seed)
    pixels, labels = images.pixels[rows], images.labels[rows]  # type: ignore[index]
    versions = [_augmented(pixels, labels, len(class_names), spec, seed + number) for number in range(ROWS)]
    shown = min(COLUMNS, len(rows))
    figure = _draw(pixels[:shown], [version[:shown] for version in versions], [class_names[i] for i in labels[:shown]])
    try:
        with replacing(path) as scratch:
            figure.savefig(scratch, dpi=150)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}; choose another --out") from None
    return path


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


def _augmented(pixels: np.ndarray, labels: np.ndarray, num_classes: int, spec: str, seed: int) -> np.ndarray:
    """uint8 (batch, height, width, channels) -> the same, augmented."""
    import keras
    from keras import ops

    targets = ops.one_hot(labels, num_classes, dtype="float32")
    changed, _ = augmentation(spec)(ops.cast(pixels, "float32"), targets, keras.random.SeedGenerator(seed))
    return np.rint(np.clip(ops.convert_to_numpy(changed), 0, 255)).astype(np.uint8)


def _draw(originals: np.ndarray, versions: list[np.ndarray], names: list[str]) -> Any:
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(1.1 * len(originals) + 0.9, 1.15 * (1 + len(versions))), layout="constrained")
        grid = figure.subplots(1 + len(versions), len(originals), squeeze=False)
        for row, pixels in enumerate([originals, *versions]):
            for axes, image in zip(grid[row], pixels, strict=True):
                axes.set_xticks([])
                axes.set_yticks([])
                for spine in axes.spines.values():
                    spine.set_visible(False)
                axes.imshow(image if image.shape[-1] == 3 else image[..., 0], cmap="gray", vmin=0, vmax=255)
        for axes, name in zip(grid[0], names, strict=True):
            axes.set_title(name, fontsize=8)
        grid[0][0].set_ylabel("original", fontsize=8)
        for row in grid[1:]:
            row[0].set_ylabel("augmented", fontsize=8)
    return figure
