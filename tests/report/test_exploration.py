"""The page of a data set: what it tells, whatever the classes are called and however few images there are."""

import html.parser
from pathlib import Path

import numpy as np
import pytest

from kit.data.exploration import explore_images
from kit.data.folds import Fold, make_split
from kit.data.images import Competition, Images
from kit.report import exploration
from kit.report.exploration import Normalized, write_exploration
from kit.training.normalization import standardize


class _Page(html.parser.HTMLParser):
    """Collects text, image descriptions and addresses."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.words: list[str] = []
        self.described: list[str] = []
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.described += [value for name, value in attributes if name == "alt" and value]
        self.fetched += [value for name, value in attributes if name in ("src", "href", "xlink:href") and value]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def random_images(rows: int, classes: int, channels: int = 3, seed: int = 0, labelled: bool = True) -> Images:
    pixels = np.random.default_rng(seed).integers(0, 256, (rows, 6, 5, channels), np.uint8)
    return Images(pixels, np.array([f"r{row}" for row in range(rows)]), np.arange(rows) % classes if labelled else None)


def written(
    names: tuple[str, ...], train: Images, test: Images | None, folds: list[Fold] | None = None, near: float = 0
) -> _Page:
    competition = Competition(
        name="made",
        title="Made up",
        label_values=tuple(range(len(names))),
        class_names=names,
        image_shape=train.pixels.shape[1:],  # type: ignore[arg-type]
        load_train=lambda: train,
        load_test=lambda: train,
    )
    folds = make_split("holdout").make_folds(train, 0) if folds is None else folds
    rows = folds[0].train if folds else np.arange(len(train))
    normalized = Normalized("standardize", "holdout" if folds else "", rows, *standardize(train.pixels, rows))
    found = explore_images(train, test, names, folds, near)
    return _Page(write_exploration(Path("page.html"), competition, train, test, found, normalized))


def test_every_class_is_shown_by_its_name_and_every_figure_is_a_file() -> None:
    names = (*(f"class {number}" for number in range(29)), "<script>alert(1)</script>")
    page = written(names, random_images(120, 30), random_images(60, 30, seed=1))
    for name in names:
        assert f"4 images of class {name}" in page.described
        assert f"the average image of class {name}, and its difference from the average of all" in page.described
    assert page.tags.count("script") == 1
    assert all(address.startswith(("#", "data:")) for address in page.fetched)
    files = {path.name for path in Path("page-figures").iterdir()}
    figures = {name.removesuffix(".png") for name in files if name.endswith(".png")}
    assert files == {f"{name}.{ending}" for name in figures for ending in ("png", "svg")}
    shown = {"samples", "intensities", "average", "class-averages", "normalisation", "drift-scores"}
    assert figures == shown | {"drift-intensities", "classes-1", "classes-2"}
    bars = "".join((Path("page-figures") / f"classes-{number}.svg").read_text() for number in (1, 2))
    assert all(f">{name}</text>" in bars for name in names[:-1])


def test_findings_stand_side_by_side_with_ids_and_labels() -> None:
    train, test = random_images(40, 2), random_images(40, 2, seed=1, labelled=False)
    train.pixels[3] = train.pixels[12] = train.pixels[20] = train.pixels[0]  # cat: 0, 12, 20, dog: 3
    train.pixels[7] = train.pixels[5]
    test.pixels[4] = train.pixels[6]
    train.pixels[9] = 50
    train.pixels[31] = train.pixels[30] ^ 1
    page = written(("cat", "dog"), train, test, near=1.5)
    for words in (
        "equal images with different labels: 1, in 4 rows",
        "training images in the test set too: 1; its score rewards remembering them",
        "pairs of images at most 1.5 grey levels apart: 1 of different labels, 0 of a training and a test image",
        "images of one colour: 1",
        "r0 cat r3 dog r12 cat r20 cat",
        "r5 dog r7 dog",
        "r6 cat r4 test set",
        "r30 cat r31 dog 1.00 grey levels apart",
        "The first of 1. r9 dog",
    ):
        assert words in page.text
    assert {"r3, dog", "r4, test set"} <= set(page.described)


def test_a_large_group_of_equal_images_shows_each_class() -> None:
    train = random_images(60, 3)
    train.pixels[:] = train.pixels[0]
    page = written(("cat", "dog", "owl"), train, None, folds=[])
    assert "r0 cat r1 dog r2 owl r3 cat r4 dog r5 owl and 54 more" in page.text
    assert "for all 60 images" in page.text


def test_three_grey_images_of_two_classes_out_of_three() -> None:
    page = written(("żółw", "猫", "$5"), random_images(3, 2, channels=1), None, folds=[])
    assert "3 images to train on, no test images, 3 classes, 5 x 6 pixels in grey" in page.text
    assert "classes without images: 1, $5" in page.text
    assert "an image of class 猫" in page.described
    assert "Drift" not in page.text


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_drift_is_told_in_words_and_shown(channels: int) -> None:
    train, test = random_images(60, 2, channels), random_images(60, 2, channels, seed=1)
    test.pixels[:] = test.pixels // 2
    page = written(("cat", "dog"), train, test)
    assert (
        "Test images can be told from training images: AUC 1.000 (1.000 to 1.000), where 0.5 is guessing" in page.text
    )
    assert "Training images that are most like test images" in page.text
    assert any(words.endswith(", test set, dog") for words in page.described)


def test_many_classes_have_bars_for_the_largest_and_the_smallest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exploration, "BARS_OF", 12)
    monkeypatch.setattr(exploration.figures, "BARS", 5)
    labels = np.repeat(np.arange(13), np.arange(4, 17))
    train = random_images(len(labels), 13)
    page = written(tuple("abcdefghijklm"), Images(train.pixels, train.ids, labels), None, folds=[])
    assert "The bars are those of the largest and the smallest classes" in page.text
    drawn = [(Path("page-figures") / f"classes-{number}.svg").read_text() for number in (1, 2)]
    assert [[name for name in "abcdefghijklm" if f">{name}</text>" in svg] for svg in drawn] == [
        list("ijklm"),
        list("abcde"),
    ]
