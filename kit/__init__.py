"""kit: train, export and predict for image-classification competitions.

from kit import train, export, predict

run = train("fashion_mnist", model="deeper")
export(run)
predict(run, out="submissions/run.csv")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from kit.version import __version__

if TYPE_CHECKING:
    from kit.api import export, predict, train
    from kit.errors import KitError

__all__ = ["KitError", "__version__", "export", "predict", "train"]

_HOME = {"export": "kit.api", "predict": "kit.api", "train": "kit.api", "KitError": "kit.errors"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``kit --help`` does not wait for NumPy."""
    if name not in _HOME:
        raise AttributeError(f"module 'kit' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
