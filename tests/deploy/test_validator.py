"""Every way in which a CSV of anybody's fails to score is one line: what was received, expected, and the fix."""

import logging
import re
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kit.data.images import Competition, TextFile
from kit.deploy.validator import (
    Expected,
    expected_by,
    expected_probabilities,
    expected_submission,
    validate_submission,
)
from kit.errors import SubmissionError

IDS = np.array([10, 11, 12])
LABELS = Expected(("id", "target"), frozenset({"10", "11", "12"}), ("1", "2", "5"))
WORDS = Expected(("id", "kind"), frozenset({"img_1.png", "img_2.png"}), ("cat", "dög", "none"))
SHARES = Expected(("id", "cat", "ant", "bee"), LABELS.ids, ("ant", "bee", "cat"), True)
ONE_SHARE = Expected(("id", "target"), LABELS.ids, ("0", "1"), True)
PADDED = Expected(("id", "target"), frozenset({"0007", "0012"}), ("1", "2"))

GOOD = "id,target\n10,1\n11,2\n12,5\n"
GOOD_WORDS = "id,kind\nimg_1.png,cat\nimg_2.png,dög\n"
GOOD_SHARES = "id,cat,ant,bee\n10,0.2,0.3,0.5\n11,1,0,0\n12,0,0,1\n"


@pytest.mark.parametrize(
    ("text", "expected", "rows"),
    [
        (GOOD, LABELS, 3),
        ("id,target\r\n12,5\r\n10,1\r\n11,2\r\n", LABELS, 3),
        ('"id","target"\n"10","1"\n11,2\n12,5', LABELS, 3),
        (GOOD_WORDS, WORDS, 2),
        (GOOD_WORDS.replace("cat", "none"), WORDS, 2),
        (GOOD_SHARES, SHARES, 3),
        (GOOD_SHARES.replace("0.2,0.3,0.5", "0.333,0.333,0.333"), SHARES, 3),
        ("id,target\n10,0.25\n11,1\n12,3e-7\n", ONE_SHARE, 3),
    ],
)
def test_what_scores(text: str, expected: Expected, rows: int) -> None:
    Path("s.csv").write_text(text, encoding="utf-8", newline="")
    assert validate_submission(Path("s.csv"), expected) == rows


