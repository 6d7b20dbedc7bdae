"""Whatever can change a float besides the recipe: resolved once, at the start, and written into the run."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from kit.errors import RecipeError

BACKENDS = ("tensorflow", "jax")
_JAX_FLAG = "--xla_gpu_deterministic_ops=true"
PRECISIONS = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Switches:
    backend: str  # tensorflow or jax
    device: str  # such as cpu or gpu
    precision: str  # float32, bfloat16 or float16: of the layers' arithmetic; weights stay float32
    jit_compile: bool  # XLA, on TensorFlow
    deterministic: bool  # no kernel whose threads may add in any order
    cores: int  # that the process may use; recorded, both backends take all of them


def check_precision(precision: str) -> None:
    if precision not in PRECISIONS:
        raise RecipeError(f"precision is {precision!r}, expected one of {', '.join(PRECISIONS)}")


def resolve_switches(precision: str, deterministic: bool = False) -> Switches:
    """Settle the precision and the compiler for this machine.

    The rule, backed by bench/training.py on a CPU: bfloat16 where the hardware multiplies it natively (a GPU of
    compute capability 8.0 or more, or a CPU with AMX or AVX-512's bfloat16 under TensorFlow, which makes a step of
    ``deeper`` some 1.5 times as fast), else float32; XLA on a GPU, but not on a CPU, where it was slower or much
    slower. GPUs follow the rule unmeasured.

    ``deterministic`` is for where a model does not repeat bit for bit as it is, such as on a GPU. On a CPU, all of
    bench/repeats.py's models did without.

    Raises:
        RecipeError: Keras runs on a backend that kit is not tested on; or JAX was started on a GPU without the flag
            that makes it deterministic.
    """
    import keras

    backend = keras.backend.backend()
    if backend not in BACKENDS:
        raise RecipeError(f"Keras runs on {backend} here, expected one of {', '.join(BACKENDS)}: set KERAS_BACKEND")
    devices = keras.distribution.list_devices()  # asked for GPUs alone, JAX raises where there is none
    device = "gpu" if any(name.startswith(("gpu", "cuda", "rocm")) for name in devices) else "cpu"
    if precision == "auto":
        native = _gpu_has_bfloat16() if device == "gpu" else backend == "tensorflow" and _cpu_has_bfloat16()
        precision = "bfloat16" if native else "float32"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if deterministic and (backend, device) == ("jax", "gpu") and _JAX_FLAG not in os.environ.get("XLA_FLAGS", ""):
        raise RecipeError(f"JAX is deterministic on a GPU only if it starts so: set XLA_FLAGS={_JAX_FLAG}")
    return Switches(backend, device, precision, backend == "jax" or device == "gpu", deterministic, cores)


def set_determinism(switches: Switches) -> None:
    """Have TensorFlow work as the switches say from now on, whatever it did before in this process."""
    if switches.backend != "tensorflow":
        return
    # TensorFlow's own switch, which Keras does not hand through; in public, there is no way back from it.
    from tensorflow.python.framework import config  # noqa: TID251

    (config.enable_op_determinism if switches.deterministic else config.disable_op_determinism)()


def _gpu_has_bfloat16() -> bool:
    query = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, check=True).stdout
        return min(map(float, answer.split())) >= 8.0
    except (OSError, subprocess.CalledProcessError, ValueError):
        return False


def _cpu_has_bfloat16() -> bool:
    cpuinfo = Path("/proc/cpuinfo")
    if platform.system() != "Linux" or not cpuinfo.exists():
        return False
    return re.search(r"\b(amx|avx512)_bf16\b", cpuinfo.read_text()) is not None
