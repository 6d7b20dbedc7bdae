"""What augmentation costs in a training step.

Training steps as kit's trainer takes them, with the switches that kit resolves here: each augmentation, with its
default options, against `none`, in turn. Steps of `model_s` at its recipe's batch of 32, on random 32x32x3 images;
bound: no augmentation makes them take more than 1.25 times as long. Steps of `deeper` at a batch of 128, a small net
on small images, with the same bound for `elastic|flip`. For context, elastic distortion of one batch alone: kit's,
compiled, and SciPy's image by image.

    python -m bench.augmentation [--pairs 8] [--save]
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np

from bench.inputs import fashion_mnist
from bench.pairs import Report, Side, interleave, parser
from kit.cli.quiet import import_keras_quietly
from kit.data.folds import Fold
from kit.data.images import Images

BOUND = 1.25
SMALL_NET_SPEC = "elastic|flip"
ROWS = 6400
ALPHA, SIGMA = (10.0, 12.0), 3.0


def main() -> None:
    from competitions.fashion_mnist import load_train
    from kit.training.augment import AUGMENTATIONS
    from kit.training.recipe import Recipe
    from kit.training.switches import resolve_switches

    options = parser(__doc__, pairs=8).parse_args()
    import_keras_quietly()
    model_s = Recipe("cifar10", "model_s", batch_size=32, optimizer="rmsprop", learning_rate=1e-3)
    deeper = Recipe("fashion_mnist", "deeper", batch_size=128)
    every = [name for name in AUGMENTATIONS.names() if name != "none"]
    with fashion_mnist() as (_, data):
        report = Report("augmentation", "a training step with augmentation against one without", data)
        switches = resolve_switches("auto")
        report.note("switches", asdict(switches))
        small = load_train()
        _measure(report, model_s, _photographs(), every, switches, steps=20, pairs=options.pairs)
        _measure(report, deeper, small, [SMALL_NET_SPEC], switches, steps=50, pairs=options.pairs)
        alone = interleave(_elastic_alone(small.pixels[:128]), 3 * options.pairs)
    report.table(
        "elastic distortion of one batch of 128, alone",
        ["way", "median ms"],
        [[way, f"{1000 * statistics.median(times):.1f}"] for way, times in alone.items()],
    )
    report.ratios("SciPy against kit", {"SciPy / kit": (alone["SciPy, image by image"], alone["kit, compiled"])})
    report.finish(options.save)


def _photographs() -> Images:
    """Random pixels take as long as any."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (ROWS, 32, 32, 3), np.uint8)
    return Images(pixels, np.arange(ROWS), random.integers(0, 10, ROWS))


def _measure(
    report: Report, recipe: Any, images: Images, specs: Sequence[str], switches: Any, *, steps: int, pairs: int
) -> None:
    """Steps with each spec against steps without augmentation, in turn."""
    with ExitStack() as scratch:
        sides = {spec: _training(recipe, images, spec, switches, steps, scratch) for spec in ["none", *specs]}
        seconds = interleave(sides, pairs)
    per_step = {spec: 1000 * statistics.median(times) / steps for spec, times in seconds.items()}
    report.table(
        f"a step of {recipe.model} at batch {recipe.batch_size}",
        ["augment", "median ms", "images/s"],
        [[spec, f"{ms:.1f}", int(1000 * recipe.batch_size / ms)] for spec, ms in per_step.items()],
    )
    none = seconds.pop("none")
    measured = {f"{recipe.model}, {spec} / none": (times, none) for spec, times in seconds.items()}
    report.ratios(f"seconds of a step of {recipe.model}", measured, at_most=dict.fromkeys(measured, BOUND))


def _training(recipe: Any, images: Images, augment: str, switches: Any, steps: int, scratch: ExitStack) -> Side:
    """A compiled model of its own, set up by the trainer and trained for ``steps`` steps a call."""
    import keras

    from kit.training.fold_directory import FoldDirectory
    from kit.training.preparation import Task, prepare

    keras.utils.set_random_seed(0)
    fold = Fold(np.arange(ROWS), np.arange(0), np.arange(0))
    directory = FoldDirectory(Path(scratch.enter_context(tempfile.TemporaryDirectory(prefix="kit-bench-"))))
    classes = int(np.max(images.labels)) + 1
    task = Task(replace(recipe, augment=augment), switches, 0, fold, classes, directory)
    model = prepare(images, task, None).step
    batches = _batches(images, fold, recipe.batch_size)

    def train() -> float:
        started = time.perf_counter()
        for batch in islice(batches, steps):
            model.optimizer.learning_rate = recipe.learning_rate
            model.train_on_batch(batch, return_dict=True)
        return time.perf_counter() - started

    return train


def _batches(images: Images, fold: Fold, batch_size: int) -> Iterator[dict[str, np.ndarray]]:
    from kit.training.batches import epoch_batches

    for epoch in count():
        yield from epoch_batches(images, fold.train, batch_size, seed=0, epoch=epoch)


def _elastic_alone(pixels: np.ndarray) -> dict[str, Side]:
    import keras
    import tensorflow as tf
    from scipy.ndimage import gaussian_filter, map_coordinates

    from kit.training.augment import augmentation

    distort = augmentation(f"elastic({ALPHA}, sigma={SIGMA})")
    seed = keras.random.SeedGenerator(0)
    compiled = tf.function(lambda images: distort(images, None, seed)[0])
    batch = tf.constant(pixels.astype(np.float32))  # (batch, height, width, 1)
    grid = np.meshgrid(*map(np.arange, pixels.shape[1:3]), indexing="ij")
    random = np.random.default_rng(0)

    def kit() -> float:
        started = time.perf_counter()
        compiled(batch).numpy()
        return time.perf_counter() - started

    def scipy() -> float:
        started = time.perf_counter()
        for image in pixels[..., 0].astype(np.float32):
            fields = random.uniform(-1, 1, (2, *image.shape))
            factor = random.uniform(*ALPHA)
            places = [axis + factor * gaussian_filter(field, SIGMA) for axis, field in zip(grid, fields, strict=True)]
            map_coordinates(image, places, order=1, mode="reflect")
        return time.perf_counter() - started

    return {"kit, compiled": kit, "SciPy, image by image": scipy}


if __name__ == "__main__":
    main()
