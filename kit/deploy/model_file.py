"""An exported model: one ONNX file that takes raw pixels and knows which competition it is for.

Nothing here imports Keras or TensorFlow.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from kit.data.images import LabelValue
from kit.errors import ModelFileError, first_line
from kit.files import file_hash

PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
AUTOMATIC = ("cuda", "cpu")  # fastest first; TensorRT builds for minutes, OpenVINO may round to 16 bits: by name only
_PACKAGES = {"openvino": "onnxruntime-openvino"}  # where it is not onnxruntime-gpu


@dataclass(frozen=True)
class ModelCard:
    """What is written into the file's metadata, each field as JSON under its name."""

    competition: str
    class_names: tuple[str, ...]
    label_values: tuple[LabelValue, ...]
    input_shape: tuple[int, int, int]  # (height, width, channels)
    input_dtype: str
    id_column: str
    target_column: str
    recipe_hash: str
    kit_version: str
    metric: str
    score: float | None  # by the metric on the validation rows, None if there were none
    selected: bool  # the rows of the score had a say in the training
    tta: str = "none"  # spec of the views whose mean answer the file gives
    temperature: float = 1.0  # by which the file makes its probabilities less sure
    probability_columns: tuple[str, ...] = ()  # of a submission, after its id; none where labels are asked for
    weights_sha256: str = ""  # of the weights file that it was made of; none of several, or of an older kit

    def to_metadata(self) -> dict[str, str]:
        return {name: json.dumps(value) for name, value in asdict(self).items()}

    @classmethod
    def from_metadata(cls, metadata: dict[str, str], path: Path) -> ModelCard:
        known = [field.name for field in fields(cls) if field.default is MISSING or field.name in metadata]
        missing = [name for name in known if name not in metadata]
        if missing:
            raise ModelFileError(
                f"{path} was not exported by kit: its metadata lacks {', '.join(missing)}; use kit export"
            )
        try:
            values = {name: json.loads(metadata[name]) for name in known}
        except ValueError:
            values = {}
        lists = "class_names", "label_values", "input_shape"
        texts = "competition", "id_column", "target_column", "metric"
        if (
            not all(isinstance(values.get(n), list) for n in lists)
            or not all(isinstance(values.get(n), str) for n in texts)
            or not isinstance(values.get("tta", "none"), str)
            or not all(type(value) in (int, str) for value in values["label_values"])
            or len(values["class_names"]) != len(values["label_values"])
            or len(shape := values["input_shape"]) != 3
            or not all(type(side) is int and side > 0 for side in shape)
            or not _is_above_zero(values.get("temperature", 1.0))
            or not _ask_for_probabilities(values.get("probability_columns", []), values["label_values"])
        ):
            raise ModelFileError(f"{path} has damaged metadata: export it again with kit export")
        tuples: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return cls(**tuples)


