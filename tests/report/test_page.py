import html.parser
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import kit.api
from kit import KitError, train
from kit.data.images import Competition
from kit.report import figures
from kit.report.drawing import Figures
from kit.training.events import Epoch


class _Page(html.parser.HTMLParser):
    """Collects the text and every address that a browser would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.fetched += [value for name, value in attributes if name in ("src", "href", "xlink:href") and value]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_of_a_run(digits_runs: Path, tmp_path: Path) -> None:
    path = kit.api.report(digits_runs / "digits" / "deeper-1", tmp_path / "report.html")
    text = path.read_text(encoding="utf-8")
    page = _Page(text)
    assert all(address.startswith(("#", "data:")) for address in page.fetched)  # nothing from the network
    metrics = kit.api.RunDirectory(digits_runs / "digits" / "deeper-1").read_metrics()
    words = " ".join(page.words)
    assert f"{100 * metrics['validation']['accuracy']:.2f} %" in words
    assert f"{100 * metrics['test']['accuracy']:.2f} %" in words
    assert "257,354 trainable parameters" in words
    assert "warmup(1)|cosine" in words
    assert text.count("<svg") >= 2


def test_names_stay_text_and_folds_are_listed(tiny: Competition, tmp_path: Path) -> None:
    object.__setattr__(tiny, "title", "<script>alert(1)</script>")
    object.__setattr__(tiny, "class_names", ("<b>lying</b>", "standing", "none"))
    run = train("tiny", split="stratified_kfold(2)", epochs=1)
    text = kit.api.report(run).read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "<b>" not in text
    assert "out of fold" in text
    assert re.search(r"Folds, accuracy:\s+\d+\.\d\d %,\s*\d+\.\d\d %", text)


def test_a_run_that_did_not_finish(digits_runs: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.json").write_bytes((digits_runs / "digits" / "deeper-1" / "recipe.json").read_bytes())
    with pytest.raises(KitError, match=r"incomplete: .*metrics.json is missing"):
        kit.api.report(tmp_path / "run")


@pytest.mark.parametrize("changes", [None, {"seconds": "long"}, {"test": {}}, {"validation": 5}])
def test_damaged_scores_are_named(digits_runs: Path, tmp_path: Path, changes: dict | None) -> None:
    run = shutil.copytree(digits_runs / "digits" / "deeper-1", tmp_path / "run")
    metrics = json.loads((run / "metrics.json").read_text())
    (run / "metrics.json").write_text(json.dumps({} if changes is None else metrics | changes))
    with pytest.raises(KitError, match=r"run is damaged: its metrics.json or recipe.json is not what") as error:
        kit.api.report(run)
    assert "\n" not in str(error.value)
    assert not (run / "report.html").exists()


def test_a_run_without_predictions_of_validated_rows(digits_runs: Path, tmp_path: Path) -> None:
    run = shutil.copytree(digits_runs / "digits" / "deeper-1", tmp_path / "run")
    np.savez(run / "predictions.npz", test_ids=np.arange(3))
    with pytest.raises(KitError, match=r"run is damaged: it has no predictions of validated rows"):
        kit.api.report(run)


def test_figures_of_one_epoch_many_classes_and_missing_classes(tmp_path: Path) -> None:
    epoch = Epoch(1, 5, 0.1, 2.0, 0.3, 1.9, 0.4, 0.4, 1.0, 100.0)
    drawn = Figures(tmp_path)
    assert drawn.add("curves", "Accuracy", figures.curves, [[epoch]]).startswith(
        '<svg role="img" aria-label="Accuracy"'
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.png", "curves.svg"]
    names = [f"class number {i}" for i in range(99)] + ["$5 & <up>"]
    labels = np.arange(50)
    svg = drawn.add("confusion", "Who is taken for whom", figures.confusion, labels, labels[::-1], names)
    assert "class number 96" in svg
    assert "$5 &amp; &lt;up&gt;" in svg
    assert "<up>" not in svg
    again = drawn.add("confusion", "Who is taken for whom", figures.confusion, labels, labels[::-1], names)
    assert svg == again  # the same text
