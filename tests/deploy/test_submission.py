from pathlib import Path

import numpy as np
import pytest

from kit.data.images import TextFile
from kit.deploy.submission import Expected, expected_submission, validate_submission, write_submission
from kit.errors import SubmissionError


def sample(name: str) -> TextFile:
    return TextFile(name, Path(name).read_text())


EXPECTED = Expected(("id", "target"), frozenset({"10", "11", "12"}), ("1", "2", "5"))
IDS = np.array([10, 11, 12])


def sure(*classes: int, of: int = 3) -> np.ndarray:
    """Probabilities that leave no doubt."""
    return np.eye(of, dtype=np.float32)[list(classes)]


def test_what_is_written() -> None:
    counts, _ = write_submission(Path("sub/run.csv"), IDS, [sure(0, 2), sure(2)], EXPECTED)
    assert Path("sub/run.csv").read_bytes() == b"id,target\n10,1\n11,5\n12,5\n"
    assert counts == {"1": 1, "5": 2}


def test_text_ids_and_labels() -> None:
    expected = expected_submission(("Id", "Category"), np.array(["a,1", "b"]), ("cat", "dög"), None)
    write_submission(Path("run.csv"), np.array(["a,1", "b"]), [sure(1, 0, of=2)], expected)
    assert Path("run.csv").read_text(encoding="utf-8") == 'Id,Category\n"a,1",dög\nb,cat\n'


GOOD = "id,target\n10,1\n11,2\n12,5\n"


def test_row_order_does_not_matter() -> None:
    Path("s.csv").write_text("id,target\n12,5\n10,1\n11,2\n")
    validate_submission(Path("s.csv"), EXPECTED)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty, expected a header"),
        (GOOD.replace("id,", "Id,"), "the header is Id,target, expected id,target"),
        (",id,target\n0,10,1\n1,11,2\n2,12,5\n", "the header is ,id,target"),
        (GOOD.replace("10,1", "0,10,1"), "line 2: 3 columns, expected 2"),
        (GOOD.replace("11,2\n", ""), r"1 missing \(11\)"),
        (GOOD.replace("11,2", "13,2"), r"1 missing \(11\); 1 unknown \(13\)"),
        (GOOD + "10,1\n", r"1 repeated \(10\)"),
        (GOOD.replace("12,5", "12,5.0"), "1 labels are not allowed, such as '5.0'; expected one of 1, 2, 5"),
        (GOOD.replace("12,5", "12,3"), "1 labels are not allowed, such as '3'"),
        (GOOD.replace("12,5", "12,"), "such as ''"),
        (GOOD.replace("12,5", "12,nan"), "such as 'nan'"),
        ("\ufeff" + GOOD, "it starts with a byte order mark; save it as UTF-8 without one"),
    ],
)
def test_what_would_not_score_is_refused(text: str, message: str) -> None:
    Path("s.csv").write_text(text, encoding="utf-8")
    with pytest.raises(SubmissionError, match=message):
        validate_submission(Path("s.csv"), EXPECTED)


def test_a_file_that_is_no_text() -> None:
    Path("s.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SubmissionError, match=r"cannot read s.csv as a CSV"):
        validate_submission(Path("s.csv"), EXPECTED)


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
    counts, _ = write_submission(Path("run.csv"), IDS, [probabilities], expected)
    assert counts == {"ant": 2, "cat": 1}
    assert Path("run.csv").read_text() == "image,cat,ant,bee\n10,0.25,0.5,0.25\n11,0.75,0.125,0.125\n12,0,1,0\n"
    for row, message in (
        ("10,0.5,0.5,0.5", "received 0.5, 0.5, 0.5, expected probabilities from 0 to 1 that sum to 1"),
        ("10,1,0,nan", "received 1, 0, nan, expected prob"),
        ("10,2,-1,0", "received 2, -1, 0, expected"),
        ("10,a,b,c", "received a, b, c, expected"),
    ):
        Path("bad.csv").write_text(f"image,cat,ant,bee\n{row}\n11,1,0,0\n12,1,0,0\n")
        with pytest.raises(SubmissionError, match=f"^bad.csv, line 2: {message}"):
            validate_submission(Path("bad.csv"), expected)


def test_two_classes_and_one_column_of_fractions_is_the_probability_of_the_second() -> None:
    Path("sample.csv").write_text("id,label\n10,0.5\n11,0.5\n12,0.5\n")
    expected = expected_submission(("id", "target"), IDS, (0, 1), sample("sample.csv"))
    write_submission(Path("run.csv"), IDS, [np.array([[0.75, 0.25], [0, 1], [1, 0]], np.float32)], expected)
    assert Path("run.csv").read_text() == "id,label\n10,0.25\n11,1\n12,0\n"


def test_the_organisers_sample_says_what_is_expected() -> None:
    Path("sample_submission.csv").write_text("Id,Label\n12,0\n11,0\n10,0\n")
    expected = expected_submission(("id", "target"), IDS, (1, 2), sample("sample_submission.csv"))
    assert expected == Expected(("Id", "Label"), EXPECTED.ids, ("1", "2"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,target\n10,1\n7,1\n", r"2 missing \(11, 12\); 1 unknown \(7\); sample and test file do not belong"),
        (
            "id,a,b\n10,1,1\n",
            "the header is 'id,a,b', expected an id and a target column, or an id column and one a class: 1, 2",
        ),
        ("id\n10\n", "the header is 'id', expected an id and a target column"),
    ],
)
def test_a_sample_of_something_else(text: str, message: str) -> None:
    Path("sample_submission.csv").write_text(text)
    with pytest.raises(SubmissionError, match=f"^sample_submission.csv: .*{message}"):
        expected_submission(("id", "target"), IDS, (1, 2), sample("sample_submission.csv"))


def test_places_that_cannot_be_written() -> None:
    Path("folder").mkdir()
    with pytest.raises(SubmissionError, match="folder is a directory: name a CSV file in it"):
        write_submission(Path("folder"), IDS, [sure(0, 1, 2)], EXPECTED)
    Path("file").write_text("")
    with pytest.raises(SubmissionError, match=r"cannot write file/run.csv: file is a file, not a directory"):
        write_submission(Path("file/run.csv"), IDS, [sure(0, 1, 2)], EXPECTED)