def _is_above_zero(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < math.inf


def _ask_for_probabilities(columns: Any, label_values: list[LabelValue]) -> bool:
    """Whether columns are one a class, or the second one's of two, or none."""
    if not isinstance(columns, list) or not all(isinstance(column, str) for column in columns):
        return False
    if len(columns) == 1:
        return len(label_values) == 2
    return not columns or sorted(column.strip() for column in columns) == sorted(map(str, label_values))


@dataclass(frozen=True)
class Model:
    """A loaded model file, ready to predict."""

    path: Path
    card: ModelCard
    provider: str  # a key of PROVIDERS
    session: Any
    sha256: str  # of the file as it was loaded

    @property
    def num_outputs(self) -> int | None:
        """Probabilities an image, None where the file leaves that open."""
        shape = self.session.get_outputs()[0].shape
        return shape[-1] if shape and isinstance(shape[-1], int) else None

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 (batch, height, width, channels) -> float32 (batch, classes).

        Raises:
            ModelFileError: the provider fails, as when its memory is full.
        """
        try:
            if self.provider in ("cuda", "tensorrt"):
                return self._bound(pixels, "cuda")
            return self.session.run(None, {self.session.get_inputs()[0].name: pixels})[0]
        except Exception as error:  # noqa: BLE001  onnxruntime raises one class per status, of no common base
            raise ModelFileError(
                f"{self.path} failed on {len(pixels)} images on {self.provider}: {first_line(error)[:300]}; "
                "try a smaller --batch-size or --provider cpu"
            ) from None

    def _bound(self, pixels: np.ndarray, device: str) -> np.ndarray:
        """With input and output bound: each crosses between the memories once, and no buffer is allocated anew."""
        binding = self.session.io_binding()
        binding.bind_cpu_input(self.session.get_inputs()[0].name, pixels)
        binding.bind_output(self.session.get_outputs()[0].name, device)
        self.session.run_with_iobinding(binding)
        return binding.copy_outputs_to_cpu()[0]


def load_model(path: Path, provider: str = "auto", threads: int | None = None) -> Model:
    """Load a model file.

    Args:
        path: an ONNX file that ``kit export`` wrote.
        provider: ``auto`` takes the fastest that works here; ``cuda``, ``tensorrt``, ``openvino`` or ``cpu`` takes
            that one or fails.
        threads: of the processor; by default as many as this process may use cores.

    Raises:
        ModelFileError: the file is missing, unreadable, damaged or not kit's, or the provider does not work here.
    """
    try:
        if not path.is_file():
            raise ModelFileError(f"there is no model file {path}: expected an .onnx file or a run directory")
        path.open("rb").close()  # onnxruntime does not say what keeps it from reading
    except OSError as error:
        raise ModelFileError(
            f"cannot read {path}: {error.strerror or error}; make it readable, or export it again with kit export"
        ) from None
    if provider not in ("auto", *PROVIDERS):
        raise ModelFileError(f"unknown provider {provider!r}: choose one of auto, {', '.join(PROVIDERS)}")
    name, session = _open_session(path, provider, threads or _threads())
    card = ModelCard.from_metadata(session.get_modelmeta().custom_metadata_map, path)
    return Model(path, card, name, session, file_hash(path))


def usable_cores() -> int:
    """How many cores this process may use, which may be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _threads() -> int:
    """None said, onnxruntime takes a thread a core of the whole machine, whatever part of it this process has."""
    return 0 if usable_cores() == os.cpu_count() else usable_cores()


def _open_session(path: Path, provider: str, threads: int) -> tuple[str, Any]:
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)  # its warnings speak of graph internals
    installed = onnxruntime.get_available_providers()
    wanted = [provider] if provider != "auto" else [name for name in AUTOMATIC if PROVIDERS[name] in installed]
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    for name in wanted:
        if PROVIDERS[name] not in installed:
            raise ModelFileError(
                f"provider {name!r} is not in this onnxruntime (it has {', '.join(installed)}): "
                f"install {_PACKAGES.get(name, 'onnxruntime-gpu')} instead of onnxruntime, or use --provider auto"
            )
        try:
            session = onnxruntime.InferenceSession(path, settings, providers=[PROVIDERS[name]])
        except Exception as error:  # noqa: BLE001  onnxruntime raises one class per status, of no common base
            raise ModelFileError(
                f"{path} is not a model that can be loaded ({first_line(error)}): expected an .onnx file as "
                "kit export writes it; export it again"
            ) from None
        if session.get_providers()[0] == PROVIDERS[name]:  # onnxruntime falls back to the CPU without a word
            if provider != "auto":
                session.disable_fallback()  # the same at run time: never to another provider than was asked for
            return name, session
        if provider != "auto":
            raise ModelFileError(
                f"provider {name!r} is installed but does not start on this machine: "
                "check the driver and libraries it needs, or use --provider auto"
            )
    raise ModelFileError(f"no provider of this onnxruntime works here: it has {', '.join(installed)}")
