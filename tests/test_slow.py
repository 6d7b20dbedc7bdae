"""Minutes long: on the real files, and damaged files for longer."""

import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit import predict, train
from tests.data.readers.conftest import on_linux, python
from tests.data.readers.test_fuzz import EDITS, FORMATS, MEMORY, Edit, read_damaged, write_corpus

pytestmark = pytest.mark.slow


def test_deeper_learns_the_real_five_classes(kit_data: Path) -> None:
    run = train("fashion_mnist", data=kit_data, epochs=3)
    metrics = run.read_metrics()
    assert metrics["test"]["rows"] == 6_000
    assert metrics["test"]["accuracy"] > 0.89
    assert predict(run, out="run.csv").rows == 10_000
    with Path("run.csv").open() as file:
        labels = [int(row["target"]) for row in csv.DictReader(file)]
    assert np.bincount(labels, minlength=6)[1:].min() > 1_500  # about 2,000 each


@settings(max_examples=20_000, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(FORMATS)), edits=EDITS, repack=st.booleans())
def test_damaged_files_for_longer(tmp_path: Path, name: str, edits: list[Edit], repack: bool) -> None:
    read_damaged(name, edits, tmp_path, repack)


@on_linux
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="needs atheris: pip install atheris")
def test_damaged_files_guided_by_coverage(tmp_path: Path) -> None:
    """A minute of libFuzzer over all readers: no exception but DataError, 10 s and bounded memory an input."""
    (tmp_path / "corpus").mkdir()
    write_corpus(tmp_path / "corpus")
    code = """
import sys
from pathlib import Path
import atheris
with atheris.instrument_imports(include=["kit.data"]):
    from tests.data.readers.test_fuzz import read_chosen
directory = Path(sys.argv[1])
atheris.Setup(sys.argv[:1] + sys.argv[2:], lambda data: read_chosen(data, directory))
atheris.Fuzz()
"""
    limits = ["-max_total_time=60", "-timeout=10", f"-rss_limit_mb={300 + MEMORY}", "-max_len=20000"]
    done = python(code, tmp_path, tmp_path / "corpus", *limits, f"-artifact_prefix={tmp_path}/")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done " in done.stderr, done.stderr[-3000:]
