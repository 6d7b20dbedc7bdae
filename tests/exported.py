"""A model file of any Keras model, without a run around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kit.deploy.export import OPSET, Exported, ask, compared, write_checked, writing_model
from kit.deploy.model_file import ModelCard


def export_onnx(predictor: Any, card: ModelCard, images: np.ndarray, path: Path, opset: int = OPSET) -> Exported:
    """As ``kit export`` writes the plain form of a run's model."""
    answers = ask(predictor, images, path)
    with writing_model(path) as scratch:
        write_checked(predictor, card, answers, scratch, path, opset)
        return compared(scratch, answers, path)
