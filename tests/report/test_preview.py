from pathlib import Path

import pytest
from PIL import Image

from kit.data_tools import preview
from kit.errors import KitError
from kit.report.preview import _in_turn
from tests.conftest import striped_images


def test_a_picture_of_originals_and_versions() -> None:
    path = preview("digits", "shift(height=3, width=3)|elastic", "pictures/a.png")
    width, height = Image.open(path).size
    assert width > height > 500
    assert preview("digits", "flip", "b.svg").read_text().count("<image") == 60  # ten originals, five versions each
    first, same = (preview("digits", "elastic", name).read_bytes() for name in ("c.png", "d.png"))
    assert first == same
    assert preview("digits", "elastic", "e.png", seed=1).read_bytes() != first


def test_the_classes_come_in_turn() -> None:
    images = striped_images(30)
    assert images.labels is not None
    assert sorted(images.labels[_in_turn(images, 0)[:3]].tolist()) == [0, 1, 2]


@pytest.mark.parametrize(
    ("augment", "out", "message"),
    [
        ("flop", "a.png", "unknown augmentation 'flop': did you mean 'flip'"),
        ("flip", "a.bmp", "--out a.bmp: expected a name that ends in .png, .svg or .pdf"),
        ("flip", "/proc/a.png", "cannot write /proc/a.png: "),
    ],
)
def test_what_cannot_be_drawn(augment: str, out: str, message: str) -> None:
    with pytest.raises(KitError, match=message):
        preview("digits", augment, out)
    assert not Path("a.bmp").exists()
