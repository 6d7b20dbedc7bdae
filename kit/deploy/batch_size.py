"""How many images a model answers at once, on this machine: by a rule, or by a short measurement that is kept."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import suppress

import numpy as np

from kit.data.cache import cache_directory
from kit.deploy.model_file import Model, usable_cores
from kit.errors import ModelFileError
from kit.files import write_text

LARGEST = 256  # larger batches fall out of the processor's cache and were slower
_PIXELS_AT_ONCE = 2**18  # 256 images of 32x32, five of 224x224, whose activations take gigabytes
_WORTH_SECONDS = 20  # of a prediction, below which a measurement costs more than it gains
_MEASURED_SECONDS = 0.2  # of each size


def batch_size_by_rule(image_shape: tuple[int, ...]) -> int:
    """As many images as have 2^18 pixels, as a power of two up to 256."""
    height, width = image_shape[:2]
    return int(2 ** np.clip(np.floor(np.log2(_PIXELS_AT_ONCE / (height * width))), 0, np.log2(LARGEST)))


def choose_batch_size(model: Model, answers: int) -> tuple[int, str]:
    """The batch size for so many answers, and how it was found: ``rule``, ``measured`` or ``measured before``.

    Sizes around that of the rule are timed where the prediction takes long enough; what was found is kept in the cache
    for this model, machine and provider.
    """
    rule = batch_size_by_rule(model.card.input_shape)
    if answers <= 4 * rule:
        return rule, "rule"
    pixels = np.random.default_rng(0).integers(0, 256, (2 * rule, *model.card.input_shape), np.uint8)
    model.probabilities(pixels[:rule])  # the first one allocates
    seconds = _seconds_an_image(model, pixels[:rule], 0)
    if answers * seconds < _WORTH_SECONDS:
        return rule, "rule"
    kept = cache_directory() / "batch-sizes" / f"{_key(model)}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads(kept.read_text(encoding="utf-8"))["batch_size"]
        if type(found) is int and 0 < found <= 2 * LARGEST:
            return found, "measured before"
    sizes = [size for size in (rule // 8, rule // 4, rule // 2, rule, 2 * rule) if size]
    times = {}
    for size in sizes:
        try:
            times[size] = [_seconds_an_image(model, pixels[:size], _MEASURED_SECONDS) for _ in range(2)]
        except ModelFileError:  # twice the rule may not fit into the provider's memory, as the rule itself does
            if size <= rule:
                raise
    best = min(times, key=lambda size: min(times[size]))
    with suppress(OSError):  # measured again the next time
        write_text(kept, json.dumps({"batch_size": best, "seconds_an_image": times}))
    return best, "measured"


def _seconds_an_image(model: Model, pixels: np.ndarray, seconds: float) -> float:
    started, images = time.perf_counter(), 0
    while not images or time.perf_counter() - started < seconds:
        model.probabilities(pixels)
        images += len(pixels)
    return (time.perf_counter() - started) / images


def _key(model: Model) -> str:
    import platform

    import onnxruntime

    machine = [platform.machine(), platform.processor(), platform.node(), usable_cores(), onnxruntime.__version__]
    facts = [model.sha256, model.provider, model.session.get_session_options().intra_op_num_threads, *machine]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]
