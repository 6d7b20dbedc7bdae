"""What the documentation shows, run as it stands there."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kit import predict
from tests import layouts

ROOT = Path(__file__).parents[1]


def code_of(notebook: str, **places: Path) -> str:
    """The code cells of a notebook, without the shell's lines and Colab's own modules, elsewhere on the disk."""
    cells = json.loads((ROOT / "docs" / "notebooks" / notebook).read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    kept = [line for line in code.splitlines() if not re.match(r"!|drive\.|from google", line)]
    text = "\n".join(kept)
    for name, place in places.items():
        assert f"/{name}/" in text
        text = text.replace(f"/{name}/", f"{place}/")
    return text


def test_a_kaggle_notebook_without_internet(digits_runs: Path, tmp_path: Path) -> None:
    """Models of `pixels` are what the notebook expects; this one is told that its own are."""
    import onnx

    inputs = tmp_path / "kaggle" / "input"
    layouts.pixel_tables(inputs / "digit-recognizer", side=28)
    model = onnx.load(digits_runs / "digits" / "deeper-1" / "model.onnx")
    facts = {entry.key: entry.value for entry in model.metadata_props}
    labels = {"competition": '"pixels"', "label_values": json.dumps(list(map(str, range(10))))}
    onnx.helper.set_model_props(model, {**facts, **labels})
    (inputs / "my-models").mkdir()
    onnx.save(model, inputs / "my-models" / "model.onnx")
    exec(code_of("kaggle_without_internet.ipynb", kaggle=tmp_path / "kaggle"), {})
    rows = (tmp_path / "kaggle" / "working" / "submission.csv").read_text().splitlines()
    assert len(rows) - 1 == len((inputs / "digit-recognizer" / "test.csv").read_text().splitlines()) - 1
    assert (tmp_path / "kaggle" / "working" / "submission.json").is_file()


@pytest.mark.slow
def test_a_colab_notebook(tmp_path: Path) -> None:
    layouts.pixel_tables(tmp_path / "drive" / "MyDrive" / "kit" / "digit-recognizer", side=28)
    exec(code_of("colab.ipynb", content=tmp_path), {})
    assert (tmp_path / "submission.csv").is_file()


def test_fifteen_lines_of_onnxruntime(digits_runs: Path) -> None:
    model = Path(shutil.copy(digits_runs / "digits" / "deeper-1" / "model.onnx", "model.onnx"))
    from competitions.digits import load_train

    Image.fromarray(load_train().pixels[5, ..., 0]).save("five.png")
    command = [sys.executable, ROOT / "docs" / "classify.py", model, "five.png"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    expected = predict(model, input="five.png").likeliest
    assert said[1::2] == [str(label) for label, _ in expected[:3]]
    np.testing.assert_allclose([float(each) for each in said[::2]], [p for _, p in expected[:3]], atol=1e-4)


def test_a_wheel_holds_all_that_the_program_needs(tmp_path: Path) -> None:
    """As the notebooks install it: from a wheel, without an index."""
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns(".*", "runs", "build", "*.egg-info", "data", "bench", "tests")
    shutil.copytree(
        ROOT, source, ignore=lambda folder, names: ignored(folder, names) if Path(folder) == ROOT else set()
    )
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    subprocess.run([*command, tmp_path / "wheelhouse", source], check=True, capture_output=True)
    (wheel,) = (tmp_path / "wheelhouse").glob("kit-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    files = [path for folder in ("kit", "competitions") for path in (ROOT / folder).rglob("*") if path.is_file()]
    needed = {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
    assert needed <= packed
