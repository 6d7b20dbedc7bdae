"""Folds, seeds and refitting: what may have a say in a model, and what its score is worth."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kit
import kit.api
from kit.data.images import Competition, Images
from kit.training.fold_directory import FoldDirectory
from kit.training.runs import RunDirectory
from tests.conftest import striped_images

CHOOSING = [
    {"keep": "best"},
    {"patience": 1},
    {"plateau": "reduce(0.5, patience=1)", "monitor": "loss"},
    {"snapshots": 2},
    {"average": "ema(0.9)", "keep": "best"},
]


def test_out_of_fold_rows_are_watched_by_nobody(tiny: Competition) -> None:
    run = kit.train("tiny", folds=3, epochs=2, keep="best")
    for fold in run.read_split():
        parts = [fold.train, fold.watched, fold.validation]
        assert all(len(part) for part in parts)
        assert sorted(np.concatenate(parts).tolist()) == list(range(90))
    assert not run.read_metrics()["out_of_fold"]["selected"]
    fixed = kit.train("tiny", folds=3, epochs=1)
    assert all(len(fold.watched) == 0 for fold in fixed.read_split())
    (epoch,) = fixed.trained_folds()[0].read_history()
    assert np.isnan(epoch.validation_loss)
    assert fixed.trained_folds()[0].read_scores()["best_epoch"] is None


@pytest.mark.slow  # the test below looks closer, in less time
@pytest.mark.parametrize("rule", CHOOSING, ids=lambda rule: next(iter(rule)))
def test_labels_that_say_nothing_are_guessed_by_chance(
    rule: dict[str, Any], tiny: Competition, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No stopping rule makes more of out-of-fold rows than there is: one in three, within three standard errors."""
    images = striped_images(300)
    shuffled = Images(images.pixels, images.ids, np.random.default_rng(0).permutation(images.labels))
    object.__setattr__(tiny, "load_train", lambda: shuffled)
    metrics = kit.train("tiny", folds=2, epochs=6, **rule).read_metrics()
    standard_error = np.sqrt(1 / 3 * 2 / 3 / 300)
    assert abs(metrics["out_of_fold"]["accuracy"] - 1 / 3) < 3 * standard_error


@pytest.mark.parametrize("rule", CHOOSING, ids=str)
def test_labels_of_out_of_fold_rows_change_nothing_in_the_model(tiny: Competition, rule: dict[str, Any]) -> None:
    from kit.planning import plan_training
    from kit.training.preparation import Task
    from kit.training.trainer import train_fold

    plan = plan_training("tiny", folds=2, epochs=3, **rule)
    fold, answers = plan.folds[0], []
    for shift in (0, 1):
        labels = plan.images.labels.copy()  # type: ignore[union-attr]
        labels[fold.validation] = (labels[fold.validation] + shift) % 3
        directory = FoldDirectory(Path(f"shifted-{shift}"))
        directory.path.mkdir()
        images = Images(plan.images.pixels, plan.images.ids, labels)
        train_fold(images, Task(plan.recipe, plan.switches, 0, fold, 3, directory), kit.api.Listener())
        answers.append(directory.read_predictions()["validation_probabilities"])
    np.testing.assert_array_equal(*answers)


def test_seeds_train_the_same_rows_again(tiny: Competition) -> None:
    run = kit.train("tiny", folds=2, seeds=2, epochs=2)
    folds = run.read_split()
    np.testing.assert_array_equal(folds[0].validation, folds[2].validation)
    metrics = run.read_metrics()
    assert metrics["scored_on"] == "out of fold, mean of 2 seeds, 4 of 4 folds"
    assert metrics["out_of_fold"]["rows"] == 90
    first, _, again, _ = (fold.read_predictions()["validation_probabilities"] for fold in run.trained_folds())
    assert not np.array_equal(first, again)
    alone = kit.train("tiny", split="stratified_kfold(2)", fold=1, epochs=2)
    same = alone.trained_folds()[0].read_predictions()["validation_probabilities"]
    np.testing.assert_array_equal(same, run.trained_folds()[1].read_predictions()["validation_probabilities"])


