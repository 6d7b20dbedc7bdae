"""Images through one or several exported models, in bounded memory; reading goes on while models answer."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from kit.data.inputs import ImageSource
from kit.deploy.model_file import Model
from kit.errors import ModelFileError
from kit.models.views import view_axes
from kit.scoring.ensembles import blend

_AHEAD = 4  # batches that are read while one is answered


@dataclass(frozen=True)
class Ensemble:
    """Models whose answers become one.

    members: each is the mean of its models, such as the folds of a run.
    weights: one a member, from 0 up; None counts all the same.
    mean: of the members, as in :func:`kit.scoring.ensembles.blend`.
    tta: spec of the views of an image whose mean answer counts, beside those that a model file has itself.
    """

    members: tuple[tuple[Model, ...], ...]
    weights: tuple[float, ...] | None = None
    mean: str = "arithmetic"
    tta: str = "none"

    @property
    def models(self) -> tuple[Model, ...]:
        return tuple(model for member in self.members for model in member)

    def answer(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 (batch, height, width, channels) -> float32 (batch, classes)."""
        views = [np.ascontiguousarray(np.flip(pixels, axes)) if axes else pixels for axes in view_axes(self.tta)]
        answers = [_mean([model.probabilities(view) for model in member for view in views]) for member in self.members]
        return answers[0] if len(answers) == 1 else blend(answers, self.weights, self.mean)


def _mean(answers: Sequence[np.ndarray]) -> np.ndarray:
    return answers[0] if len(answers) == 1 else np.mean(answers, axis=0)


def predict_windows(ensemble: Ensemble, source: ImageSource, batch_size: int) -> Generator[np.ndarray]:
    """Answers to the images of a source, in their order.

    Yields:
        float32 (rows, classes), a batch at a time.

    Raises:
        ModelFileError: the models do not belong together, or the images do not fit them.
        DataError: an image cannot be read.
    """
    check_models(ensemble.models, source.image_shape)
    for window in _read_ahead(source.read(batch_size)):
        yield ensemble.answer(window)


def _read_ahead(windows: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The same windows, in memory, some of them read before they are asked for, by a thread of their own."""
    waiting: queue.Queue[np.ndarray | BaseException | None] = queue.Queue(_AHEAD)
    stop = threading.Event()

    def read() -> None:
        last: BaseException | None = None
        try:
            for window in windows:
                copied = np.array(window)  # a map is read here, and not while a model waits for it
                while not stop.is_set():
                    with suppress(queue.Full):
                        waiting.put(copied, timeout=0.1)
                        break
                if stop.is_set():
                    return
        except BaseException as error:  # noqa: BLE001  told by the thread that waits
            last = error
        while not stop.is_set():
            with suppress(queue.Full):
                waiting.put(last, timeout=0.1)
                return

    reader = threading.Thread(target=read, name="read-ahead", daemon=True)
    reader.start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        reader.join()


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
