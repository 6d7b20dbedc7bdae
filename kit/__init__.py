"""kit: train, export and predict for image-classification competitions.

from kit import train, export, predict

run = train("fashion_mnist", model="deeper")
export(run)
predict(run, out="submissions/run.csv")
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.version import __version__

if TYPE_CHECKING:
    from competitions import open_competition
    from kit.api import evaluate, export, predict, train
    from kit.errors import KitError
    from kit.notebook import Run

__all__ = ["KitError", "Run", "__version__", "evaluate", "export", "open_competition", "predict", "train"]

_HOME = {"KitError": "kit.errors", "Run": "kit.notebook", "open_competition": "competitions"} | dict.fromkeys(
    ("evaluate", "export", "predict", "train"), "kit.api"
)


# From 1.29 on, ONNX Runtime tells its makers of each session: file name, hashes, an identifier of the machine that it
# keeps in the home directory. It reads this as it is imported. What is predicted here is nobody else's business.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def _find_competitions() -> None:
    """Make sure that ``competitions`` is the package beside this one.

    A notebook, or pytest, looks into the working directory first. There a user's own ``competitions`` directory
    would be taken for the package if kit is installed editable, whose finder comes last.
    """
    found = importlib.util.find_spec("competitions")
    if found is not None and found.origin is not None:
        return
    folder = Path(__file__).parent.parent / "competitions"
    spec = importlib.util.spec_from_file_location("competitions", folder / "__init__.py")
    package = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    sys.modules["competitions"] = package
    spec.loader.exec_module(package)  # type: ignore[union-attr]


_find_competitions()


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``kit --help`` does not wait for NumPy."""
    if name not in _HOME:
        raise AttributeError(f"module 'kit' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
