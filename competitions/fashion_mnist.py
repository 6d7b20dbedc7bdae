"""Fashion-MNIST: in five classes from the two files of a private competition, or in ten from the original files.

    fashion_mnist_dataset_train.npy    pickled dict: features (60000, 28, 28), target (60000,) in 1..5
    fashion_mnist_dataset_kaggle.npy   pickled dict: features (10000, 28, 28), id (10000,)

    train-images-idx3-ubyte  train-labels-idx1-ubyte  t10k-images-idx3-ubyte  t10k-labels-idx1-ubyte  (or .gz)

Images: Xiao, Rasul and Vollgraf, "Fashion-MNIST" (arXiv 1708.07747). The competition published no class names.
Five classes from the original ten are an assumption: that class c became c // 2 + 1.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, Literal

import numpy as np

from competitions._fashion_recipes import RECIPES
from kit.data.cache import cached_arrays
from kit.data.downloads import downloaded
from kit.data.images import Competition, Images, encode_labels
from kit.data.locate import data_directories, data_root, find_file, find_text
from kit.data.pixels import write_as_uint8
from kit.data.readers.idx import read_idx
from kit.data.readers.npy import read_pickled_arrays
from kit.errors import DataError
from kit.files import replacing

NAME = "fashion_mnist"
TRAIN_FILE = "fashion_mnist_dataset_train.npy"
TEST_FILE = "fashion_mnist_dataset_kaggle.npy"
ANSWERS_FILE = "fashion_mnist_answers.csv"
FIVE = (1, 2, 3, 4, 5)
TEN = tuple(range(10))
TEN_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
SHAPE = (28, 28, 1)
_IDX = {"images": "images-idx3-ubyte", "labels": "labels-idx1-ubyte"}  # after "train-" or "t10k-"


def competition(data: Path | None, /, labels: Literal[5, 10] = 5) -> Competition:
    """``labels=10`` are the original classes."""
    return Competition(
        name=NAME,
        title=f"Fashion-MNIST in {'five' if labels == 5 else 'ten'} classes",
        label_values=FIVE if labels == 5 else TEN,
        class_names=tuple(map(str, FIVE)) if labels == 5 else TEN_NAMES,
        image_shape=SHAPE,
        load_train=lambda: load_train(data, labels),
        load_test=lambda: load_test(data, labels),
        test_is_labelled=labels == 10 or _tests_are_originals(data),
        sample_submission=find_text(NAME, data, "sample_submission.csv"),
        data=data_root(data),
        prepare=lambda directory: prepare(directory, data),
        recipes=RECIPES,
    )


def load_train(data: Path | None = None, labels: int = 5) -> Images:
    """Labelled images, converted once; downloads the original data set if there are no files to be found."""
    if source := _find(data, TRAIN_FILE, "train", labels):
        arrays = cached_arrays(source, "fashion-train-1", _convert_train)
        return Images(arrays["pixels"], np.arange(len(arrays["pixels"])), arrays["labels"])
    return _original(data, "train", labels)


def load_test(data: Path | None = None, labels: int = 5) -> Images:
    """Images to predict, with the ids of the file; the labels of the original test images are known."""
    if source := _find(data, TEST_FILE, "t10k", labels):
        arrays = cached_arrays(source, "fashion-test-1", _convert_test)
        return Images(arrays["pixels"], arrays["ids"])
    return _original(data, "t10k", labels)


def _find(data: Path | None, name: str, part: str, labels: int) -> Path | None:
    """The competition's file; None where the original files are there, or were downloaded, and must do."""
    if labels == 5 and (found := find_file(NAME, data, name)):
        return found
    if _find_original(data, part, "images"):
        return None
    directory, *_ = directories = data_directories(NAME, data)
    may_download = data is None and not data_root(data).is_file()
    if may_download and labels == 10:
        _download_original(directory)
        return None
    if may_download and not any(find_file(NAME, data, other) for other in (TRAIN_FILE, TEST_FILE)):
        prepare(directory)
        return directory / name
    looked_in = " or ".join(map(str, directories))
    if labels == 10:
        raise DataError(
            f"{part}-images-idx3-ubyte (or .gz) is not in {looked_in}, and other files have no ten classes: "
            "put the four original files there, or train without --labels 10"
        )
    raise DataError(
        f"{name} is not in {looked_in}: put the competition's files {TRAIN_FILE} and {TEST_FILE} there, "
        f"or name their directory with --data"
    )


def _tests_are_originals(data: Path | None) -> bool:
    """Not those of the competition's file, which are also what a first start without any files writes."""
    return find_file(NAME, data, TEST_FILE) is None and _find_original(data, "t10k", "images") is not None


def _find_original(data: Path | None, part: str, kind: str) -> Path | None:
    name = f"{part}-{_IDX[kind]}"
    return find_file(NAME, data, name) or find_file(NAME, data, f"{name}.gz")


