"""How fast, and in how much memory, competition files are read.

`competitions.fashion_mnist.load_train` on the 376 MB file of Fashion-MNIST with an empty cache, which hashes the file,
checks and converts it and writes the cache, against np.load with pickles allowed and a conversion to uint8 in memory;
then load_train once more, which maps the cache. `competitions.cifar10` in the same two ways, against pickle.load of
its five training batches and their conversion to (rows, 32, 32, 3). Each side in a process of its own; measured is
what it does after its imports. Bounds: kit takes at most 1.5 times as long, its peak resident memory is at most 1.3
times the size of the files, and a later start takes at most 0.05 s.
All files lie in the page cache after the warm-up. `KIT_DATA` is used for what it has, else random files in its formats.

    python -m bench.reading [--pairs 7] [--save]
"""

from __future__ import annotations

import json
import os
import pickle
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.inputs import fashion_mnist
from bench.pairs import ROOT, Report, interleave, parser

TIME, MEMORY, LATER = 1.5, 1.3, 0.05  # times as long, times the size of the files, seconds
ROWS = 10_000  # of a batch
BATCHES = [f"data_batch_{number}" for number in range(1, 6)]


def main() -> None:
    options = parser(__doc__, pairs=7).parse_args()
    with fashion_mnist() as (scratch, _):
        train, batches, words = _files(scratch)
        report = Report("reading", "first reads and later starts", words)
        empty, warm = scratch / "empty", scratch / "warm"
        empty.mkdir()
        sides = {
            "Fashion-MNIST, kit": Child("kit_fashion_mnist", empty, train.parent),
            "np.load and uint8": Child("numpy_first", train),
            "Fashion-MNIST, kit later": Child(
                "kit_fashion_mnist", warm, train.parent, keep=True
            ),  # filled by the warm-up
            "CIFAR-10, kit": Child("kit_cifar10", empty, batches[0].parent),
            "pickle.load and transpose": Child("pickle_batches", *batches),
            "CIFAR-10, kit later": Child("kit_cifar10", warm, batches[0].parent, keep=True),
        }
        seconds = interleave({name: child.run for name, child in sides.items()}, options.pairs)
        sizes = [path.stat().st_size for path in (train, *batches)]

    rows = [[name, statistics.median(times), min(times), sides[name].peak / 1e6] for name, times in seconds.items()]
    report.table("each in a process of its own", ["side", "median s", "min s", "peak MB"], rows)
    compared = {
        "Fashion-MNIST / np.load": (seconds["Fashion-MNIST, kit"], seconds["np.load and uint8"]),
        "CIFAR-10 / pickle.load": (seconds["CIFAR-10, kit"], seconds["pickle.load and transpose"]),
    }
    report.ratios("seconds of a first read", compared, at_most=dict.fromkeys(compared, TIME))
    peaks = {
        "Fashion-MNIST": ([sides["Fashion-MNIST, kit"].peak], [sizes[0]]),
        "CIFAR-10": ([sides["CIFAR-10, kit"].peak], [sum(sizes[1:])]),
    }
    report.ratios("peak resident memory / size of the files", peaks, at_most=dict.fromkeys(peaks, MEMORY))
    for name in ("Fashion-MNIST, kit later", "CIFAR-10, kit later"):
        later = statistics.median(seconds[name])
        verdict = "inside" if later <= LATER else "outside"
        report.note(name, f"{1000 * later:.1f} ms, bound at most {1000 * LATER:.0f} ms: {verdict}")
    report.finish(options.save)


