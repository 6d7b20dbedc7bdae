"""Many pictures of a directory or archive at once, decoded in parallel, in bounded memory."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kit.data.readers.growing import growing
from kit.data.readers.pictures import ColouredError, Kind, decoded, silence
from kit.data.readers.trees import Tree
from kit.errors import DataError

MAX_PENDING_BYTES = 2**28  # of decoded pictures that wait to be written
MAX_WORKERS = 8  # more of them only wait for one another: Python runs one at a time between calls of Pillow

_CHUNK_BYTES = 2**21  # of decoded pictures, or of files, in one task
_CHUNK_FILES = 256


@dataclass(frozen=True)
class _Plan:
    """What is known of a set once its first picture was seen.

    shape: (height, width, channels) of all of them.
    only_grey: a coloured picture changes the plan.
    """

    first: str
    kind: Kind
    shape: tuple[int, int, int]
    only_grey: bool
    file_bytes: int

    @property
    def picture_bytes(self) -> int:
        return self.shape[0] * self.shape[1] * self.shape[2]

    @property
    def chunk(self) -> int:
        """Files in one task."""
        return min(_CHUNK_FILES, max(1, _CHUNK_BYTES // max(self.picture_bytes, self.file_bytes)))


def write_pictures(
    tree: Tree,
    names: Sequence[str],
    path: Path,
    *,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    fit: str = "stretch",
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """Decode pictures in parallel and write them as one ``.npy``, uint8 (rows, height, width, channels).

    Memory stays below ``MAX_PENDING_BYTES`` plus, for each of at most ``MAX_WORKERS`` threads, one file and its
    pixels while it is decoded. What is wrong is told of the first wrong file in the order of the names.

    Args:
        tree: where they lie.
        names: which of its files, in this order.
        path: the file to write.
        size: (height, width) to bring all to; None expects one size.
        channels: 1 grey, 3 RGB; None is grey if all of them are, by what their files say.
        fit: as in :func:`kit.data.readers.pictures.decode`.
        progress: called with (pictures done, pictures in all) by the calling thread. It starts over, once, when
            a coloured picture turns up among grey ones.

    Returns:
        A digest of the names and of the contents that were decoded, in their order: 32 hexadecimal digits.

    Raises:
        DataError: no pictures, one that :func:`kit.data.readers.pictures.decode` refuses, or several sizes and none
            asked for.
        OSError: ``path`` cannot be written.
    """
    if not names:
        raise DataError(f"{tree.path}: received no pictures, expected at least one")
    with silence():
        plan = _planned(tree, names[0], size, channels, fit)
        try:
            return _write(tree, names, path, plan, progress)
        except ColouredError:
            coloured = replace(plan.kind, channels=3)
            plan = replace(plan, kind=coloured, shape=(*plan.shape[:2], 3), only_grey=False)
            return _write(tree, names, path, plan, progress)


def stream_pictures(tree: Tree, names: Sequence[str], kind: Kind) -> Iterator[np.ndarray]:
    """Decode pictures in parallel and hand them on in their order, some at a time; nothing is kept.

    Args:
        kind: with a size.

    Yields:
        uint8 (pictures, height, width, channels).

    Raises:
        DataError: one that :func:`kit.data.readers.pictures.decode` refuses.
    """
    if kind.size is None:
        raise ValueError("pictures of a stream need a size")
    plan = _Plan(names[0], kind, (*kind.size, kind.channels), only_grey=False, file_bytes=len(tree.read(names[0])))
    with silence():
        for _, pixels in _in_order(tree, names, plan):
            yield np.frombuffer(b"".join(pixels), np.uint8).reshape(-1, *plan.shape)


def _planned(tree: Tree, first: str, size: tuple[int, int] | None, channels: int | None, fit: str) -> _Plan:
    content = tree.read(first)
    kind = Kind(channels or 1, size, fit)
    only_grey = channels is None
    try:
        image = decoded(content, tree.describe(first), kind, only_grey=only_grey)
    except ColouredError:
        kind, only_grey = replace(kind, channels=3), False
        image = decoded(content, tree.describe(first), kind)
    return _Plan(first, kind, (image.height, image.width, kind.channels), only_grey, len(content))


def _write(
    tree: Tree, names: Sequence[str], path: Path, plan: _Plan, progress: Callable[[int, int], None] | None
) -> str:
    digest, done = hashlib.sha256(), 0
    with growing(path, plan.shape) as write:
        for content_digests, pixels in _in_order(tree, names, plan):
            for content_digest, picture in zip(content_digests, pixels, strict=True):
                digest.update(names[done].encode() + b"\0" + content_digest)
                write(np.frombuffer(picture, np.uint8).reshape(1, *plan.shape))
                done += 1
            if progress:
                progress(done, len(names))
    return digest.hexdigest()[:32]


_Done = tuple[list[bytes], list[bytes]]
"""Digests of the files' contents, and their pixels."""


def _in_order(tree: Tree, names: Sequence[str], plan: _Plan) -> Iterator[_Done]:
    """Decode chunk by chunk, a bounded number of them ahead of the one that is yielded."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(MAX_WORKERS, cores)
    ahead = max(1, min(2 * workers, MAX_PENDING_BYTES // (plan.chunk * plan.picture_bytes)))
    stop = threading.Event()
    pending: deque[Future[_Done]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="pictures")
    try:
        for start in range(0, len(names), plan.chunk):
            pending.append(pool.submit(_chunk, tree, names[start : start + plan.chunk], plan, stop))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:  # an error or Ctrl-C: those at work end with the picture they are at
        stop.set()
        pool.shutdown(cancel_futures=True)


def _chunk(tree: Tree, names: Sequence[str], plan: _Plan, stop: threading.Event) -> _Done:
    digests, pixels = [], []
    for name in names:
        if stop.is_set():
            break
        content = tree.read(name)
        digests.append(hashlib.sha256(content).digest())
        pixels.append(_one_of_many(content, tree, name, plan))
    return digests, pixels


def _one_of_many(content: bytes, tree: Tree, name: str, plan: _Plan) -> bytes:
    image = decoded(content, tree.describe(name), plan.kind, only_grey=plan.only_grey)
    if image.size != plan.shape[1::-1]:
        height, width, _ = plan.shape
        raise DataError(
            f"{tree.describe(name)}: it has {image.width} x {image.height} pixels, {tree.describe(plan.first)} has "
            f"{width} x {height}; expected one size for all; resize them with --image-size {height}"
        )
    return image.tobytes()