def _original(data: Path | None, part: str, labels: int) -> Images:
    """Images and classes from the original files."""
    images, classes = _find_original(data, part, "images"), _find_original(data, part, "labels")
    if images is None or classes is None:
        raise DataError(f"{part}-{_IDX['labels']} (or .gz) is not beside {images}: put the original labels there too")
    pixels, values = (cached_arrays(source, "idx-1", _convert_idx)["values"] for source in (images, classes))
    if pixels.shape[1:] != SHAPE or values.shape != pixels.shape[:1]:
        raise DataError(
            f"{images} has shape {pixels.shape[:3]} and {classes} has shape {values.shape}, "
            "expected (rows, 28, 28) and (rows,)"
        )
    target = encode_labels(values, TEN, str(classes))
    return Images(pixels, np.arange(len(pixels)), target if labels == 10 else target // 2)


def _convert_idx(source: Path, directory: Path) -> None:
    values = read_idx(source)
    np.save(directory / "values.npy", values[..., np.newaxis] if values.ndim == 3 else values)


def _convert_train(source: Path, directory: Path) -> None:
    arrays = read_pickled_arrays(source)
    features, target = _column(arrays, "features", source), _column(arrays, "target", source)
    _check_lengths(source, features, "target", target)
    labels = encode_labels(target, FIVE, f"{source} (target)")
    write_as_uint8(features, SHAPE, directory / "pixels.npy", f"{source} (features)")
    np.save(directory / "labels.npy", labels)


def _convert_test(source: Path, directory: Path) -> None:
    arrays = read_pickled_arrays(source)
    features, ids = _column(arrays, "features", source), _column(arrays, "id", source)
    _check_lengths(source, features, "id", ids)
    if ids.dtype.kind == "f":
        if not np.array_equal(ids, np.rint(ids)):  # false for NaN too
            raise DataError(f"{source} (id): received fractions, expected whole numbers or text")
        ids = ids.astype(np.int64)
    unique, counts = np.unique(ids, return_counts=True)
    if len(unique) < len(ids):
        raise DataError(f"{source} (id): {unique[counts > 1][0]} occurs more than once, expected unique ids")
    write_as_uint8(features, SHAPE, directory / "pixels.npy", f"{source} (features)")
    np.save(directory / "ids.npy", ids)


def _column(arrays: dict[str, np.ndarray], name: str, source: Path) -> np.ndarray:
    other, other_file = ("id", TEST_FILE) if name == "target" else ("target", TRAIN_FILE)
    if name not in arrays and name != "features" and other in arrays:
        raise DataError(
            f"{source} has {other!r} instead of {name!r}: it looks like {other_file} under this name; "
            "give each file its own name"
        )
    if name not in arrays:
        raise DataError(f"{source} has no {name!r}: it holds {', '.join(arrays)}, expected features and target or id")
    column = arrays[name]
    if column.dtype.kind != "S":
        return column
    try:
        return np.char.decode(column, "utf-8")
    except UnicodeDecodeError:
        raise DataError(f"{source} ({name}): received bytes that are no UTF-8 text, expected text or numbers") from None


def _check_lengths(source: Path, features: np.ndarray, name: str, column: np.ndarray) -> None:
    if features.ndim < 1 or column.shape != features.shape[:1]:
        raise DataError(
            f"{source}: features are {features.shape} and {name} is {column.shape}, expected one {name} an image"
        )


def prepare(directory: Path, data: Path | None = None) -> list[Path]:
    """Write the five-class files, with the test answers beside them, from the original files or a download of them.

    Raises:
        DataError: the download failed, or the directory cannot be written.
    """
    written = [directory / TRAIN_FILE, directory / TEST_FILE, directory / ANSWERS_FILE]
    for path in written:
        if path.exists():
            raise DataError(f"{path} exists and is never overwritten: move it away, or choose another --out")
    if data is not None and not _find_original(data, "train", "images"):
        raise DataError(
            f"{data}: the original train-{_IDX['images']} (or .gz) is not in it, expected the four original files to "
            "prepare the competition's from; without --data they are downloaded"
        )
    if _find_original(data, "train", "images"):
        parts = [_original(data, part, labels=10) for part in ("train", "t10k")]
        (train_pixels, train_classes), (test_pixels, test_classes) = ((p.pixels[..., 0], p.labels) for p in parts)
    else:
        (train_pixels, train_classes), (test_pixels, test_classes) = _download(directory)
    ids = np.arange(len(test_pixels))
    try:
        # One inside the other: none of the three takes its place before all of them are written.
        with replacing(written[0]) as train, replacing(written[1]) as test, replacing(written[2]) as answers:
            _save_dict(train, {"features": np.asarray(train_pixels), "target": _five_classes(train_classes)})
            _save_dict(test, {"features": np.asarray(test_pixels), "id": ids})
            with answers.open("w", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(["id", "target"])
                writer.writerows(zip(ids.tolist(), _five_classes(test_classes).tolist(), strict=True))
    except OSError as error:
        raise DataError(f"cannot write to {directory}: {error.strerror or error}") from None
    return written


def _download(directory: Path) -> Any:
    try:
        return downloaded(NAME)
    except DataError as error:
        raise DataError(
            f"no {NAME} files in {directory}, and the original data set cannot be downloaded ({error}): put "
            f"{TRAIN_FILE} and {TEST_FILE} there, or try 'kit train digits', which needs no download"
        ) from None


def _download_original(directory: Path) -> None:
    """Download the original data set and write its four files."""
    for part, arrays in zip(("train", "t10k"), _download(directory), strict=True):
        for kind, array in zip(("images", "labels"), arrays, strict=True):
            with replacing(directory / f"{part}-{_IDX[kind]}") as scratch:
                # Two zeros, 8 for unsigned bytes, the number of dimensions; then each of them, big-endian.
                header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
                scratch.write_bytes(header + array.astype(np.uint8).tobytes())


def _five_classes(classes: Any) -> np.ndarray:
    """Ten classes 0..9 -> 1..5. The pairing is an assumption: the competition published none."""
    return np.asarray(classes, np.int64) // 2 + 1


def _save_dict(path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.save(path, np.array(arrays, object), allow_pickle=True)  # the layout of the competition