def test_seeds_of_one_fold_tell_the_spread(tiny: Competition) -> None:
    run = kit.train("tiny", seeds=3, epochs=2)
    metrics = run.read_metrics()
    assert metrics["scored_on"] == "validation, mean of 3 seeds, 3 of 3 trained"
    assert metrics["validation"]["accuracy"] == pytest.approx(np.mean(metrics["fold_scores"]))
    members = [fold.read_predictions()["test_probabilities"] for fold in run.trained_folds()]
    labels = run.trained_folds()[0].read_predictions()["test_labels"]
    assert metrics["test"]["rows"] == 9
    assert (
        metrics["test"]["accuracy"] == (np.mean(members, axis=0).argmax(axis=1) == labels).mean()
    )  # what is predicted
    assert metrics["test"]["members"]["scores"] == [fold["test"]["score"] for fold in metrics["folds"].values()]
    assert not (run.path / "out_of_fold.npz").exists()
    assert len(kit.predict(run, out="run.csv").models) == 3


def test_a_refit_trains_on_every_row_for_as_long_as_the_folds_have_found(tiny: Competition) -> None:
    source = kit.train("tiny", folds=3, epochs=5, keep="best", name="source")
    refit = kit.api.refit(source)
    found = sorted(fold.read_scores()["best_epoch"]["epoch"] for fold in source.trained_folds())[1]
    assert len(refit.trained_folds()[0].read_history()) == found
    (fold,) = refit.read_split()
    assert len(fold.train) == 90
    metrics = refit.read_metrics()
    assert metrics["score"] is None
    assert metrics["scored_on"].startswith("nothing, as every row was trained on; runs/tiny/source has ")
    assert kit.predict(refit, out="run.csv").rows == 30
    assert (
        "he run was trained on every row, so none is held out: see runs/tiny/source"
        in kit.api.report(refit).read_text()
    )
    with pytest.raises(kit.KitError, match="is no complete cross-validation to refit: train one with --folds 5"):
        kit.api.refit(refit)


def test_a_plateau_is_refitted_as_it_fell(tiny: Competition) -> None:
    rule = "reduce(0.5, patience=1, min_delta=0.5)"
    source = kit.train("tiny", folds=2, epochs=4, plateau=rule, schedule="constant")
    refit = kit.api.refit(source)
    rates = [[epoch.learning_rate for epoch in fold.read_history()] for fold in source.trained_folds()]
    mine = [epoch.learning_rate for epoch in refit.trained_folds()[0].read_history()]
    assert mine in rates
    assert mine[-1] < mine[0]


def test_snapshots_are_averaged_and_compared(tiny: Competition) -> None:
    run = kit.train("tiny", snapshots=3, epochs=6)
    recipe = run.read_recipe()["recipe"]
    assert (recipe["keep"], recipe["schedule"]) == ("snapshots", "warm_restarts(period=2)")
    (fold,) = run.trained_folds()
    members = fold.read_scores()["validation"]["members"]
    assert len(members["scores"]) == 3
    assert 0 <= members["vote_accuracy"] <= 1
    assert sorted(path.name for path in fold.path.glob("*.onnx")) == [f"snapshot-{n}.onnx" for n in (1, 2, 3)]
    assert len(kit.predict(run, out="run.csv").models) == 3


def test_a_snapshot_that_was_removed_meanwhile_is_not_done_without(tiny: Competition) -> None:
    class Remove(kit.api.Listener):
        def epoch_ended(self, epoch: kit.training.events.Epoch) -> None:
            for path in Path("runs").rglob("snapshot-1.weights.h5"):
                path.unlink()

    with pytest.raises(
        kit.KitError, match=r"the weights snapshot-1 were removed from .*: go on with --resume, or train"
    ):
        kit.train("tiny", snapshots=3, epochs=6, listener=Remove(), name="robbed")
    run = kit.api.resume("runs/tiny/robbed")
    assert len(run.read_metrics()["validation"]["members"]["scores"]) == 3


def kit_process(*words: str, cwd: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "kit", *words]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=cwd)


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists() and process.poll() is None:
        time.sleep(0.02)


