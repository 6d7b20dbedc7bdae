"""Training itself, on images that a small net learns within seconds."""

import dataclasses
import json
import pickle
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from kit.data.folds import Fold, make_split
from kit.data.images import Images
from kit.errors import RunError
from kit.training import trainer
from kit.training.augment import AUGMENTATIONS
from kit.training.augment.catalog import Augmentation
from kit.training.events import Epoch, Listener
from kit.training.fine_tuning import check_weights
from kit.training.fold_directory import FoldDirectory
from kit.training.preparation import Task, prepare
from kit.training.recipe import Recipe
from kit.training.runs import RunDirectory
from kit.training.step import resize_weights
from kit.training.switches import resolve_switches
from kit.training.trainer import train_fold
from kit.training.weights import load_classifier, load_predictor, predict_probabilities
from tests.conftest import striped_images

pytestmark = pytest.mark.backend

RECIPE = Recipe("tiny", "brief(momentum=0.8)", epochs=3, batch_size=16, learning_rate=0.003, augment="flip")


def task(name: str, images: Images, fold: Fold | None = None, **changes: Any) -> Task:
    recipe = dataclasses.replace(RECIPE, **changes)
    fold = fold or make_split("holdout").make_folds(images, 0)[0]
    Path(name).mkdir(exist_ok=True)  # another fold may be there
    return Task(recipe, resolve_switches(recipe.precision, recipe.deterministic), 0, fold, 3, FoldDirectory(Path(name)))


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


def test_determinism_is_settled_for_each_training_anew(images: Images) -> None:
    jobs = [task(name, images, deterministic=name == "b") for name in ("a", "b", "c")]
    if jobs[0].switches.backend != "tensorflow":
        pytest.skip("a switch of TensorFlow's")
    from tensorflow.python.framework.config import is_op_determinism_enabled

    told = []
    for job in jobs:
        prepare(images, job, None)
        told.append(is_op_determinism_enabled())
    assert told == [False, True, False]


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


def test_patience_ends_the_training_and_the_score_says_that_it_was_selected(images: Images) -> None:
    """A rate so small that accuracy stands still: the first epoch stays the best."""
    job = task("run", images, epochs=9, patience=2, keep="best", learning_rate=1e-9, schedule="constant")
    scores = train_fold(images, job, Listener())
    history = job.directory.read_history()
    qualities = [epoch.validation_accuracy for epoch in history]
    assert len(history) == qualities.index(max(qualities)) + 3 < 9
    assert scores["validation"]["selected"]


def test_a_plateau_lowers_the_rate(images: Images) -> None:
    changes = {
        "learning_rate": 1e-9,
        "schedule": "constant",
        "plateau": "reduce(0.5, patience=1, min_delta=0.0)",
        "monitor": "loss",
    }
    job = task("run", images, epochs=4, **changes)
    scores = train_fold(images, job, Listener())
    history = job.directory.read_history()
    losses = [epoch.validation_loss for epoch in history]
    expected, best = 1e-9, np.inf
    for epoch, loss in zip(history, losses, strict=True):
        assert epoch.learning_rate == pytest.approx(expected)
        expected *= 1.0 if loss < best else 0.5
        best = min(best, loss)
    assert scores["validation"]["selected"]


def test_the_schedule_reaches_every_step(images: Images) -> None:
    """Rates are set between steps: a rate of nearly zero after the first epoch must leave the weights alone."""
    schedule = "piecewise(((1, 1e-12),))"
    train_fold(images, task("a", images, epochs=3, schedule=schedule, optimizer="sgd"), Listener())
    train_fold(images, task("b", images, epochs=1, schedule="constant", optimizer="sgd"), Listener())
    first, second = (load_predictor(FoldDirectory(Path(name)), "last") for name in "ab")
    for one, other in zip(first.trainable_weights, second.trainable_weights, strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), atol=1e-6)


@pytest.mark.parametrize("average", ["ema(0.9)", "swa(0.5)"])
def test_averaged_weights_are_what_is_kept_and_scored(average: str, images: Images) -> None:
    for name, changes in (("plain", {}), ("averaged", {"average": average})):
        train_fold(images, task(name, images, epochs=6, **changes), Listener())
    assert not np.array_equal(weights("plain"), weights("averaged"))
    directory = FoldDirectory(Path("averaged"))
    assert directory.read_scores()["validation"]["accuracy"] > 0.6
    # The training itself goes on from its own weights: the losses on the way are those of the plain run.
    losses = [[epoch.loss for epoch in FoldDirectory(Path(name)).read_history()] for name in ("plain", "averaged")]
    np.testing.assert_array_equal(*losses)