def _files(scratch: Path) -> tuple[Path, list[Path], str]:
    """The training file of Fashion-MNIST as the competition has it, float64, the batches, and what these are."""
    from competitions.fashion_mnist import NAME, TRAIN_FILE
    from kit.data.locate import find_file

    found = find_file(NAME, None, TRAIN_FILE)
    train = found if found and not found.is_relative_to(scratch) else scratch / TRAIN_FILE
    folder = Path(os.environ["KIT_DATA"]) / "cifar10" / "cifar-10-batches-py"
    folder = folder if all((folder / name).exists() for name in BATCHES) else scratch
    if scratch in (train.parent, folder):
        _in_child("write_random", scratch)  # elsewhere: this process is to stay small, as its children start with it
    origin = {True: "random", False: "KIT_DATA's"}
    words = f"{origin[train.parent == scratch]} Fashion-MNIST, float64; {origin[folder == scratch]} CIFAR-10 batches"
    return train, [folder / name for name in BATCHES], words


class Child:
    """One side: its seconds a run, and the largest peak memory of its runs, in bytes."""

    def __init__(self, function: str, *arguments: Path, keep: bool = False) -> None:
        self.function, self.arguments, self.keep = function, arguments, keep
        self.peak = 0.0

    def run(self) -> float:
        result = _in_child(self.function, *self.arguments, keep=self.keep)
        self.peak = max(self.peak, result["peak"])
        return float(result["seconds"])


def _in_child(function: str, *arguments: Path, keep: bool = False) -> dict[str, float]:
    code = f"from bench import reading; reading.{function}(*{[str(argument) for argument in arguments]!r}, keep={keep})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def _tell(work: Callable[[], Any]) -> None:
    """Do it and print its seconds and the peak memory of this process. What it returns is held until then."""
    started = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)  # bytes
    print(json.dumps({"seconds": seconds, "peak": peak}))
    del result


# --- sides, each in its own process ----------------------------------------------------------------------------


def kit_fashion_mnist(cache: str, data: str, *, keep: bool) -> None:
    from competitions.fashion_mnist import load_train

    _tell_of_load(lambda: load_train(Path(data)), cache, keep)


def kit_cifar10(cache: str, data: str, *, keep: bool) -> None:
    from competitions.cifar10 import CIFAR10

    _tell_of_load(lambda: CIFAR10.load("train", Path(data)), cache, keep)


def _tell_of_load(load: Callable[[], Any], cache: str, keep: bool) -> None:
    """Load with a cache in that directory, which is new unless it is to be kept."""
    with tempfile.TemporaryDirectory(dir=None if keep else cache) as new:
        os.environ["KIT_CACHE"] = cache if keep else new
        _tell(load)


def numpy_first(path: str, *, keep: bool) -> None:
    def work() -> Any:
        arrays = np.load(path, allow_pickle=True).item()
        return arrays["features"].astype(np.uint8)[..., np.newaxis], arrays["target"].astype(np.int64)

    _tell(work)


def pickle_batches(*paths: str, keep: bool) -> None:
    def work() -> Any:
        images, labels = [], []
        for path in paths:
            with Path(path).open("rb") as file:
                batch = pickle.load(file, encoding="bytes")
            images.append(batch[b"data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
            labels.append(batch[b"labels"])
        return np.concatenate(images), np.concatenate(labels)

    _tell(work)


def write_random(directory: str, *, keep: bool) -> None:
    """Files in the formats of the real ones: float64 for Fashion-MNIST, protocol 2 with bytes for CIFAR-10."""
    from competitions.fashion_mnist import TRAIN_FILE

    random = np.random.default_rng(0)
    features = random.integers(0, 256, (60_000, 28, 28)).astype(np.float64)
    arrays: Any = {"features": features, "target": random.integers(1, 6, 60_000).astype(np.float64)}
    np.save(Path(directory) / TRAIN_FILE, arrays, allow_pickle=True)
    for name in BATCHES:
        batch = {
            b"batch_label": name.encode(),
            b"labels": random.integers(0, 10, ROWS).tolist(),
            b"data": random.integers(0, 256, (ROWS, 3072)).astype(np.uint8),
            b"filenames": [b"image_%05d.png" % number for number in range(ROWS)],
        }
        (Path(directory) / name).write_bytes(pickle.dumps(batch, protocol=2))
    print(json.dumps({}))


if __name__ == "__main__":
    main()
