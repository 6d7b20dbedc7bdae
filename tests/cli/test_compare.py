"""kit compare and kit leaderboard as people meet them."""

import json
from pathlib import Path

import pytest

from tests.cli.test_commands import kit
from tests.made_runs import made_run


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    root = tmp_path / "runs"
    for seed, (name, right) in enumerate((("poor", 0.5), ("good", 0.9), ("fair", 0.88))):
        made_run(root, name, right=right, seed=seed)
    return root


def test_a_comparison_is_printed(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [f"runs/digits/{name}" for name in ("poor", "good", "fair")]
    assert kit("compare", *paths, "--out", "c.html", monkeypatch=monkeypatch) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["run", "model", "accuracy", "scored"]
    assert [line.split()[1] for line in lines[1:4]] == ["good", "fair", "poor"]
    assert sum("on 200 rows that both held out" in line.lower() for line in lines) == 3
    assert any("good and fair differ by" in line and "which may be noise" in line for line in lines)
    assert any("good is better than poor" in line and "more than noise (p < 0.001 after Holm" in line for line in lines)
    assert "classes on which good and poor differ most, of 200 rows that both held out:" in lines
    assert lines[-1] == "comparison  c.html"
    assert Path("c.html").is_file()


def test_json_stands_alone(runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", "runs/digits/poor", "runs/digits/good", "--out", "c.csv"]
    assert kit(*words, "--json", monkeypatch=monkeypatch) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"rows", "recipe", "pairs", "notes"}
    assert kit("leaderboard", "digits", "--json", "--out", "b.json", monkeypatch=monkeypatch) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(Path("b.json").read_text())
    assert [Path(row["run"]).name for row in printed["groups"][0]["rows"]] == ["good", "fair", "poor"]


def test_a_leaderboard_is_printed(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (runs / "digits" / "fair" / "metrics.json").write_text("{}")
    assert kit("leaderboard", "digits", monkeypatch=monkeypatch) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "digits, 2 runs in runs/digits, by accuracy, images abc"
    assert [line.split()[:2] for line in lines[2:4]] == [["1", "good"], ["2", "poor"]]
    assert "highest" in lines[2]
    assert "lowest" in lines[3]
    assert lines[lines.index("not ranked:") + 2].split() == ["fair", "damaged", "-"]


def test_a_leaderboard_without_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert kit("leaderboard", "cifar10", monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "(published)" in printed
    assert "no runs of cifar10 in runs: train one with 'kit train cifar10'" in printed


BAD = [
    (["compare", "runs/digits/good"], "received 1 run to compare, expected two or more: name them, or see 'kit leaderboard'"),
    (["compare", "runs/digits/good", "runs/digits/../digits/good"], "runs/digits/../digits/good is named twice, expected different runs: leave one out"),
    (["compare", "runs/digits/good", "runs"], "runs is not a run: it has no recipe.json (kit runs lists the runs)"),
    (["compare", "runs/digits/good", "runs/digits/poor", "--out", "c.pdf"], "--out c.pdf: expected a name that ends in .csv, .json or .html"),
    (["leaderboard", "digits", "--out", "board"], "--out board: expected a name that ends in .csv, .json or .html"),
    (["leaderboard", "digits", "--out", "runs/digits/good/metrics.json/b.csv"], "cannot write runs/digits/good/metrics.json/b.csv: runs/digits/good/metrics.json is a file, not a directory; choose another --out"),
    (["leaderboard", "digits", "--runs", "nowhere"], "--runs nowhere is not a directory: name the one that kit train has as --out"),
    (["leaderboard", "digit"], "unknown competition 'digit': did you mean 'digits'?"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "message"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_mistakes_are_one_line(
    words: list[str], message: str, runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(Path().rglob("*"))
    assert kit(*words, monkeypatch=monkeypatch) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"kit: {message}")
    assert printed.err.count("\n") == 1
    assert not printed.out
    assert sorted(Path().rglob("*")) == before
