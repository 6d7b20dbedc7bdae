"""Small data sets in every layout that kit reads, as people have them."""

from __future__ import annotations

import csv
import gzip
import io
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from competitions.cifar10 import CLASSES
from competitions.cifar100 import _COARSE_OF, FINE

ROWS, TEST_ROWS = 40, 12


def random_pixels(rows: int, *shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (rows, *shape), np.uint8)


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def save_image(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels).save(path)
    return path


def zipped(directory: Path, archive: Path, below: str = "") -> Path:
    """Pack a directory and remove it."""
    import shutil

    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(directory.rglob("*")):
            file.write(path, below + str(path.relative_to(directory)))
    shutil.rmtree(directory)
    return archive


# --- fashion_mnist ----------------------------------------------------------------------------------------


def fashion(directory: Path, **changes: np.ndarray | None) -> None:
    """The competition's two files; a change of None leaves that array out."""
    directory.mkdir(parents=True, exist_ok=True)
    train = {"features": random_pixels(ROWS, 28, 28).astype(float), "target": np.arange(ROWS) % 5 + 1.0}
    test = {"features": random_pixels(TEST_ROWS, 28, 28, seed=1).astype(float), "id": np.arange(TEST_ROWS)}
    for arrays, name in ((train, "train"), (test, "kaggle")):
        kept = {**arrays, **{key: value for key, value in changes.items() if key in arrays}}
        kept = {key: value for key, value in kept.items() if value is not None}
        np.save(directory / f"fashion_mnist_dataset_{name}.npy", kept, allow_pickle=True)  # type: ignore[arg-type]


