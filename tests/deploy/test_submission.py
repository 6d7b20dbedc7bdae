from pathlib import Path

import numpy as np
import pytest

from kit.data.images import TextFile
from kit.deploy.submission import write_submission
from kit.deploy.validator import Expected, expected_submission
from kit.errors import SubmissionError


def sample(name: str) -> TextFile:
    return TextFile(name, Path(name).read_text())


EXPECTED = Expected(("id", "target"), frozenset({"10", "11", "12"}), ("1", "2", "5"))
IDS = np.array([10, 11, 12])


def sure(*classes: int, of: int = 3) -> np.ndarray:
    """Probabilities that leave no doubt."""
    return np.eye(of, dtype=np.float32)[list(classes)]


def test_what_is_written() -> None:
    counts = write_submission(Path("sub/run.csv"), IDS, [sure(0, 2), sure(2)], EXPECTED)
    assert Path("sub/run.csv").read_bytes() == b"id,target\n10,1\n11,5\n12,5\n"
    assert counts == {"1": 1, "5": 2}


def test_text_ids_and_labels() -> None:
    expected = expected_submission(("Id", "Category"), np.array(["a,1", "b"]), ("cat", "dög"), None)
    write_submission(Path("run.csv"), np.array(["a,1", "b"]), [sure(1, 0, of=2)], expected)
    assert Path("run.csv").read_text(encoding="utf-8") == 'Id,Category\n"a,1",dög\nb,cat\n'


def test_an_invalid_submission_replaces_nothing() -> None:
    Path("run.csv").write_text("precious")
    with pytest.raises(SubmissionError, match="run.csv: the ids are not the test set's: 1 missing .11.; 1 repeated"):
        write_submission(Path("run.csv"), np.array([10, 10, 12]), [sure(0, 1, 2)], EXPECTED)
    with pytest.raises(SubmissionError, match=r"^new/folder/run.csv: "):
        write_submission(Path("new/folder/run.csv"), IDS + 1, [sure(0, 1, 2)], EXPECTED)
    assert Path("run.csv").read_text() == "precious"
    assert [path.name for path in Path().iterdir() if path.name != "cache"] == ["run.csv"]


def test_a_column_a_class_in_the_order_of_the_sample() -> None:
    Path("sample.csv").write_text("image,cat,ant,bee\n" + "".join(f"{i},0.3,0.3,0.4\n" for i in IDS))
    expected = expected_submission(("id", "target"), IDS, ("ant", "bee", "cat"), sample("sample.csv"))
    assert expected.wants_probabilities
    probabilities = np.array([[0.5, 0.25, 0.25], [0.125, 0.125, 0.75], [1, 0, 0]], np.float32)
    counts = write_submission(Path("run.csv"), IDS, [probabilities], expected)
    assert counts == {"ant": 2, "cat": 1}
    assert Path("run.csv").read_text() == "image,cat,ant,bee\n10,0.25,0.5,0.25\n11,0.75,0.125,0.125\n12,0,1,0\n"


def test_two_classes_and_one_column_of_fractions_is_the_probability_of_the_second() -> None:
    Path("sample.csv").write_text("id,label\n10,0.5\n11,0.5\n12,0.5\n")
    expected = expected_submission(("id", "target"), IDS, (0, 1), sample("sample.csv"))
    write_submission(Path("run.csv"), IDS, [np.array([[0.75, 0.25], [0, 1], [1, 0]], np.float32)], expected)
    assert Path("run.csv").read_text() == "id,label\n10,0.25\n11,1\n12,0\n"


def test_places_that_cannot_be_written() -> None:
    Path("folder").mkdir()
    with pytest.raises(SubmissionError, match="folder is a directory: name a CSV file in it"):
        write_submission(Path("folder"), IDS, [sure(0, 1, 2)], EXPECTED)
    Path("file").write_text("")
    with pytest.raises(SubmissionError, match=r"cannot write file/run.csv: file is a file, not a directory"):
        write_submission(Path("file/run.csv"), IDS, [sure(0, 1, 2)], EXPECTED)
