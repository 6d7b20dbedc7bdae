"""Which images are the same: to the last pixel, or within a distance that a person names.

An image that trains in one place and validates in another is remembered, not recognised, and the score says nothing.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator

import numpy as np

from kit.data.images import windows
from kit.errors import DataError

ROWS_AT_A_TIME = 4096
MOST_PAIRS = 10_000_000  # 160 MB of row numbers; a radius that finds more has found that everything is alike
_BLOCKS = 8  # a side of a thumbnail: 4 for 28x28 lets through 400 times as many candidates at radius 5
_TILE = (1024, 8192)  # of distances at a time: 32 MB
_VERIFIED_BYTES = 2**24  # of pixels on either side at a time; the differences of them take 10 times as much


def row_keys(pixels: np.ndarray, seed: int) -> np.ndarray:
    """Hash each image under a seed: uint8 (rows, height, width, channels) -> uint64 (rows,).

    Equal images have equal keys. Among a million different ones, some two share a key with a chance of 3e-8
    (rows**2 / 2**65), and all that comes of it is that they are taken for duplicates.
    """
    key = seed.to_bytes(8, "little", signed=True)
    digests = bytearray()
    for window in windows(pixels, ROWS_AT_A_TIME):
        digests += b"".join([hashlib.blake2b(row.tobytes(), digest_size=8, key=key).digest() for row in window])
    return np.frombuffer(bytes(digests), dtype="<u8")


def duplicate_groups(keys: np.ndarray, links: np.ndarray | None = None) -> np.ndarray:
    """Number the groups of rows that are the same image, or that links join, however indirectly.

    Args:
        keys: uint64 (rows,), of :func:`row_keys`.
        links: int64 (links, 2), pairs of row numbers that belong together.

    Returns:
        int64 (rows,), 0..groups-1 in the order of the groups' smallest keys, so whatever the order of the rows.
    """
    _, groups = np.unique(keys, return_inverse=True)
    if links is None or not len(links):
        return groups
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = int(np.max(groups)) + 1
    edges = coo_array((np.ones(len(links), bool), (groups[links[:, 0]], groups[links[:, 1]])), shape=(count, count))
    _, component = connected_components(edges, directed=False)
    _, first = np.unique(component, return_index=True)  # of the distinct images, which are in the order of their keys
    rank = np.argsort(np.argsort(first))
    joined: np.ndarray = rank[component[groups]]
    return joined


def near_duplicate_pairs(radius: float, *pixels: np.ndarray) -> np.ndarray:
    """Pairs of different images whose root-mean-square pixel difference is at most ``radius`` grey levels.

    Exact: thumbnails, whose distance is never larger than that of the images, name the candidates, and the
    differences of all pixels, in whole numbers, decide. Of equal images the first alone is compared. Besides the
    pixels it takes 768 bytes a row in colour (256 in grey), 400 MB for the work, and no more than 10,000,000 pairs.

    Args:
        radius: in grey levels, 0..255.
        pixels: uint8 (rows, height, width, channels), once or more; rows count on from one array to the next.

    Returns:
        int64 (pairs, 2), sorted row numbers, the smaller first.

    Raises:
        DataError: more pairs than that.
    """
    limit = radius**2 * math.prod(pixels[0].shape[1:])
    keys = np.concatenate([row_keys(part, 0) for part in pixels])
    _, distinct = np.unique(keys, return_index=True)
    points = np.concatenate([thumbnails(part) for part in pixels])[distinct]
    found, count = [np.empty((0, 2), np.int64)], 0
    for candidates in _candidates(points, radius):
        pairs = np.sort(distinct[candidates], axis=1)
        found.append(pairs[_squared_differences(pairs, pixels) <= limit])
        count += len(found[-1])
        if count > MOST_PAIRS:
            raise DataError(
                f"near is {radius:g}: more than {MOST_PAIRS:,} pairs of images are that close, expected a radius "
                "that only near-duplicates have: lower it"
            )
    joined = np.concatenate(found)
    return joined[np.lexsort((joined[:, 1], joined[:, 0]))]


def thumbnails(pixels: np.ndarray) -> np.ndarray:
    """Points whose distance is at most the root-mean-square difference of the images: float32 (rows, blocks).

    Within a block of n pixels, sum(d)**2 / n <= sum(d**2) (Jensen's inequality), so a block's sum over the root of
    n times the image's size is a coordinate that never takes two images further apart than they are.
    """
    _, height, width, channels = pixels.shape
    down, across = (np.linspace(0, side, min(_BLOCKS, side) + 1).astype(int) for side in (height, width))
    areas = np.diff(down)[:, None, None] * np.diff(across)[None, :, None]
    scale = 1 / np.sqrt(areas * (height * width * channels))  # (blocks, blocks, 1)
    points = np.empty((len(pixels), scale.size * channels), np.float32)
    row = 0
    for window in windows(pixels, ROWS_AT_A_TIME // 8):
        sums = np.add.reduceat(window.astype(np.int32), down[:-1], axis=1)
        sums = np.add.reduceat(sums, across[:-1], axis=2)
        points[row : row + len(window)] = (sums * scale).reshape(len(window), -1)
        row += len(window)
    return points


def _candidates(points: np.ndarray, radius: float) -> Iterator[np.ndarray]:
    """All pairs of points within the radius and some just outside it, tile by tile: int64 (pairs, 2).

    Points are sorted along one direction, and only those that are close in it are compared. That and comparing each
    pair once take a quarter of the time of scikit-learn's NearestNeighbors by brute force (1.5 s against 5.8 s for
    60,000 images of 28x28 at radius 5), which is itself faster than its trees in as many dimensions.
    """
    if not len(points):
        return
    along = points.mean(axis=1) * np.sqrt(points.shape[1])  # a projection: no further apart than the points
    order = np.argsort(along, kind="stable")
    along, points = along[order], points[order] - points.mean(axis=0)  # centred, products round off less
    squares = np.einsum("ij,ij->i", points, points)
    # Twice what float32 products can round off: no pair within the radius is missed.
    limit = radius**2 + 8 * points.shape[1] * np.finfo(np.float32).eps * float(squares.max())
    ends = np.searchsorted(along, along + np.sqrt(limit), side="right")
    for top in range(0, len(points), _TILE[0]):
        bottom = min(top + _TILE[0], len(points))
        for left in range(top, ends[bottom - 1], _TILE[1]):
            right = min(left + _TILE[1], ends[bottom - 1])
            distances = points[top:bottom] @ points[left:right].T
            distances *= -2
            distances += squares[top:bottom, None]
            distances += squares[left:right]
            first, second = np.nonzero(distances <= limit)
            pairs = np.stack([first + top, second + left], axis=1)
            yield order[pairs[pairs[:, 0] < pairs[:, 1]]]


def _squared_differences(pairs: np.ndarray, pixels: tuple[np.ndarray, ...]) -> np.ndarray:
    """The exact sum of squared pixel differences of each pair of rows: int64 (pairs,)."""
    size = math.prod(pixels[0].shape[1:])
    sums = np.empty(len(pairs), np.int64)
    step = max(1, _VERIFIED_BYTES // size)
    for start in range(0, len(pairs), step):
        first, second = (_take(pixels, rows) for rows in pairs[start : start + step].T)
        differences = np.subtract(first, second, dtype=np.int32).reshape(-1, size)
        sums[start : start + step] = np.einsum("ij,ij->i", differences, differences, dtype=np.int64)
    return sums


def _take(pixels: tuple[np.ndarray, ...], rows: np.ndarray) -> np.ndarray:
    """Rows of several arrays, counted on from one to the next."""
    taken = np.empty((len(rows), *pixels[0].shape[1:]), np.uint8)
    start = 0
    for part in pixels:
        inside = (rows >= start) & (rows < start + len(part))
        taken[inside] = part[rows[inside] - start]
        start += len(part)
    return taken
