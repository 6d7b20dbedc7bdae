"""Training itself, on images that a small net learns within seconds."""

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kit.data.folds import Fold, make_split
from kit.data.images import Images
from kit.errors import RunError
from kit.training.augment import AUGMENTATIONS
from kit.training.augment.catalog import Augmentation
from kit.training.events import Epoch, Listener
from kit.training.recipe import Recipe
from kit.training.runs import FoldDirectory
from kit.training.switches import resolve_switches
from kit.training.trainer import Task, load_predictor, predict_probabilities, train_fold
from tests.conftest import striped_images

pytestmark = pytest.mark.backend

RECIPE = Recipe("tiny", "brief(momentum=0.8)", epochs=3, batch_size=16, learning_rate=0.003, augment="flip")


def task(name: str, images: Images, fold: Fold | None = None, **changes: Any) -> Task:
    recipe = dataclasses.replace(RECIPE, **changes)
    fold = fold or make_split("holdout").make_folds(images, 0)[0]
    Path(name).mkdir()
    return Task(recipe, resolve_switches(recipe.precision), 0, fold, 3, FoldDirectory(Path(name)))


@pytest.fixture(scope="module")
def images() -> Images:
    return striped_images(90)


def weights(path: str) -> np.ndarray:
    predictor = load_predictor(FoldDirectory(Path(path)), "last")
    return np.concatenate([np.ravel(weight) for weight in predictor.get_weights()])


def test_it_learns_and_writes_what_it_learned(images: Images) -> None:
    job = task("run", images, epochs=8)
    scores = train_fold(images, job, Listener())
    assert scores["validation"]["accuracy"] > 0.8
    assert scores["test"]["accuracy"] > 0.8  # one in three by chance
    assert not scores["validation"]["selected"]
    assert scores["best_epoch"]["selected"]
    history = job.directory.read_history()
    assert [epoch.epoch for epoch in history] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [epoch.steps for epoch in history] == [5] * 8  # 72 rows in batches of 16
    saved = job.directory.read_predictions()
    np.testing.assert_array_equal(saved["validation_ids"], images.ids[job.fold.validation])
    predictor = load_predictor(job.directory, "last")
    again = predict_probabilities(predictor, images.pixels[job.fold.validation])
    np.testing.assert_array_equal(again, saved["validation_probabilities"])
    assert history[-1].validation_accuracy == pytest.approx(scores["validation"]["accuracy"], abs=0.12)


def test_a_task_can_be_sent_to_another_process(images: Images) -> None:
    job = task("run", images)
    sent = pickle.loads(pickle.dumps(job))
    assert (sent.recipe, sent.switches, sent.directory) == (job.recipe, job.switches, job.directory)
    np.testing.assert_array_equal(sent.fold.train, job.fold.train)


def test_the_same_seed_gives_the_same_weights(images: Images) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train_fold(images, task(name, images, seed=seed, epochs=2), Listener())
    np.testing.assert_array_equal(weights("a"), weights("b"))
    assert not np.array_equal(weights("a"), weights("c"))


def test_validation_and_test_rows_change_nothing_in_the_weights(images: Images) -> None:
    """Also not through the normalisation, which is fitted on the training rows."""
    fold = make_split("holdout").make_folds(images, 0)[0]
    changed = images.pixels.copy()
    changed[fold.validation] = 255
    changed[fold.test] = 0
    train_fold(images, task("a", images, fold, epochs=2, normalization="standardize"), Listener())
    other = Images(changed, images.ids, images.labels)
    train_fold(other, task("b", other, fold, epochs=2, normalization="standardize"), Listener())
    np.testing.assert_array_equal(weights("a"), weights("b"))


def test_best_weights_are_those_of_the_best_epoch_and_said_to_be_selected(images: Images) -> None:
    job = task("run", images, keep="best", epochs=4)
    scores = train_fold(images, job, Listener())
    history = job.directory.read_history()
    best = max(history, key=lambda epoch: epoch.validation_accuracy)
    assert scores["best_epoch"]["epoch"] == best.epoch
    assert scores["validation"]["selected"]
    assert not scores["test"]["selected"]
    kept = predict_probabilities(load_predictor(job.directory, "best"), images.pixels[job.fold.validation])
    np.testing.assert_array_equal(kept, job.directory.read_predictions()["validation_probabilities"])


