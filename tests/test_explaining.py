"""kit explain: what in an image speaks for a class."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kit.api
from kit import KitError, predict, train
from kit.data.images import Competition, Images
from kit.training.runs import RunDirectory


def half_striped(rows: int, seed: int) -> Images:
    """Horizontal, vertical or no stripes, in the left half alone; noise everywhere."""
    random = np.random.default_rng(seed)
    labels = np.arange(rows) % 3
    stripes = np.zeros((rows, 28, 28, 1))
    stripes[labels == 0, ::4, :14] = 150
    stripes[labels == 1, :, :14:4] = 150
    return Images((stripes + random.integers(0, 100, stripes.shape)).astype(np.uint8), np.arange(rows), labels)


@pytest.fixture
def digit(digits_runs: Path) -> tuple[Path, Path]:
    """A run, and a picture of an eight."""
    from competitions.digits import load_train

    images = load_train()
    Image.fromarray(images.pixels[np.flatnonzero(images.labels == 8)[3], ..., 0]).save("eight.png")
    return digits_runs / "digits" / "deeper-1", Path("eight.png")


def test_the_half_that_says_which_class_lights_up(tiny: Competition) -> None:
    object.__setattr__(tiny, "load_train", lambda: half_striped(240, 0))
    run = train("tiny", epochs=8, split="holdout_80_20")
    assert run.read_metrics()["score"] > 0.9  # of a model that knows nothing, a map says nothing
    images = half_striped(9, 7)
    np.save("images.npy", images.pixels)
    found = kit.api.explain(run, "images.npy")
    striped = [image for image, label in zip(found.images, images.labels, strict=True) if label < 2]
    assert len(striped) == 6
    left, right = (np.mean([image.heat[:, half].sum() for image in striped]) for half in (slice(14), slice(14, 28)))
    assert left > 2 * right
    assert all(image.heat.min() >= 0 and image.heat.max() <= 1 for image in striped)


def test_the_answers_are_those_of_predict(digit: tuple[Path, Path]) -> None:
    run, picture = digit
    found = kit.api.explain(run, picture, out="a/eight.svg")
    expected = predict(run, input=picture, probabilities=True).likeliest
    (image,) = found.images
    assert [found.class_names[i] for i in image.likeliest] == [str(label) for label, _ in expected[:3]]
    np.testing.assert_array_equal(np.sort(image.probabilities)[::-1], np.float32([p for _, p in expected]))
    assert (image.explained, image.label, image.id) == (image.likeliest[0], None, "eight.png")
    assert (found.layer, found.layer_shape, found.notes) == ("conv2d_2", (7, 7, 64), ())
    text = Path("a/eight.svg").read_text()
    assert "conv2d_2, 64 features of 7×7" in text
    assert f"{100 * image.probabilities.max():.2f} %" in text
    other = kit.api.explain(run, picture, class_name="3", out="three.png").images[0]
    assert other.explained == 3
    assert not np.array_equal(other.heat, image.heat)
    np.testing.assert_array_equal(other.probabilities, image.probabilities)


def test_images_that_were_held_out_are_answered_by_who_had_not_seen_them(tiny: Competition, tmp_path: Path) -> None:
    run = train("tiny", folds=2, epochs=1)
    arrays = [fold.read_predictions() for fold in run.trained_folds()]
    ids = [each["validation_ids"][0].item() for each in arrays]
    found = kit.api.explain(run, ids=ids)
    assert [files[0].parent.name for files in found.models] == ["fold-0", "fold-1"]
    for image, each in zip(found.images, arrays, strict=True):
        np.testing.assert_allclose(image.probabilities, each["validation_probabilities"][0], atol=1e-3)
        assert image.label == each["validation_labels"][0]
    assert found.notes[0] == "training images are answered by the models that had not seen them"
    tested = kit.api.explain(run, ids=[1003], test=True)
    assert [path.parent.name for path in tested.models[0]] == ["fold-0", "fold-1"]
    assert (tested.images[0].id, tested.images[0].label) == ("test image 1003", None)
    with pytest.raises(
        KitError, match="there is no training image with the id '7': expected one such as 1000 or 1089, or add --test"
    ):
        kit.api.explain(run, ids=[7])


def test_a_training_image_is_not_held_out_because_a_test_image_has_its_id(tiny: Competition) -> None:
    object.__setattr__(tiny, "load_test", lambda: half_striped(30, 5))  # ids from 0 up, and labelled
    object.__setattr__(tiny, "load_train", lambda: half_striped(90, 0))
    object.__setattr__(tiny, "test_is_labelled", True)
    run = train("tiny", epochs=1, split="holdout_80_20")
    assert set(range(30)) == set(run.trained_folds()[0].read_predictions()["test_ids"].tolist())
    trained_on = [row for row in run.read_split()[0].train.tolist() if row < 30][:1]
    found = kit.api.explain(run, ids=trained_on)
    assert found.notes[0] == f"all models were trained on {trained_on[0]}, and may know the answer by heart"


def test_more_images_than_a_picture_has_room_for(digit: tuple[Path, Path]) -> None:
    np.save("many.npy", np.random.default_rng(0).integers(0, 256, (30, 28, 28, 1), np.uint8))
    found = kit.api.explain(digit[0], "many.npy", class_name="0")
    assert len(found.images) == 12
    assert found.notes[0] == "the first 12 of 30 images"


def test_what_cannot_be_explained(digit: tuple[Path, Path], tiny: Competition, tmp_path: Path) -> None:
    run, picture = digit
    Path("broken.png").write_bytes(picture.read_bytes()[:100])
    Path("file").touch()
    np.save("colour.npy", np.zeros((2, 28, 28, 3), np.uint8))
    cases = [
        ({"input": "none.png"}, r"none.png"),
        ({"input": "broken.png"}, r"broken.png"),
        ({"input": "colour.npy"}, r"received shape \(2, 28, 28, 3\), the model takes \(rows, 28, 28, 1\)"),
        ({"input": picture, "class_name": "eight"}, "unknown class 'eight': choose one of 0, 1, 2, 3"),
        ({"input": picture, "class_name": "77"}, "unknown class '77': did you mean '7'"),
        ({"input": picture, "out": "map.jpg"}, "expected a name that ends in .png, .svg or .pdf"),
        ({"input": picture, "out": "file/map.png"}, "cannot write"),
        ({}, "name the image to explain, by either --input or"),
        ({"input": picture, "ids": [1]}, "name the image to explain, by either --input or"),
        ({"ids": range(13)}, "received 13 ids and no --input: name the image to explain"),
    ]
    for words, message in cases:
        with pytest.raises(KitError, match=message) as error:
            kit.api.explain(run, **words)
        assert "\n" not in str(error.value)
    before = picture.read_bytes()
    with pytest.raises(KitError, match="eight.png is the --input itself, which would be lost"):
        kit.api.explain(run, picture, out=picture)
    assert picture.read_bytes() == before
    with pytest.raises(KitError, match="is not a run"):
        kit.api.explain(tmp_path, picture)
    unfinished = shutil.copytree(run, tmp_path / "unfinished")
    (unfinished / "scores.json").unlink()
    with pytest.raises(KitError, match="has no scored model"):
        kit.api.explain(unfinished, picture)
    flat = train("tiny", model="baseline", epochs=1)
    with pytest.raises(KitError, match="cannot be explained: it has no feature map: no convolution in it"):
        kit.api.explain(flat, picture)
    assert not list(tmp_path.glob("**/explain.png"))


def test_the_command(digit: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    from kit.cli.explain import explain

    run, picture = digit
    explain(run, picture)
    said = capsys.readouterr().out
    assert said.startswith("image   eight.png: ")
    assert "layer   conv2d_2, 64 features of 7x7\n" in said
    assert said.endswith("wrote   explain.png\n")
    explain(run, picture, class_name="1", out=Path("one.png"), as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["path"], told["layer_shape"]) == ("one.png", [7, 7, 64])
    (image,) = told["images"]
    assert (image["id"], image["explained"], len(image["likeliest"])) == ("eight.png", "1", 3)
    assert image["models"] == [str(RunDirectory(run).path / "model.onnx")]
