"""Digits: 1,797 handwritten digits that come inside scikit-learn, so that everything works without a download.

Source: UCI Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, 1998), as ``sklearn.datasets.load_digits``.
The 8x8 images of 0..16 are enlarged to 28x28 of 0..255, the size that the Fashion-MNIST models expect. The last
360 images play the unlabelled test set: they were written by other people than the first ones.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from kit.data.claims import Claim, NamedRecipes
from kit.data.images import Competition, Images
from kit.data.prepared import write_pixel_competition

TEST_ROWS = 360
SIZE = 28  # pixels a side


@cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    from scipy.ndimage import zoom
    from sklearn.datasets import load_digits

    small, target = load_digits(return_X_y=True)
    small = small.reshape(-1, 8, 8) * (255 / 16)
    large = zoom(small, (1, SIZE / 8, SIZE / 8), order=1, mode="nearest", grid_mode=True)
    return np.rint(large).astype(np.uint8)[..., np.newaxis], target.astype(np.int64)


def load_train() -> Images:
    """1,437 labelled images."""
    pixels, target = _digits()
    return Images(pixels[:-TEST_ROWS], np.arange(len(pixels) - TEST_ROWS), target[:-TEST_ROWS])


def load_test() -> Images:
    """360 images without labels."""
    pixels, _ = _digits()
    return Images(pixels[-TEST_ROWS:], np.arange(TEST_ROWS))


def prepare(directory: Path) -> list[Path]:
    """Write the digits as a pixel CSV with held-out answers, for ``kit train pixels``."""
    pixels, target = _digits()
    test = Images(pixels[-TEST_ROWS:], np.arange(TEST_ROWS), target[-TEST_ROWS:])
    return write_pixel_competition(directory, load_train(), test, range(10))


_OWN = {
    "epochs": 15,
    "batch_size": 32,
    "optimizer": "adamax",
    "learning_rate": 4e-3,  # per batch of 32
    "schedule": "warmup(1)|cosine",
    "augment": "shift(height=2, width=2)",
    "normalization": "standardize",
}
_MACHINE = "2 cores, AVX-512, beside other jobs"
_OUT_OF_FOLD = (
    "out of fold, by --folds 5; minutes of all five; 143 test rows of one split are too few to tell recipes apart"
)
# 15 epochs are 540 steps: hence the faster moving averages.
_DEEPER = {"model": "deeper(momentum=0.9)", **_OWN}

RECIPES: NamedRecipes = {
    "fast": {
        "claim": Claim(score=0.9958, rows=1_437, seeds=(0,), minutes=1.1, machine=_MACHINE, note=_OUT_OF_FOLD),
        **_DEEPER,
    },
    "best": {
        "claim": Claim(score=0.9986, rows=1_437, seeds=(0,), minutes=4.0, machine=_MACHINE, note=_OUT_OF_FOLD),
        **_DEEPER,
        "epochs": 60,
        "augment": "shift(height=2, width=2)|rotate(10)",
        "label_smoothing": 0.1,
    },
    "deeper": _DEEPER,
    "brief": {"model": "brief(momentum=0.9)", **_OWN},
}


def competition(data: Path | None, /) -> Competition:
    return Competition(
        name="digits",
        title="Handwritten digits, embedded",
        label_values=tuple(range(10)),
        class_names=tuple(map(str, range(10))),
        image_shape=(SIZE, SIZE, 1),
        load_train=load_train,
        load_test=load_test,
        prepare=prepare,
        recipes=RECIPES,
    )
