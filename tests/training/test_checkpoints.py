"""A training that is cut off anywhere and goes on ends with the same bits as one that was not."""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kit.data.folds import make_split
from kit.data.images import Images
from kit.errors import Interrupted, RunError
from kit.training import checkpoints, run_files
from kit.training.events import Listener
from kit.training.fold_directory import FoldDirectory
from kit.training.preparation import Task
from kit.training.recipe import Recipe
from kit.training.switches import resolve_switches
from kit.training.trainer import train_fold
from kit.training.weights import load_classifier
from tests.conftest import striped_images

RECIPES: dict[str, dict[str, Any]] = {
    "warm restarts and elastic": {
        "model": "deeper(momentum=0.8)",
        "augment": "flip|elastic((2, 3), sigma=2)",
        "schedule": "warm_restarts(0.0001, period=2)",
    },
    "plateau, stopping and moving average": {
        "model": "brief(momentum=0.8)",
        "optimizer": "sgd(momentum=0.9)",
        "augment": "cutmix",
        "plateau": "reduce(0.5, patience=1)",
        "patience": 2,
        "epochs": 12,  # it stops before
        "keep": "best",
        "average": "ema(0.9)",
    },
    "growing images": {"model": "speed_net(widths=(8, 8))", "progressive": "16,28"},
    "snapshots, moving average and balance": {
        "model": "brief(momentum=0.8)",
        "optimizer": "muon",
        "keep": "snapshots",
        "snapshots": 2,
        "schedule": "warm_restarts(period=2)",
        "average": "ema(0.9)",
        "balance": "sampling",
    },
    "two phases, float16": {
        "model": "deeper(momentum=0.8)",
        "weights": "source/last.weights.h5",
        "frozen_epochs": 2,
        "fine_tune_rate": 0.5,
        "precision": "float16",
    },
}
ON_EVERY_BACKEND = ("plateau, stopping and moving average", "growing images")


@pytest.fixture(scope="module")
def images() -> Images:
    return striped_images(90)


@pytest.fixture(scope="module")
def straight(images: Images, tmp_path_factory: pytest.TempPathFactory) -> Task:
    """Of the default recipe, never interrupted."""
    job = task(str(tmp_path_factory.mktemp("straight") / "run"), images)
    train_fold(images, job, Listener())
    return job


def task(name: str, images: Images, seconds: float = 0.0, **changes: Any) -> Task:
    fold = make_split("holdout").make_folds(images, 0)[0]
    recipe = dataclasses.replace(Recipe("tiny", "deeper", epochs=4, batch_size=16, learning_rate=0.003), **changes)
    Path(name).mkdir(exist_ok=True)
    return Task(recipe, resolve_switches(recipe.precision), 0, fold, 3, FoldDirectory(Path(name)), seconds)


