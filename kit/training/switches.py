"""Whatever can change a float besides the recipe: resolved once, at the start, and written into the run."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from kit.errors import RecipeError

PRECISIONS = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Switches:
    backend: str  # tensorflow, jax or torch
    device: str  # such as cpu or gpu
    precision: str  # float32, bfloat16 or float16: of the layers' arithmetic; weights stay float32
    jit_compile: bool  # XLA, on TensorFlow
    cores: int


def check_precision(precision: str) -> None:
    if precision not in PRECISIONS:
        raise RecipeError(f"precision is {precision!r}, expected one of {', '.join(PRECISIONS)}")


def resolve_switches(precision: str) -> Switches:
    """Settle the precision and the compiler for this machine.

    The rule, backed by bench/training.py: bfloat16 where the hardware multiplies it natively (a GPU, or a CPU
    with AMX under TensorFlow), else float32; XLA on a GPU, but not on a CPU, where it was slower or much slower.
    """
    import keras

    backend = keras.backend.backend()
    device = "gpu" if keras.distribution.list_devices("gpu") else "cpu"
    if precision == "auto":
        native = device == "gpu" or (backend == "tensorflow" and _cpu_has_amx())
        precision = "bfloat16" if native else "float32"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Switches(backend, device, precision, backend == "jax" or device == "gpu", cores)


def _cpu_has_amx() -> bool:
    cpuinfo = Path("/proc/cpuinfo")
    return platform.system() == "Linux" and cpuinfo.exists() and "amx_bf16" in cpuinfo.read_text()
