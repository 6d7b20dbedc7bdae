"""Test-time augmentation is part of the model: what is scored is what the exported file answers."""

from pathlib import Path

import numpy as np
import pytest

import kit
from kit.data.images import Competition
from kit.deploy.model_file import load_model
from kit.errors import RecipeError
from kit.models.build import Architecture, build_classifier, build_predictor
from kit.training.recipe import Recipe
from kit.training.runs import RunDirectory
from tests.conftest import striped_images

AXES = {"flip": [(2,)], "flip('vertical')": [(1,)], "flip('both')": [(1,), (2,), (1, 2)]}


@pytest.mark.backend
@pytest.mark.parametrize("tta", AXES)
def test_the_answer_is_the_mean_over_the_views(tta: str) -> None:
    plain = Architecture("deeper", (28, 28, 1), 3, (1 / 255,), (0.0,))
    classifier = build_classifier(plain)
    alone = build_predictor(plain, classifier)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), np.uint8)
    views = [pixels, *(np.flip(pixels, axes) for axes in AXES[tta])]
    expected = np.mean([np.asarray(alone.predict_on_batch(view)) for view in views], axis=0)
    predictor = build_predictor(Architecture("deeper", (28, 28, 1), 3, (1 / 255,), (0.0,), tta), classifier)
    np.testing.assert_allclose(np.asarray(predictor.predict_on_batch(pixels)), expected, atol=1e-6)
    assert not np.allclose(expected, np.asarray(alone.predict_on_batch(pixels)), atol=1e-6)
    assert predictor.count_params() == alone.count_params()


def test_scores_and_file_have_it_alike(tiny: Competition) -> None:
    run = kit.train("tiny", split="holdout_80_20", epochs=2, tta="flip")
    (fold,) = run.trained_folds()
    scored, images = fold.read_predictions(), striped_images(90)
    pixels = images.pixels[np.searchsorted(images.ids, scored["validation_ids"])]
    model = load_model(run.path / "model.onnx")
    np.testing.assert_allclose(model.probabilities(pixels), scored["validation_probabilities"], atol=1e-4)
    np.testing.assert_allclose(model.probabilities(pixels[:, :, ::-1]), model.probabilities(pixels), atol=1e-5)


def test_it_changes_nothing_in_the_training(tiny: Competition) -> None:
    with_it, without = (kit.train("tiny", epochs=1, tta=tta, name=tta) for tta in ("flip", "none"))
    assert history(with_it) == history(without)
    assert not np.array_equal(probabilities(with_it), probabilities(without))


def history(run: RunDirectory) -> list[tuple[float, float]]:
    return [(epoch.loss, epoch.validation_loss) for epoch in run.trained_folds()[0].read_history()]


def probabilities(run: RunDirectory) -> np.ndarray:
    return run.trained_folds()[0].read_predictions()["validation_probabilities"]


def test_an_unknown_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="unknown test-time augmentation 'flips': did you mean 'flip'"):
        Recipe("digits", "deeper", tta="flips")
