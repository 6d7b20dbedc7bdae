"""A contract that every registered model keeps."""

import numpy as np
import pytest

from kit.errors import RecipeError
from kit.models import MODELS
from kit.models.build import Architecture, build_classifier, build_predictor

pytestmark = pytest.mark.backend


def architecture(name: str, shape: tuple[int, int, int] | None = None, classes: int | None = None) -> Architecture:
    reference = MODELS[name.partition("(")[0]].reference  # type: ignore[attr-defined]
    shape = shape or reference.image_shape
    return Architecture(name, shape, classes or reference.num_classes, (1 / 255,) * shape[-1], (-0.5,) * shape[-1])


@pytest.mark.parametrize("name", MODELS.names())
def test_trainable_parameters_are_the_published_ones(name: str) -> None:
    model = build_classifier(architecture(name))
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trainable == MODELS[name].reference.trainable_parameters  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", MODELS.names())
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_other_images_and_classes(name: str, precision: str) -> None:
    model = build_classifier(architecture(name, (32, 36, 3), 7), precision)
    logits = np.asarray(model.predict_on_batch(np.zeros((3, 32, 36, 3), np.uint8)))
    assert logits.shape == (3, 7)
    assert logits.dtype == np.float32


@pytest.mark.parametrize("name", MODELS.names())
def test_weights_survive_saving_and_the_predictor_agrees(name: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    pixels = np.random.default_rng(0).integers(0, 256, (5, *MODELS[name].reference.image_shape), np.uint8)  # type: ignore[attr-defined]
    trained, fresh = (build_classifier(architecture(name)) for _ in range(2))
    trained.save_weights(tmp_path / "w.weights.h5")
    fresh.load_weights(tmp_path / "w.weights.h5")
    logits = np.asarray(trained.predict_on_batch(pixels))
    np.testing.assert_array_equal(np.asarray(fresh.predict_on_batch(pixels)), logits)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = np.asarray(build_predictor(architecture(name), fresh).predict_on_batch(pixels))
    np.testing.assert_allclose(probabilities, odds / odds.sum(axis=1, keepdims=True), atol=1e-6)


def test_options_reach_the_layers() -> None:
    model = build_classifier(architecture("deeper(momentum=0.5)", (28, 28, 1), 5))
    momenta = {layer.momentum for layer in model.layers if "batch_norm" in layer.name}
    assert momenta == {0.5}
    with pytest.raises(RecipeError, match=r"dropout is 1.5, expected 0 up to"):
        build_classifier(architecture("deeper(dropout=1.5)", (28, 28, 1), 5))


def test_an_unknown_model() -> None:
    with pytest.raises(RecipeError, match="unknown model 'deper': did you mean 'deeper'"):
        build_classifier(architecture("deper", (28, 28, 1), 5))
