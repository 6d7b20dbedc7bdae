"""Where to start on images that nobody has tuned a recipe for."""

from __future__ import annotations

from typing import Any

_COMMON = {
    "epochs": 15,
    "batch_size": 64,  # small sets need many steps
    "optimizer": "adamax",
    "learning_rate": 4e-3,  # per batch of 64
    "schedule": "warmup(1)|cosine",
    "augment": "shift(height=2, width=2)",  # no flip: digits and letters mean something else in a mirror
    "normalization": "standardize",
}

STARTING_POINTS: dict[str, dict[str, Any]] = {
    # Moving averages of 0.9 settle within a few dozen steps, those of 0.99 need about 500.
    "deeper": {"model": "deeper(momentum=0.9)", **_COMMON},
    "brief": {"model": "brief(momentum=0.9)", **_COMMON},
}
