import json
from pathlib import Path

import pytest

from tests import layouts
from tests.cli.test_commands import kit


def test_eda_writes_a_page(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    layouts.cifar10_folders(Path("files"))
    words = ["eda", "cifar10", "--data", "files", "--recipe", "model_s"]
    assert kit(*words, monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == "eda     cifar10-eda.html\n"
    text = Path("cifar10-eda.html").read_text(encoding="utf-8")
    for title in ("train", "validate", "folder train1", "folder train3", "test set"):
        assert f'<th scope="col" class="number">{title}' in text
    assert "drift was not looked for: 20 test images are too few" in text


def test_eda_prints_json_alone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert kit("eda", "digits", "--json", monkeypatch=monkeypatch) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["competition"] == "digits"
    assert printed["drift"]["verdict"].startswith("test images can be told from training images: AUC 0.6")
    assert [part["name"] for part in printed["parts"]] == ["all", "train", "validate", "held out", "test set"]
    assert list(Path().glob("digits*")) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nosuch"], "unknown competition 'nosuch'"),
        (["digits", "--near", "300"], "near is 300, expected a root-mean-square difference of 0 to 255"),
        (["digits", "--recipe", "nosuch"], "unknown recipe of digits 'nosuch'"),
        (["digits", "--out", "page.pdf"], "--out page.pdf: expected a name that ends in .html"),
        (["folder", "--data", "nowhere"], "--data nowhere does not exist: name the directory"),
    ],
)
def test_bad_words_are_one_line(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kit("eda", *words, monkeypatch=monkeypatch) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"kit: {message}")
    assert error.count("\n") == 1
    assert list(Path().glob("*eda*")) == []
