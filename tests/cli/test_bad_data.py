"""Forty and more ways in which data is wrong, and the one line that each user sees."""

import os
import pickle
import struct
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kit.cli.main import main
from tests import layouts
from tests.layouts import as_bytes, random_pixels, save_image, write_csv

DATA = Path("files")
WEB_PAGE = b"<!DOCTYPE html><html><body>Sign in to download</body></html>"
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12345\n"


class Malicious:
    def __reduce__(self) -> tuple:
        return os.system, ("touch ran",)


def fashion(content: bytes | None = None, **changes: np.ndarray | None) -> None:
    layouts.fashion(DATA, **changes)
    if content is not None:
        (DATA / "fashion_mnist_dataset_train.npy").write_bytes(content)


def npy(header: str, body: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def fashion_malicious() -> None:
    layouts.fashion(DATA)
    with (DATA / "fashion_mnist_dataset_train.npy").open("wb") as file:
        np.save(file, np.array({"features": Malicious()}, dtype=object), allow_pickle=True)


def batch(content: bytes | None = None, **changes: object) -> None:
    layouts.cifar10_python(DATA)
    path = DATA / "cifar-10-batches-py" / "data_batch_2"
    if content is None:
        values = pickle.loads(path.read_bytes()) | {key.encode(): value for key, value in changes.items()}
        content = pickle.dumps({key: value for key, value in values.items() if value is not None}, protocol=2)
    path.write_bytes(content)


def batch_missing() -> None:
    layouts.cifar10_python(DATA)
    (DATA / "cifar-10-batches-py" / "data_batch_4").unlink()


def binary_truncated() -> None:
    layouts.cifar10_binary(DATA)
    path = DATA / "cifar-10-batches-bin" / "data_batch_1.bin"
    path.write_bytes(path.read_bytes()[:-1])


def binary_label() -> None:
    layouts.cifar10_binary(DATA)
    path = DATA / "cifar-10-batches-bin" / "data_batch_1.bin"
    path.write_bytes(b"\x0b" + path.read_bytes()[1:])


def archive(change: Callable[[bytes], bytes]) -> None:
    layouts.cifar10_archive(DATA)
    path = DATA / "cifar-10-python.tar.gz"
    path.write_bytes(change(path.read_bytes()))


def archive_with(name: str, **fields: object) -> None:
    """An archive in which one batch is something else."""
    layouts.cifar10_python(DATA)
    with tarfile.open(DATA / "cifar-10-python.tar.gz", "w:gz") as file:
        for path in sorted((DATA / "cifar-10-batches-py").iterdir()):
            info = file.gettarinfo(path, f"cifar-10-batches-py/{path.name}")
            if path.name == "data_batch_3":
                info.name = name
                for field, value in fields.items():
                    setattr(info, field, value)
            with path.open("rb") as content:
                file.addfile(info, content if info.isreg() else None)
            path.unlink()
    (DATA / "cifar-10-batches-py").rmdir()


def coarse_wrong() -> None:
    layouts.cifar100_python(DATA)
    path = DATA / "cifar-100-python" / "train"
    values = pickle.loads(path.read_bytes())
    path.write_bytes(pickle.dumps(values | {b"coarse_labels": [0] * 200}, protocol=2))


def idx(change: Callable[[bytes], bytes], name: str = "train-images-idx3-ubyte") -> None:
    layouts.fashion_idx(DATA, compressed=False)
    (DATA / name).write_bytes(change((DATA / name).read_bytes()))


def idx_gz() -> None:
    layouts.fashion_idx(DATA)
    path = DATA / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-500])


def folder(name: str = "train/cat/0.png", content: bytes = b"") -> None:
    layouts.class_folders(DATA)
    (DATA / name).parent.mkdir(parents=True, exist_ok=True)
    (DATA / name).write_bytes(content)


def one_class() -> None:
    save_image(DATA / "train" / "cat" / "1.png", random_pixels(8, 8, 3))


def empty_class() -> None:
    layouts.class_folders(DATA)
    (DATA / "train" / "bird").mkdir()


