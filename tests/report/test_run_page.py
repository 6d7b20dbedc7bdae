import csv
import errno
import html.parser
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from markupsafe import Markup
from matplotlib.figure import Figure

import kit.api
import kit.evaluating
import kit.reporting
from kit import KitError, train
from kit.data.images import Competition
from kit.report.drawing import Figures
from kit.report.lettering import text_measure
from kit.report.pictures import save_picture
from kit.reporting import report_each
from kit.training.runs import RunDirectory
from tests.conftest import striped_images


class _Page(html.parser.HTMLParser):
    """Collects the text, the ids, and every address that a browser would fetch or go to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.words = ""
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.words += " "
        self.fetched += [value for name, value in attributes if name in ("src", "href", "xlink:href") and value]
        self.ids += [value for name, value in attributes if name == "id" and value]

    def handle_data(self, data: str) -> None:
        self.words += data

    @property
    def text(self) -> str:
        return " ".join(self.words.split())


def changed(run: Path, **metrics: object) -> None:
    known = json.loads((run / "metrics.json").read_text())
    (run / "metrics.json").write_text(json.dumps(known | metrics))


@pytest.fixture
def run(digits_runs: Path, tmp_path: Path) -> Path:
    return shutil.copytree(digits_runs / "digits" / "deeper-1", tmp_path / "run")


def test_the_page_of_a_run(run: Path, tmp_path: Path) -> None:
    path = kit.api.report(run, tmp_path / "new" / "page.html")
    page = _Page(path)
    assert all(address.startswith(("#", "data:")) for address in page.fetched)  # nothing from the network
    assert [address for address in page.fetched if address[:1] == "#" and address[1:] not in page.ids] == []
    assert [id for id, count in Counter(page.ids).items() if count > 1] == []
    metrics = RunDirectory(run).read_metrics()
    for part in ("validation", "test"):
        assert f"{100 * metrics[part]['accuracy']:.2f} %" in page.text
    assert "257,354 trainable parameters" in page.text
    assert "warmup(1)|cosine" in page.text
    assert f"kit train digits --recipe {run}/recipe.json" in page.text
    assert re.search(r"model.onnx [\d.]+ MB [\d.]+ MB [\d.]+e-\d+ 0 256 images, 256 of noise [\d.]+ [\d,]+", page.text)
    files = {file.name for file in (tmp_path / "new" / "page-figures").iterdir()}
    names = {"accuracy", "loss", "learning-rate", "loss-accuracy", "confusion-counts", "confusion-shares", "roc"}
    names |= {"precision-recall", "reliability", "architecture", "architecture-blocks"}
    assert files == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}


def test_names_stay_text_and_folds_are_listed(tiny: Competition) -> None:
    object.__setattr__(tiny, "title", "<script>alert(1)</script>")
    object.__setattr__(tiny, "class_names", ("<script>alert(2)</script>", "standing", "<b>none</b>"))
    path = kit.api.report(train("tiny", split="stratified_kfold(2)", epochs=1))
    text = path.read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "<b>none" not in text
    assert "out of fold" in text
    page = _Page(path)
    assert "42 <script>alert(2)</script>" in page.text
    assert re.search(r"Folds, accuracy: \d+\.\d\d %, \d+\.\d\d %; mean", page.text)


@pytest.fixture
def sketched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made and not rendered, which takes most of a page's time: where a test is not about them."""

    def add(
        self: Figures, name: str, description: str, draw: Callable[..., object], *words: Any, **options: Any
    ) -> str:
        draw(*words, **options)
        return Markup(f'<svg id="svg-{self.prefix}{name}"></svg>')

    monkeypatch.setattr(Figures, "add", add)


@pytest.mark.usefixtures("sketched")
def test_several_runs_share_a_page_or_have_one_each(run: Path, tmp_path: Path) -> None:
    other = shutil.copytree(run, tmp_path / "elsewhere" / "run")
    path = kit.api.report([run, other], tmp_path / "both.html")
    page = _Page(path)
    assert "2 runs" in page.text
    assert {"summary", "run", "elsewhere-run", "run-scores", "elsewhere-run-gallery"} <= set(page.ids)
    assert [id for id, count in Counter(page.ids).items() if count > 1] == []
    assert [address for address in page.fetched if address[:1] == "#" and address[1:] not in page.ids] == []
    assert {"svg-run-roc", "svg-elsewhere-run-roc"} <= set(page.ids)
    with pytest.raises(KitError, match="2 runs and no page for all of them: expected --out with its name"):
        kit.api.report([run, other])
    (other / "recipe.json").write_text("[]")
    with pytest.raises(KitError, match="recipe.json is damaged"):
        report_each([run, other])
    assert not (run / "report.html").exists()
    shutil.copy(run / "recipe.json", other)
    assert report_each([run, other]) == [run / "report.html", other / "report.html"]


