"""A run in a notebook."""

import html.parser
import json
import pickle
import re
import shutil
from pathlib import Path

import pytest

import kit
from kit.training.runs import RunDirectory


class _Cell(html.parser.HTMLParser):
    """The words, the ids, what a browser would fetch, and whether each element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.ids: list[str] = []
        self.fetched: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self._attributes(attributes)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._attributes(attributes)

    def _attributes(self, attributes: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attributes if name == "id" and value]
        self.fetched += [value for name, value in attributes if name in ("src", "href", "xlink:href") and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def shown(run: kit.Run) -> tuple[str, _Cell]:
    """As Jupyter shows a run that is the value of a cell."""
    try:
        from IPython.core.formatters import HTMLFormatter
    except ImportError:
        text = run._repr_html_()
    else:
        text = HTMLFormatter()(run)
    cell = _Cell(text)
    assert not cell.open
    assert len(set(cell.ids)) == len(cell.ids)
    assert all(address.startswith("#kit-") for address in cell.fetched)
    assert "url(http" not in text and "@import" not in text and "<a " not in text
    assert "\n" not in repr(run)
    return " ".join(" ".join(cell.words).split()), cell


@pytest.fixture
def run(digits_runs: Path, tmp_path: Path) -> kit.Run:
    return kit.Run(shutil.copytree(digits_runs / "digits" / "deeper-1", tmp_path / "runs" / "digits" / "<b>one"))


def test_a_finished_run(run: kit.Run) -> None:
    metrics = run.read_metrics()
    words, first = shown(run)
    assert words.startswith("#kit-")  # its style
    assert "digits: <b>one" in words
    validation = metrics["validation"]
    assert f"accuracy {100 * validation['accuracy']:.2f} % ({100 * validation['accuracy_interval'][0]:.2f} to" in words
    assert "257,354 trainable parameters" in words
    assert "recipe model deeper(momentum=0.9), epochs 3, batch_size" in words
    assert "watched" in words  # the curves
    again = shown(run)[1]
    assert not set(first.ids) & set(again.ids)
    assert repr(run) == f"Run({run.path}: complete, accuracy {100 * metrics['score']:.2f} %, validation)"
    text = run._repr_html_()
    assert "currentColor" in text  # dark notebooks
    (style,) = re.findall(r"<style type=.*?>(.*?)</style>", text, re.DOTALL)
    assert style.startswith("#kit-")  # of the figure, and of nothing else in the notebook


def test_what_a_run_lacks_is_said(run: kit.Run) -> None:
    saved = (run.path / "metrics.json").read_text()
    metrics = json.loads(saved)
    for part in ("validation", "test"):
        metrics.get(part, {})["selected"] = part == "validation"
    folds = {"fold_scores": [0.5, 0.75], "fold_mean": 0.625, "fold_deviation": None, "metric": "macro_f1"}
    (run.path / "metrics.json").write_text(json.dumps(metrics | folds))
    words, _ = shown(run)
    assert "macro_f1 0.5000, 0.7500; mean 0.6250" in words
    assert "selected: they had a say in the training" in words
    assert "which chose nothing" in words
    (run.path / "metrics.json").write_text("{}")
    assert "damaged: its metrics.json is not what kit writes" in shown(run)[0]
    old = {name: value for name, value in metrics.items() if name not in ("metric", "higher_is_better")}
    (run.path / "metrics.json").write_text(json.dumps(old))  # of before there was a choice
    assert "% (" in shown(run)[0]
    (run.path / "metrics.json").unlink()
    words, _ = shown(run)
    assert "no scores: its training was cut off" in words
    assert "watched" in words  # its curves so far
    (run.path / "history.csv").write_text("epoch,loss\n1,nan\n")
    (run.path / "recipe.json").write_text("[]")
    assert "watched" not in shown(run)[0]
    shutil.rmtree(run.path)
    assert "no run is there" in shown(run)[0]
    assert repr(run) == f"Run({run.path}: no run is there)"


def test_it_is_a_run_directory_all_the_same(run: kit.Run) -> None:
    plain = RunDirectory(run.path)
    assert run == plain
    assert plain == run
    assert hash(run) == hash(plain)
    assert len({run, plain, kit.Run(str(run.path))}) == 1
    assert run != RunDirectory(run.path.parent)
    assert run != run.path
    assert pickle.loads(pickle.dumps(run)) == run
    assert type(pickle.loads(pickle.dumps(run))) is kit.Run
    assert type(kit.Run.open(str(run.path))) is kit.Run
    with pytest.raises(kit.KitError, match="is not a run"):
        kit.Run.open(run.path.parent)


def test_train_resume_and_refit_return_runs_that_show_themselves(tiny) -> None:  # type: ignore[no-untyped-def]
    run = kit.train("tiny", folds=2, epochs=1)
    words, _ = shown(run)
    assert "out of fold" in words
    assert "watched" not in words  # there are no such rows
    again = kit.api.refit(run)
    assert type(again) is kit.Run
    assert "complete" in shown(again)[0]
