import csv
from pathlib import Path

import numpy as np
import pytest

from kit.deploy.answers import write_likeliest, write_parquet
from kit.errors import SubmissionError

ANSWERS = np.array([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3], [0.25, 0.25, 0.5]], np.float32)
IDS = np.array(["a", "b", "c"])


def test_the_likeliest_labels() -> None:
    assert write_likeliest(Path("t.csv"), "id", IDS, [ANSWERS[:2], ANSWERS[2:]], ("cat", "dog", "elk"), 2) == 3
    with Path("t.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["id", "top_1", "probability_1", "top_2", "probability_2"]
    assert rows[1] == ["a", "dog", "0.7", "elk", "0.2"]
    assert rows[3] == ["c", "elk", "0.5", "cat", "0.25"]


@pytest.mark.parametrize("count", [0, 4])
def test_more_labels_than_there_are(count: int) -> None:
    with pytest.raises(SubmissionError, match=rf"--top is {count}, expected 1 to 3, the number of labels"):
        write_likeliest(Path("t.csv"), "id", IDS, [ANSWERS], (0, 1, 2), count)
    assert not Path("t.csv").exists()


def test_parquet() -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow: pip install 'kit[parquet]'")
    assert write_parquet(Path("p.parquet"), "id", IDS, [ANSWERS[:2], ANSWERS[2:]], ("cat", "dog", "elk")) == 3
    assert parquet.ParquetFile("p.parquet").num_row_groups == 1
    table = parquet.read_table("p.parquet").to_pydict()
    assert list(table) == ["id", "cat", "dog", "elk"]
    assert table["id"] == ["a", "b", "c"]
    np.testing.assert_array_equal(np.array([table["cat"], table["dog"], table["elk"]], np.float32).T, ANSWERS)


def test_parquet_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(SubmissionError, match=r"Parquet needs pyarrow: pip install 'kit\[parquet\]'"):
        write_parquet(Path("p.parquet"), "id", IDS, [ANSWERS], (0, 1, 2))