class _StopAt(Listener):
    def __init__(self, epoch: int, step: int) -> None:
        self.at = (epoch, step)
        self.now = (0, 0)
        self.epochs: list[Epoch] = []

    def batch_ended(self, epoch: int, step: int, loss: float) -> None:
        self.now = (epoch, step)

    def epoch_ended(self, epoch: Epoch) -> None:
        self.epochs.append(epoch)

    def keep_going(self) -> bool:
        return self.now < self.at


def test_a_stopped_training_keeps_what_was_learned(images: Images) -> None:
    listener = _StopAt(2, 3)
    job = task("run", images, epochs=50)
    scores = train_fold(images, job, listener)
    assert listener.now == (2, 3)
    assert [epoch.steps for epoch in listener.epochs] == [5, 3]
    assert scores["epochs"] == 2
    assert scores["planned_epochs"] == 50
    assert scores["validation"]["accuracy"] > 0.5
    assert scores["validation"]["selected"]  # whoever stopped it may have looked at the score
    assert job.directory.read_history() == listener.epochs


def test_a_loss_that_is_not_finite_stops_the_run(images: Images) -> None:
    job = task("run", images, optimizer="sgd", learning_rate=1e30, schedule="constant", normalization="none")
    with pytest.raises(RunError, match=r"loss became (nan|inf) in epoch 1, step \d, at learning rate 1e\+30"):
        train_fold(images, job, Listener())


def test_float16_scales_its_loss(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    wrapped = []
    real = keras.optimizers.LossScaleOptimizer
    monkeypatch.setattr(keras.optimizers, "LossScaleOptimizer", lambda inner: wrapped.append(real(inner)) or wrapped[0])
    scores = train_fold(images, task("run", images, precision="float16", epochs=8), Listener())
    assert scores["validation"]["accuracy"] > 0.8
    assert float(wrapped[0].dynamic_scale) > 1


@pytest.mark.parametrize("optimizer", ["adamw(0.01)", "sgd(momentum=0.9, nesterov=True)"])
def test_other_optimizers_learn(images: Images, optimizer: str) -> None:
    scores = train_fold(images, task("run", images, optimizer=optimizer, epochs=4), Listener())
    assert scores["validation"]["accuracy"] > 0.6  # one in three by chance


def test_label_smoothing_keeps_the_net_from_being_sure(images: Images) -> None:
    for name, smoothing in (("a", 0.0), ("b", 0.3)):
        train_fold(images, task(name, images, epochs=8, label_smoothing=smoothing), Listener())
    sure, smooth = (FoldDirectory(Path(name)).read_predictions()["validation_probabilities"] for name in "ab")
    assert smooth.max(axis=1).mean() < sure.max(axis=1).mean() - 0.05


def test_augmentation_is_never_applied_to_validation_rows(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    """A net trained on black images only still gives each validation image its own answer, as it sees the image."""

    def black() -> Augmentation:
        return lambda pixels, targets, seed: (pixels * 0, targets)

    monkeypatch.setitem(AUGMENTATIONS._entries, "black", black)
    job = task("run", images, augment="black", epochs=1)
    train_fold(images, job, Listener())
    answers = job.directory.read_predictions()["validation_probabilities"]
    assert len(np.unique(answers, axis=0)) == len(answers)


def test_damaged_weights_are_named(images: Images) -> None:
    job = task("run", images, epochs=1)
    train_fold(images, job, Listener())
    path = job.directory.weights_file("last")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(RunError, match=r"cannot load run/last.weights.h5"):
        load_predictor(job.directory, "last")
    path.unlink()
    with pytest.raises(RunError, match="last.weights.h5 is missing"):
        load_predictor(job.directory, "last")
