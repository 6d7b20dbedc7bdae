"""A competition's files made of a public data set, with the test answers in a file of their own."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from kit.data.images import Images, LabelValue, decode_labels
from kit.data.progress import tell_progress
from kit.errors import DataError

ANSWERS = "answers.csv"


@contextmanager
def whole_directory(path: Path) -> Iterator[Path]:
    """Fill the directory that this yields; it becomes ``path`` when the block ends without an error.

    Raises:
        DataError: something is there already, or cannot be written.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise DataError(f"{path} exists and is never overwritten: move it away, or choose another --out")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".preparing-", dir=path.parent) as scratch:
            new = Path(scratch) / path.name
            new.mkdir()
            yield new
            if path.exists():
                path.rmdir()
            new.rename(path)
    except OSError as error:
        raise DataError(
            f"cannot write to {path}: {error.strerror or error}; free space, or choose another --out"
        ) from None


def write_png_competition(path: Path, train: Images, test: Images, classes: Sequence[LabelValue]) -> list[Path]:
    """Write numbered PNG files, ``trainLabels.csv`` and ``sampleSubmission.csv`` as Kaggle's CIFAR-10, and the answers.

    Args:
        test: labelled images; their labels go into the answers alone.
    """
    train_labels, test_labels = labels_of(train, classes), labels_of(test, classes)
    with whole_directory(path) as directory:
        for part, images in (("train", train), ("test", test)):
            _write_pngs(images.pixels, directory / part)
        write_table(directory / "trainLabels.csv", ("id", "label"), enumerate(train_labels, start=1))
        write_table(directory / ANSWERS, ("id", "label"), enumerate(test_labels, start=1))
        guesses = ((number, classes[0]) for number in range(1, len(test) + 1))
        write_table(directory / "sampleSubmission.csv", ("id", "label"), guesses)
    return [path / name for name in ("train", "test", "trainLabels.csv", "sampleSubmission.csv", ANSWERS)]


def write_pixel_competition(path: Path, train: Images, test: Images, classes: Sequence[LabelValue]) -> list[Path]:
    """Write ``train.csv`` and ``test.csv`` with a column a pixel as Kaggle's Digit Recognizer, and the answers."""
    train_labels, test_labels = labels_of(train, classes), labels_of(test, classes)
    names = [f"pixel{number}" for number in range(train.pixels[0].size)]
    with whole_directory(path) as directory:
        rows = ([label, *image.ravel().tolist()] for label, image in zip(train_labels, train.pixels, strict=True))
        write_table(directory / "train.csv", ("label", *names), rows)
        write_table(directory / "test.csv", names, (image.ravel().tolist() for image in test.pixels))
        write_table(directory / ANSWERS, ("ImageId", "Label"), enumerate(test_labels, start=1))
        guesses = ((number, classes[0]) for number in range(1, len(test) + 1))
        write_table(directory / "sample_submission.csv", ("ImageId", "Label"), guesses)
    return [path / name for name in ("train.csv", "test.csv", "sample_submission.csv", ANSWERS)]


def write_table(path: Path, header: Sequence[str], rows) -> None:  # type: ignore[no-untyped-def]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def labels_of(images: Images, classes: Sequence[LabelValue]) -> list[LabelValue]:
    """The competition's own labels of images that have some."""
    if images.labels is None:
        raise DataError("the test images have no labels: expected the public data set, whose test labels are known")
    return decode_labels(images.labels, classes)


def _write_pngs(pixels: np.ndarray, directory: Path) -> None:
    from PIL import Image

    directory.mkdir()
    step = 1000

    def write(start: int) -> None:
        for number, image in enumerate(pixels[start : start + step], start=start + 1):
            Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(directory / f"{number}.png")

    with ThreadPoolExecutor() as pool:
        for done, _ in enumerate(pool.map(write, range(0, len(pixels), step)), start=1):
            tell_progress(f"writing {directory.name}", min(done * step, len(pixels)), len(pixels))
