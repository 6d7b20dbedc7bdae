from dataclasses import replace
from pathlib import Path

import pytest

from kit.deploy.export import Exported
from kit.deploy.parity import Parity, read_parity, record_parity


@pytest.fixture
def exported(tmp_path: Path) -> Exported:
    (tmp_path / "model.onnx").write_bytes(b"a model")
    return Exported(tmp_path / "model.onnx", 7, 3e-7, 1, 256, 128)


def test_what_an_export_found_is_kept_for_each_file(exported: Exported, tmp_path: Path) -> None:
    (tmp_path / "model.int8.onnx").write_bytes(b"a small model")
    record_parity(exported)
    record_parity(replace(exported, path=tmp_path / "model.int8.onnx", largest_difference=0.1))
    assert read_parity(exported.path) == Parity(3e-7, 1, 256, 128)
    assert read_parity(tmp_path / "model.int8.onnx") == Parity(0.1, 1, 256, 128)


def test_it_is_of_the_file_as_it_was(exported: Exported) -> None:
    assert read_parity(exported.path) is None
    record_parity(exported)
    exported.path.write_bytes(b"another")
    assert read_parity(exported.path) is None


@pytest.mark.parametrize("content", ["", "[]", '{"model.onnx": 5}', '{"model.onnx": {"sha256": 1}}'])
def test_damaged_figures_are_none_and_written_anew(exported: Exported, content: str) -> None:
    exported.path.with_name("exports.json").write_text(content)
    assert read_parity(exported.path) is None
    record_parity(exported)
    assert read_parity(exported.path) is not None
