"""Images of a data set with what is known of them below, alone or beside those that they are equal to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kit.data.audit import EqualImages, NearPair
from kit.data.images import Images
from kit.report.thumbnails import data_uri, shrunk, strip

SHOWN_TOGETHER = 6  # of equal images
OF_TEST = 2  # of them


@dataclass(frozen=True)
class Picture:
    """An image's data, what it says to those who do not see it, lines below it, how many images it shows."""

    source: str
    description: str
    lines: tuple[str, ...]
    images: int = 1


@dataclass(frozen=True)
class Group:
    """Images that belong together; ``more`` of them are not shown. ``strip`` has them side by side."""

    pictures: tuple[Picture, ...]
    strip: np.ndarray
    more: int = 0
    said: str = ""


@dataclass(frozen=True)
class Showcase:
    """Shows images of a data set by their ids.

    side: pixels of a shown image, at most.
    """

    train: Images
    test: Images | None
    class_names: Sequence[str]
    side: int

    def training(self, name: int | str) -> Picture:
        """The training image of that id."""
        return self.picture(self.train, self._train_row[name])

    def picture(self, images: Images, row: int) -> Picture:
        """An image of either set, with its id and its label; or that it is of the test set."""
        label = "test set"
        if images is self.train and images.labels is not None:
            label = self.class_names[images.labels[row]]
        elif images.labels is not None:
            label = f"test set, {self.class_names[images.labels[row]]}"
        name = f"{images.ids[row]}"
        return Picture(data_uri(shrunk(images.pixels[row], self.side)), f"{name}, {label}", (name, label))

    def group(self, found: EqualImages | NearPair) -> Group:
        """Training images, then test images."""
        if isinstance(found, NearPair):
            of_train, of_test = found.ids[: len(found.classes)], found.ids[len(found.classes) :]
            more, said = 0, f"{found.distance:.2f} grey levels apart"
        else:
            of_test = found.test_ids[:OF_TEST]
            of_train = _each_class_first(found)[: SHOWN_TOGETHER - len(of_test)]
            more, said = len(found.ids) + len(found.test_ids) - len(of_train) - len(of_test), ""
        rows = [(self.train, self._train_row[name]) for name in of_train]
        if self.test is not None:
            rows += [(self.test, self._test_row[name]) for name in of_test]
        joined = strip([shrunk(images.pixels[row], self.side) for images, row in rows])
        return Group(tuple(self.picture(*each) for each in rows), joined, more, said)

    @cached_property
    def _train_row(self) -> dict[int | str, int]:
        return {name: row for row, name in enumerate(self.train.ids.tolist())}

    @cached_property
    def _test_row(self) -> dict[int | str, int]:
        return {} if self.test is None else {name: row for row, name in enumerate(self.test.ids.tolist())}


def _each_class_first(found: EqualImages) -> tuple[int | str, ...]:
    """Ids of equal training images, one of each class before others of it."""
    seen: dict[str, int] = {}
    turn = []
    for name in found.classes:
        turn.append(seen.get(name, 0))
        seen[name] = turn[-1] + 1
    order = sorted(range(len(turn)), key=turn.__getitem__)
    return tuple(found.ids[place] for place in order)
