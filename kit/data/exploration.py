"""What there is to know of a data set before anything is trained on it: the numbers behind ``kit eda``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kit.data.audit import Audit, Channel, audit, channels_of
from kit.data.averages import Averages, average_images
from kit.data.channels import channel_histograms
from kit.data.drift import Drift, train_test_drift
from kit.data.folds import Fold
from kit.data.images import Images, windows
from kit.errors import DataError

EXAMPLES = 8  # of each finding
LISTED_VALUES = 20  # of a column such as the folder; of one with more, such as the patient, a sentence tells
LISTED_FOLDS = 10
_ROWS_AT_A_TIME = 4096


@dataclass(frozen=True)
class Part:
    """Some of the rows, and how many of each class they are.

    column: what divides the rows into such parts: ``split``, or the name of a column of the images; empty for all.
    of_classes: in the order of the classes; None where labels are not known.
    """

    name: str
    column: str
    rows: int
    of_classes: tuple[int, ...] | None


@dataclass(frozen=True)
class Exploration:
    """What :func:`explore_images` found.

    histograms, test_histograms: int64 (channels, 256), how often each value occurs.
    drift: None where there is no test set, or where ``notes`` say that it is too small.
    """

    audit: Audit
    parts: tuple[Part, ...]
    histograms: np.ndarray
    test_histograms: np.ndarray | None
    test_channels: tuple[Channel, ...]
    averages: Averages
    drift: Drift | None
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The numbers as JSON has them."""
        return {
            "parts": [asdict(part) for part in self.parts],
            "audit": self.audit.to_dict(),
            "test_channels": [asdict(channel) for channel in self.test_channels],
            "histograms": self.histograms.tolist(),
            "test_histograms": None if self.test_histograms is None else self.test_histograms.tolist(),
            "drift": self.drift and self.drift.to_dict(),
            "notes": list(self.notes),
        }


def explore_images(
    train: Images, test: Images | None, class_names: Sequence[str], folds: Sequence[Fold], near: float = 0.0
) -> Exploration:
    """Count and average what there is to see, in bounded memory.

    Args:
        folds: of the split that a training would make, none where it cannot be made.
        near: also look for pairs of images that differ by at most so many grey levels (root mean square).

    Raises:
        DataError: no rows, or test images of another shape.
    """
    found = audit(train, test, class_names, near, EXAMPLES)
    assert train.labels is not None  # noqa: S101  the audit has refused images without
    parts, notes = _parts(train, train.labels, test, len(class_names), folds)
    drift = None
    if test is not None and len(test):
        try:
            drift = train_test_drift(train.pixels, test.pixels)
        except DataError as error:
            notes.append(f"drift was not looked for: {error}")
    has_test = test is not None and len(test) > 0
    test_histograms = _histograms(test) if test is not None and has_test else None
    return Exploration(
        audit=found,
        parts=tuple(parts),
        histograms=_histograms(train),
        test_histograms=test_histograms,
        test_channels=() if test_histograms is None else channels_of(test_histograms),
        averages=average_images(train.pixels, train.labels, len(class_names)),
        drift=drift,
        notes=(*found.notes, *notes),
    )


def _histograms(images: Images) -> np.ndarray:
    return channel_histograms(windows(images.pixels, _ROWS_AT_A_TIME))


def _parts(
    train: Images, labels: np.ndarray, test: Images | None, classes: int, folds: Sequence[Fold]
) -> tuple[list[Part], list[str]]:
    """The parts of which a table shows the classes, and what is told of other columns."""

    def part(name: str, column: str, known: np.ndarray | None, rows: int) -> Part:
        counts = None if known is None else tuple(np.bincount(known, minlength=classes).tolist())
        return Part(name, column, rows, counts)

    def of_rows(name: str, column: str, rows: np.ndarray) -> Part:
        return part(name, column, labels[rows], int(np.count_nonzero(rows) if rows.dtype == bool else len(rows)))

    parts, notes = [part("all", "", labels, len(labels))], []
    if len(folds) == 1:
        names = {"train": folds[0].train, "validate": folds[0].validation, "held out": folds[0].test}
        parts += [of_rows(name, "split", rows) for name, rows in names.items() if len(rows)]
    parts += [
        of_rows(f"fold {number} validates", "split", fold.validation)
        for number, fold in enumerate(folds[:LISTED_FOLDS])
        if len(folds) > 1
    ]
    if len(folds) > LISTED_FOLDS:
        notes.append(f"the first {LISTED_FOLDS} of {len(folds)} folds are listed")
    for column, values in train.columns.items():
        distinct, counts = np.unique(values, return_counts=True)
        if len(distinct) in (1, len(values)):
            continue  # it divides nothing, or it names the images
        if len(distinct) > LISTED_VALUES:
            sizes = f"{np.min(counts):,} to {np.max(counts):,} images each"
            notes.append(f"column {column}: {len(distinct):,} different values, {sizes}")
        else:
            parts += [of_rows(str(value), column, values == value) for value in distinct.tolist()]
    if test is not None:
        parts.append(part("test set", "test", test.labels, len(test)))
    return parts, notes
