import csv
import html.parser
import json
import re
from pathlib import Path

import pytest

from kit.api import compare_runs, leaderboard
from tests.made_runs import fold_of, kfold, made_run


class _Page(html.parser.HTMLParser):
    """Collects the text, every address that a browser would fetch, and every id."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.words: list[str] = []
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.fetched += [value for name, value in attributes if name in ("src", "href", "xlink:href") and value]
        self.ids += [value for name, value in attributes if name == "id" and value]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    made_run(root, "poor", right=0.5, augment="<i>flip</i>")
    made_run(root, "good", right=0.9, seed=1)
    made_run(root, "folds", right=0.7, seed=2, folds=kfold(3, seed=0))
    return root


def test_the_page_of_a_comparison(runs: Path, tmp_path: Path) -> None:
    path = tmp_path / "comparison.html"
    compared = compare_runs(*sorted((runs / "digits").iterdir()), out=path)
    page = _Page(path)
    assert all(address.startswith(("#", "data:")) for address in page.fetched)
    assert len(page.ids) == len(set(page.ids))
    assert "<b>mouse" not in path.read_text(encoding="utf-8")
    assert "<i>flip" not in path.read_text(encoding="utf-8")
    assert "<b>mouse</b>" in page.text  # as text, and by its name
    for pair in compared.pairs:
        assert pair.words in page.text
    assert path.read_text(encoding="utf-8").count("<svg") == 2 + 3  # accuracy, loss, a matrix a run
    assert "No rows were watched while folds trained" in page.text
    names = {file.name for file in (tmp_path / "comparison-figures").iterdir()}
    assert names >= {"curves-accuracy.png", "curves-accuracy.svg", "confusion-3.png", "confusion-3.svg"}


def test_many_classes_become_a_table_of_what_differs(tmp_path: Path) -> None:
    names, folds = [f"class {chr(97 + n)}" for n in range(25)], [fold_of(range(200, 400))]
    runs = [made_run(tmp_path, f"r{n}", right=0.6, seed=n, class_names=names, folds=folds) for n in range(2)]
    compare_runs(*runs, out=tmp_path / "many.html")
    page = _Page(tmp_path / "many.html")
    assert "matrices side by side would not be readable" in page.text
    assert not list((tmp_path / "many-figures").glob("confusion*"))


def test_many_runs_have_training_on_a_chart_of_its_own(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.report.comparison_figures.TOGETHER", 2)
    monkeypatch.setattr("kit.report.compared.TOLD", 2)
    compared = compare_runs(*sorted((runs / "digits").iterdir()), out=tmp_path / "many.html")
    assert len(compared.pairs) == 3
    assert [{pair.first, pair.second} for pair in compared.told] == [{"good", "folds"}, {"good", "poor"}]
    page = _Page(tmp_path / "many.html")
    assert "the table has all 3" in page.text
    assert compared.pairs[2].words not in page.text
    drawn = {path.stem for path in (tmp_path / "many-figures").glob("curves*.png")}
    parts = ("validation-accuracy", "training-accuracy", "validation-loss", "training-loss")
    assert drawn == {f"curves-{part}" for part in parts}


def test_runs_without_answers_to_share(tmp_path: Path) -> None:
    """Of other images, and of another number of classes."""
    one = made_run(tmp_path, "one", competition="cifar100")
    other = made_run(
        tmp_path, "other", competition="cifar100(labels='coarse')", class_names=("a", "b", "c", "d"), images="x"
    )
    compared = compare_runs(one, other, out=tmp_path / "c.html")
    assert compared.places is None
    assert "No two of these runs can be tested" in _Page(tmp_path / "c.html").text


def test_the_page_of_a_leaderboard(runs: Path, tmp_path: Path) -> None:
    path = tmp_path / "board.html"
    leaderboard("digits", runs=runs, out=path)
    page = _Page(path)
    text = path.read_text(encoding="utf-8")
    assert all(address.startswith(("#", "data:")) for address in page.fetched)
    assert re.search(r'data-rows-of="standings-1"', text)
    assert "standings-1" in page.ids
    assert text.count('class="extreme">highest') == text.count('class="extreme">lowest') == 1
    assert "<b>mouse" not in text
    assert page.text.index("good") < page.text.index("folds") < page.text.index("poor")


def test_tables_as_csv_and_json(runs: Path, tmp_path: Path) -> None:
    for suffix in ("csv", "json"):
        leaderboard("digits", runs=runs, out=tmp_path / f"board.{suffix}")
        compare_runs(*sorted((runs / "digits").iterdir()), out=tmp_path / f"compared.{suffix}")
    for name in ("board", "compared"):
        with (tmp_path / f"{name}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        told = json.loads((tmp_path / f"{name}.json").read_text())
        listed = told["groups"][0]["rows"] if name == "board" else told["rows"]
        assert [row["place"] for row in rows] == ["1", "2", "3"]
        assert [float(row["score"]) for row in rows] == [row["score"] for row in listed]
        assert rows[0]["fold_deviation"] == ""
        assert float(rows[1]["fold_deviation"]) > 0