@pytest.mark.usefixtures("sketched")
def test_a_run_that_did_not_finish(run: Path) -> None:
    """At any point: after its folds, after some epochs, before the first."""
    (run / "metrics.json").unlink()
    page = _Page(kit.api.report(run))
    assert "unfinished" in page.text
    assert f"kit train --resume {run}" in page.text
    assert {"scores", "curves", "confusion"} <= set(page.ids)
    for name in ("scores.json", "predictions.npz", "model.onnx"):
        (run / name).unlink()
    page = _Page(kit.api.report(run))
    assert "curves" in page.ids
    assert not {"scores", "confusion", "gallery"} & set(page.ids)
    for path in run.iterdir():
        if path.is_file() and path.name not in ("recipe.json", "split.npz"):
            path.unlink()
    page = _Page(kit.api.report(run))
    assert "no epoch has ended" in page.text
    assert "curves" not in page.ids
    assert "recipe" in page.ids


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize("status", ["interrupted", "failed"])
def test_a_run_that_ended_early(run: Path, status: str) -> None:
    changed(run, status=status)
    assert f"training is {status}: what was learned until then is evaluated" in _Page(kit.api.report(run)).text


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "not json",
        '{"metric": null, "fold_scores": null}',
        '{"metric": "gone"}',
        '{"seconds": "long", "fold_scores": 5}',
    ],
)
def test_a_damaged_summary_is_told(run: Path, content: str) -> None:
    (run / "metrics.json").write_text(content)
    page = _Page(kit.api.report(run))
    assert "metrics.json" in page.text
    assert "damaged" in page.text
    assert "confusion" in page.ids
    assert "257,354 trainable parameters," not in page.text


@pytest.mark.usefixtures("sketched")
def test_a_run_without_predictions_of_validated_rows(run: Path) -> None:
    np.savez(run / "predictions.npz", unknown=np.arange(3))
    page = _Page(kit.api.report(run))
    assert "curves" in page.ids
    assert "confusion" not in page.ids
    (run / "predictions.npz").write_bytes(b"torn")
    assert "predictions.npz is damaged" in _Page(kit.api.report(run)).text


