"""kit lr-find: what it prints, draws and leaves."""

from pathlib import Path

import pytest
from PIL import Image

from tests.cli.test_commands import kit


def test_it_suggests_a_rate_draws_and_leaves_no_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["lr-find", "digits", "--optimizer", "sgd(momentum=0.9)", "--seed", 3, "--steps", 60, "--out", "lr.png"]
    assert kit(*words, monkeypatch=monkeypatch) == 0
    suggested, wrote, following = capsys.readouterr().out.splitlines()
    rate = suggested.split()[1].rstrip(",")
    assert 1e-4 < float(rate) < 1
    assert wrote == "wrote       lr.png"
    assert following == f"next        kit train digits --optimizer 'sgd(momentum=0.9)' --seed 3 --learning-rate {rate}"
    assert Image.open("lr.png").size == (1125, 630)
    assert [path.name for path in Path().iterdir() if path.name != "cache"] == ["lr.png"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "lr.bmp"], "kit: --out lr.bmp: expected a name that ends in .png, .svg or .pdf"),
        (["--model", "deper"], "kit: unknown model 'deper': did you mean 'deeper'?"),
        (
            ["--augment", "shift(height=100)"],
            "kit: augment 'shift(height=100)': shift moves images by up to 100 pixels",
        ),
        (["--steps", "3"], "kit: steps is 3, expected 50 to 10,000"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kit("lr-find", "digits", *words, monkeypatch=monkeypatch) == 2
    told = capsys.readouterr().err.strip()
    assert told.startswith(message)
    assert "\n" not in told
