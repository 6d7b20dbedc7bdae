import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kit.data.images import Images
from kit.training.batches import balanced_order, batch_rows, epoch_batches, epoch_order, steps_per_epoch


@given(rows=st.integers(1, 200), batch_size=st.integers(1, 250), seed=st.integers(0, 2**32 - 1))
def test_an_epoch_sees_every_row_in_batches_of_one_size(rows: int, batch_size: int, seed: int) -> None:
    order = epoch_order(rows, seed, epoch=3)
    seen = [batch_rows(order, step, batch_size) for step in range(steps_per_epoch(rows, batch_size))]
    assert {len(batch) for batch in seen} == {min(rows, batch_size)}
    assert set(np.concatenate(seen).tolist()) == set(range(rows))
    assert sum(map(len, seen)) < rows + batch_size


def images(rows: int = 50) -> Images:
    pixels = np.arange(rows, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)
    return Images(pixels, np.arange(rows), np.arange(rows) % 3)


def take(seed: int, epochs: int = 3) -> list[dict]:
    rows = np.arange(5, 45)
    return [batch for epoch in range(epochs) for batch in epoch_batches(images(), rows, 8, seed, epoch)]


def test_batches_are_a_function_of_the_seed() -> None:
    for one, other in zip(take(1), take(1), strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
    assert not np.array_equal(take(1)[0]["pixels"], take(2)[0]["pixels"])


def test_every_epoch_and_step_has_its_own_order_and_generator_state() -> None:
    made = take(1)
    assert len(made) == 15
    for one, other in itertools.combinations(made, 2):
        assert not np.array_equal(one["seed"][0], other["seed"][0])
    epochs = [np.concatenate([batch["pixels"][:, 0, 0, 0] for batch in made[i : i + 5]]) for i in (0, 5, 10)]
    for one, other in itertools.combinations(epochs, 2):
        assert not np.array_equal(one, other)
    for epoch in epochs:
        assert sorted(epoch.tolist()) == list(range(5, 45))


def test_pixels_and_labels_stay_together() -> None:
    for batch in take(4):
        np.testing.assert_array_equal(batch["labels"], batch["pixels"][:, 0, 0, 0] % 3)
        assert batch["pixels"].dtype == np.uint8
        assert batch["seed"].shape == (8, 2)


@given(counts=st.lists(st.integers(1, 60), min_size=2, max_size=5), seed=st.integers(0, 2**32 - 1))
def test_a_balanced_epoch_draws_all_classes_equally_often(counts: list[int], seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    order = balanced_order(labels, seed, epoch=0)
    assert len(order) == len(labels)
    drawn = np.bincount(labels[order], minlength=len(counts))
    assert drawn.max() - drawn.min() <= len(counts)  # the epoch's length need not be a multiple of the classes
    times = np.bincount(order, minlength=len(labels))
    for label in range(len(counts)):
        assert np.ptp(times[labels == label]) <= 1 + len(counts)


def test_a_balanced_epoch_is_a_function_of_seed_and_epoch() -> None:
    labels = np.repeat([0, 1], [30, 5])
    np.testing.assert_array_equal(balanced_order(labels, 1, 2), balanced_order(labels, 1, 2))
    assert not np.array_equal(balanced_order(labels, 1, 2), balanced_order(labels, 1, 3))
