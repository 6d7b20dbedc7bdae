from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.data import duplicates
from kit.data.duplicates import duplicate_groups, near_duplicate_pairs, row_keys
from kit.errors import DataError

shapes = st.tuples(st.integers(1, 19), st.integers(1, 19), st.sampled_from([1, 3]))


def partition(groups: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(groups == group).tolist()) for group in groups}


def random_images(rows: int, shape: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    """Smooth to noisy, dark to bright, so that all distances occur."""
    random = np.random.default_rng(seed)
    base = random.integers(0, 256, (rows, 1, 1, 1)) + random.integers(-9, 10, (rows, *shape)) * random.integers(0, 2)
    return base.clip(0, 255).astype(np.uint8)


def test_keys_depend_on_pixels_and_seed_alone(tmp_path: Path) -> None:
    pixels = random_images(9000, (3, 3, 1))
    keys = row_keys(pixels, 1)
    assert keys.dtype == np.uint64
    assert np.array_equal(row_keys(pixels[::-1], 1), keys[::-1])
    assert not np.isin(row_keys(pixels, 2), keys).any()
    np.save(tmp_path / "pixels.npy", pixels)
    assert np.array_equal(row_keys(np.load(tmp_path / "pixels.npy", mmap_mode="r"), 1), keys)
    assert len(row_keys(pixels[:0], 1)) == 0


@settings(max_examples=60, deadline=None)
@given(
    keys=st.lists(st.integers(0, 12), min_size=1, max_size=30),
    links=st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=12),
)
def test_groups_are_joined_however_indirectly(keys: list[int], links: list[tuple[int, int]]) -> None:
    rows = len(keys)
    links = [(first % rows, second % rows) for first, second in links]
    merged = [{row} for row in range(rows)]
    equal = [(a, b) for a, b in combinations(range(rows), 2) if keys[a] == keys[b]]
    for first, second in [*links, *equal]:
        whole = merged[first] | merged[second]
        for row in whole:
            merged[row] = whole
    groups = duplicate_groups(np.array(keys, np.uint64), np.array(links, np.int64).reshape(-1, 2))
    assert partition(groups) == {frozenset(whole) for whole in merged}
    smallest = [min(np.array(keys)[groups == group]) for group in range(groups.max() + 1)]
    assert smallest == sorted(smallest)


@settings(max_examples=80, deadline=None)
@given(shape=shapes, rows=st.integers(0, 40), seed=st.integers(0, 999), radius=st.floats(0, 60))
def test_near_duplicates_are_those_that_all_pairs_would_show(
    shape: tuple[int, int, int], rows: int, seed: int, radius: float
) -> None:
    pixels = random_images(rows, shape, seed)
    first_of = {image.tobytes(): row for row, image in reversed(list(enumerate(pixels)))}
    expected = []
    for first, second in combinations(sorted(first_of.values()), 2):
        difference = pixels[first].astype(int) - pixels[second]
        if (difference**2).sum() <= radius**2 * difference.size:
            expected.append([first, second])
    assert near_duplicate_pairs(radius, pixels).tolist() == expected
    assert near_duplicate_pairs(radius, pixels[: rows // 3], pixels[rows // 3 :]).tolist() == expected


@pytest.mark.parametrize("offset", [0, 7])
def test_the_radius_itself_is_inside(offset: int) -> None:
    pixels = np.full((3, 28, 28, 1), 100, np.uint8)
    pixels[1] += 3
    pixels[2] += 3
    pixels[2, offset, offset] += 1  # just outside the radius of the first
    assert near_duplicate_pairs(3, pixels).tolist() == [[0, 1], [1, 2]]


def test_tiles_and_slices_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = random_images(150, (5, 5, 1))
    expected = near_duplicate_pairs(10, pixels)
    assert len(expected) > 200
    monkeypatch.setattr(duplicates, "_TILE", (7, 11))
    monkeypatch.setattr(duplicates, "_VERIFIED_BYTES", 60)
    assert np.array_equal(near_duplicate_pairs(10, pixels), expected)


def test_a_radius_that_finds_everything_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "MOST_PAIRS", 1_000)
    with pytest.raises(DataError) as error:
        near_duplicate_pairs(250, random_images(100, (4, 4, 1)))
    assert str(error.value) == (
        "near is 250: more than 1,000 pairs of images are that close, expected a radius that only near-duplicates "
        "have: lower it"
    )