BAD = [
    # the header
    ("", LABELS, "s.csv is empty, expected a header and a row an image"),
    ("\n" + GOOD, LABELS, "s.csv is empty, expected a header"),
    (GOOD.replace("id,", "Id,"), LABELS, "s.csv: the header is Id,target, expected id,target: rename the columns: capitals and spaces count"),
    (GOOD.replace("id,target", "id, target"), LABELS, "the header is id, target, expected id,target: rename the columns: cap"),
    (GOOD.replace("id,target", "id,label"), LABELS, "the header is id,label, expected id,target: add target and leave out label"),
    (",id,target\n0,10,1\n1,11,2\n2,12,5\n", LABELS, "the header is ,id,target, expected id,target: the unnamed column is an index, as pandas writes it: write the file with index=False"),
    ("Unnamed: 0,id,target\n0,10,1\n", LABELS, "the column 'Unnamed: 0' is an index, as pandas writes it: write the file with index=False"),
    ("id,target,index\n10,1,0\n", LABELS, "the column 'index' is an index, as pandas writes it"),
    ("id,target,confidence\n10,1,0.9\n", LABELS, "expected id,target: leave out confidence"),
    ("id,target,target\n10,1,1\n", LABELS, "the header is id,target,target, expected id,target: write each column once"),
    ("target,id\n1,10\n", LABELS, "the header is target,id, expected id,target: write the columns in that order"),
    ("10,1\n11,2\n12,5\n", LABELS, "the header is 10,1, expected id,target: the first line is a row already: write the file with its header"),
    (GOOD.replace(",", ";"), LABELS, "the header is id;target, expected id,target: columns are separated by ';': write the file with sep=','"),
    (GOOD.replace(",", "\t"), LABELS, r"the header is 'id\ttarget', expected id,target: columns are separated by '\t'"),
    ("id,cat\n10,1\n", SHARES, "the header is id,cat, expected id,cat,ant,bee: add ant, bee"),
    # the width
    (GOOD.replace("10,1", "0,10,1"), LABELS, "s.csv, line 2: 3 columns, expected 2 (id,target): quote a value that holds a comma"),
    (GOOD.replace("11,2", "11"), LABELS, "s.csv, line 3: 1 columns, expected 2 (id,target): write a value in each"),
    (GOOD + "\n", LABELS, "s.csv, line 5: it is empty, expected 2 columns: remove the line"),
    (GOOD + 'x,"', LABELS, "cannot read s.csv as a CSV, line 5: unexpected end of data: close every quote"),
    # the ids
    ("id,target\n", LABELS, "s.csv: the ids are not the test set's: 3 missing (10, 11, 12): write each of the 3 ids once, as text"),
    (GOOD.replace("11,2\n", ""), LABELS, "1 missing (11): write each of the 3 ids once"),
    (GOOD.replace("11,2", "13,2"), LABELS, "1 missing (11); 1 unknown (13): write"),
    (GOOD + "10,1\n12,1\n12,1\n", LABELS, "the ids are not the test set's: 3 repeated (10, 12, 12): write"),
    (GOOD + "".join(f"{n},1\n" for n in range(20, 40)), LABELS, "20 unknown (20, 21, 22, 23, 24): write"),
    (GOOD.replace("10,1", "10.0,1"), LABELS, "1 missing (10); 1 unknown (10.0); '10.0' stands for '10': write each of the 3 ids once, as text"),
    (GOOD.replace("10,1", " 10,1"), LABELS, "1 unknown (' 10'); ' 10' stands for '10'"),
    (GOOD.replace("10,1", ",1"), LABELS, "1 missing (10); 1 unknown (''): write"),
    ("id,target\n7,1\n12,2\n", PADDED, "2 missing (0007, 0012); 2 unknown (7, 12); '7' stands for '0007'"),
    (GOOD_WORDS.replace(".png", ""), WORDS, "'img_1' stands for 'img_1.png'"),
    (GOOD.replace("10,1", '"1\n0",1'), LABELS, r"1 unknown ('1\n0')"),
    # the labels
    (GOOD.replace("12,5", "12,3"), LABELS, "s.csv: 1 labels are not allowed, such as '3' in line 4, expected one of 1, 2, 5: write the competition's labels, not class indices or names"),
    (GOOD.replace(",1", ",1.0").replace(",2", ",2.0"), LABELS, "s.csv: 2 labels are written with a decimal point, such as '1.0' in line 2, expected '1'; it can score 0 without any error: write integers, as by astype(int)"),
    (GOOD.replace("12,5", "12,"), LABELS, "1 labels are empty or NaN, such as '' in line 4, expected one of 1, 2, 5: write a label for every id"),
    (GOOD.replace("12,5", "12,nan"), LABELS, "1 labels are empty or NaN, such as 'nan' in line 4"),
    (GOOD.replace("12,5", "12, 5"), LABELS, "1 labels have spaces around them, such as ' 5' in line 4, expected '5': strip them"),
    (GOOD.replace("12,5", "12,0.93"), LABELS, "1 labels are fractions, such as '0.93' in line 4, expected one of 1, 2, 5: write the most probable label"),
    (GOOD_WORDS.replace("cat", "Cat"), WORDS, "1 labels are spelt otherwise, such as 'Cat' in line 2, expected one of cat, dög, none: write them exactly so"),
    # the probabilities
    (GOOD_SHARES.replace("0.2,0.3,0.5", "0.5,0.5,0.5"), SHARES, "s.csv, line 2: received 0.5, 0.5, 0.5, expected probabilities from 0 to 1 that sum to 1; 1 rows are like that: divide each row by its sum"),
    (GOOD_SHARES.replace("1,0,0", "2,-1,0"), SHARES, "s.csv, line 3: received 2, -1, 0, expected probabilities from 0 to 1 that sum to 1; 1 rows are like that: write probabilities, as by a softmax"),
    (GOOD_SHARES.replace("1,0,0", "1,0,nan"), SHARES, "line 3: received 1, 0, nan, expected probabilities from 0 to 1 that sum to 1; 1 rows are like that: it is empty or NaN"),
    (GOOD_SHARES.replace("1,0,0", "1,0,"), SHARES, "it is empty or NaN: write a number in every cell"),
    (GOOD_SHARES.replace("1,0,0", "ant,0,0"), SHARES, "line 3: received ant, 0, 0, expected probabilities"),
    (GOOD_SHARES.replace("1,0,0", "inf,0,0"), SHARES, "line 3: received inf, 0, 0, expected probabilities"),
    ("id,target\n10,0.5\n11,1.5\n12,0\n", ONE_SHARE, "line 3: received 1.5, expected probabilities from 0 to 1; 1 rows are like that: write the probability of the second class"),
    ('id,target\n10,"0,5"\n11,1\n12,0\n', ONE_SHARE, "it is no number: write plain numbers with a decimal point"),
    # the encoding
    ("\ufeff" + GOOD, LABELS, "s.csv: it starts with a byte order mark; save it as UTF-8 without one: encoding='utf-8', not 'utf-8-sig'"),
    (GOOD.encode("utf-16"), LABELS, "s.csv is UTF-16 text, expected a CSV in UTF-8: save it as plain text"),
    (GOOD_WORDS.encode("latin-1"), WORDS, "s.csv, line 3: the byte 0xf6 is not UTF-8, which is expected: save it with encoding='utf-8'"),
    (b"PK\x03\x04...", LABELS, "s.csv is a .zip archive or an Excel workbook, expected a CSV in UTF-8"),
    (b"\x1f\x8b...", LABELS, "s.csv is a .gz archive, expected a CSV in UTF-8"),
    (None, LABELS, "cannot read s.csv: No such file or directory; expected a CSV file"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "expected", "message"), BAD, ids=lambda value: str(value)[:30])
