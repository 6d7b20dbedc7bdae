import json
from pathlib import Path

import numpy as np
import pytest

from kit.deploy.leaderboard import score_submission
from kit.errors import KitError

RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.integers(1, 4, 600)


def write(name: str, rows: list[str], header: str = "id,target") -> Path:
    Path(name).write_text("\n".join([header, *rows]) + "\n")
    return Path(name)


@pytest.fixture
def answers() -> Path:
    return write("answers.csv", [f"{i},{label}" for i, label in enumerate(TRUTH)])


def test_public_private_and_all_by_id(answers: Path) -> None:
    guess = np.where(RANDOM.uniform(size=600) < 0.8, TRUTH, TRUTH % 3 + 1)
    rows = [f"{i},{label}" for i, label in enumerate(guess)]
    scores = score_submission(write("a.csv", rows), answers)
    assert scores["metric"] == "accuracy"
    assert scores["all"]["score"] == pytest.approx((guess == TRUTH).mean())
    assert scores["public"]["rows"] + scores["private"]["rows"] == 600
    assert 140 < scores["public"]["rows"] < 220  # 30 %
    low, high = scores["all"]["interval"]
    assert low < scores["all"]["score"] < high
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.8 * 0.2 / 600), rel=0.2)
    assert score_submission(write("b.csv", rows[::-1]), answers)["public"]["rows"] == scores["public"]["rows"]
    assert "public" not in score_submission(Path("a.csv"), answers, public=0)
    json.dumps(scores)


def test_a_usage_column_decides() -> None:
    answers = write("answers.csv", ["a,1,Public", "b,2,Private", "c,1,Private"], "id,target,Usage")
    scores = score_submission(write("s.csv", ["a,1", "b,1", "c,1"]), answers)
    assert scores["public"]["score"] == 1
    assert scores["private"]["score"] == 0.5


def test_probabilities(answers: Path) -> None:
    odds = RANDOM.uniform(0.1, 1, (600, 3)) + 2 * np.eye(3)[TRUTH - 1]
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    rows = [f"{i},{c:.9f},{a:.9f},{b:.9f}" for i, (a, b, c) in enumerate(probabilities)]
    submission = write("p.csv", rows, "id,3,1,2")
    scores = score_submission(submission, answers)
    assert scores["metric"] == "log_loss"
    assert scores["all"]["score"] == pytest.approx(-np.log(probabilities[np.arange(600), TRUTH - 1]).mean(), rel=1e-6)
    assert score_submission(submission, answers, "accuracy")["all"]["score"] == 1


@pytest.mark.parametrize(
    ("rows", "header", "metric", "message"),
    [
        (["0,1"], "id,target", None, r"s.csv: the ids are not the test set's: 599 missing \(1, 2, 3, 4, 5\)"),
        (
            [f"{i},1.0" for i in range(600)],
            "id,target",
            None,
            "s.csv: 600 labels are written with a decimal point, such as '1.0'",
        ),
        ([f"{i},1" for i in range(600)], "id,label", None, "s.csv: the header is id,label, expected id,target"),
        (
            [f"{i},1" for i in range(600)],
            "id,target",
            "log_loss",
            "s.csv holds labels, but log_loss needs a probability",
        ),
        ([f"{i},1" for i in range(600)], "id,target", "acuracy", "unknown metric 'acuracy': did you mean 'accuracy'"),
        ([f"{i},1,0" for i in range(600)], "id,1,2", None, "'id,1,2', which lacks the classes 3 of the answers"),
    ],
)
def test_what_is_not_scored(rows: list[str], header: str, metric: str, message: str, answers: Path) -> None:
    with pytest.raises(KitError, match=message):
        score_submission(write("s.csv", rows, header), answers, metric)


def test_bad_answers() -> None:
    submission = write("s.csv", ["1,1"])
    for rows, header, message in (
        (["1,1,1"], "id,a,b", "a.csv: the header is 'id,a,b', expected an id and a label column"),
        (["1,1", "1,2"], "id,target", "a.csv, line 3: id 1 again"),
        ([], "id,target", "a.csv has a header and no rows"),
    ):
        with pytest.raises(KitError, match=message):
            score_submission(submission, write("a.csv", rows, header))
    with pytest.raises(KitError, match="--public is 3, expected a share"):
        score_submission(submission, submission, public=3)
    with pytest.raises(KitError, match=r"cannot read gone.csv: No such file"):
        score_submission(submission, Path("gone.csv"))


def test_one_probability_of_two_classes() -> None:
    answers = write("answers.csv", ["a,0", "b,1", "c,1"])
    submission = write("s.csv", ["a,0.25", "b,0.75", "c,0.5"])
    scores = score_submission(submission, answers)
    assert scores["metric"] == "log_loss"
    assert scores["all"]["score"] == pytest.approx(-np.log([0.75, 0.75, 0.5]).mean())
    assert score_submission(submission, answers, "roc_auc")["all"]["score"] == 1


def test_a_class_that_the_answers_do_not_have_is_wrong_but_another_spelling_is_refused() -> None:
    answers = write("answers.csv", ["a,cat", "b,dog"])
    assert score_submission(write("s.csv", ["a,cat", "b,hen"]), answers)["all"]["score"] == 0.5
    with pytest.raises(KitError, match="1 labels are spelt otherwise, such as 'Dog'"):
        score_submission(write("s.csv", ["a,cat", "b,Dog"]), answers)


def test_numbers_that_are_no_labels_are_refused(answers: Path) -> None:
    many = write("answers.csv", [f"{i},{i % 3}" for i in range(1500)])
    guesses = write("s.csv", [f"{i},{i / 1000 + 1}" for i in range(1500)])
    with pytest.raises(
        KitError,
        match=r"s.csv holds 1,49\d labels that the answers do not have, such as .*; expected labels like 0, 1, 2",
    ):
        score_submission(guesses, many)


def test_what_the_host_ignores_and_what_a_metric_cannot_tell() -> None:
    answers = write("answers.csv", ["a,0,Public", "b,1,Private", "c,0,Private", "d,1,Ignored"], "id,target,Usage")
    scores = score_submission(write("s.csv", ["a,0.25", "b,0.75", "c,0.5", "d,0.125"]), answers, "roc_auc")
    assert set(scores) == {"metric", "private", "all"}  # the public part has one class
    assert scores["all"]["rows"] == 3
    with pytest.raises(KitError, match="a.csv, line 2: Usage is 'Maybe', expected Public, Private or Ignored"):
        score_submission(Path("s.csv"), write("a.csv", ["a,0,Maybe"], "id,target,Usage"))


def test_answers_that_were_saved_as_floats() -> None:
    assert score_submission(write("s.csv", ["a,3", "b,4"]), write("a.csv", ["a,3.0", "b,3.0"]))["all"]["score"] == 0.5