def test_balance_makes_a_rare_class_as_likely_as_the_others() -> None:
    """On noise there is nothing to learn but how frequent each class is."""
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [8, 60, 60])
    noise = Images(random.integers(0, 256, (128, 8, 8, 1), np.uint8), np.arange(128), labels)
    rows = random.permutation(128)
    fold = Fold(np.sort(rows[:96]), np.sort(rows[96:]), rows[:0])
    likely = {}
    for balance in ("none", "weights", "sampling"):
        job = task(balance, noise, fold, epochs=4, balance=balance, learning_rate=1e-3)
        train_fold(noise, job, Listener())
        likely[balance] = job.directory.read_predictions()["validation_probabilities"][:, 0].mean()
    assert likely["weights"] > likely["none"] + 0.05
    assert likely["sampling"] > likely["none"] + 0.05


def run_of(name: str, images: Images, fold: Fold, number: int | None = None, **changes: Any) -> str:
    """A run of one fold, or with only this one of several folds trained, as the next run would find it."""
    job = task(name, images, fold, epochs=2, **changes)
    if number is not None:
        job = dataclasses.replace(job, number=number, directory=FoldDirectory(Path(name) / f"fold-{number}"))
        job.directory.path.mkdir()
    train_fold(images, job, Listener())
    RunDirectory(Path(name)).write_recipe(job.recipe.to_dict(), {"data": None, "images": {"hash": "any"}})
    return name


def test_weights_of_a_run_stand_still_in_the_first_phase_and_learn_in_the_second(images: Images) -> None:
    fold = make_split("holdout").make_folds(images, 0)[0]
    run_of("earlier", images, fold)
    before = load_classifier(FoldDirectory(Path("earlier")), "last").layers[2].get_weights()[0]
    after = {}
    for name, rate in (("frozen", 1e-9), ("thawed", 0.5)):
        job = task(name, images, fold, weights="earlier", frozen_epochs=2, epochs=3, fine_tune_rate=rate)
        train_fold(images, job, Listener())
        after[name] = load_classifier(job.directory, "last").layers[2].get_weights()[0]
        rates = [epoch.learning_rate for epoch in job.directory.read_history()]
    plain = task("plain", images, fold, epochs=3)
    train_fold(images, plain, Listener())
    np.testing.assert_allclose(after["frozen"], before, atol=1e-8)
    assert not np.allclose(after["thawed"], before, atol=1e-4)
    scheduled = [epoch.learning_rate for epoch in plain.directory.read_history()]
    assert rates == pytest.approx([scheduled[0], scheduled[1], 0.5 * scheduled[2]])
    report = json.loads(Path("frozen/carried.json").read_text())
    assert {each["name"] for each in report["layers"] if each["from"] is None} == {"logits"}


def test_patience_and_plateau_begin_anew_with_the_second_phase(images: Images) -> None:
    """At a rate of nearly zero nothing makes progress; still the second phase comes, at its full rate."""
    fold = make_split("holdout").make_folds(images, 0)[0]
    run_of("earlier", images, fold)
    still = {"learning_rate": 1e-12, "schedule": "constant", "plateau": "reduce(0.1, patience=1)", "patience": 2}
    job = task("a", images, fold, weights="earlier", frozen_epochs=4, epochs=9, fine_tune_rate=0.5, **still)
    train_fold(images, job, Listener())
    rates = [epoch.learning_rate for epoch in job.directory.read_history()]
    assert rates == pytest.approx([1e-12, 1e-12, 1e-13, 1e-14, 5e-13, 5e-13, 5e-14])


class Leak:
    """Runs whose weights have met the images that the next one would be scored on, or have not."""

    MESSAGE = r"[\d,]+ of the [\d,]+ images that this run would be scored on had a part in the weights of"

    @staticmethod
    def is_told(images: Images, fold: Fold, weights: str, **changes: Any) -> bool:
        job = task(
            f"of-{Path(weights).name}-{len(list(Path().iterdir()))}", images, fold, weights=weights, epochs=1, **changes
        )
        try:
            train_fold(images, job, Listener())
        except RunError as error:
            assert re.match(Leak.MESSAGE, str(error))
            return True
        return False


