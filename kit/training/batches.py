"""Which rows a training step sees: a function of seed, epoch and step, and of nothing that happened before."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kit.data.images import Images


def steps_per_epoch(num_rows: int, batch_size: int) -> int:
    """Steps in which as many rows are seen as there are; without balancing, each of them."""
    return -(-num_rows // batch_size)


def epoch_order(num_rows: int, seed: int, epoch: int) -> np.ndarray:
    """The order of an epoch: int64 (num_rows,), a permutation. Epochs count from 0."""
    return np.random.Generator(np.random.Philox([seed, epoch])).permutation(num_rows)


def balanced_order(labels: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """An epoch of as many rows in which every class is as frequent as the others: int64 (rows,).

    Rows of a small class come again and again, each as often as the others give or take one; those of a large class
    take turns from epoch to epoch by chance.
    """
    random = np.random.Generator(np.random.Philox([seed, epoch]))
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    share = -(-len(labels) // len(members))
    rounds = [np.concatenate([random.permutation(rows) for _ in range(-(-share // len(rows)))]) for rows in members]
    return random.permutation(np.concatenate([rows[:share] for rows in rounds]))[: len(labels)]


def batch_rows(order: np.ndarray, step: int, batch_size: int) -> np.ndarray:
    """Rows of one step. All batches have the same size: the last one goes back over a few rows of the epoch."""
    size = min(batch_size, len(order))
    start = min(step * size, len(order) - size)
    return order[start : start + size]


def epoch_batches(
    images: Images, rows: np.ndarray, batch_size: int, seed: int, epoch: int, balanced: bool = False, start: int = 0
) -> Iterator[dict[str, np.ndarray]]:
    """The batches of one epoch, in the form that ``TrainingStep`` takes.

    Args:
        balanced: draw all classes equally often, see ``balanced_order``.
        start: the first step, for an epoch that goes on.

    Yields:
        ``pixels`` uint8 (batch, height, width, channels), ``labels`` int64 (batch,) and ``seed`` uint32 (batch, 2):
        the state of the step's random generator, from (seed, epoch, step), repeated a row as Keras wants it; and
        ``targets`` float32 (batch, classes), if the images have them.
    """
    if images.labels is None:
        raise ValueError("training needs labels")
    order = rows[balanced_order(images.labels[rows], seed, epoch) if balanced else epoch_order(len(rows), seed, epoch)]
    for step in range(start, steps_per_epoch(len(rows), batch_size)):
        chosen = batch_rows(order, step, batch_size)
        state = np.random.SeedSequence([seed, epoch, step]).generate_state(2)
        batch = {
            "pixels": images.pixels[chosen],
            "labels": images.labels[chosen],
            "seed": np.broadcast_to(state, (len(chosen), 2)),
        }
        if images.targets is not None:
            batch["targets"] = images.targets[chosen]
        yield batch
