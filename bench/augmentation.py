"""What augmentation costs in a training step.

Training steps of `deeper` at batch 128, put together as kit/training/trainer.py does it, with the switches that kit
resolves here: each augmentation against `none`, in turn. Bound: a step with `elastic|flip` takes at most 1.25 times
as long. For context, elastic distortion of one batch alone: kit's, compiled, and SciPy's image by image.

    python -m bench.augmentation [--pairs 8] [--save]
"""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict
from typing import Any

import numpy as np

from bench.inputs import fashion_mnist
from bench.pairs import Report, Side, interleave, parser
from kit.cli.quiet import import_keras_quietly
from kit.data.images import Images

BATCH_SIZE = 128
STEPS = 50  # a measurement
NUM_CLASSES = 5
BOUNDED = "elastic|flip"
ALPHA, SIGMA = (10.0, 12.0), 3.0


def main() -> None:
    from competitions.fashion_mnist import load_train
    from kit.training.augment import AUGMENTATIONS
    from kit.training.switches import resolve_switches

    options = parser(__doc__, pairs=8).parse_args()
    import_keras_quietly()
    with fashion_mnist() as (_, data):
        report = Report("augmentation", "a training step with augmentation against one without", data)
        switches = resolve_switches("auto")
        report.note("switches", asdict(switches))
        images = load_train()
        specs = ["none", BOUNDED, *(name for name in AUGMENTATIONS.names() if name != "none")]
        sides = {spec: _training(images, spec, switches) for spec in specs}
        seconds = interleave(sides, options.pairs)
        alone = interleave(_elastic_alone(images.pixels[:BATCH_SIZE]), 3 * options.pairs)

    per_step = {spec: 1000 * statistics.median(times) / STEPS for spec, times in seconds.items()}
    report.table(
        f"a step of deeper at batch {BATCH_SIZE}",
        ["augment", "median ms", "images/s"],
        [[spec, f"{ms:.1f}", int(1000 * BATCH_SIZE / ms)] for spec, ms in per_step.items()],
    )
    none = seconds.pop("none")
    measured = {f"{spec} / none": (times, none) for spec, times in seconds.items()}
    report.ratios("seconds of a step", measured, at_most={f"{BOUNDED} / none": 1.25})
    report.table(
        f"elastic distortion of one batch of {BATCH_SIZE}, alone",
        ["way", "median ms"],
        [[way, f"{1000 * statistics.median(times):.1f}"] for way, times in alone.items()],
    )
    report.ratios("SciPy against kit", {"SciPy / kit": (alone["SciPy, image by image"], alone["kit, compiled"])})
    report.finish(options.save)


def _training(images: Images, augment: str, switches: Any) -> Side:
    """A compiled model of its own, trained for ``STEPS`` steps a call."""
    import keras

    from kit.models.build import Architecture, build_classifier
    from kit.training.batches import epoch_batches
    from kit.training.optimizers import OPTIMIZERS
    from kit.training.step import rate_table, training_step

    rows = np.arange(STEPS * BATCH_SIZE)
    keras.utils.set_random_seed(0)
    architecture = Architecture("deeper", images.pixels.shape[1:], NUM_CLASSES, (1 / 255,), (0.0,))
    model = training_step(build_classifier(architecture, switches.precision), augment, NUM_CLASSES)
    rates = np.full(STEPS, 1e-3, np.float32)
    model.compile(OPTIMIZERS.bind_one("adamax")(rate_table(rates)), jit_compile=switches.jit_compile)

    def epoch() -> float:
        started = time.perf_counter()
        for batch in epoch_batches(images, rows, BATCH_SIZE, seed=0, epoch=0):
            model.train_on_batch(batch, return_dict=True)
        return time.perf_counter() - started

    return epoch


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