@pytest.fixture(autouse=True)
def _at_every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a checkpoint takes."""
    monkeypatch.setattr(checkpoints, "SHARE", float("inf"))


class Killed(BaseException):
    """Nothing in kit catches it."""


class Countdown(Listener):
    """Counts batches down."""

    def __init__(self, batches: int) -> None:
        self.left = batches

    def batch_ended(self, epoch: int, step: int, loss: float) -> None:
        self.left -= 1


class KillAfter(Countdown):
    def batch_ended(self, epoch: int, step: int, loss: float) -> None:
        super().batch_ended(epoch, step, loss)
        if not self.left:
            raise Killed


class SignalAfter(Countdown):
    def signalled(self) -> int:
        return 15 if self.left <= 0 else 0


class StopAfter(Countdown):
    def keep_going(self) -> bool:
        return self.left > 0


def result(job: Task) -> dict[str, Any]:
    """All that must be the same, which the times are not."""
    scores = job.directory.read_scores()
    return {
        "history": [
            dataclasses.replace(epoch, seconds=0.0, images_per_second=0.0) for epoch in job.directory.read_history()
        ],
        "scores": {name: value for name, value in scores.items() if name not in ("seconds", "images_per_second")},
        "weights": load_classifier(job.directory, "last").get_weights(),
        "best weights": load_classifier(job.directory, "best").get_weights(),
        **job.directory.read_predictions(),
    }


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_equal(one[name], other[name], err_msg=name)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.backend if name in ON_EVERY_BACKEND else pytest.mark.slow)
        for name in RECIPES
    ],
)
def test_cut_off_anywhere_it_ends_the_same(name: str, images: Images) -> None:
    if "weights" in RECIPES[name]:
        train_fold(images, task("source", images, epochs=1), Listener())
    straight = task("straight", images, **RECIPES[name])
    train_fold(images, straight, Listener())
    killed = task("killed", images, **RECIPES[name])
    for batches in (3, 9, 5):  # one of them at the end of an epoch
        with pytest.raises(Killed):
            train_fold(images, killed, KillAfter(batches))
    train_fold(images, killed, Listener())
    assert_same(result(straight), result(killed))
    assert (len(straight.directory.read_history()) < straight.recipe.epochs) == (straight.recipe.patience > 0)
    assert not killed.directory.checkpoints.exists()
    assert killed.directory.is_finished


def test_killed_between_any_two_writes_it_ends_the_same(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"epochs": 2, "keep": "best", "model": "brief(momentum=0.8)"}
    straight = task("straight", images, **changes)
    train_fold(images, straight, Listener())
    killed, real, left = task("killed", images, **changes), run_files.replacing, [0]

    @contextmanager
    def replacing(path: Path) -> Iterator[Path]:
        left[0] -= 1
        if not left[0]:
            raise Killed
        with real(path) as scratch:
            yield scratch

    monkeypatch.setattr(run_files, "replacing", replacing)
    kills = 0
    while not killed.directory.is_finished:
        left[0] = 5 + kills  # a checkpoint takes two, the files that it puts back two more
        try:
            train_fold(images, killed, Listener())
        except Killed:
            kills += 1
    assert kills >= 4
    assert_same(result(straight), result(killed))


def test_a_signal_leaves_a_checkpoint_at_that_batch(images: Images) -> None:
    job = task("run", images, seconds=1e9)
    with pytest.raises(Interrupted, match="interrupted after step 3 of epoch 2") as stop:
        train_fold(images, job, SignalAfter(8))
    assert stop.value.number == 15
    (manifest,) = job.directory.checkpoints.glob("*.json")
    saved = json.loads(manifest.read_text())
    assert (len(saved["history"]), saved["step"]) == (1, 3)
    assert not job.directory.is_finished


def test_an_epoch_that_was_ended_early_is_scored_now_and_goes_on_later(images: Images, straight: Task) -> None:
    job = task("run", images, seconds=1e9)
    scores = train_fold(images, job, StopAfter(8))
    assert scores["epochs"] == 2
    assert job.directory.read_history()[-1].steps == 3
    train_fold(images, job, Listener())
    assert_same(result(straight), result(job))


@pytest.fixture(scope="module")
def interrupted_once(images: Images, tmp_path_factory: pytest.TempPathFactory) -> Task:
    job = task(str(tmp_path_factory.mktemp("once") / "run"), images)
    with pytest.raises(Interrupted), pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "SHARE", float("inf"))
        train_fold(images, job, SignalAfter(12))
    assert not job.directory.is_finished
    assert len(list(job.directory.checkpoints.iterdir())) == 4  # two, of two files each
    return job


@pytest.fixture
def interrupted(interrupted_once: Task) -> Task:
    """A copy to harm."""
    directory = FoldDirectory(Path(shutil.copytree(interrupted_once.directory.path, "run")))
    return dataclasses.replace(interrupted_once, directory=directory)


@pytest.mark.parametrize("harm", ["torn", "missing", "no manifest", "torn manifest"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    harm: str, interrupted: Task, straight: Task, images: Images, caplog: pytest.LogCaptureFixture
) -> None:
    newest = max(interrupted.directory.checkpoints.glob("*.npz"))
    if harm == "torn":
        newest.write_bytes(newest.read_bytes()[:-1])
    elif harm == "missing":
        newest.unlink()
    elif harm == "no manifest":  # killed between the two files
        newest.with_suffix(".json").unlink()
    else:
        newest.with_suffix(".json").write_text("{")
    train_fold(images, interrupted, Listener())
    assert ("trying the one before" in caplog.text) == (harm != "no manifest")
    assert_same(result(straight), result(interrupted))


def test_without_a_whole_checkpoint_nothing_is_trained(interrupted: Task, images: Images) -> None:
    before = {path: path.read_bytes() for path in interrupted.directory.weights_files()}
    for numbers in interrupted.directory.checkpoints.glob("*.npz"):
        numbers.unlink()
    with pytest.raises(RunError, match=r"no checkpoint in run/checkpoints is whole: put the files back, or train"):
        train_fold(images, interrupted, Listener())
    assert before == {path: path.read_bytes() for path in interrupted.directory.weights_files()}


def test_lost_checkpoints_are_told(interrupted: Task, images: Images, caplog: pytest.LogCaptureFixture) -> None:
    shutil.rmtree(interrupted.directory.checkpoints)
    train_fold(images, interrupted, StopAfter(3))  # the same from the start on
    assert "run/checkpoints has no checkpoint: this training begins again" in caplog.text
    shutil.rmtree(interrupted.directory.checkpoints)
    with pytest.raises(RunError, match="has no checkpoint of what was trained: put the files back"):
        train_fold(images, interrupted, Listener())  # it was scored: the model is used perhaps


def test_a_checkpoint_from_before_a_field_was_there_is_taken(interrupted: Task, straight: Task, images: Images) -> None:
    for manifest in interrupted.directory.checkpoints.glob("*.json"):
        saved = json.loads(manifest.read_text())
        del saved["recipe"]["tta"]
        manifest.write_text(json.dumps(saved))
    train_fold(images, interrupted, Listener())
    assert_same(result(straight), result(interrupted))


def test_a_checkpoint_of_another_recipe_is_refused_with_the_difference(interrupted: Task, images: Images) -> None:
    changed = dataclasses.replace(interrupted, recipe=dataclasses.replace(interrupted.recipe, learning_rate=0.1))
    with pytest.raises(RunError, match=r"of another recipe: learning_rate was 0.003, is 0.1"):
        train_fold(images, changed, Listener())
