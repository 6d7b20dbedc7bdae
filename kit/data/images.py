"""The two things that every competition is made of: images, and what is asked about them."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kit.data.claims import Claim, NamedRecipes, claims_of, fields_of
from kit.errors import DataError

LabelValue = int | str


@dataclass(frozen=True)
class Images:
    """A set of images, with labels where they are known.

    pixels: uint8 (rows, height, width, channels), 0..255; often a memory map.
    ids: (rows,) integers or strings, as the competition gives them.
    labels: int64 (rows,) class indices 0..classes-1, or None for rows to predict.
    targets: float32 (rows, classes), what a training takes each row for, if not for its label alone.
    columns: what else is known of each row, name -> (rows,), such as the folder or the patient it comes from.
    notes: what a person should know of how they were read, one line each, such as files that were skipped.
    """

    pixels: np.ndarray
    ids: np.ndarray
    labels: np.ndarray | None = None
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    targets: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 4:
            raise DataError(
                f"images are {self.pixels.dtype} {self.pixels.shape}, expected uint8 (rows, height, width, channels)"
            )
        for name, column in (("ids", self.ids), ("labels", self.labels), *self.columns.items()):
            if column is not None and column.shape != (len(self.pixels),):
                raise DataError(f"{len(self.pixels)} images but {name} of shape {column.shape}")

    def __len__(self) -> int:
        return len(self.pixels)


@dataclass(frozen=True)
class TextFile:
    """A small text file, from a directory or an archive; ``name`` is what errors call it."""

    name: str
    text: str


@dataclass(frozen=True)
class Trained:
    """What a trained model knows of its competition, by which one is opened where the training files are not."""

    label_values: tuple[LabelValue, ...]
    image_shape: tuple[int, int, int]  # (height, width, channels)
    id_column: str
    target_column: str


@dataclass(frozen=True)
class Superclasses:
    """Kinds that the classes of a competition belong to, each class to one.

    of_class: the index in ``names`` of each class, in the order of the class indices.
    """

    names: tuple[str, ...]
    of_class: tuple[int, ...]


def class_title(name: str, value: LabelValue) -> str:
    """A class's name, and the value that a submission has for it where that is another: ``42 lying``."""
    return name if name == str(value) else f"{value} {name}"


@dataclass(frozen=True)
class Competition:
    """What is asked: where the images come from, what the classes are called, how a submission looks.

    label_values: what the competition writes for each class, in the order of the class indices.
    image_shape: (height, width, channels).
    load_train, load_test: read the images, or map them if that was done before.
    test_is_labelled: the labels of the test images are known, as public data sets have them; they are scored once
        at the end of a training and choose nothing.
    metric: spec of what the competition is scored by, such as ``accuracy`` or ``log_loss``.
    sample_submission: the organiser's sample, if there is one.
    recipes: name -> recipe fields; the recipe named like a model is that model's default. What is given as a recipe's
        ``claim`` is moved to ``claims``.
    claims: name of a recipe -> what it was measured to reach; those that were not measured may be left out.
    default_model: what is trained if nothing is asked for; one of the recipes.
    id_column, target_column: the header of a submission where there is no sample.
    data: the directory or archive that the images come from, None if they are embedded.
    prepare: writes the competition's files from a public data set into a directory, where one exists.
    spec: the name with the options that it was opened with, such as ``cifar100(labels='coarse')``.
    superclasses: kinds of classes, if there are any, whose accuracy is told beside that of the classes.
    """

    name: str
    title: str
    label_values: tuple[LabelValue, ...]
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]  # (height, width, channels)
    load_train: Callable[[], Images]
    load_test: Callable[[], Images]
    test_is_labelled: bool = False
    metric: str = "accuracy"
    sample_submission: TextFile | None = None
    recipes: NamedRecipes = field(default_factory=dict)
    claims: Mapping[str, Claim] = field(default_factory=dict)
    default_model: str = "deeper"
    id_column: str = "id"
    target_column: str = "target"
    data: Path | None = None
    prepare: Callable[[Path], list[Path]] | None = None
    spec: str = ""
    superclasses: Superclasses | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "spec", self.spec or self.name)
        object.__setattr__(self, "claims", {**self.claims, **claims_of(self.recipes)})
        object.__setattr__(self, "recipes", fields_of(self.recipes))
        if len(set(self.label_values)) != len(self.label_values) or len(self.label_values) < 2:
            raise DataError(f"{self.name}: label values {self.label_values} are not two or more distinct values")
        if len(self.class_names) != len(self.label_values):
            raise DataError(
                f"{self.name}: {len(self.class_names)} class names for {len(self.label_values)} label values"
            )


def encode_labels(values: np.ndarray, label_values: tuple[LabelValue, ...], source: str) -> np.ndarray:
    """Turn the competition's own labels into class indices.

    Args:
        values: (rows,) labels as found: integers, strings, or floats that hold integers (``3.0``).
        label_values: what may occur, in the order of the class indices.
        source: what to name in an error, such as the file.

    Returns:
        int64 (rows,), 0..classes-1.

    Raises:
        DataError: a value outside the set, with the first such row.
    """
    values = np.asarray(values)
    known = np.asarray(label_values)
    if (values.dtype.kind in "US") != (known.dtype.kind in "US"):
        kinds = {True: "text", False: "numbers"}
        raise DataError(
            f"{source}: labels are {kinds[values.dtype.kind in 'US']}, "
            f"expected {kinds[known.dtype.kind in 'US']} out of {_listed(label_values)}"
        )
    order = np.argsort(known)
    position = np.minimum(np.searchsorted(known[order], values), len(known) - 1)
    labels = order[position]
    wrong = np.flatnonzero(known[labels] != values)
    if len(wrong):
        raise DataError(
            f"{source}: {len(wrong)} labels are not in the set {_listed(label_values)}; "
            f"the first is {values[wrong[0]]} in row {wrong[0]}: see which competition the file is of"
        )
    return labels.astype(np.int64)


def decode_labels(labels: np.ndarray, label_values: Sequence[LabelValue]) -> list[LabelValue]:
    """Turn class indices back into the competition's own labels, as Python ints or strings."""
    return [label_values[index] for index in labels.tolist()]


def _listed(label_values: tuple[LabelValue, ...]) -> str:
    shown = ", ".join(map(str, label_values[:10]))
    return f"{{{shown}, ...}}" if len(label_values) > 10 else f"{{{shown}}}"


def windows(pixels: np.ndarray, rows: int) -> Iterator[np.ndarray]:
    """Go through an array from front to back, ``rows`` rows at a time, in bounded memory.

    Pages of a memory map count as resident once they were read and stay so while it is mapped, so a
    mapped array is mapped anew for each window and unmapped after it.
    """
    for start in range(0, len(pixels), rows):
        if isinstance(pixels, np.memmap) and isinstance(pixels.base, mmap.mmap) and pixels.flags.c_contiguous:
            yield np.memmap(
                str(pixels.filename),
                pixels.dtype,
                mode="r",
                offset=pixels.offset + start * pixels.strides[0],
                shape=(min(rows, len(pixels) - start), *pixels.shape[1:]),
            )
        else:
            yield pixels[start : start + rows]
