"""How fast image files become one array.

`kit.data.readers.many_pictures.write_pictures` on 50,000 small PNG files, from a directory and from a `.zip`, against a
bare thread pool with Pillow that keeps the pixels in memory. kit also hashes every file, turns pictures upright,
checks what they claim, and writes the array. Bound: at least 0.9 times the images per second, from a directory.
All files lie in the page cache after the warm-up. `KIT_DATA` with `cifar10_folders` in it is used, else random images.

    python -m bench.pictures [--pairs 5] [--save]
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from bench.pairs import Report, Side, interleave, parser
from kit.data.readers.many_pictures import write_pictures
from kit.data.readers.trees import open_tree

IMAGES = 50_000
FOLDERS = 10


def main() -> None:
    options = parser(__doc__, pairs=5).parse_args()
    with tempfile.TemporaryDirectory(prefix="kit-bench-") as name, _small_pictures(Path(name)) as (root, data):
        report = Report("pictures", "image files to one array", data)
        with open_tree(root) as tree:
            files = [file for file in tree.files if file.endswith(".png") and not file.startswith("test/")][:IMAGES]
        archive = _packed(root, files, Path(name) / "pictures.zip")
        sides = {
            "kit, directory": _kit(root, files, Path(name)),
            "bare Pillow": _bare([root / file for file in files]),
            "kit, .zip": _kit(archive, files, Path(name)),
        }
        seconds = interleave(sides, options.pairs)

    report.table(
        f"{len(files):,} PNG files",
        ["way", "median s", "images/s"],
        [
            [way, f"{statistics.median(times):.2f}", int(len(files) / statistics.median(times))]
            for way, times in seconds.items()
        ],
    )
    bare = seconds["bare Pillow"]
    report.ratios(
        "images/s, kit / bare Pillow",  # seconds the other way round
        {"directory": (bare, seconds["kit, directory"]), ".zip": (bare, seconds["kit, .zip"])},
        at_least={"directory": 0.9},
    )
    report.finish(options.save)


def _kit(data: Path, files: Sequence[str], scratch: Path) -> Side:
    def run() -> float:
        started = time.perf_counter()
        with open_tree(data) as tree:
            write_pictures(tree, files, scratch / "pixels.npy")
        return time.perf_counter() - started

    return run


def _bare(paths: Sequence[Path]) -> Side:
    def run() -> float:
        started = time.perf_counter()
        with ThreadPoolExecutor() as pool:
            np.stack(list(pool.map(lambda path: np.asarray(Image.open(path).convert("RGB")), paths)))
        return time.perf_counter() - started

    return run


@contextmanager
def _small_pictures(scratch: Path) -> Iterator[tuple[Path, str]]:
    """A directory of PNG files in class folders, and what they are, in words."""
    real = Path(os.environ.get("KIT_DATA", ""), "cifar10_folders")
    if os.environ.get("KIT_DATA") and real.is_dir():
        yield real, "CIFAR-10, 32x32 RGB PNG files, from KIT_DATA"
        return
    random = np.random.default_rng(0)
    root = scratch / "pictures"
    for folder in range(FOLDERS):
        (root / str(folder)).mkdir(parents=True)
    for number in range(IMAGES):
        coarse = Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8))
        coarse.resize((32, 32)).save(root / str(number % FOLDERS) / f"{number:05d}.png")
    yield root, "random 32x32 RGB PNG files (KIT_DATA has no cifar10_folders)"


def _packed(root: Path, files: Sequence[str], path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in files:
            archive.write(root / name, name)
    return path


if __name__ == "__main__":
    main()