def other_size() -> None:
    layouts.class_folders(DATA)
    save_image(DATA / "train" / "dog" / "1.png", random_pixels(9, 8, 3))


def huge_image() -> None:
    """A PNG whose header claims 60,000 x 60,000 pixels."""
    content = bytearray(as_bytes(Image.new("L", (8, 8))))
    content[16:24] = struct.pack(">II", 60_000, 60_000)
    import zlib

    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    folder(content=bytes(content))


def zip_file(change: Callable[[zipfile.ZipFile], None]) -> None:
    layouts.class_folders(DATA)
    layouts.zipped(DATA / "train", DATA / "train.zip")
    with zipfile.ZipFile(DATA / "train.zip", "a", zipfile.ZIP_DEFLATED) as file:
        change(file)


def zip_link(file: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("cat/link.png")
    info.external_attr = 0o120777 << 16
    file.writestr(info, "/etc/passwd")


def zip_truncated() -> None:
    zip_file(lambda file: None)
    path = DATA / "train.zip"
    path.write_bytes(path.read_bytes()[:-30])


def both_zip_and_folder() -> None:
    layouts.class_folders(DATA)
    with zipfile.ZipFile(DATA / "train.zip", "w") as file:
        file.writestr("cat/1.png", b"")


def table(text: str | bytes, name: str = "train.csv") -> None:
    layouts.table_and_images(DATA)
    (DATA / name).write_bytes(text if isinstance(text, bytes) else text.encode())


def table_with(**changes: object) -> None:
    """The table with one cell of its first row changed."""
    layouts.table_and_images(DATA)
    rows = [line.split(",") for line in (DATA / "train.csv").read_text().splitlines()]
    for column, value in changes.items():
        rows[1][rows[0].index(column)] = str(value)
    write_csv(DATA / "train.csv", rows[0], rows[1:])


def no_images() -> None:
    layouts.table_and_images(DATA)
    (DATA / "train_images").rename(DATA / "photos")


def pixels(row: int, column: int, value: str) -> None:
    layouts.pixel_tables(DATA, side=4)
    rows = [line.split(",") for line in (DATA / "train.csv").read_text().splitlines()]
    rows[row][column] = value
    write_csv(DATA / "train.csv", rows[0], rows[1:])


def pixels_header(text: str) -> None:
    layouts.pixel_tables(DATA, side=4)
    lines = (DATA / "train.csv").read_text().splitlines()
    (DATA / "train.csv").write_text("\n".join([text, *lines[1:]]) + "\n")


def folds_file(text: str) -> None:
    layouts.pixel_tables(DATA, side=4)
    Path("folds.csv").write_text(text)


def unreadable() -> None:
    layouts.class_folders(DATA)
    os.mkfifo(DATA / "train" / "cat" / "pipe.png")


CHECK = {
    name: ["data", "check", name, "--data", str(DATA)]
    for name in ("fashion_mnist", "cifar10", "cifar100", "folder", "csv", "pixels")
}
TRAIN = ["train", "pixels", "--data", str(DATA), "--epochs", "1"]
CASES: dict[str, tuple[list[str], Callable[[], object], str]] = {
    # the files of fashion_mnist
    "npy: a web page": (
        CHECK["fashion_mnist"],
        lambda: fashion(WEB_PAGE),
        'files/fashion_mnist_dataset_train.npy: it is a web page, not data; expected a pickled dict of arrays, as np.save(path, {"features": ..., "target": ...}) writes it; download it again, logged in where it is needed',
    ),
    "npy: a Git LFS pointer": (
        CHECK["fashion_mnist"],
        lambda: fashion(LFS_POINTER),
        'files/fashion_mnist_dataset_train.npy: it is a Git LFS pointer, not the data itself; expected a pickled dict of arrays, as np.save(path, {"features": ..., "target": ...}) writes it; fetch the data with git lfs pull',
    ),
    "npy: empty": (
        CHECK["fashion_mnist"],
        lambda: fashion(b""),
        'files/fashion_mnist_dataset_train.npy: it is empty (0 bytes); expected a pickled dict of arrays, as np.save(path, {"features": ..., "target": ...}) writes it; download or copy it again',
    ),
    "npy: a pickle that runs a program": (
        CHECK["fashion_mnist"],
        fashion_malicious,
        'files/fashion_mnist_dataset_train.npy: its pickle asks for \'posix.system\', which is code (none of it was run); expected a pickled dict of arrays, as np.save(path, {"features": ..., "target": ...}) writes it; never open it with np.load(allow_pickle=True); ask for a copy that holds plain arrays of numbers or text only',
    ),
    "npy: a header that claims a terabyte": (
        CHECK["fashion_mnist"],
        lambda: fashion(npy("{'descr': '<f8', 'fortran_order': False, 'shape': (137438953472,), }")),
        'files/fashion_mnist_dataset_train.npy: it is an array of dtype \'<f8\' and shape (137438953472,); expected a pickled dict of arrays, as np.save(path, {"features": ..., "target": ...}) writes it; save the arrays under their names, in one dict',
    ),
    "npy: truncated": (
        CHECK["fashion_mnist"],
        lambda: (layouts.fashion(DATA), os.truncate(DATA / "fashion_mnist_dataset_train.npy", 9000)),
        'files/fashion_mnist_dataset_train.npy: it claims 250,880 bytes at byte 351, and 8,649 are left; expected a pickled dict of arrays, as np.save(path, {"features": ..., "target": ...}) writes it; it is truncated or damaged: download or copy the file again',
    ),
    "npy: other labels": (
        CHECK["fashion_mnist"],
        lambda: fashion(target=np.arange(40) % 6 + 0.0),
        "files/fashion_mnist_dataset_train.npy (target): 7 labels are not in the set {1, 2, 3, 4, 5}; the first is 0.0 in row 0: see which competition the file is of",
    ),
    "npy: fractions as labels": (
        CHECK["fashion_mnist"],
        lambda: fashion(target=np.arange(40) / 8 + 1),
        "files/fashion_mnist_dataset_train.npy (target): 35 labels are not in the set {1, 2, 3, 4, 5}; the first is 1.125 in row 1: see which competition the file is of",
    ),
    "npy: values up to 300": (
        CHECK["fashion_mnist"],
        lambda: fashion(features=np.full((40, 28, 28), 300.0)),
        "files/fashion_mnist_dataset_train.npy (features): received values from 300 to 300 in rows 0 to 39, expected 0..255 or 0..1: bring them into that range",
    ),
    "npy: a directory under its name": (
        CHECK["fashion_mnist"],
        lambda: (DATA / "fashion_mnist_dataset_train.npy").mkdir(parents=True),
        "files/fashion_mnist_dataset_train.npy cannot be read: Is a directory; expected the competition's file, readable by you",
    ),
    "idx: truncated": (
        CHECK["fashion_mnist"],
        lambda: idx(lambda content: content[:-10]),
        "files/train-images-idx3-ubyte: its header claims the shape (40, 28, 28), and 31,350 bytes follow; expected images or labels in the idx format of MNIST, as they are or compressed by gzip; it is truncated or damaged: download or copy the file again",
    ),
    "idx: a header that claims more": (
        CHECK["fashion_mnist"],
        lambda: idx(lambda c: c[:4] + b"\xff\xff\xff\xff" + c[8:]),
        "files/train-images-idx3-ubyte: its header claims the shape (4294967295, 28, 28), the limit is 1,073,741,824 bytes; expected images or labels in the idx format of MNIST, as they are or compressed by gzip; it is truncated or damaged: download or copy the file again",
    ),
    "idx: labels under the images' name": (
        CHECK["fashion_mnist"],
        lambda: idx(lambda c: layouts.idx(np.zeros(40, np.uint8))),
        "files/train-images-idx3-ubyte has shape (40,) and files/train-labels-idx1-ubyte has shape (40,), expected (rows, 28, 28) and (rows,)",
    ),
    "idx: truncated gzip": (
        CHECK["fashion_mnist"],
        idx_gz,
        "files/train-images-idx3-ubyte.gz: it cannot be decompressed (Compressed file ended before the end-of-stream marker was reached); expected images or labels in the idx format of MNIST, as they are or compressed by gzip; it is truncated or damaged: download or copy the file again",
    ),
    "idx: ten classes of files that have five": (
        [*CHECK["fashion_mnist"], "--labels", "10"],
        fashion,
        "train-images-idx3-ubyte (or .gz) is not in files/fashion_mnist or files, and other files have no ten classes: put the four original files there, or train without --labels 10",
    ),
    # the files of CIFAR
    "batch: a pickle that runs a program": (
        CHECK["cifar10"],
        lambda: batch(pickle.dumps({"data": Malicious()}, 2)),
        "files/cifar-10-batches-py/data_batch_2: its pickle asks for 'posix.system', which is code (none of it was run); expected a pickled dict with data, uint8 (rows, 3,072), and labels; never open it with np.load(allow_pickle=True); ask for a copy that holds plain arrays of numbers or text only",
    ),
    "batch: a web page": (
        CHECK["cifar10"],
        lambda: batch(WEB_PAGE),
        "files/cifar-10-batches-py/data_batch_2: it is a web page, not data; expected a pickled dict with data, uint8 (rows, 3,072), and labels; download it again, logged in where it is needed",
    ),
    "batch: no data": (
        CHECK["cifar10"],
        lambda: batch(data=None),
        "files/cifar-10-batches-py/data_batch_2: it has no data, it holds ['batch_label', 'labels', 'filenames']; expected a pickled dict with data, uint8 (rows, 3,072), and labels; check which file of which data set this is",
    ),
    "batch: a label too many": (
        CHECK["cifar10"],
        lambda: batch(labels=[0] * 11),
        "files/cifar-10-batches-py/data_batch_2: its labels are int64 of shape (11,) for 10 images; expected a pickled dict with data, uint8 (rows, 3,072), and labels; download the data set again from https://www.cs.toronto.edu/~kriz/cifar.html",
    ),
    "batch: a label out of range": (
        CHECK["cifar10"],
        lambda: batch(labels=[10] * 10),
        "files/cifar-10-batches-py/data_batch_2: its labels hold 10 in row 0, expected 0..9; expected a pickled dict with data, uint8 (rows, 3,072), and labels; download the data set again from https://www.cs.toronto.edu/~kriz/cifar.html",
    ),
    "batch: of another shape": (
        CHECK["cifar10"],
        lambda: batch(data=np.zeros((10, 3071), np.uint8)),
        "files/cifar-10-batches-py/data_batch_2: its data is uint8 of shape (10, 3071); expected a pickled dict with data, uint8 (rows, 3,072), and labels; check which file this is",
    ),
    "batch: one is missing": (
        CHECK["cifar10"],
        batch_missing,
        "files/cifar-10-batches-py: data_batch_4 is missing beside data_batch_1; download the data again",
    ),
    "binary: truncated": (
        CHECK["cifar10"],
        binary_truncated,
        "files/cifar-10-batches-bin/data_batch_1.bin: its 30,729 bytes are no whole number of records; expected records of 3,073 bytes: labels, then 3,072 pixels; it may be truncated: download the data set again from https://www.cs.toronto.edu/~kriz/cifar.html",
    ),
    "binary: a label out of range": (
        CHECK["cifar10"],
        binary_label,
        "files/cifar-10-batches-bin/data_batch_1.bin: it starts with b'\\x0b_\\x82\\xc2\\xd9\\xcf\\xeb\\x0f\\xa3!\\xd7\\xd9\\x82\\xf8\\xbd\\x10E\\xb8\\xe8\\xcdN\\xa..., not as a CIFAR batch; expected records of 3,073 bytes: labels, then 3,072 pixels; check which file this is",
    ),
    "tar: truncated": (
        CHECK["cifar10"],
        lambda: archive(lambda content: content[: len(content) // 2]),
        "files/cifar-10-python.tar.gz: it cannot be decompressed after 102,400 bytes (Compressed file ended before the end-of-stream marker was reached); expected a .tar or .tar.gz archive with data_batch_1, data_batch_2, data_batch_3, data_batch_4, data_batch_5; it is truncated or damaged: download or copy the archive again",
    ),
    "tar: a web page": (
        CHECK["cifar10"],
        lambda: archive(lambda content: WEB_PAGE),
        "files/cifar-10-python.tar.gz: it is a web page, not data; expected a .tar or .tar.gz archive with data_batch_1, data_batch_2, data_batch_3, data_batch_4, data_batch_5; download it again, logged in where it is needed",
    ),
    "tar: not compressed, and no tar": (
        CHECK["cifar10"],
        lambda: archive(lambda content: b"\0" * 2000),
        "files/cifar-10-python.tar.gz: it has no data_batch_1, data_batch_2, data_batch_3, data_batch_4, data_batch_5; expected a .tar or .tar.gz archive with data_batch_1, data_batch_2, data_batch_3, data_batch_4, data_batch_5; check which archive this is",
    ),
    "tar: a member that leads elsewhere": (
        CHECK["cifar10"],
        lambda: archive_with("../../data_batch_3"),
        "files/cifar-10-python.tar.gz: its member '../../data_batch_3' leads out of the archive; expected a .tar or .tar.gz archive with data_batch_1, data_batch_2, data_batch_3, data_batch_4, data_batch_5; do not unpack it; download it from where it was published",
    ),
    "tar: a link": (
        CHECK["cifar10"],
        lambda: archive_with("cifar-10-batches-py/data_batch_3", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        "files/cifar-10-python.tar.gz: its member 'cifar-10-batches-py/data_batch_3' is a link or a device, not a file; expected a .tar or .tar.gz archive with data_batch_1, data_batch_2, data_batch_3, data_batch_4, data_batch_5; do not unpack it; download it from where it was published",
    ),
    "tar: a device": (
        CHECK["cifar10"],
        lambda: archive_with("cifar-10-batches-py/data_batch_3", type=tarfile.CHRTYPE),
        "files/cifar-10-python.tar.gz: its member 'cifar-10-batches-py/data_batch_3' is a link or a device, not a file; expected a .tar or .tar.gz archive with data_batch_1, data_batch_2, data_batch_3, data_batch_4, data_batch_5; do not unpack it; download it from where it was published",
    ),
    "tar: a batch is missing": (
        CHECK["cifar10"],
        lambda: archive_with("cifar-10-batches-py/readme"),
        "files/cifar-10-python.tar.gz: it has no data_batch_3; expected a .tar or .tar.gz archive with data_batch_1, data_batch_2, data_batch_3, data_batch_4, data_batch_5; check which archive this is",
    ),
    "cifar100: another superclass": (
        CHECK["cifar100"],
        coarse_wrong,
        "cifar100 train: row 0 is apple of the superclass aquatic_mammals, expected fruit_and_vegetables (190 such rows); download the data again",
    ),
    "cifar10: nothing there": (
        CHECK["cifar10"],
        lambda: DATA.mkdir(),
        "no train files of cifar10 in files/cifar10 or files: put cifar-10-python.tar.gz or its folder cifar-10-batches-py there, or image folders train and test, or name their directory with --data",
    ),
    # folder
    "folder: nothing there": (
        CHECK["folder"],
        lambda: DATA.mkdir(),
        "files: received no class folders with images, expected two or more: put the images into train/CLASS/ folders, or into CLASS/ folders right there, with those to predict in test/",
    ),
    "folder: one class": (
        CHECK["folder"],
        one_class,
        "files: received the class folders cat, expected two or more: put the images into train/CLASS/ folders, or into CLASS/ folders right there, with those to predict in test/",
    ),
    "folder: an empty class": (
        CHECK["folder"],
        empty_class,
        "files/train/bird: this class folder holds no images; fill it or remove it",
    ),
    "folder: names that differ in case only": (
        CHECK["folder"],
        lambda: folder("train/Cat/9.png", as_bytes(Image.new("L", (8, 8)))),
        "files/train/cat: its name differs from 'Cat' in upper and lower case only; expected one folder a class: rename or merge them",
    ),
    "folder: an image of another size": (
        CHECK["folder"],
        other_size,
        "files/train/dog/1.png: it has 8 x 9 pixels, files/train/cat/0.png has 12 x 12; expected one size for all; resize them with --image-size 12",
    ),
    "folder: a web page for an image": (
        CHECK["folder"],
        lambda: folder(content=WEB_PAGE),
        "files/train/cat/0.png: it is a web page, not data; expected a picture: PNG, JPEG, BMP, GIF, WEBP, TIFF or PPM; download it again, logged in where it is needed",
    ),
    "folder: an empty image": (
        CHECK["folder"],
        folder,
        "files/train/cat/0.png: it is empty (0 bytes); expected a picture: PNG, JPEG, BMP, GIF, WEBP, TIFF or PPM; download or copy it again",
    ),
    "folder: a truncated image": (
        CHECK["folder"],
        lambda: folder(content=as_bytes(Image.fromarray(random_pixels(12, 12, 3)))[:-90]),
        "files/train/cat/0.png: it cannot be decoded ('image file is truncated'); expected a picture: PNG, JPEG, BMP, GIF, WEBP, TIFF or PPM; it is truncated or damaged: download or copy the file again",
    ),
    "folder: a decompression bomb": (
        CHECK["folder"],
        huge_image,
        "files/train/cat/0.png: it claims far more than 64,000,000 pixels; expected a picture: PNG, JPEG, BMP, GIF, WEBP, TIFF or PPM; make it smaller, or remove it",
    ),
    "folder: a pipe": (
        CHECK["folder"],
        unreadable,
        "files/train/cat/pipe.png: it is a pipe; expected a file or a folder; move it elsewhere",
    ),
    "train: no epochs": (
        ["train", "folder", "--data", str(DATA), "--epochs", "0"],
        lambda: layouts.class_folders(DATA),
        "epochs is 0, expected a whole number from 1 to 100000",
    ),
    "folder: an impossible size": (
        [*CHECK["folder"], "--image-size", "0"],
        lambda: layouts.class_folders(DATA),
        "image_size is 0, expected 1 to 4096 pixels",
    ),
    "zip: a member that leads elsewhere": (
        CHECK["folder"],
        lambda: zip_file(lambda file: file.writestr("../evil.png", b"x")),
        "files/train.zip: '../evil.png' in it leads out of the archive; expected a directory or a .zip archive of images in folders; do not trust it, and ask whoever made it",
    ),
    "zip: a link": (
        CHECK["folder"],
        lambda: zip_file(zip_link),
        "files/train.zip: 'cat/link.png' in it is a link; expected a directory or a .zip archive of images in folders; pack the file itself, such as with zip -r, without -y",
    ),
    "zip: a bomb": (
        CHECK["folder"],
        lambda: zip_file(lambda file: file.writestr("cat/bomb.png", bytes(2**26))),
        "files/train.zip: 'cat/bomb.png' in it claims 67,108,864 bytes packed into 65,232; expected a directory or a .zip archive of images in folders; do not trust it, and ask whoever made it",
    ),
    "zip: truncated": (
        CHECK["folder"],
        zip_truncated,
        "files/train.zip: its list of contents cannot be read ('File is not a zip file'); expected a directory or a .zip archive of images in folders; it is truncated or damaged: download or copy the archive again",
    ),
    "zip: beside a folder of its name": (
        CHECK["folder"],
        both_zip_and_folder,
        "files: there are both train.zip and a folder train; move one of them away, so that it is clear which to read",
    ),
    # csv
    "csv: empty": (
        CHECK["csv"],
        lambda: table(""),
        "files/train.csv: it is empty (0 bytes); expected a CSV file with a header and the columns that it names; download or copy it again",
    ),
    "csv: a header alone": (
        CHECK["csv"],
        lambda: table("image_id,label\n"),
        "files/train.csv: it has a header and no rows; expected a CSV file with a header and the columns that it names; check which file this is, or download it again",
    ),
    "csv: semicolons": (
        CHECK["csv"],
        lambda: table("image_id;label\nimg_1.jpg;cat\n"),
        "files/train.csv: it seems to be separated by ';' (its header: 'image_id;label'); expected a CSV file with a header and the columns that it names; save it with commas, and see that the ids are still as they were",
    ),
    "csv: a ragged row": (
        CHECK["csv"],
        lambda: table("image_id,label\nimg_1.jpg,cat\nimg_2.jpg\n"),
        "files/train.csv: its line 3 has 1 fields and its header 2; expected a CSV file with a header and the columns that it names; look at that line: text with a comma in it must be quoted",
    ),
    "csv: a column twice": (
        CHECK["csv"],
        lambda: table("image_id,label,label\nimg_1.jpg,cat,dog\n"),
        "files/train.csv: its header has 'label' more than once; expected a CSV file with a header and the columns that it names; give each column one name, or add the header if it has none",
    ),
    "csv: not UTF-8": (
        CHECK["csv"],
        lambda: table("image_id,label\nimg_1.jpg,ch\xe2t\n".encode("latin-1")),
        "files/train.csv: its byte 27, b'\\xe2', is not UTF-8 text; expected a CSV file with a header and the columns that it names; save it as UTF-8; a spreadsheet calls that CSV UTF-8",
    ),
    "csv: a web page": (
        CHECK["csv"],
        lambda: table(WEB_PAGE),
        "files/train.csv: it is a web page, not data; expected a CSV file with a header and the columns that it names; download it again, logged in where it is needed",
    ),
    "csv: no label column": (
        CHECK["csv"],
        lambda: table("a,b,c\nimg_1.jpg,cat,4\n"),
        "files/train.csv: there is no column that is clearly the id column among a, b, c; name it: csv(id_column='NAME')",
    ),
    "csv: an image that is not there": (
        CHECK["csv"],
        lambda: table_with(image_id="img_99.jpg"),
        "files/train.csv: 1 ids have no image file (img_99.jpg); the 40 image files are train_images/img_0.jpg, train_images/img_1.jpg, train_images/img_10.jpg, ...: put the missing images there, or correct the ids",
    ),
    "csv: an id twice": (
        CHECK["csv"],
        lambda: table_with(image_id="img_1.jpg"),
        "files/train.csv (image_id): 1 ids occur more than once (img_1.jpg), expected each once",
    ),
    "csv: an empty label": (
        CHECK["csv"],
        lambda: table_with(label=""),
        "files/train.csv (label): 1 labels are no class; the first is '' in line 2; expected one of cat, dog, hen: correct or remove those rows",
    ),
    "csv: no folder of images": (
        CHECK["csv"],
        no_images,
        "files: there is none of the folders train, train_images, images, train-images for the images to train on (its folders: photos, test_images); add one, or name it: csv(train_images='NAME')",
    ),
    "csv: a column that is not there": (
        [*CHECK["csv"][:2], "csv(label_column='kind')", *CHECK["csv"][3:]],
        lambda: layouts.table_and_images(DATA),
        "files/train.csv: there is no column 'kind' among image_id, label, patient; name it: csv(label_column='NAME')",
    ),
    "csv: a group column that is not there": (
        ["folds", "csv", "--data", str(DATA), "--group", "hospital"],
        lambda: layouts.table_and_images(DATA),
        "stratified_kfold: the images have no column 'hospital': choose one of patient",
    ),
    # pixels
    "pixels: a word for a value": (
        CHECK["pixels"],
        lambda: pixels(3, 2, "dark"),
        "files/train.csv: its line 4, column 'pixel1' holds 'dark', which is no number; expected a CSV file with a header and an image a row, values 0..255 or 0..1; correct that value",
    ),
    "pixels: a value of 256": (
        CHECK["pixels"],
        lambda: pixels(3, 2, "256"),
        "files/train.csv: its line 4, column 'pixel1' holds 256 and not a whole number 0..255; expected a CSV file with a header and an image a row, values 0..255 or 0..1; correct that value",
    ),
    "pixels: an empty cell": (
        CHECK["pixels"],
        lambda: pixels(3, 2, ""),
        "files/train.csv: its line 4, column 'pixel1' holds '', which is no number; expected a CSV file with a header and an image a row, values 0..255 or 0..1; correct that value",
    ),
    "pixels: no label column": (
        CHECK["pixels"],
        lambda: pixels_header("digit," + ",".join(f"pixel{n}" for n in range(16))),
        "files/train.csv: its 17 columns of pixels are no square image of 1 channel(s); expected a CSV file with a header and an image a row, values 0..255 or 0..1; name what is no pixel with label_column or id_column (perhaps digit)",
    ),
    # folds and scores
    "folds: a file of other ids": (
        [*TRAIN, "--folds", "folds.csv"],
        lambda: folds_file("id,fold\n1,0\n2,1\n99,0\n"),
        "folds.csv: 1 ids that no image has, expected each id of the images once, with its fold: 99",
    ),
    "folds: no such file": (
        [*TRAIN, "--folds", "none.csv"],
        lambda: layouts.pixel_tables(DATA, side=4),
        "folds is 'none.csv', expected a whole number, or a CSV of id,fold that is there",
    ),
    "folds: another header": (
        [*TRAIN, "--folds", "folds.csv"],
        lambda: folds_file("name,fold\n1,0\n"),
        "folds.csv: the header is 'name,fold', expected 'id,fold'",
    ),
    "folds: a fold that is empty": (
        [*TRAIN, "--folds", "folds.csv"],
        lambda: folds_file("id,fold\n" + "".join(f"{n},{n % 2 * 2}\n" for n in range(1, 41))),
        "folds.csv: the folds are 0, 2, expected all whole numbers from 0 to at least 1, without gaps",
    ),
    "folds: more than there are images": (
        ["folds", "pixels", "--data", str(DATA), "--folds", "50"],
        lambda: layouts.pixel_tables(DATA, side=4),
        "40 labelled images cannot be split into 50 parts: get at least 50",
    ),
    "split: more rows than there are": (
        [*TRAIN, "--split", "first_rows(40)"],
        lambda: layouts.pixel_tables(DATA, side=4),
        "first_rows: 40 images, expected more than the 40 that train, so that some are left to validate: lower rows",
    ),
    "split: folders that there are not": (
        [*TRAIN, "--split", "group_folders"],
        lambda: layouts.pixel_tables(DATA, side=4),
        "group_folders: the images have no column 'folder': they have no columns at all",
    ),
    "metric: unknown": (
        [*TRAIN, "--metric", "acuracy"],
        lambda: layouts.pixel_tables(DATA, side=4),
        "unknown metric 'acuracy': did you mean 'accuracy'? choose one of accuracy, balanced_accuracy, kappa, log_loss, macro_f1, quadratic_kappa, roc_auc, top_k_accuracy, weighted_f1",
    ),
    "data: a file that is no archive": (
        ["train", "folder", "--data", "notes.txt"],
        lambda: Path("notes.txt").write_text(""),
        "--data notes.txt is not a directory or a .zip: name the one that holds the competition's files, also where they are a .tar.gz",
    ),
}


@pytest.mark.parametrize("title", CASES)
def test_bad_data_is_one_line_and_exit_code_2(
    title: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words, make, message = CASES[title]
    make()
    before = files_here()
    monkeypatch.setattr(sys, "argv", ["kit", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    printed = capsys.readouterr()
    assert printed.err == f"kit: {message}\n"
    assert stop.value.code == 2
    assert printed.out == ""
    assert files_here() == before  # no run, no file that a pickle asked for
    assert not list(Path("cache").rglob(".*"))  # no scratch left


def files_here() -> set[str]:
    """All but the cache, which may hold the training images of a data set whose test images are wrong."""
    return {str(path) for path in Path().rglob("*") if path.parts[0] != "cache"}


def test_there_are_many() -> None:
    assert len(CASES) > 40
    assert len({message for _, _, message in CASES.values()}) > 0.9 * len(CASES)