@pytest.mark.usefixtures("sketched")
def test_what_is_not_a_number_is_told(run: Path) -> None:
    rows = list(csv.DictReader((run / "history.csv").open(newline="")))
    rows[1] |= {"loss": "nan"}
    with (run / "history.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with np.load(run / "predictions.npz") as saved:
        arrays = dict(saved)
    arrays["validation_probabilities"][:2] = np.nan
    np.savez(run / "predictions.npz", **arrays)
    page = _Page(kit.api.report(run))
    assert "The loss of the training is not a number in epoch 2" in page.text
    assert "a cross on the lower edge is an epoch in which a loss was not a number" in page.text
    assert "2 of 143 answers are not numbers and left out" in page.text
    assert "141 validation rows." in page.text


@pytest.mark.usefixtures("sketched")
def test_a_class_without_rows_is_told(run: Path) -> None:
    with np.load(run / "predictions.npz") as saved:
        arrays = dict(saved)
    kept = arrays["validation_labels"] != 3
    parts = {name: values[kept] if name.startswith("validation_") else values for name, values in arrays.items()}
    np.savez(run / "predictions.npz", **parts)
    page = _Page(kit.api.report(run))
    assert "Validation: it has no rows of 3" in page.text
    assert "no rows" in page.text


@pytest.mark.usefixtures("sketched")
def test_an_older_version_is_told_and_its_history_may_lack_columns(run: Path) -> None:
    saved = json.loads((run / "recipe.json").read_text())
    saved["versions"]["kit"] = "0.0.1"
    del saved["recipe"]["metric"], saved["images"]["order"], saved["started"]
    (run / "recipe.json").write_text(json.dumps(saved))
    (run / "history.csv").write_text("epoch,loss,accuracy\n1,0.5,0.8\n2,0.4,0.9\n")
    scores = json.loads((run / "scores.json").read_text())
    (run / "scores.json").write_text(json.dumps(scores | {"kept": "last"}))
    (run / "exports.json").unlink()
    page = _Page(kit.api.report(run))
    assert "made by kit 0.0.1" in page.text
    assert "curves" in page.ids
    assert "not recorded" in page.text
    del saved["recipe"]["model"], saved["versions"]["kit"]
    (run / "recipe.json").write_text(json.dumps(saved))
    page = _Page(kit.api.report([run, run], run / "both.html"))
    assert "kit of an unknown version" in page.text


@pytest.mark.usefixtures("sketched")
def test_images_that_are_gone_or_others(tiny: Competition, monkeypatch: pytest.MonkeyPatch) -> None:
    run = train("tiny", epochs=1)
    object.__setattr__(tiny, "load_train", lambda: striped_images(90, seed=5))
    page = _Page(kit.api.report(run))
    assert "The training images are not to be had: the tiny images are not those that" in page.text
    assert "data:image/webp" not in (run.path / "report.html").read_text()
    assert "lying" in page.text
    saved = run.read_recipe()
    (run.path / "recipe.json").write_text(json.dumps(saved | {"data": "/nowhere"}))
    page = _Page(kit.api.report(run))
    assert "/nowhere, which is gone" in page.text
    assert "lying" in page.text  # as the model file knows


@pytest.mark.usefixtures("sketched")
def test_mistakes_of_test_images_are_pictured_by_test_images(tiny: Competition) -> None:
    """Their ids may be those of training images; a refit has answers to the test images alone."""
    object.__setattr__(tiny, "load_test", lambda: striped_images(90, seed=1))
    object.__setattr__(tiny, "test_is_labelled", True)
    run = train("tiny", folds=2, epochs=1)
    refit = kit.api.refit(run)
    assert list(kit.reporting.gather(refit).answered) == ["test"]
    for each, images in ((run, tiny.load_train()), (refit, tiny.load_test())):
        pictured = kit.reporting.gather(each).pictured
        np.testing.assert_array_equal(pictured.pixels, images.pixels)


@pytest.mark.usefixtures("sketched")
def test_rows_that_watched_a_fold_are_told_from_those_that_it_is_scored_on(tiny: Competition) -> None:
    told = "Validation rows are those that a fold was watched by here, a tenth of its training rows"
    assert told in _Page(kit.api.report(train("tiny", folds=2, keep="best", epochs=1))).text
    assert told not in _Page(kit.api.report(train("tiny", keep="best", epochs=1))).text


def test_training_rows_are_told_as_far_as_they_are_answered(tiny: Competition, monkeypatch: pytest.MonkeyPatch) -> None:
    run = train("tiny", folds=3, epochs=1)
    kit.api.evaluate(run, training_rows=30)
    kit.api.evaluate(run, training_rows=5)  # of the first fold 30 are there, some of which these are
    monkeypatch.setattr(kit.evaluating, "_answer", lambda *given: pytest.fail("a page answers no rows"))
    assert kit.reporting.gather(run).evaluations["training"].rows == 3 * 5


def test_what_differs_from_the_usual_recipe_stands_beside_it(tiny: Competition) -> None:
    text = kit.api.report(train("tiny", epochs=2)).read_text()
    assert "else in brief" in text
    assert re.search(r'<tr class="changed"><th scope="row">epochs<td>2<td>3', text)
    assert text.count('<tr class="changed">') == 1


@pytest.mark.usefixtures("sketched")
def test_a_page_that_cannot_be_written_is_refused_first(run: Path, tmp_path: Path) -> None:
    for out, words in (("page.txt", "expected a name that ends in .html"), (".", "expected a name that ends in .html")):
        with pytest.raises(KitError, match=words):
            kit.api.report(run, tmp_path / out)
    (tmp_path / "file").write_text("")
    with pytest.raises(KitError, match="cannot write"):
        kit.api.report(run, tmp_path / "file" / "page.html")


def test_a_full_disk_is_told_with_the_figures_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*words: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(KitError, match=r"cannot write .*x: No space left on device; choose another --out"):
        Figures(tmp_path).add("x", "nothing", Figure)
    assert not list(tmp_path.glob("**/*x*"))


def test_letters_that_no_font_here_has_are_no_warnings(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    figure = Figure()
    figure.text(0, 0, "名前")
    save_picture(figure, tmp_path / "x.png")
    assert text_measure(9)("名前") > 0
    assert not recwarn.list