def test_what_would_not_score_is_told(content: str | bytes | None, expected: Expected, message: str) -> None:
    if content is not None:
        Path("s.csv").write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    with pytest.raises(SubmissionError, match=re.escape(message)) as caught:
        validate_submission(Path("s.csv"), expected)
    assert "\n" not in str(caught.value)


def sample(text: str) -> TextFile:
    return TextFile("sample_submission.csv", text)


def test_the_organisers_sample_says_what_is_expected() -> None:
    expected = expected_submission(("id", "target"), IDS, (1, 2), sample("Id,Label\n12,0\n11,0\n10,0\n"))
    assert expected == Expected(("Id", "Label"), LABELS.ids, ("1", "2"))
    assert expected_submission(("id", "target"), IDS, (1, 2), None) == Expected(
        ("id", "target"), LABELS.ids, ("1", "2")
    )
    assert expected_probabilities("id", IDS, ("a", "b")) == Expected(("id", "a", "b"), LABELS.ids, ("a", "b"), True)
    assert expected_probabilities("id", IDS, ("a", "b"), ("target",)).classes_asked_for == [1]


def test_without_a_sample_the_competitions_metric_says_it(tiny: Competition) -> None:
    ids = tiny.load_test().ids
    assert expected_by(tiny, ids).header == (tiny.id_column, tiny.target_column)
    asks = replace(tiny, metric="log_loss")
    assert expected_by(asks, ids) == expected_probabilities(tiny.id_column, ids, tiny.label_values)
    sampled = replace(asks, sample_submission=sample(f"id,target\n{ids[0]},1\n"))
    assert not expected_by(sampled, ids, sample_decides=True).wants_probabilities  # which decides against the metric


@pytest.mark.parametrize(
    ("metric", "value", "wants"),
    [("roc_auc", "0", True), ("accuracy", "0", False), ("accuracy", "0.5", True), ("roc_auc", "no", False)],
)
def test_one_column_of_two_classes(tiny: Competition, metric: str, value: str, wants: bool) -> None:
    two = replace(tiny, label_values=("no", "yes"), class_names=("no", "yes"), metric=metric)
    rows = "".join(f"{name},{value}\n" for name in tiny.load_test().ids)
    asked = replace(two, sample_submission=sample(f"id,target\n{rows}"))
    assert expected_by(asked, tiny.load_test().ids).wants_probabilities is wants


def test_a_sample_of_other_ids_stops_a_prediction_and_decides_a_check(caplog: pytest.LogCaptureFixture) -> None:
    other = sample("id,target\n10,1\n7,1\n")
    problems = "the ids are not the test set's: 2 missing (11, 12); 1 unknown (7); "
    with pytest.raises(
        SubmissionError, match=re.escape(f"sample_submission.csv: {problems}sample and test file do not")
    ):
        expected_submission(("id", "target"), IDS, (1, 2), other)
    with caplog.at_level(logging.WARNING, "kit"):
        expected = expected_submission(("id", "target"), IDS, (1, 2), other, sample_decides=True)
        assert expected_submission(("id", "target"), None, (1, 2), other) == expected
    assert expected.ids == {"10", "7"}
    assert [record.message for record in caplog.records] == [f"sample_submission.csv: {problems}the sample decides"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,a,b\n10,1,1\n", "the header is 'id,a,b', expected an id and a target column, or an id column and one a class: 1, 2"),
        ("id\n10\n", "the header is 'id', expected an id and a target column"),
    ],
)  # fmt: skip
def test_a_sample_of_something_else(text: str, message: str) -> None:
    with pytest.raises(SubmissionError, match=f"^sample_submission.csv: .*{message}"):
        expected_submission(("id", "target"), IDS, (1, 2), sample(text))


def test_memory_does_not_grow_with_what_is_wrong() -> None:
    """Every label of the longer file is another wrong one."""
    peaks = []
    for rows in (1_000, 20_000):
        Path("s.csv").write_text("id,target\n" + "".join(f"10,{n}.25\n" for n in range(rows)))
        tracemalloc.start()
        with pytest.raises(SubmissionError):
            validate_submission(Path("s.csv"), LABELS)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 50_000
