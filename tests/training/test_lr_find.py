"""The range test, on images that a small net learns within seconds."""

import dataclasses
import math
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from kit.data.folds import Fold, make_split
from kit.data.images import Images
from kit.errors import RecipeError, RunError
from kit.training.augment import AUGMENTATIONS
from kit.training.augment.catalog import Augmentation
from kit.training.events import Listener
from kit.training.lr_find import HIGHEST, LOWEST, RangeTest, range_test, smooth, suggest
from kit.training.recipe import Recipe
from kit.training.switches import resolve_switches
from tests.conftest import striped_images

RECIPE = Recipe("tiny", "brief(momentum=0.8)", batch_size=16, optimizer="adam", augment="flip|elastic")


def find(images: Images, fold: Fold | None = None, steps: int = 70, **changes: Any) -> RangeTest:
    recipe = dataclasses.replace(RECIPE, **changes)
    fold = fold or make_split(recipe.split).make_folds(images, recipe.seed)[0]
    return range_test(images, fold, recipe, resolve_switches("float32"), 3, steps=steps)


@pytest.fixture(scope="module")
def images() -> Images:
    return striped_images(90)


@pytest.fixture(scope="module")
def found(images: Images) -> RangeTest:
    return find(images)


def test_the_loss_falls_and_then_breaks_away(found: RangeTest) -> None:
    assert found.diverged
    assert len(found.rates) == len(found.losses) == len(found.smoothed) < 70
    assert found.rates[0] == LOWEST
    steps = np.diff(np.log(found.rates))
    np.testing.assert_allclose(steps, math.log(HIGHEST / LOWEST) / 69)  # the same factor each step
    start, low = found.losses[:10].mean(), found.smoothed.min()
    assert low < 0.7 * start
    assert found.losses[-3:].max() > 2 * low
    assert 1e-4 < found.suggestion < 1e-1


def test_penalties_of_the_weights_are_no_part_of_the_curve(images: Images) -> None:
    """They fall by shrinking the weights, whatever the images are; model_s begins with 40 of them and a loss of 2."""
    found = find(images, model="model_s(momentum=0.8)")
    assert found.losses[0] < 4
    assert found.losses.min() >= 0


def test_the_suggested_rate_trains(images: Images, found: RangeTest) -> None:
    from kit.training.fold_directory import FoldDirectory
    from kit.training.preparation import Task
    from kit.training.trainer import train_fold

    Path("run").mkdir()
    recipe = dataclasses.replace(RECIPE, epochs=8, learning_rate=found.suggestion)
    fold = make_split("holdout").make_folds(images, 0)[0]
    directory = FoldDirectory(Path("run"))
    train_fold(images, Task(recipe, resolve_switches("float32"), 0, fold, 3, directory), Listener())
    assert directory.read_history()[-1].loss < 0.2  # 1.1 by chance


def test_it_is_a_function_of_its_arguments_and_of_training_rows_alone(images: Images, found: RangeTest) -> None:
    fold = make_split("holdout").make_folds(images, 0)[0]
    others = np.concatenate([fold.validation, fold.test])
    pixels, labels = images.pixels.copy(), np.array(images.labels)
    pixels[others], labels[others] = 255 - pixels[others], 0
    again = find(Images(pixels, images.ids, labels), fold)
    np.testing.assert_array_equal(again.losses, found.losses)
    assert again.suggestion == found.suggestion
    assert not np.array_equal(find(images, fold, seed=1).losses[:10], found.losses[:10])


