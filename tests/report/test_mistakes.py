import base64
import io

import numpy as np
import pytest
from PIL import Image

from kit.data.images import Images
from kit.report.mistakes import CAPTION_BYTES, FIRST, Pictures, choose_mistakes, thumbnail
from kit.training.answered import Answered


def answered(rows: int = 900, classes: int = 6) -> Answered:
    random = np.random.default_rng(0)
    labels = np.arange(rows) % classes
    scores = random.normal(0, 1.5, (rows, classes)) + np.eye(classes)[labels]
    odds = np.exp(scores)
    return Answered(
        np.arange(100, 100 + rows), labels, (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32), 1, False
    )


def images(rows: int = 900) -> Images:
    pixels = np.random.default_rng(1).integers(0, 256, (rows, 8, 8, 3)).astype(np.uint8)
    return Images(pixels, np.arange(100, 100 + rows), np.zeros(rows, np.int64))


def decoded(address: str) -> Image.Image:
    kind, _, data = address.partition(",")
    assert kind == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_small_pictures_keep_every_pixel_and_large_ones_become_smaller() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 28, 3)).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(decoded(thumbnail(pixels))), pixels)
    grey = np.asarray(decoded(thumbnail(pixels[..., :1])))
    np.testing.assert_array_equal(grey[..., 0], pixels[..., 0])
    large = decoded(thumbnail(np.tile(pixels, (8, 8, 1))))
    assert max(large.size) == 96


def test_all_mistakes_are_shown_where_there_is_room() -> None:
    rows = answered()
    gallery = choose_mistakes(rows, Pictures(images()))
    wrong = (rows.probabilities.argmax(axis=1) != rows.labels).sum()
    assert len(gallery.items) == gallery.total == wrong > 2 * FIRST
    assert gallery.pairs == gallery.shown_pairs == 30
    first = gallery.items[0]
    row = int(first.id) - 100
    assert (first.label, first.other) == (rows.labels[row], rows.probabilities[row].argmax())
    assert first.other_probability == rows.probabilities[row].max()
    np.testing.assert_array_equal(np.asarray(decoded(first.picture)), images().pixels[row])
    assert len({item.id for item in gallery.items}) == len(gallery.items)


def test_a_budget_has_the_most_confident_the_nearest_and_every_pair() -> None:
    rows = answered()
    everything = choose_mistakes(rows, Pictures(None)).items
    budget = (2 * FIRST + 30) * CAPTION_BYTES
    gallery = choose_mistakes(rows, Pictures(None), budget)
    assert len(gallery.items) == 2 * FIRST + 30
    assert gallery.shown_pairs == 30
    ids = {item.id for item in gallery.items}
    confident = sorted(everything, key=lambda item: -item.other_probability)[:FIRST]
    near = sorted(everything, key=lambda item: item.other_probability - item.label_probability)[:FIRST]
    assert ids >= {item.id for item in confident}
    assert ids >= {item.id for item in near}


@pytest.mark.parametrize("budget", [0, 100])
def test_no_room_and_no_mistakes(budget: int) -> None:
    rows = answered()
    assert choose_mistakes(rows, Pictures(images()), budget).items == ()
    right = Answered(rows.ids, rows.probabilities.argmax(axis=1), rows.probabilities, 1, False)
    assert choose_mistakes(right, Pictures(images())).total == 0


def test_a_picture_that_is_gone() -> None:
    assert Pictures(images(5)).address(100).startswith("data:")
    assert Pictures(images(5)).address(999) == ""
    assert not Pictures(None).are_there
