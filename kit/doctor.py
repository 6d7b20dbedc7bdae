"""What kit stands on here: versions, devices, providers, and what is missing or in each other's way."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from kit.errors import first_line
from kit.version import __version__

RUNTIMES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml", "onnxruntime-training")
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_tile")
_LEAST_FREE = 2  # GB; five runs of a large model with their checkpoints


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    state: ``ok``; ``missing``, which some command needs; or ``broken``.
    fix: how to get or mend it; empty where all is well.
    """

    what: str
    found: str
    state: str = "ok"
    fix: str = ""


def examine() -> list[Finding]:
    """Look at everything; nothing is changed, and neither TensorFlow nor Keras is imported."""
    return [_kit(), *_machine(), *_packages(), *_runtime(), *_extras(), *_places()]


def _kit() -> Finding:
    version = platform.python_version()
    found = f"{__version__} on Python {version}"
    if not (3, 11) <= sys.version_info[:2] < (3, 14):
        return Finding("kit", found, "broken", "make a new environment with Python 3.11, 3.12 or 3.13")
    return Finding("kit", found)


def _machine() -> list[Finding]:
    from kit.deploy.model_file import usable_cores

    cpuinfo = Path("/proc/cpuinfo")
    known = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    flags = ", ".join(flag for flag in _FLAGS if flag in known) or "unknown"
    cores = f"{usable_cores()} of {os.cpu_count()} cores, {flags}"
    return [Finding("processor", f"{platform.machine()}, {cores}"), Finding("gpu", *_gpu())]


def _gpu() -> tuple[str, str, str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return "none (no nvidia-smi)", "ok", ""
    mend = "mend the NVIDIA driver, or restart after its update"
    try:
        done = subprocess.run([program, "-L"], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"nvidia-smi does not answer ({type(error).__name__})", "broken", mend
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines() or ["nothing"]
        return f"nvidia-smi fails: {said[0]}", "broken", mend
    return "; ".join(line.partition(" (UUID")[0] for line in done.stdout.splitlines()), "ok", ""


def _packages() -> list[Finding]:
    """Each requirement of kit itself, as its own metadata has them."""
    from packaging.requirements import Requirement

    try:
        required = importlib.metadata.requires("kit") or []
    except importlib.metadata.PackageNotFoundError:
        return [Finding("packages", "kit is not installed, only on the path", "missing", "pip install -e .")]
    findings = []
    for requirement in map(Requirement, required):
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        version = _version(requirement.name)
        if requirement.name == "onnxruntime":  # another build of it will do, and is told of below
            version = next((each for name in RUNTIMES if (each := _version(name))), None)
            if version is None or requirement.specifier.contains(version, prereleases=True):
                continue
        fix = f"pip install '{requirement.name}{requirement.specifier}'"
        if version is None:
            findings.append(Finding(requirement.name, "not installed", "broken", fix))
        elif not requirement.specifier.contains(version, prereleases=True):
            findings.append(Finding(requirement.name, f"{version}, kit needs {requirement.specifier}", "broken", fix))
        else:
            findings.append(Finding(requirement.name, version))
    return findings


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _runtime() -> list[Finding]:
    """All builds of onnxruntime are one directory: the last one that was installed overwrites the others' files."""
    there = {name: version for name in RUNTIMES if (version := _version(name))}
    found = ", ".join(f"{name} {version}" for name, version in there.items()) or "not installed"
    wanted = next((name for name in ("onnxruntime-gpu", *RUNTIMES) if name in there), "onnxruntime")
    again = f"pip uninstall -y {' '.join(there)} && pip install {wanted}"
    if not there:
        return [Finding("onnxruntime", found, "broken", "pip install onnxruntime, or onnxruntime-gpu")]
    if len(there) > 1:
        return [Finding("onnxruntime", f"{found}, which overwrite each other", "broken", again)]
    try:
        import onnxruntime

        providers = onnxruntime.get_available_providers()
    except Exception as error:  # noqa: BLE001  a half-removed package raises whatever is missing
        return [Finding("onnxruntime", f"{found}, but {first_line(error)}", "broken", again)]
    short = ", ".join(name.removesuffix("ExecutionProvider") for name in providers)
    if "onnxruntime-gpu" in there and "CUDAExecutionProvider" not in providers:
        return [Finding("onnxruntime", f"{found}, but without CUDA: its files were overwritten", "broken", again)]
    return [Finding("onnxruntime", found), Finding("providers", short, *_starts(providers))]


def _starts(providers: list[str]) -> tuple[str, str]:
    """Whether CUDA does more than be listed."""
    if "CUDAExecutionProvider" not in providers:
        return "ok", ""
    broken = "CUDA does not start: install the CUDA and cuDNN that this onnxruntime-gpu was built for"
    try:
        return ("ok", "") if _cuda_starts() else ("broken", broken)
    except Exception as error:  # noqa: BLE001  whatever a broken installation raises
        return "broken", f"{broken} ({first_line(error)[:200]})"


def _cuda_starts() -> bool:
    import onnxruntime
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "one", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnxruntime.set_default_logger_severity(4)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CUDAExecutionProvider"])
    return bool(session.get_providers()[0] == "CUDAExecutionProvider")


def _extras() -> list[Finding]:
    findings = []
    for package, extra, what in (
        ("kaggle", "kaggle", "kit submit -m and kit data download"),
        ("pyarrow", "parquet", "predictions as .parquet"),
        ("tensorboard", "tensorboard", "kit train --tensorboard"),
    ):
        version = _version(package)
        if version:
            findings.append(Finding(package, version))
        else:
            findings.append(Finding(package, f"not installed; for {what}", "missing", f"pip install 'kit[{extra}]'"))
    return findings


def _places() -> list[Finding]:
    from kit.data.cache import cache_directory

    cache = cache_directory()
    there = next(parent for parent in (cache.absolute(), *cache.absolute().parents) if parent.exists())
    free = shutil.disk_usage(there).free / 1e9
    found = f"{cache}, {free:.1f} GB free"
    findings = [_data()]
    if not os.access(there, os.W_OK):
        return [*findings, Finding("cache", f"{cache} cannot be written", "broken", "set KIT_CACHE to another place")]
    if free < _LEAST_FREE:
        return [*findings, Finding("cache", found, "broken", "free space there, or set KIT_CACHE to another disk")]
    return [*findings, Finding("cache", found)]


def _data() -> Finding:
    from kit.data.locate import data_root
    from kit.errors import DataError

    try:
        root = data_root(None)
    except DataError as error:
        return Finding("data", str(error), "broken", "set KIT_DATA to a directory, or unset it")
    return Finding("data", f"{root}{'' if root.exists() else ', which is not there: files are downloaded, or --data'}")
