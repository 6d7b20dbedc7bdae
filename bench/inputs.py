"""What the benchmarks measure on: Fashion-MNIST where ``KIT_DATA`` has it, else random images in its format; noise."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from kit.data.folds import Fold
    from kit.data.images import Images

KIT = str(Path(sysconfig.get_path("scripts"), "kit"))  # the program that people run
RANDOM_TRAINING_ROWS = 20_000
TEST_ROWS = 10_000


@contextmanager
def fashion_mnist() -> Iterator[tuple[Path, str]]:
    """A scratch directory and what the images are, in words.

    Meanwhile ``KIT_DATA`` names the images, and ``KIT_CACHE`` lies in the scratch directory, for this process
    and its children: a benchmark leaves nothing behind and measures the same whatever was cached before.
    """
    from competitions.fashion_mnist import NAME, TEST_FILE, TRAIN_FILE
    from kit.data.locate import find_file

    before = dict(os.environ)
    real = bool(os.environ.get("KIT_DATA")) and all(find_file(NAME, None, name) for name in (TRAIN_FILE, TEST_FILE))
    with tempfile.TemporaryDirectory(prefix="kit-bench-") as name:
        scratch = Path(name)
        os.environ["KIT_CACHE"] = str(scratch / "cache")
        if not real:
            _write_random(scratch / TRAIN_FILE, RANDOM_TRAINING_ROWS, "target")
            _write_random(scratch / TEST_FILE, TEST_ROWS, "id")
            os.environ["KIT_DATA"] = name
        try:
            yield scratch, "Fashion-MNIST from KIT_DATA" if real else "random uint8 images, 28x28 (KIT_DATA has none)"
        finally:
            os.environ.clear()
            os.environ.update(before)


def _write_random(path: Path, rows: int, column: str) -> None:
    random = np.random.default_rng(0)
    features = random.integers(0, 256, (rows, 28, 28), np.uint8)
    values = np.arange(rows) if column == "id" else random.integers(1, 6, rows)
    np.save(path, {"features": features, column: values}, allow_pickle=True)  # type: ignore[arg-type]


def noise(rows: int, classes: int) -> tuple[Images, Fold]:
    """Random images of 32x32x3 with random labels, and 80 % of them to train on, 10 to validate, 10 to test."""
    from kit.data.folds import make_split
    from kit.data.images import Images

    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (rows, 32, 32, 3)).astype(np.uint8)
    images = Images(pixels, np.arange(rows), random.integers(0, classes, rows))
    return images, make_split("holdout").make_folds(images, 0)[0]


def trained_model(competition: str, scratch: Path) -> Path:
    """Train ``deeper`` for one epoch, in a process of its own, and return its ONNX file."""
    command = [KIT, "train", competition, "--model", "deeper", "--epochs", "1", "--schedule", "constant"]
    subprocess.run([*command, "--out", scratch, "--name", "bench"], check=True, capture_output=True)
    return scratch / competition / "bench" / "model.onnx"


def modules_loaded(arguments: list[str], wanted: tuple[str, ...], directory: Path) -> list[str]:
    """Which of some modules are in memory when ``kit`` with these arguments ends."""
    code = (
        "import sys\n"
        "from kit.cli.main import main\n"
        f"sys.argv = {['kit', *arguments]!r}\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print('loaded', *[name for name in {wanted!r} if name in sys.modules])\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=directory)
    return done.stdout.splitlines()[-1].split()[1:]
