"""Images through one or several exported models, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kit.data.images import windows
from kit.deploy.model_file import Model
from kit.errors import ModelFileError

BATCH_SIZE = 256  # larger batches fall out of the processor's cache and were slower


def predict_probabilities(models: Sequence[Model], pixels: np.ndarray) -> np.ndarray:
    """The mean of the models' class probabilities.

    Args:
        models: models of the same competition and labels.
        pixels: uint8 (rows, height, width, channels); a memory map is read window by window.

    Returns:
        float32 (rows, classes).

    Raises:
        ModelFileError: the models do not belong together, or the images do not fit them.
    """
    check_models(models, pixels.shape[1:])
    total = np.zeros((len(pixels), len(models[0].card.label_values)), np.float32)
    start = 0
    for window in windows(pixels, BATCH_SIZE):
        part = total[start : start + len(window)]
        for model in models:
            part += model.probabilities(window)
        start += len(window)
    total /= len(models)
    return total


def check_models(models: Sequence[Model], image_shape: tuple[int, ...]) -> None:
    """Refuse models that do not belong together or do not fit the images.

    Args:
        image_shape: (height, width, channels).
    """
    first = models[0]
    for model in models:
        if model.num_outputs not in (None, len(model.card.label_values)):
            raise ModelFileError(
                f"{model.path} gives {model.num_outputs} probabilities an image, but its metadata has "
                f"{len(model.card.label_values)} label values: export it again with kit export"
            )
        for name in ("competition", "label_values"):
            mine, other = getattr(model.card, name), getattr(first.card, name)
            if mine != other:
                raise ModelFileError(
                    f"{first.path} and {model.path} cannot be averaged: their {name} are {other} and {mine}"
                )
        if model.card.input_shape != tuple(image_shape):
            raise ModelFileError(
                f"{model.path} takes images of {model.card.input_shape} (height, width, channels), "
                f"but the images are {tuple(image_shape)}"
            )