def test_weights_that_have_seen_the_images_to_be_scored_are_refused(images: Images) -> None:
    first, second = (make_split("holdout").make_folds(images, seed)[0] for seed in (0, 1))
    run_of("earlier", images, first)
    assert not Leak.is_told(images, first, "earlier")  # its own split is fair
    assert Leak.is_told(images, second, "earlier")
    assert images.labels is not None
    relabelled = Images(images.pixels, images.ids, images.labels[::-1].copy())
    assert Leak.is_told(relabelled, second, "earlier")
    turned = Images(images.pixels[::-1].copy(), images.ids, images.labels[::-1].copy())
    mirrored = Fold(*(np.sort(len(images) - 1 - rows) for rows in (first.train, first.validation, first.test)))
    assert not Leak.is_told(turned, mirrored, "earlier")  # the same images in another order


def test_what_the_weights_of_the_weights_have_seen_counts_too(images: Images) -> None:
    first, second = (make_split("holdout").make_folds(images, seed)[0] for seed in (0, 1))
    others = Images(255 - images.pixels, images.ids, images.labels)
    run_of("a", images, first)
    run_of("b", others, second, weights="a")
    assert Leak.is_told(images, second, "b")


def test_rows_that_chose_the_weights_are_no_fair_rows_for_the_next_run(images: Images) -> None:
    fold = make_split("holdout").make_folds(images, 0)[0]
    run_of("chosen", images, fold, keep="best")
    assert Leak.is_told(images, fold, "chosen")


def test_of_several_folds_the_same_one_is_carried_on(images: Images) -> None:
    folds = make_split("stratified_kfold(3)").make_folds(images, 0)
    for number in (0, 2):
        run_of("two-of-three", images, folds[number], number=number)
    job = task("next", images, folds[2], weights="two-of-three", epochs=1)
    train_fold(images, dataclasses.replace(job, number=2), Listener())  # the other one has seen its rows
    assert Leak.is_told(images, folds[1], "two-of-three")


def test_a_file_of_a_run_knows_what_it_has_seen_too(images: Images) -> None:
    first, second = (make_split("holdout").make_folds(images, seed)[0] for seed in (0, 1))
    run_of("earlier", images, first)
    assert not Leak.is_told(images, first, "earlier/last.weights.h5")
    assert Leak.is_told(images, second, "earlier/last.weights.h5")
    with pytest.raises(RunError, match=r"best.weights.h5 is not what its run was scored with.*: take .*last.weights"):
        check_weights("earlier/best.weights.h5", "brief", "rescale")
    Path("earlier/seen.npz").unlink()
    with pytest.raises(
        RunError, match=r"last.weights.h5 is of a run that was not scored: go on with it by --resume earlie"
    ):
        check_weights("earlier/last.weights.h5", "brief", "rescale")
    run_of("folds", images, first, number=1)
    with pytest.raises(RunError, match=r"last.weights.h5 is of one fold: name the run folds for --weights"):
        check_weights("folds/fold-1/last.weights.h5", "brief", "rescale")


def test_few_layers_that_fit_are_told_before_the_training(images: Images, caplog: pytest.LogCaptureFixture) -> None:
    fold = make_split("holdout").make_folds(images, 0)[0]
    run_of("earlier", images, fold, model="brief")
    train_fold(images, task("next", images, fold, model="deeper", weights="earlier", epochs=1), Listener())
    assert "carried 2 of 7 layers" in caplog.text
    assert "is it of another model? The rest begins at random" in caplog.text


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


@pytest.mark.parametrize("shape", [(8, 6), (14, 14), (28, 20), (7, 28), (40, 33)])
def test_images_shrink_as_keras_shrinks_them(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 28, 28, 3)).astype(np.float32)
    rows, columns = map(resize_weights, (28, 28), shape)
    resized = np.einsum("ih,bhwc,jw->bijc", rows, pixels, columns)
    expected = keras.ops.image.resize(pixels, shape, interpolation="bilinear", antialias=True)
    np.testing.assert_allclose(resized, np.asarray(expected), atol=1e-3)


def test_images_grow(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[Any] = []
    real = trainer.set_size

    def told(training: Any, epoch: int) -> None:
        real(training, epoch)
        sizes.append(training.step.size)

    monkeypatch.setattr(trainer, "set_size", told)
    job = task("run", images, model="speed_net(widths=(8, 16))", progressive="14,20,28", epochs=9, batch_size=8)
    scores = train_fold(images, job, Listener())
    assert sizes == [(14, 14)] * 3 + [(20, 20)] * 3 + [None] * 3
    assert scores["validation"]["accuracy"] > 0.6  # one in three by chance
    assert load_predictor(job.directory, "last").input_shape == (None, 28, 28, 1)
