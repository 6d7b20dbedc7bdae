"""Figures of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kit.report.drawing import BLUE, INK, ORANGE
from kit.training.events import Epoch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COUNTS_WITHIN = 20  # classes up to which a confusion matrix has room for its counts


def curves(histories: Sequence[Sequence[Epoch]]) -> Figure:
    """Accuracy, loss and learning rate against epochs; one line a fold."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.2), layout="constrained")
    accuracy, loss, rate = figure.subplots(1, 3)
    for number, history in enumerate(histories):
        epochs = [epoch.epoch for epoch in history]
        names = ("training, as augmented", "validation") if number == 0 else (None, None)
        accuracy.plot(epochs, [100 * e.accuracy for e in history], color=BLUE, marker=_dot(history), label=names[0])
        accuracy.plot(
            epochs,
            [100 * e.validation_accuracy for e in history],
            color=ORANGE,
            marker=_dot(history),
            label=names[1],
        )
        loss.plot(epochs, [e.loss for e in history], color=BLUE, marker=_dot(history))
        loss.plot(epochs, [e.validation_loss for e in history], color=ORANGE, marker=_dot(history))
        rate.plot(epochs, [e.learning_rate for e in history], color=INK, marker=_dot(history))
    for axes, title in (
        (accuracy, "accuracy, %"),
        (loss, "loss, nats"),
        (rate, "learning rate at the epoch's end"),
    ):
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(True)
    accuracy.legend(fontsize=8)
    return figure


def _dot(history: Sequence[Epoch]) -> str:
    return "o" if len(history) == 1 else ""


def confusion(labels: np.ndarray, predicted: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Confusion matrix: rows are true classes, shaded by their share of the row."""
    from matplotlib.figure import Figure
    from sklearn.metrics import confusion_matrix

    size = len(class_names)
    counts = confusion_matrix(labels, predicted, labels=range(size))
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    inches = min(11.0, 2.5 + 0.45 * size)
    figure = Figure(figsize=(inches, inches * 0.9), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(picture, ax=axes, shrink=0.7, label="share of the true class")
    ticks = range(0, size, 1 + size // 50)
    rotation = 90 if max(map(len, class_names)) > 3 else 0
    axes.set_xticks(ticks, [class_names[i] for i in ticks], rotation=rotation, fontsize=8)
    axes.set_yticks(ticks, [class_names[i] for i in ticks], fontsize=8)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    if size <= COUNTS_WITHIN:
        for row, column in np.ndindex(size, size):
            colour = "white" if share[row, column] > 0.5 else "black"
            axes.text(column, row, f"{counts[row, column]}", ha="center", va="center", fontsize=8, color=colour)
    return figure


def mistakes(pixels: np.ndarray, captions: Sequence[str]) -> Figure:
    """A gallery: uint8 (images, height, width, channels), each with a caption of a few lines."""
    from matplotlib.figure import Figure

    columns = 6
    lines = -(-len(pixels) // columns)
    figure = Figure(figsize=(11, 2.4 * lines), layout="constrained")
    for axes in (grid := figure.subplots(lines, columns, squeeze=False)).flat:
        axes.axis("off")
    for axes, image, caption in zip(grid.flat, pixels, captions, strict=False):
        if image.shape[-1] == 1:
            axes.imshow(image[..., 0], cmap="gray", vmin=0, vmax=255)
        else:
            axes.imshow(image)
        axes.set_title(caption, fontsize=8)
    return figure
