import json
import shutil
from pathlib import Path

import pytest

from tests.cli.test_commands import kit


@pytest.fixture
def runs(digits_runs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(digits_runs, tmp_path / "runs"))


def test_a_table_of_figures(runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = json.loads((runs / "digits" / "deeper-1" / "metrics.json").read_text())
    assert kit("evaluate", "--training-rows", "all", monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr()
    assert not printed.err
    lines = printed.out.splitlines()
    header = next(line for line in lines if "training, " in line)
    assert f"validation, {metrics['validation']['rows']:,} rows" in header
    assert f"test, {metrics['test']['rows']:,} rows" in header
    figures = lines[lines.index(header) + 1 :]
    assert figures[0].startswith("accuracy")
    assert f"{100 * metrics['validation']['accuracy']:.2f} % (" in figures[0]
    assert [line.partition("  ")[0] for line in figures[:5]] == [
        *("accuracy", "top-5 accuracy", "log loss", "balanced accuracy", "Cohen's kappa"),
    ]
    assert any(line.startswith("worst class") for line in figures)
    assert any(line.startswith("best epoch  ") and " of 3, by score: training, as augmented" in line for line in lines)
    assert lines[-1].endswith("chosen by a fixed seed and not augmented; they were trained on")


def test_json_alone(runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs / "digits" / "deeper-1"
    assert kit("evaluate", run, "--training-rows", "0", "--json", monkeypatch=monkeypatch) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["run"] == str(run)
    assert list(told["parts"]) == ["validation", "test"]
    part = told["parts"]["test"]
    assert set(part["scores"]["accuracy"]) == {"value", "low", "high"}
    assert [each["label"] for each in part["classes"]] == list(range(10))
    assert told["best_epochs"][0]["epochs"] == 3
    assert told["class_names"] == [str(digit) for digit in range(10)]


def test_a_run_without_scores_has_lines_alone(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs / "digits" / "deeper-1"
    for name in ("metrics.json", "scores.json"):
        (run / name).unlink()
    assert kit("evaluate", run, monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "best epoch  " in printed
    assert f"note        the run has not ended: go on with 'kit train --resume {run}'" in printed
    assert "95 %" not in printed