WORDS = ["train", "digits", "--epochs", "6", "--checkpoint-seconds", "0"]


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> FoldDirectory:
    """A run that nothing interrupts."""
    directory = tmp_path_factory.mktemp("straight")
    process = kit_process(*WORDS, "--name", "straight", cwd=directory)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return RunDirectory(directory / "runs/digits/straight").trained_folds()[0]


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, *(pytest.param(each, marks=pytest.mark.slow) for each in (signal.SIGKILL, signal.SIGINT))],
)
def test_a_run_that_was_ended_by_a_signal_goes_on_to_the_same_end(
    tmp_path: Path, number: int, straight: FoldDirectory
) -> None:
    killed = kit_process(*WORDS, "--name", "killed", cwd=tmp_path)
    wait_for(tmp_path / "runs/digits/killed/history.csv", killed)
    time.sleep(0.1)
    killed.send_signal(number)
    _, errors = killed.communicate(timeout=60)
    assert killed.returncode == (-9 if number == signal.SIGKILL else 128 + number), errors
    assert "Traceback" not in errors
    if number != signal.SIGKILL:
        assert "go on with: kit train --resume runs/digits/killed" in errors
    again = kit_process("train", "--resume", "runs/digits/killed", cwd=tmp_path)
    _, errors = again.communicate(timeout=300)
    assert again.returncode == 0, errors
    one, other = straight, RunDirectory(tmp_path / "runs/digits/killed").trained_folds()[0]
    for name, values in one.read_predictions().items():
        np.testing.assert_array_equal(values, other.read_predictions()[name])
    losses = [[(epoch.loss, epoch.validation_loss) for epoch in fold.read_history()] for fold in (one, other)]
    assert losses[0] == losses[1]
    assert (other.path / "model.onnx").is_file()


def test_only_what_is_left_is_trained(tiny: Competition) -> None:
    class StopInSecondFold(kit.api.Listener):
        fold = 0

        def fold_started(self, fold: int, folds_left: int, epochs: int, steps_per_epoch: int) -> None:
            self.fold = fold

        def signalled(self) -> int:
            return 15 if self.fold == 1 else 0

    straight = kit.train("tiny", folds=3, epochs=2, name="straight")
    with pytest.raises(kit.errors.Interrupted, match="kit train --resume runs/tiny/run"):
        kit.train("tiny", folds=3, epochs=2, name="run", listener=StopInSecondFold())
    run = RunDirectory(Path("runs/tiny/run"))
    before = (run.path / "fold-0/scores.json").stat().st_mtime_ns
    with pytest.raises(kit.KitError, match=r"cannot go on with another recipe: epochs was 2, is 3: train a new run"):
        kit.api.resume(run.path, epochs=3)
    kit.api.resume(run.path, epochs=2)
    assert (run.path / "fold-0/scores.json").stat().st_mtime_ns == before
    with np.load(straight.path / "out_of_fold.npz") as one, np.load(run.path / "out_of_fold.npz") as other:
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_a_time_limit_ends_in_time_with_a_model_and_the_run_goes_on_later(tiny: Competition) -> None:
    straight = kit.train("tiny", epochs=3, name="straight")
    run = kit.train("tiny", epochs=3, name="run", time_limit=0)
    assert run.read_metrics()["status"] == "interrupted"
    assert kit.predict(run, out="run.csv").rows == 30
    kit.api.resume(run)
    assert run.read_metrics()["status"] == "complete"
    assert run.read_metrics()["validation"] == straight.read_metrics()["validation"]


def test_one_writer_a_run(tiny: Competition) -> None:
    run = kit.train("tiny", epochs=1, name="run")
    with run.locked(), pytest.raises(kit.KitError, match=rf"process {os.getpid()} is training runs/tiny/run: wait"):
        kit.api.resume(run)
    (run.path / "lock").write_text("999999")  # of a process that was killed
    kit.api.resume(run)


def test_a_recipe_that_was_edited_is_refused(tiny: Competition) -> None:
    run = kit.train("tiny", epochs=1, name="run")
    saved = json.loads((run.path / "recipe.json").read_text())
    saved["recipe"]["learning_rate"] = 1.0
    (run.path / "recipe.json").write_text(json.dumps(saved))
    with pytest.raises(kit.KitError, match="recipe.json was changed since the run began: put it back, or train a new"):
        kit.api.resume(run)


def test_images_in_another_order_are_refused(tiny: Competition) -> None:
    run = kit.train("tiny", epochs=1, name="run")
    teacher = kit.train("tiny", folds=2, epochs=1, name="teacher")
    images = striped_images(90)
    turned = Images(images.pixels[::-1].copy(), images.ids, images.labels[::-1].copy())  # type: ignore[index]
    object.__setattr__(tiny, "load_train", lambda: turned)
    with pytest.raises(kit.KitError, match="are not those that this run was trained on, or stand in another order"):
        kit.api.resume(run)
    with pytest.raises(kit.KitError, match="was trained on other images, or with other ids: a teacher must know the"):
        kit.train("tiny", distill=str(teacher.path))


