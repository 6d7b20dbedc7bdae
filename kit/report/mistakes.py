"""The gallery of mistakes: which of them are shown, and their pictures as small as a page needs them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kit.data.images import Images
from kit.report.thumbnails import shrunk
from kit.training.answered import Answered

BUDGET = 2_000_000  # bytes of a page for its galleries
CAPTION_BYTES = 450  # of an item, beside its picture
FIRST = 60  # most confident mistakes, and as many nearest misses, that come before one of every pair
NEAR = 0.4  # probability of the true class above which a mistake is a near miss
CONFIDENT = 0.9  # probability of the predicted class from which it is a confident one
AS_IT_IS = 64  # pixels a side up to which a picture is kept as it is
SIDE = 96  # of larger ones, after they are made smaller


@dataclass(frozen=True)
class Item:
    """One picture with what was said of it.

    label, other: class indices; of the class it has, and of that which it was taken for, or may belong to.
    picture: a ``data:`` address, or "" where the images are gone.
    """

    id: str
    label: int
    other: int
    label_probability: float
    other_probability: float
    picture: str


@dataclass(frozen=True)
class Gallery:
    """What is shown, of how many.

    total: mistakes. pairs, shown_pairs: of a true class and another, that occur and that are shown.
    """

    items: tuple[Item, ...]
    total: int
    pairs: int
    shown_pairs: int


class Pictures:
    """The pictures of rows by their ids, each as an address that holds all of it."""

    def __init__(self, images: Images | None) -> None:
        self._images = images
        self._row_of = {} if images is None else {id: row for row, id in enumerate(images.ids.tolist())}

    @property
    def are_there(self) -> bool:
        return self._images is not None

    def address(self, id: int | str) -> str:
        """Of the picture, or "" where there is none."""
        if self._images is None or id not in self._row_of:
            return ""
        return thumbnail(np.asarray(self._images.pixels[self._row_of[id]]))


def thumbnail(pixels: np.ndarray) -> str:
    """uint8 (height, width, channels) -> a ``data:`` address.

    Small pictures keep every pixel: lossless WebP is a third smaller than PNG. Larger ones become smaller.
    """
    from PIL import Image

    is_small = max(pixels.shape[:2]) <= AS_IT_IS
    shown = shrunk(pixels, AS_IT_IS if is_small else SIDE)
    image = Image.fromarray(shown[..., 0] if shown.shape[-1] == 1 else shown)
    file = io.BytesIO()
    image.save(file, "WEBP", **({"lossless": True, "quality": 20, "method": 2} if is_small else {"quality": 80}))
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def choose_mistakes(answered: Answered, pictures: Pictures, budget: int = BUDGET) -> Gallery:
    """Take mistakes until the budget is used up, in the order of :func:`_in_turn`.

    Args:
        budget: bytes, of pictures and captions.
    """
    predicted = answered.probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != answered.labels)
    items: list[Item] = []
    for row in _in_turn(answered, predicted, wrong):
        item = item_of(answered, int(row), int(predicted[row]), pictures)
        budget -= len(item.picture) + CAPTION_BYTES
        if budget < 0:
            break
        items.append(item)
    pairs = {(int(answered.labels[row]), int(predicted[row])) for row in wrong}
    items.sort(key=lambda item: -item.other_probability)
    return Gallery(tuple(items), len(wrong), len(pairs), len({(item.label, item.other) for item in items}))


def item_of(answered: Answered, row: int, other: int, pictures: Pictures) -> Item:
    """A row with the class that it has, and another one."""
    label, probabilities = int(answered.labels[row]), answered.probabilities[row]
    id = answered.ids[row].item()
    return Item(str(id), label, other, float(probabilities[label]), float(probabilities[other]), pictures.address(id))


def _in_turn(answered: Answered, predicted: np.ndarray, wrong: np.ndarray) -> Iterator[int]:
    """Each mistake once: the most confident and the nearest, then one of every pair, then of both again."""
    labels = answered.labels[wrong]
    of_predicted = answered.probabilities[wrong, predicted[wrong]]
    confident = wrong[np.argsort(-of_predicted, kind="stable")]
    near = wrong[np.argsort(of_predicted - answered.probabilities[wrong, labels], kind="stable")]
    both = np.stack([confident, near], axis=1)
    seen: set[int] = set()
    for row in [*both[:FIRST].ravel(), *_one_of_every_pair(answered.labels, predicted, confident), *both.ravel()]:
        if row not in seen:
            seen.add(row)
            yield row


def _one_of_every_pair(labels: np.ndarray, predicted: np.ndarray, confident: np.ndarray) -> np.ndarray:
    """The most confident mistake of each pair of classes, the pairs with the most mistakes first."""
    pairs = labels[confident] * (int(predicted.max(initial=0)) + 1) + predicted[confident]
    _, first, counts = np.unique(pairs, return_index=True, return_counts=True)
    return confident[first[np.argsort(-counts, kind="stable")]]