def test_each_step_has_its_rate_and_nothing_is_left_on_disk(
    images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain gradient descent without momentum: at low rates the weights hardly move."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    result = find(images, optimizer="sgd", augment="none", normalization="standardize")
    epoch = 5  # steps, in which every row comes once
    early, late = result.losses[:epoch].mean(), result.losses[epoch : 4 * epoch].mean()
    assert late == pytest.approx(early, rel=0.15)  # up to 1e-4; the noise is dropout
    assert result.smoothed.min() < 0.8 * early
    assert not list((tmp_path / "scratch").iterdir())
    assert [path.name for path in tmp_path.iterdir()] == ["scratch"]


def test_a_listener_hears_of_each_step(images: Images) -> None:
    heard: list[tuple[int, float]] = []

    class Ear(Listener):
        def batch_ended(self, epoch: int, step: int, loss: float) -> None:
            heard.append((step, loss))

    fold = make_split("holdout").make_folds(images, 0)[0]
    result = range_test(images, fold, RECIPE, resolve_switches("float32"), 3, steps=70, listener=Ear())
    assert heard == [(number, loss) for number, loss in enumerate(result.losses.tolist(), 1)]


def curve(rates: np.ndarray, fall: float = 1e-3, rise: float = 1e-1) -> np.ndarray:
    """Falls from 2 to 0.5 around one rate and rises around another, both within a decade or so."""
    logs = np.log10(rates)
    return 2 - 1.5 / (1 + np.exp(-4 * (logs - np.log10(fall)))) + 20 / (1 + np.exp(-6 * (logs - np.log10(rise) - 1)))


def test_the_middle_of_the_valley_is_suggested_whatever_the_noise() -> None:
    rates = np.geomspace(1e-6, 10, 300)
    clean = curve(rates)
    expected = np.exp(np.log(rates[clean <= clean.min() + 0.03]).mean())
    assert 5e-3 < expected < 1e-1
    for seed in range(5):
        noisy = clean + np.random.default_rng(seed).normal(0, 0.05, 300)
        for steps in (300, 220):
            suggestion = suggest(rates[:steps], smooth(rates[:steps], noisy[:steps]))
            assert expected / 2 < suggestion < expected * 2


def test_of_a_flat_valley_the_middle_is_suggested() -> None:
    rates = np.geomspace(1e-6, 10, 300)
    flat = np.where(rates < 1e-3, 2.0, np.where(rates < 1, 0.5, 9.0))
    flat[250] = 0.495  # the deepest, by chance
    assert suggest(rates, flat) == pytest.approx(10**-1.5, rel=0.06)


def test_smoothing_neither_lags_nor_depends_on_the_number_of_steps() -> None:
    for steps in (100, 300, 1000):
        rates = np.geomspace(1e-6, 10, steps)
        smoothed = smooth(rates, curve(rates))
        middle = rates[np.abs(smoothed[: steps // 2] - 1.25).argmin()]
        assert middle == pytest.approx(1e-3, rel=0.2)


def test_what_cannot_be_found_is_told(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = np.geomspace(1e-6, 10, 100)
    with pytest.raises(RunError, match="no learning rate from 1e-06 to 10 within 100 steps: try more --steps, or"):
        suggest(rates, np.linspace(1, 5, 100))
    with pytest.raises(RunError, match="within 2 steps, where it diverged: try another model or normalization$"):
        suggest(rates[:2], np.array([1.0, 80.0]), diverged=True)

    def broken() -> Augmentation:
        return lambda pixels, targets, seed: (pixels * math.inf, targets)

    monkeypatch.setitem(AUGMENTATIONS._entries, "broken", broken)
    with pytest.raises(RunError, match=r"the loss became (nan|inf) in step 1, at learning rate 1e-06"):
        find(images, augment="broken")
    with pytest.raises(RecipeError, match="steps is 49, expected 50 to 10,000"):
        find(images, steps=49)


@pytest.mark.parametrize("finite", [0, 1])
def test_a_loss_that_is_not_finite_from_the_start_is_told(
    finite: int, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Step:
        optimizer, classifier = SimpleNamespace(), SimpleNamespace(losses=[])

        def train_on_batch(self, batch: object, return_dict: bool) -> dict[str, float]:
            return {"loss": losses.pop(0)}

    losses = [1.0] * finite + [math.nan]
    monkeypatch.setattr("kit.training.lr_find.prepare", lambda *arguments: SimpleNamespace(step=Step()))
    with pytest.raises(RunError, match=rf"the loss became nan in step {finite + 1}, at learning rate 1.*: no rate can"):
        find(images)