class Stop(kit.api.Listener):
    def keep_going(self) -> bool:
        return False


def test_a_second_limited_session_is_scored_too(tiny: Competition) -> None:
    run = kit.train("tiny", epochs=3, listener=Stop())
    first = run.read_metrics()
    kit.api.resume(run, listener=Stop())
    second = run.read_metrics()
    assert (first["status"], second["status"]) == ("interrupted", "interrupted")
    assert first["validation"]["log_loss"] != second["validation"]["log_loss"]


def test_a_signal_after_the_last_batch_ends_before_the_export(tiny: Competition) -> None:
    class SignalAtTheEnd(kit.api.Listener):
        def epoch_ended(self, epoch: kit.training.events.Epoch) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(
        kit.errors.Interrupted, match="the training has ended, without an export: kit export --onnx"
    ) as e:
        kit.train("tiny", epochs=1, name="run", listener=SignalAtTheEnd())
    assert e.value.number == signal.SIGTERM
    run = RunDirectory(Path("runs/tiny/run"))
    assert run.read_metrics()["status"] == "complete"
    assert kit.api.export(run)


def test_weights_that_went_on_since_they_were_scored_are_not_exported(tiny: Competition) -> None:
    run = kit.train("tiny", epochs=3, listener=Stop())

    class Kill(kit.api.Listener):
        def epoch_ended(self, epoch: kit.training.events.Epoch) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kit.api.resume(run, listener=Kill())
    with pytest.raises(kit.KitError, match=r"last.weights.h5 is not what was scored: the training went on"):
        kit.api.export(run)
    assert kit.predict(run, out="run.csv").rows == 30  # the file that was exported with its score
    kit.api.resume(run)
    assert kit.api.export(run)


def test_a_run_that_was_never_scored_says_how_to_go_on(tiny: Competition) -> None:
    run = kit.train("tiny", epochs=1)
    (run.path / "scores.json").unlink()
    (run.path / "model.onnx").unlink()
    for step in (kit.api.export, lambda run: kit.predict(run, out="run.csv")):
        with pytest.raises(kit.KitError, match=rf"the run {run.path} has no scored model: .* --resume {run.path}"):
            step(run)


def test_tensorboard_gets_what_the_history_has(tiny: Competition) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = kit.train("tiny", epochs=2, tensorboard=True)
    events = accumulator.EventAccumulator(str(run.path / "tensorboard/fold-0"))
    events.Reload()
    history = run.trained_folds()[0].read_history()
    shown = [(event.step, event.tensor_proto.float_val[0]) for event in events.Tensors("validation_loss")]
    assert shown == [(epoch.epoch, pytest.approx(epoch.validation_loss)) for epoch in history]


@pytest.fixture
def teacher(tiny: Competition) -> RunDirectory:
    return kit.train("tiny", folds=3, epochs=4, name="teacher")


def test_a_teacher_is_learned_from_where_it_had_not_seen_the_image(tiny: Competition, teacher: RunDirectory) -> None:
    from kit.planning import plan_training

    plan = plan_training("tiny", distill=str(teacher.path), distill_share=0.25)
    with np.load(teacher.path / "out_of_fold.npz") as out_of_fold:
        soft = dict(zip(out_of_fold["ids"].tolist(), out_of_fold["probabilities"], strict=True))
    images = plan.images
    for row in (0, 7, 89):
        expected = 0.75 * np.eye(3)[images.labels[row]] + 0.25 * soft[images.ids[row].item()]  # type: ignore[index]
        np.testing.assert_allclose(images.targets[row], expected, atol=1e-6)  # type: ignore[index]
    student = kit.train("tiny", distill=str(teacher.path), epochs=4, name="student")
    assert student.read_metrics()["validation"]["selected"]  # the teacher has seen those rows
    assert student.read_metrics()["validation"]["accuracy"] > 0.6
    part = kit.train("tiny", split="stratified_kfold(3)", fold=0, epochs=1, name="part")
    with pytest.raises(kit.KitError, match=r"has out-of-fold probabilities of 30 of 90 images: a teacher needs"):
        kit.train("tiny", distill=str(part.path))
    with pytest.raises(kit.KitError, match=r"is a run of tiny, expected one of digits"):
        kit.train("digits", distill=str(teacher.path))