def idx(array: np.ndarray) -> bytes:
    """Two zeros, 8 for unsigned bytes, the number of dimensions, each of them, the bytes."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def fashion_idx(directory: Path, compressed: bool = True) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for part, rows in (("train", ROWS), ("t10k", TEST_ROWS)):
        arrays = {"images-idx3": random_pixels(rows, 28, 28), "labels-idx1": np.arange(rows, dtype=np.uint8) % 10}
        for kind, array in arrays.items():
            content = idx(array)
            path = directory / f"{part}-{kind}-ubyte{'.gz' if compressed else ''}"
            path.write_bytes(gzip.compress(content) if compressed else content)


# --- cifar10, cifar100 ------------------------------------------------------------------------------------


def cifar_rows(rows: int, seed: int) -> np.ndarray:
    """uint8 (rows, 3072), channel first."""
    return random_pixels(rows, 3072, seed=seed)


def cifar10_python(directory: Path, protocol: int = 2) -> None:
    folder = directory / "cifar-10-batches-py"
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        rows = ROWS // 4
        batch = {
            b"batch_label": name.encode(),
            b"labels": [n % 10 for n in range(rows)],
            b"data": cifar_rows(rows, seed),
            b"filenames": [f"{CLASSES[n % 10]}_{n}.png".encode() for n in range(rows)],
        }
        (folder / name).write_bytes(pickle.dumps(batch, protocol=protocol))
    meta = {b"num_cases_per_batch": 10, b"label_names": [name.encode() for name in CLASSES], b"num_vis": 3072}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta, protocol=protocol))


def cifar10_binary(directory: Path) -> None:
    folder = directory / "cifar-10-batches-bin"
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate([*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"]):
        labels = np.arange(ROWS // 4, dtype=np.uint8)[:, np.newaxis] % 10
        (folder / name).write_bytes(np.concatenate([labels, cifar_rows(ROWS // 4, seed)], axis=1).tobytes())


def cifar10_archive(directory: Path) -> None:
    cifar10_python(directory)
    _packed(directory, "cifar-10-batches-py", "cifar-10-python.tar.gz")


def _packed(directory: Path, folder: str, archive: str) -> None:
    import shutil

    with tarfile.open(directory / archive, "w:gz") as file:
        file.add(directory / folder, folder)
    shutil.rmtree(directory / folder)


def cifar10_folders(directory: Path) -> None:
    for seed, part in enumerate(["train1", "train2", "train3", "test"]):
        for number, pixels in enumerate(random_pixels(20, 32, 32, 3, seed=seed)):
            label = number % 10
            save_image(directory / part / f"{label:03d}_{CLASSES[label]}" / f"{number:05d}.png", pixels)


def cifar10_kaggle(directory: Path, with_archives: bool = False) -> None:
    """Numbered PNG files, ids from 1 without the ending."""
    for part, rows in (("train", ROWS), ("test", TEST_ROWS)):
        for number, pixels in enumerate(random_pixels(rows, 32, 32, 3), start=1):
            save_image(directory / part / f"{number}.png", pixels)
        if with_archives:
            zipped(directory / part, directory / f"{part}.zip", below=f"{part}/")
    labels = [(number, CLASSES[number % 10]) for number in range(1, ROWS + 1)]
    write_csv(directory / "trainLabels.csv", ["id", "label"], labels)
    write_csv(directory / "sampleSubmission.csv", ["id", "label"], [(n, "cat") for n in range(1, TEST_ROWS + 1)])


def cifar100_python(directory: Path, protocol: int = 2) -> None:
    folder = directory / "cifar-100-python"
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, rows) in enumerate((("train", 200), ("test", 100))):
        fine = np.arange(rows) % 100
        batch = {
            b"filenames": [f"{FINE[label]}_s_{n:06d}.png".encode() for n, label in enumerate(fine)],
            b"batch_label": f"{name} batch 1 of 1".encode(),
            b"fine_labels": fine.tolist(),
            b"coarse_labels": _COARSE_OF[fine].tolist(),
            b"data": cifar_rows(rows, seed),
        }
        (folder / name).write_bytes(pickle.dumps(batch, protocol=protocol))


def cifar100_binary(directory: Path) -> None:
    folder = directory / "cifar-100-binary"
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, rows) in enumerate((("train.bin", 200), ("test.bin", 100))):
        fine = np.arange(rows) % 100
        columns = np.stack([_COARSE_OF[fine], fine], axis=1).astype(np.uint8)
        (folder / name).write_bytes(np.concatenate([columns, cifar_rows(rows, seed)], axis=1).tobytes())


def cifar100_archive(directory: Path) -> None:
    cifar100_binary(directory)
    _packed(directory, "cifar-100-binary", "cifar-100-binary.tar.gz")


# --- any other competition --------------------------------------------------------------------------------

PETS = ("cat", "dog", "hen")


def class_folders(directory: Path, train: str = "train", side: int = 12, ending: str = "png") -> None:
    """Class-named folders with a test folder of numbered images."""
    for number, pixels in enumerate(random_pixels(ROWS, side, side, 3)):
        save_image(directory / train / PETS[number % 3] / f"{number}.{ending}", pixels)
    for number, pixels in enumerate(random_pixels(TEST_ROWS, side, side, 3, seed=1), start=1):
        save_image(directory / "test" / f"{number}.{ending}", pixels)


def table_and_images(directory: Path, probabilities: bool = False) -> None:
    """A table with a column to group by, images in two folders, a sample submission."""
    for part, rows in (("train_images", ROWS), ("test_images", TEST_ROWS)):
        for number, pixels in enumerate(random_pixels(rows, 12, 10, 1)):
            save_image(directory / part / f"img_{number}.jpg", pixels)
    rows = [(f"img_{n}.jpg", PETS[n % 3], f"patient-{n // 4}") for n in range(ROWS)]
    write_csv(directory / "train.csv", ["image_id", "label", "patient"], rows)
    header = ["image_id", *PETS[::-1]] if probabilities else ["image_id", "label"]
    answers = ["0.2", "0.3", "0.5"] if probabilities else ["cat"]
    write_csv(directory / "sample_submission.csv", header, [(f"img_{n}.jpg", *answers) for n in range(TEST_ROWS)])


def pixel_tables(directory: Path, side: int = 28) -> None:
    """As in Digit Recognizer: ids from 1 stand in the sample alone."""
    names = [f"pixel{n}" for n in range(side * side)]
    images = random_pixels(ROWS, side * side)
    write_csv(directory / "train.csv", ["label", *names], [[n % 10, *row.tolist()] for n, row in enumerate(images)])
    write_csv(directory / "test.csv", names, random_pixels(TEST_ROWS, side * side, seed=1).tolist())
    write_csv(directory / "sample_submission.csv", ["ImageId", "Label"], [(n, 0) for n in range(1, TEST_ROWS + 1)])


def nothing(directory: Path) -> None:
    """Embedded."""


LAYOUTS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "digits": ("digits", nothing),
    "fashion": ("fashion_mnist", fashion),
    "fashion idx": ("fashion_mnist(labels=10)", fashion_idx),
    "fashion idx, five classes": ("fashion_mnist", lambda directory: fashion_idx(directory, compressed=False)),
    "cifar10 python": ("cifar10", cifar10_python),
    "cifar10 python, protocol 4": ("cifar10", lambda directory: cifar10_python(directory, 4)),
    "cifar10 binary": ("cifar10", cifar10_binary),
    "cifar10 tar.gz": ("cifar10", cifar10_archive),
    "cifar10 folders": ("cifar10", cifar10_folders),
    "cifar10 kaggle": ("cifar10", cifar10_kaggle),
    "cifar10 kaggle zip": ("cifar10", lambda directory: cifar10_kaggle(directory, with_archives=True)),
    "cifar100 python": ("cifar100", cifar100_python),
    "cifar100 coarse": ("cifar100(labels='coarse')", cifar100_python),
    "cifar100 binary": ("cifar100", cifar100_binary),
    "cifar100 tar.gz": ("cifar100(labels='coarse')", cifar100_archive),
    "folder": ("folder", class_folders),
    "folder resized": ("folder(image_size=8, channels=1, fit='crop')", class_folders),
    "csv": ("csv", table_and_images),
    "csv probabilities": ("csv", lambda directory: table_and_images(directory, probabilities=True)),
    "pixels": ("pixels", pixel_tables),
}
"""Title -> the competition's spec, and what writes its files into a directory."""


def as_bytes(image: Image.Image, format_name: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format_name, **options)  # type: ignore[arg-type]
    return file.getvalue()
