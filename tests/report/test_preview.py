import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kit.data_tools import preview
from kit.errors import KitError
from kit.report.preview import _furthest, _in_turn
from tests.conftest import striped_images


def test_a_picture_of_originals_and_versions() -> None:
    path = preview("digits", "shift(height=3, width=3)|elastic", "pictures/a.png")
    width, height = Image.open(path).size
    assert width > height > 500
    assert preview("digits", "flip", "b.svg").read_text().count("<image") == 60  # ten originals, five versions each
    first, same = (preview("digits", "elastic", name).read_bytes() for name in ("c.png", "d.png"))
    assert first == same
    assert preview("digits", "elastic", "e.png", seed=1).read_bytes() != first


def titles(path: Path) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text())


def test_a_sheet_of_one_image_at_the_ends_of_each_augmentation() -> None:
    spec = "flip|brightness(0.1)|affine(rotate=0, zoom=0, height=0.1, width=0.1)"
    sheet = preview("digits", spec, "a.svg", extremes=True)
    assert sheet.read_text().count("<image") == 9
    original, *others = titles(sheet)
    assert original.startswith("original: ")
    assert others == [
        *("horizontal flip", "brightness 0.9", "brightness 1.1"),
        *("up 10 %", "down 10 %", "left 10 %", "right 10 %", "all, drawn"),
    ]
    first, same = (preview("digits", spec, name, extremes=True).read_bytes() for name in ("b.png", "c.png"))
    assert first == same


def test_a_sheet_of_augmentations_without_ends_and_of_many() -> None:
    drawn = titles(preview("digits", "elastic|mixup", "a.svg", extremes=True))
    assert drawn[1:] == ["elastic, strong"] * 2 + ["mixup, strong"] * 2 + ["all, drawn"] * 4
    assert titles(preview("digits", "none", "b.svg", extremes=True))[1:] == ["all, drawn"] * 8
    many = titles(preview("digits", "trivial_augment", "c.svg", extremes=True))
    assert len(many) == 25
    assert many.count("all, drawn") == 2


def test_the_furthest_draws_lie_on_both_sides() -> None:
    original = np.full((2, 2, 1), 100, np.uint8)
    draws = np.stack([np.full((2, 2, 1), level, np.uint8) for level in (90, 100, 130, 120, 75)])
    assert [image[0, 0, 0] for image in _furthest(draws, original)] == [130, 75]
    assert _furthest(draws[1:2], original) == []


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
