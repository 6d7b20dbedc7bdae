"""How much longer it takes to deal rows into folds than to read their pixels once.

`stratified_kfold(5)` on 1,000,000 images of 28x28, of which one in a hundred is a copy of another, against a plain
loop that hashes every row once with `hashlib.blake2b`: whoever keeps equal images together must do that much.
Bound: at most 2.

    python -m bench.folds [--pairs 5] [--save]
"""

from __future__ import annotations

import hashlib
import time

import numpy as np

from bench.pairs import Report, interleave, parser
from kit.data.folds import make_split
from kit.data.images import Images

ROWS = 1_000_000
COPIES = ROWS // 100
CLASSES = 10


def main() -> None:
    options = parser(__doc__, pairs=5).parse_args()
    data = f"{ROWS:,} random uint8 images, 28x28, {CLASSES} classes, {COPIES:,} of them copies of others"
    report = Report("folds", "dealing rows into folds", data)
    images = _images()
    seconds = interleave({"kit": lambda: _deal(images), "hash": lambda: _hash(images)}, options.pairs)
    rows = [
        ["kit stratified_kfold(5)", float(np.median(seconds["kit"]))],
        ["plain blake2b loop", float(np.median(seconds["hash"]))],
    ]
    report.table("side by side in one process", ["side", "seconds"], rows)
    report.ratios(
        "seconds", {"kit / hashing once": (seconds["kit"], seconds["hash"])}, at_most={"kit / hashing once": 2}
    )
    report.finish(options.save)


def _images() -> Images:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (ROWS, 28, 28, 1), np.uint8)
    labels = random.integers(0, CLASSES, ROWS)
    copies, originals = random.permutation(ROWS)[: 2 * COPIES].reshape(2, COPIES)
    pixels[copies], labels[copies] = pixels[originals], labels[originals]
    return Images(pixels, np.arange(ROWS), labels)


def _deal(images: Images) -> float:
    started = time.perf_counter()
    make_split("stratified_kfold(5)").make_folds(images, 0)
    return time.perf_counter() - started


def _hash(images: Images) -> float:
    started = time.perf_counter()
    for row in images.pixels:
        hashlib.blake2b(row.tobytes(), digest_size=8).digest()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
