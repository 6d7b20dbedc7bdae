"""A training that is cut off, by a signal, a time limit or a full disk, goes on to the same end, or says what to do."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import kit
import kit.api
from kit.data.images import Competition, Images
from kit.training.fold_directory import FoldDirectory
from kit.training.runs import RunDirectory
from tests.conftest import striped_images


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
def test_a_limit_on_file_sizes_ends_a_run_that_has_not_begun(
    file: str, seconds: int, limit: int, tmp_path: Path
) -> None:
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
    assert not (tmp_path / "runs" / "digits").exists()  # without weights or a checkpoint there is nothing to go on with
