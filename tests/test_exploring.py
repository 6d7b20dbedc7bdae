from pathlib import Path

import pytest

from kit.data.images import Competition
from kit.errors import DataError, RunError
from kit.exploring import eda
from tests.conftest import striped_images


def test_the_recipe_names_split_and_normalisation(tiny: Competition) -> None:
    found = eda("tiny", write=False)
    assert found.page is None
    assert found.normalized.to_dict() == {
        "split": "holdout",
        "normalization": {"spec": "rescale", "scale": [1 / 255], "offset": [0.0], "fitted_on": 72},
    }
    tiny.recipes["brief"].update(split="stratified_kfold(3)", normalization="standardize")  # type: ignore[attr-defined]
    again = eda("tiny", write=False)
    assert again.normalized.split == "stratified_kfold(3)"
    assert again.normalized.scale[0] == pytest.approx(1 / again.found.audit.channels[0].deviation, rel=0.02)
    assert list(Path().glob("*.html")) == []


def test_without_test_images_or_a_split_the_rest_is_shown(tiny: Competition) -> None:
    def gone() -> None:
        raise DataError("test.npy is not there")

    object.__setattr__(tiny, "load_test", gone)
    object.__setattr__(tiny, "load_train", lambda: striped_images(5))
    found = eda("tiny")
    assert found.page == Path("tiny-eda.html")
    notes = found.found.notes
    assert "the test images were not looked at: test.npy is not there" in notes
    assert any(note.startswith("the split holdout cannot be made: 5 labelled images") for note in notes)
    assert "for all 5 images" in found.page.read_text()


def test_duplicates_on_both_sides_of_a_split_are_told(tiny: Competition) -> None:
    images = striped_images(90)
    images.pixels[89] = images.pixels[2]
    object.__setattr__(tiny, "load_train", lambda: images)
    tiny.recipes["brief"]["split"] = "first_rows(60)"  # type: ignore[index]
    notes = eda("tiny", write=False).found.notes
    assert any(note.startswith("1 images lie on both sides of the split") for note in notes)


@pytest.mark.parametrize("out", ["page.txt", "file/page.html", "taken.html"])
def test_a_page_that_cannot_be_written_is_refused_before_any_work(tiny: Competition, out: str) -> None:
    Path("file").write_text("")
    Path("taken-figures").write_text("")

    def unread() -> None:
        raise AssertionError("images were read")

    object.__setattr__(tiny, "load_train", unread)
    with pytest.raises(RunError, match=r"--out"):
        eda("tiny", out=out)
