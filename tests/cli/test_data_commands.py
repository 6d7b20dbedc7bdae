"""kit data, kit folds, kit score, kit competitions, kit new: what they print."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests import layouts
from tests.cli.test_commands import kit

FILES = Path("files")


def test_check_tells_of_duplicates_conflicts_and_leaks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    layouts.class_folders(FILES)
    for source, copy in (
        ("train/cat/0.png", "train/cat/100.png"),  # twice in one class
        ("train/cat/3.png", "train/dog/103.png"),  # in two classes
        ("train/hen/2.png", "test/13.png"),  # in the test set too
    ):
        (FILES / copy).write_bytes((FILES / source).read_bytes())
    assert kit("data", "check", "folder", "--data", FILES, "--near", 1, monkeypatch=monkeypatch) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "images      42 to train on, 13 to predict, 12x12x3",
        "classes     cat: 15, dog: 14, hen: 13",
        "balance     the smallest class has 86.67 % of the largest one's images",
        *lines[3:6],
        "duplicates  2 images occur more than once, in 4 rows",
        "conflicts   1 of them have different labels, in 2 rows",
        "            train/cat/3.png is cat, train/dog/103.png is dog",
        "in test     1 training images are in the test set too, such as train/hen/2.png",
        "test        0 test images occur more than once",
        "near        0 pairs of training images and 0 pairs of a training and a test image differ by at most 1 grey levels",
    ]
    assert lines[3].startswith("channel 0   0 to 255, mean 1")
    assert kit("data", "check", "folder", "--data", FILES, "--json", monkeypatch=monkeypatch) == 0
    assert json.loads(capsys.readouterr().out)["duplicates"] == {"groups": 2, "rows": 4}


def test_a_test_set_that_cannot_be_read_does_not_hide_the_rest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    layouts.class_folders(FILES)
    (FILES / "test" / "1.png").write_bytes(b"")
    assert kit("data", "check", "folder", "--data", FILES, monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "40 to train on, no test images" in printed
    assert (
        "note        the test images were not looked at: files/test/1.png: it is empty (0 bytes); expected a pic"
        in printed
    )


def test_folds_are_written_and_used(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    layouts.table_and_images(FILES)
    words = ["folds", "csv", "--data", FILES, "--folds", 4, "--group", "patient", "--out", "my folds.csv"]
    assert kit(*words, monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out.endswith("next    kit train csv --data files --folds 'my folds.csv'\n")
    rows = [line.split(",") for line in Path("my folds.csv").read_text().splitlines()]
    assert rows[0] == ["id", "fold"]
    patient_of = {f"img_{n}.jpg": n // 4 for n in range(layouts.ROWS)}
    folds_of: dict[int, set[str]] = {}
    for name, fold in rows[1:]:
        folds_of.setdefault(patient_of[name], set()).add(fold)
    assert {len(folds) for folds in folds_of.values()} == {1}
    words = ["train", "csv", "--data", FILES, "--folds", "my folds.csv", "--model", "brief", "--epochs", 1]
    assert kit(*words, "--metric", "log_loss", monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "out of fold log_loss " in printed
    assert kit("runs", monkeypatch=monkeypatch) == 0
    assert "log_loss" in capsys.readouterr().out.splitlines()[1]


def test_duplicates_on_both_sides_of_somebodys_folds_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    layouts.class_folders(FILES)
    (FILES / "train/cat/100.png").write_bytes((FILES / "train/cat/0.png").read_bytes())
    names = sorted(str(path.relative_to(FILES)) for path in (FILES / "train").rglob("*.png"))
    layouts.write_csv(Path("folds.csv"), ["id", "fold"], [(name, int("100" in name)) for name in names])
    words = ["train", "folder", "--data", FILES, "--folds", "folds.csv", "--model", "brief", "--epochs", 1]
    assert kit(*words, "--fold", 0, monkeypatch=monkeypatch) == 0
    assert (
        "kit: 1 images lie on both sides of the split, in 2 rows that are equal pixel by pixel: the score rewards "
        "remembering them\n" in capsys.readouterr().err
    )


def test_score(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    truth = np.arange(200) % 3
    layouts.write_csv(Path("answers.csv"), ["id", "target"], enumerate(truth))
    layouts.write_csv(Path("s.csv"), ["id", "target"], enumerate(np.where(np.arange(200) < 150, truth, 0)))
    assert kit("score", "s.csv", "answers.csv", "--metric", "macro_f1", monkeypatch=monkeypatch) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["public", "macro_f1"],
        ["private", "macro_f1"],
        ["all", "macro_f1"],
    ]
    assert kit("score", "s.csv", "answers.csv", "--json", monkeypatch=monkeypatch) == 0
    assert json.loads(capsys.readouterr().out)["all"]["rows"] == 200


def test_competitions_tell_of_their_files(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert kit("competitions", "cifar100", monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "cifar-100-python.tar.gz" in printed
    options, recipes = printed.splitlines()[-2:]
    assert options == "options  labels='fine'"
    assert recipes.startswith("recipes  fast, best, ")
    assert "custom_vgg16_tuned" in recipes
    assert kit("competitions", "cifar1000", monkeypatch=monkeypatch) == 2
    assert "did you mean 'cifar100'" in capsys.readouterr().err


def test_a_competition_of_ones_own_from_the_first_word_to_the_submission(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kit("new", "mine", monkeypatch=monkeypatch) == 0
    assert "competitions/mine.py" in capsys.readouterr().out
    np.savez("train.npz", pixels=layouts.random_pixels(30, 28, 28), labels=np.arange(30) % 3)
    np.savez("test.npz", pixels=layouts.random_pixels(9, 28, 28), ids=np.arange(9))
    assert kit("train", "mine", "--data", ".", "--epochs", 1, monkeypatch=monkeypatch) == 0
    assert "kit: running the code in competitions/mine.py\n" in capsys.readouterr().err
    assert kit("predict", monkeypatch=monkeypatch) == 0
    assert Path("submissions/run.csv").read_text().startswith("id,target\n0,")


def test_probabilities_where_the_sample_has_a_column_a_class(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    layouts.table_and_images(FILES, probabilities=True)
    assert kit("train", "csv", "--data", FILES, "--model", "brief", "--epochs", 1, monkeypatch=monkeypatch) == 0
    assert "validation  log_loss " in capsys.readouterr().out
    assert kit("predict", monkeypatch=monkeypatch) == 0
    lines = Path("submissions/run.csv").read_text().splitlines()
    assert lines[0] == "image_id,hen,dog,cat"
    assert len(lines) == 1 + layouts.TEST_ROWS
    assert kit("predict", "--input", FILES / "test_images", "--out", "others.csv", monkeypatch=monkeypatch) == 0
    assert Path("others.csv").read_text().splitlines() == lines  # the same pictures, in the same form
    words = ["predict", "--input", FILES / "test_images", "--out", "top.csv", "--top", 1]
    assert kit(*words, monkeypatch=monkeypatch) == 0
    assert Path("top.csv").read_text().startswith("image_id,top_1,probability_1\n")
    assert sum(map(float, lines[1].split(",")[1:])) == pytest.approx(1, abs=1e-5)


def test_words_that_do_not_go_together(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        (["--group", "patient"], "repeats and group need a number of folds, such as folds 5"),
        (["--folds", "3", "--group", "a", "--repeats", "2"], "repeats and group cannot be had together: leave one"),
        (["--labels", "coarse"], "got an unexpected keyword argument 'labels'; digits takes no options"),
        (["--image-size", "9"], "got an unexpected keyword argument 'image_size'; digits takes no options"),
    ):
        assert kit("train", "digits", *words, monkeypatch=monkeypatch) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "digits", "--folds", "2", "--split", "holdout"], "split and folds both say how to split: give one"),
        (["folds", "digits", "--seed", "-1"], "seed is -1, expected a whole number from 0 to 4294967295"),
        (
            ["data", "check", "digits", "--near", "-1"],
            "near is -1, expected a root-mean-square difference of 0 to 255",
        ),
        (["folds", "digits", "--folds", "abc"], "Invalid value for '--folds': "),
        (["score", "only-one.csv"], "Missing argument 'answers'."),
        (["new", "class"], "competition name 'class': Python has a meaning for it; choose another name"),
        (["folds", "digits", "--out", "/proc/f.csv"], "cannot write /proc/f.csv: "),
    ],
)
def test_slips_are_one_line(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kit(*words, monkeypatch=monkeypatch) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"kit: {message}")
    assert printed.count("\n") == 1


def test_a_value_that_an_option_does_not_take_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["--folds", "abc"], ["--folds=abc"]):
        assert kit("folds", "digits", *words, monkeypatch=monkeypatch) == 2
        assert capsys.readouterr().err.endswith(", received 'abc' (--help tells more)\n")
