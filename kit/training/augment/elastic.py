"""Elastic distortion.

Simard, Steinkraus and Platt, "Best Practices for Convolutional Neural Networks Applied to Visual Document
Analysis", ICDAR 2003. SciPy's ``gaussian_filter`` and ``map_coordinates`` do the same an image at a time, 2.5
times slower or more (bench/augmentation.py); Keras's ``RandomElasticTransform`` is another method: normal instead of
uniform fields, with sigma and alpha tied together.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kit.errors import RecipeError
from kit.training.augment.catalog import AUGMENTATIONS, Augmentation, applied_to, check_probability
from kit.training.augment.interpolation import sample

MOST_ALPHA, MOST_SIGMA = 1e5, 1e3  # pixels; with more, images are noise, and the Gaussian fills the memory
TRUNCATE = 4.0  # standard deviations at which the Gaussian ends, as in SciPy


@AUGMENTATIONS.register
def elastic(alpha: tuple[float, float] = (10.0, 12.0), sigma: float = 3.0, probability: float = 1.0) -> Augmentation:
    """Distort images by smooth random displacement fields.

    Args:
        alpha: the displacement's factor, drawn for each image from this range.
        sigma: standard deviation of the smoothing Gaussian, in pixels.
        probability: share of the images that are distorted.
    """
    check_probability("elastic", probability)
    if not 0 <= alpha[0] <= alpha[1] <= MOST_ALPHA or not 0 < sigma <= MOST_SIGMA:
        raise RecipeError(
            f"elastic: alpha is {alpha}, sigma {sigma}; expected 0 <= alpha[0] <= alpha[1] <= {MOST_ALPHA:g} and "
            f"0 < sigma <= {MOST_SIGMA:g}"
        )

    def apply(images: Any, targets: Any, seed: Any) -> tuple[Any, Any]:
        from keras import ops, random

        batch, (height, width) = ops.shape(images)[0], images.shape[1:3]
        fields = random.uniform((batch, 2, height, width), -1.0, 1.0, seed=seed)  # rows, then columns
        factor = random.uniform((batch, 1, 1, 1), *alpha, seed=seed)
        distorted = displace(images, factor * smooth(fields, sigma))
        return applied_to(images, distorted, seed, probability), targets

    return apply


def smooth(fields: Any, sigma: float) -> Any:
    """Gaussian filter over the last two dimensions, reflected at the border: (batch, 2, height, width) -> the same.

    The filter is separable and the border is linear in the pixels, so that each direction is one matrix product.
    """
    from keras import ops

    height, width = fields.shape[-2:]
    down, across = (ops.convert_to_tensor(smoothing_matrix(size, sigma)) for size in (height, width))
    fields = ops.matmul(ops.reshape(fields, (-1, width)), across)  # one large product is faster than many small
    fields = ops.transpose(ops.reshape(fields, (-1, height, width)), (0, 2, 1))
    fields = ops.matmul(ops.reshape(fields, (-1, height)), down)
    fields = ops.transpose(ops.reshape(fields, (-1, width, height)), (0, 2, 1))
    return ops.reshape(fields, (-1, 2, height, width))


def smoothing_matrix(size: int, sigma: float) -> np.ndarray:
    """float32 (size, size): a row vector times this matrix is the vector, filtered and reflected at its ends."""
    radius = int(TRUNCATE * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    kernel /= kernel.sum()
    matrix = np.zeros((size, size))
    for target in range(size):
        source = np.mod(target + offsets, 2 * size)  # d c b a | a b c d | d c b a
        np.add.at(matrix[:, target], np.minimum(source, 2 * size - 1 - source), kernel)
    return matrix.astype(np.float32)


def displace(images: Any, displacement: Any) -> Any:
    """Bilinear interpolation of images at displaced places, reflected at the border.

    images: (batch, height, width, channels); displacement: (batch, 2, height, width), pixels down and to the right.
    """
    from keras import ops

    height, width = images.shape[1:3]
    row = displacement[:, 0] + ops.arange(height, dtype="float32")[:, None]
    column = displacement[:, 1] + ops.arange(width, dtype="float32")[None, :]
    return sample(images, row, column)
