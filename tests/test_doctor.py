import importlib.metadata
from pathlib import Path

import pytest

from kit.doctor import examine


def finding(what: str):  # type: ignore[no-untyped-def]
    return next(found for found in examine() if found.what == what)


def test_this_environment_is_sound() -> None:
    broken = [found for found in examine() if found.state == "broken" and found.what not in ("gpu", "providers")]
    assert not broken
    assert "CPU" in finding("providers").found


def versions(monkeypatch: pytest.MonkeyPatch, **known: str | None) -> None:
    """Other versions than are installed; None is none."""
    real = importlib.metadata.version

    def version(name: str) -> str:
        found = known.get(name.replace("-", "_"), real) or real
        if known.get(name.replace("-", "_"), "") is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found if isinstance(found, str) else real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)


def test_two_builds_of_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    versions(monkeypatch, onnxruntime="1.31.0", onnxruntime_gpu="1.31.0")
    found = finding("onnxruntime")
    assert found.state == "broken"
    assert "overwrite each other" in found.found
    assert found.fix == "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu"


def test_a_gpu_build_whose_files_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    versions(monkeypatch, onnxruntime=None, onnxruntime_gpu="1.31.0")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    found = finding("onnxruntime")
    assert (found.state, found.fix) == ("broken", "pip uninstall -y onnxruntime-gpu && pip install onnxruntime-gpu")


def test_packages_that_lack_or_are_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    versions(monkeypatch, keras="3.0", typer=None, pyarrow=None)
    assert (finding("keras").state, finding("keras").fix) == ("broken", "pip install 'keras>=3.15'")
    assert finding("typer").found == "not installed"
    assert (finding("pyarrow").state, finding("pyarrow").fix) == ("missing", "pip install 'kit[parquet]'")


def test_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KIT_DATA", str(tmp_path / "gone"))
    assert finding("data").state == "broken"
    monkeypatch.delenv("KIT_DATA")
    assert finding("data").state == "ok"
