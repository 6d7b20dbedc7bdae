from typing import Any

import numpy as np
import pytest

from kit.errors import RecipeError
from kit.models.activation import _evidence, activation_map, features_place
from kit.models.build import Architecture, build_classifier
from kit.models.graph import cuts, places_of


def build(spec: str, shape: tuple[int, int, int] = (28, 28, 1)) -> Any:
    import keras

    keras.utils.set_random_seed(3)
    classifier = build_classifier(Architecture(spec, shape, 4, (1 / 255,) * shape[-1], (0.0,) * shape[-1]))
    random = np.random.default_rng(0)
    # As after a training: logits that are not all zero, and averages that are not those of a first step.
    classifier.set_weights([w + 0.05 * (random.random(w.shape) - 0.5) for w in classifier.get_weights()])
    return classifier


def picture(shape: tuple[int, int, int] = (28, 28, 1)) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


def by_gradients(classifier: Any, image: np.ndarray, label: int) -> np.ndarray:
    """HiResCAM as its paper has it."""
    import keras
    import tensorflow

    features = features_place(classifier).output
    both = keras.Model(classifier.input, [features, classifier.output])
    with tensorflow.GradientTape() as tape:
        maps, logits = both(tensorflow.constant(image[np.newaxis], tensorflow.float32), training=False)
        logit = logits[0, label]
    gradients = tape.gradient(logit, maps).numpy()[0]
    evidence = np.maximum((maps.numpy()[0] * gradients).sum(axis=-1, keepdims=True), 0)
    resized = tensorflow.image.resize(evidence, image.shape[:2]).numpy()[..., 0]
    return resized / evidence.max()


SHAPES = {
    "deeper": (28, 28, 1),
    "wide_resnet(depth=10, width=1)": (32, 32, 3),
    "speed_net(widths=(8, 16, 16))": (32, 32, 3),
    "model_s": (32, 32, 3),
}


@pytest.mark.parametrize("spec", SHAPES)
def test_differences_are_the_gradients(spec: str) -> None:
    shape = SHAPES[spec]
    classifier, image = build(spec, shape), picture(shape)
    some = 0
    for label in range(4):
        found = activation_map(classifier, image, label)
        assert found.heat.shape == shape[:2]
        if found.heat.max() > 0:
            some += 1
            expected = by_gradients(classifier, image, label)
            # Random weights have many kinks; at one, a difference is between the derivatives of both sides.
            assert np.abs(found.heat - expected).max() < 0.15
            assert np.corrcoef(found.heat.ravel(), expected.ravel())[0, 1] > 0.99
    assert some


def test_global_averages_make_it_grad_cam() -> None:
    import keras
    import tensorflow

    classifier, image = build("wide_resnet(depth=10, width=1)", (32, 32, 3)), picture((32, 32, 3))
    both = keras.Model(classifier.input, [features_place(classifier).output, classifier.output])
    with tensorflow.GradientTape() as tape:
        maps, logits = both(tensorflow.constant(image[np.newaxis], tensorflow.float32), training=False)
        logit = logits[0, 1]
    weights = tape.gradient(logit, maps).numpy()[0].mean(axis=(0, 1))
    evidence = np.maximum(maps.numpy()[0] @ weights, 0)[..., np.newaxis]
    expected = tensorflow.image.resize(evidence, (32, 32)).numpy()[..., 0] / evidence.max()
    np.testing.assert_allclose(activation_map(classifier, image, 1).heat, expected, atol=0.01)


def test_large_layers_are_seen_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier, image = build("deeper"), picture()
    fine = _evidence_of(classifier, image)
    monkeypatch.setattr("kit.models.activation.FINEST", 4)
    monkeypatch.setattr("kit.models.activation.AT_ONCE", 2 * 3 * 7 * 7 * 64)  # three at a time, of sixteen
    coarse = _evidence_of(classifier, image)
    assert (fine.shape, coarse.shape) == ((7, 7), (4, 4))
    padded = np.pad(fine, ((0, 1), (0, 1)))
    np.testing.assert_allclose(coarse, padded.reshape(4, 2, 4, 2).sum(axis=(1, 3)), atol=0.1 * np.abs(fine).max())


def _evidence_of(classifier: Any, image: np.ndarray) -> np.ndarray:
    import keras

    place = features_place(classifier)
    trunk, head = keras.Model(classifier.input, place.output), keras.Model(place.output, classifier.output)
    return _evidence(head, np.asarray(trunk.predict_on_batch(image[np.newaxis].astype(np.float32)))[0], 2)


@pytest.mark.backend
def test_a_map_is_of_the_class_that_was_asked_for() -> None:
    """A net by hand: class 0 sees bright pixels, class 1 dark ones, and class 2 neither."""
    import keras

    pixels = keras.Input((8, 8, 1))
    bright = keras.layers.Conv2D(2, 1, activation="relu", name="maps")
    mean = keras.layers.GlobalAveragePooling2D()(bright(pixels))
    classifier = keras.Model(pixels, (last := keras.layers.Dense(3))(mean))
    bright.set_weights([np.array([1.0, -1.0]).reshape(1, 1, 1, 2), np.array([0.0, 100.0])])
    last.set_weights([np.array([[1.0, 0, -1], [0, 1.0, -1]]), np.zeros(3)])
    image = np.full((8, 8, 1), 100, np.uint8)
    image[:4] = 200
    image[4:, 4:] = 0
    first, second, neither = (activation_map(classifier, image, label) for label in range(3))
    assert (first.layer, first.layer_shape) == ("maps", (8, 8, 2))
    np.testing.assert_allclose(first.heat[:4], 1, atol=1e-3)
    np.testing.assert_allclose(first.heat[4:, :4], 0.5, atol=1e-3)
    np.testing.assert_allclose(first.heat[4:, 4:], 0, atol=1e-3)
    np.testing.assert_allclose(second.heat[4:, 4:], 1, atol=1e-3)
    assert second.heat[:4].max() < 1e-3
    assert neither.heat.max() == 0


def test_the_layer_that_is_looked_at() -> None:
    shapes = {
        "deeper": (7, 7, 64),  # before it is flattened
        "brief": (28, 28, 32),  # before the pooling, which has no activation of its own
        "speed_net": (7, 7, 256),  # 3x3 would follow
        "custom_vgg16": (4, 4, 512),
        "wide_resnet": (8, 8, 256),
        "efficientnet_v2_b0": (4, 4, 192),
    }
    for spec, expected in shapes.items():
        classifier = build(spec, (32, 32, 3) if spec not in ("deeper", "brief") else (28, 28, 1))
        assert features_place(classifier).output.shape[1:] == expected, spec
    with pytest.raises(RecipeError, match="it has no feature map: no convolution in it"):
        features_place(build("baseline"))


def test_cuts_are_where_all_ways_meet() -> None:
    places = places_of(build("wide_resnet(depth=10, width=1)", (32, 32, 3)))
    kinds = [type(places[number].operation).__name__ for number in cuts(places)]
    assert kinds.count("Add") == 3
    assert kinds[:2] == ["InputLayer", "Rescaling"]
    assert kinds[-2:] == ["GlobalAveragePooling2D", "Dense"]
