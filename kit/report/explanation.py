"""The picture of an explanation: images, what in them speaks for a class, and what was answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kit.report.drawing import GREY
from kit.report.lettering import text_measure, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = "viridis"  # perceptually uniform, and its order is seen without telling red from green
HEAT = 0.65  # of the colour of a pixel; the rest is the image, in grey
ANSWERS = 3  # classes that are told
PICTURE, WORDS, GAP, LINE = 1.6, 1.9, 0.15, 0.165  # inches, and so are all lengths below
CELL = (2 * PICTURE + WORDS + 3 * GAP, PICTURE + 0.55)  # width and height of what is said of one image
SIZE = 8.5  # points


@dataclass(frozen=True)
class Explained:
    """What was found out about one image.

    pixels: uint8 (height, width, channels), as the model takes it.
    heat: float32 (height, width), 0..1: how much speaks for the class there.
    probabilities: float32 (classes,).
    explained: index of the class that the heat is of. label: of what the image is, where that is known.
    """

    id: str
    pixels: np.ndarray
    heat: np.ndarray
    probabilities: np.ndarray
    explained: int
    label: int | None = None

    @property
    def likeliest(self) -> list[int]:
        """The classes with the highest probabilities, the highest first."""
        return np.argsort(-self.probabilities, kind="stable")[:ANSWERS].tolist()


def draw_explanations(images: Sequence[Explained], names: Sequence[str], caption: Sequence[str]) -> Figure:
    """Each image, beside it the same in grey under colours that say what speaks for the class, and the answers.

    Args:
        names: of the classes.
        caption: lines below all images.
    """
    from matplotlib.figure import Figure

    columns = 1 if len(images) < 3 else 2
    rows = -(-len(images) // columns)
    width = columns * CELL[0] + GAP
    lines = [line for words in caption for line in wrapped(words, 0.95 * (width - 2 * GAP), text_measure(SIZE))]
    below = 0.75 + LINE * len(lines)
    height = rows * CELL[1] + below
    figure = Figure(figsize=(width, height))
    for number, image in enumerate(images):
        left = GAP + number % columns * CELL[0]
        top = height - number // columns * CELL[1]
        _draw_one(figure, image, names, left, top)
    _legend(figure, below)
    for number, line in enumerate(lines):
        _write(figure, GAP, below - 0.75 - LINE * number, line, color=GREY)
    return figure


def _draw_one(figure: Any, image: Explained, names: Sequence[str], left: float, top: float) -> None:
    measure = text_measure(SIZE)
    title = f"for {names[image.explained]}"
    room = PICTURE + GAP / 2
    for number, (pixels, words) in enumerate(((_plain(image.pixels), image.id), (_overlaid(image), title))):
        x = left + number * (PICTURE + GAP)
        _write(figure, x, top - 0.2, wrapped(words, room, measure, most=1)[0])
        _axes(figure, x, top - 0.4 - PICTURE).imshow(pixels, interpolation="nearest")
    x, y = left + 2 * (PICTURE + GAP), top - 0.5
    told = image.likeliest + [index for index in [image.explained] if index not in image.likeliest]
    for index in told:
        words = f"{100 * image.probabilities[index]:.2f} %  {names[index]}"
        weight = "bold" if index == image.explained else "normal"
        for line in wrapped(words, 0.85 * WORDS, measure, most=2):
            _write(figure, x, y, line, fontweight=weight)
            y -= LINE
    if image.label is not None:
        y -= LINE / 2
        for line in wrapped(f"is {names[image.label]}", 0.85 * WORDS, measure, most=2):
            _write(figure, x, y, line)
            y -= LINE


def _plain(pixels: np.ndarray) -> np.ndarray:
    """uint8 (height, width, 3), whatever channels there are."""
    if pixels.shape[-1] == 3:
        return pixels
    grey = pixels[..., :1] if pixels.shape[-1] < 3 else pixels[..., :3]
    return np.broadcast_to(grey, (*pixels.shape[:2], 3))


def _overlaid(image: Explained) -> np.ndarray:
    """float (height, width, 3), 0..1."""
    import matplotlib

    grey = _plain(image.pixels).mean(axis=-1, keepdims=True) / 255
    return HEAT * matplotlib.colormaps[COLOURS](image.heat)[..., :3] + (1 - HEAT) * grey


def _legend(figure: Any, top: float) -> None:
    import matplotlib

    axes = _axes(figure, GAP, top - 0.3, 2 * PICTURE + GAP, 0.12)
    colours = matplotlib.colormaps[COLOURS](np.linspace(0, 1, 256))[np.newaxis, :, :3]
    axes.imshow(colours, aspect="auto")
    _write(figure, GAP, top - 0.42, "dark violet: says nothing for the class")
    _write(figure, 3 * GAP + 2 * PICTURE, top - 0.24, "yellow: speaks most for the class", va="center")


def _axes(figure: Any, left: float, bottom: float, width: float = PICTURE, height: float = PICTURE) -> Any:
    total = figure.get_size_inches()
    axes = figure.add_axes((left / total[0], bottom / total[1], width / total[0], height / total[1]))
    axes.axis("off")
    return axes


def _write(figure: Any, x: float, y: float, words: str, va: str = "top", **options: Any) -> None:
    """Inches from the left and from the bottom."""
    width, height = figure.get_size_inches()
    figure.text(x / width, y / height, words, fontsize=SIZE, va=va, **options)