def test_test_images_that_a_model_is_sure_of_train_and_validate_nothing(
    tiny: Competition, teacher: RunDirectory
) -> None:
    from kit.planning import plan_training

    kit.predict(teacher, out="probabilities.csv", probabilities=True)
    header, *rows = (line.split(",") for line in Path("probabilities.csv").read_text().splitlines())
    assert header == ["id", "42", "3", "7"]
    tops = sorted(max(map(float, row[1:])) for row in rows)
    confidence = (tops[9] + tops[10]) / 2
    sure = sum(top >= confidence for top in tops)
    assert 0 < sure < 30
    both = plan_training("tiny", pseudo_labels="probabilities.csv", distill=str(teacher.path), distill_share=1.0)
    soft = {row[0]: np.array(row[1:], float) for row in rows}
    told = both.images.targets[90:]  # type: ignore[index]
    assert all(min(np.abs(target - each).max() for each in soft.values()) < 1e-5 for target in told)
    plan = plan_training("tiny", pseudo_labels="probabilities.csv", confidence=confidence)
    (fold,) = plan.folds
    assert len(plan.images) == 90 + sure
    assert set(range(90, 90 + sure)) <= set(fold.train.tolist())
    assert max(fold.validation.max(), fold.test.max()) < 90
    run = kit.train("tiny", pseudo_labels="probabilities.csv", confidence=confidence, epochs=2, name="run")
    assert run.read_metrics()["validation"]["rows"] == 9
    assert run.read_metrics()["validation"]["selected"]  # the teacher has learned those labels
    kit.api.resume(run)
    kit.api.report(run)
    with pytest.raises(kit.KitError, match=r"no image has a probability of 1 or more: lower --confidence"):
        kit.train("tiny", pseudo_labels="probabilities.csv", confidence=1)
    kit.predict(teacher, out="labels.csv")
    with pytest.raises(kit.KitError, match=r"labels.csv: the header is id,target, expected id,42,3,7"):
        kit.train("tiny", pseudo_labels="labels.csv")


def test_a_disk_that_fills_up_at_any_write_loses_nothing(tiny: Competition, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run says what to free, and goes on to the same end."""
    import errno
    from contextlib import contextmanager

    from kit.training import run_files

    straight = kit.train("tiny", epochs=1, name="straight", checkpoint_seconds=0)
    real, left = run_files.replacing, [10**9]

    @contextmanager
    def replacing(path: Path):  # type: ignore[no-untyped-def]
        left[0] -= 1
        with real(path) as scratch:
            yield scratch
            if left[0] < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(run_files, "replacing", replacing)
    number, failed = 0, 0
    while True:
        left[0] = number
        try:
            kit.train("tiny", epochs=1, name=f"run-{number}", checkpoint_seconds=0)
            break
        except kit.KitError as error:
            assert "No space left on device; free space there" in str(error)
            failed += 1
        left[0] = 10**9
        run = RunDirectory(Path(f"runs/tiny/run-{number}"))
        if run.path.exists():  # else it was refused before its first step
            kit.api.resume(run)
            assert run.read_metrics()["validation"] == straight.read_metrics()["validation"]
        number += 3
    assert failed >= 4


@pytest.mark.parametrize(
    ("file", "seconds", "limit"),
    [
        pytest.param("last.weights.h5", 3600, 1_000_000, marks=pytest.mark.slow),
        ("checkpoints/000000001.npz", 0, 4_000_000),
    ],
)
def test_a_limit_on_file_sizes_leaves_what_was_before(file: str, seconds: int, limit: int, tmp_path: Path) -> None:
    code = """
import resource, signal, sys
from kit.cli.main import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
main()
"""
    words = [
        "train",
        "digits",
        "--model",
        "brief",
        "--epochs",
        "2",
        "--checkpoint-seconds",
        str(seconds),
        "--name",
        "run",
    ]
    command = [sys.executable, "-c", code, str(limit), *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert f"kit: cannot write runs/digits/run/{file}: File too large; make the place writable" in done.stderr
    assert "Traceback" not in done.stderr
    if not seconds:  # without a first checkpoint there is nothing to go on with
        assert not (tmp_path / "runs" / "digits").exists()
        return
    done = subprocess.run(
        [sys.executable, "-m", "kit", "train", "--resume", "runs/digits/run"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
