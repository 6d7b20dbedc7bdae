import os
from pathlib import Path

import numpy as np
import pytest

from kit.data.folds import Fold
from kit.errors import RunError
from kit.training.events import Epoch
from kit.training.fold_directory import FoldDirectory
from kit.training.runs import RunDirectory, find_runs, newest_run

ROOT = Path("runs")


def create(name: str | None = None) -> RunDirectory:
    run = RunDirectory.create(ROOT, "tiny", "deeper", name)
    run.write_recipe({"model": "deeper"}, {})
    return run


def test_runs_count_up_and_are_never_overwritten() -> None:
    assert [create().path.name for _ in range(3)] == ["deeper-1", "deeper-2", "deeper-3"]
    (ROOT / "tiny" / "deeper-1").rename(ROOT / "tiny" / "moved")
    assert create().path.name == "deeper-4"
    create("mine")
    with pytest.raises(RunError, match="runs/tiny/mine exists and is never overwritten: choose another --name"):
        create("mine")


@pytest.mark.parametrize("name", ["", "..", "a/b", "../up", ".hidden", "a b"])
def test_names_that_are_no_plain_file_names(name: str) -> None:
    with pytest.raises(RunError, match="expected letters"):
        create(name)


def test_the_newest_is_the_one_scored_last() -> None:
    with pytest.raises(RunError, match="no finished run in runs: train one with 'kit train digits'"):
        newest_run(ROOT)
    for age, name in enumerate(["b", "a", "c"]):
        run = create(name)
        if name != "c":  # c never finished
            run.write_metrics({"score": 0.5})
            os.utime(run.path / "metrics.json", (age, age))
    assert newest_run(ROOT).path.name == "a"
    assert {run.path.name for run in find_runs(ROOT)} == {"a", "b", "c"}


def test_what_is_written_is_read_back() -> None:
    run = create()
    folds = [
        Fold(np.array([0, 2]), np.array([1]), np.array([3])),
        Fold(np.array([1]), np.array([0]), np.array([], int)),
    ]
    run.write_split(folds, "holdout", seed=3)
    for written, read in zip(folds, run.read_split(), strict=True):
        for part in ("train", "validation", "test"):
            np.testing.assert_array_equal(getattr(written, part), getattr(read, part))
    history = [Epoch(n, 10, 0.1 / n, 1.5, 0.5, 1.25, 0.75, 0.7, 2.0, 640.0) for n in (1, 2)]
    directory = FoldDirectory(run.path)
    directory.write_history(history)
    assert directory.read_history() == history


def test_missing_and_damaged_files_are_named() -> None:
    run = create()
    with pytest.raises(RunError, match=r"incomplete: .*metrics.json is missing"):
        run.read_metrics()
    (run.path / "metrics.json").write_text("{")
    with pytest.raises(RunError, match=r"metrics.json is damaged: it is not JSON"):
        run.read_metrics()
    (run.path / "split.npz").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(RunError, match=r"split.npz is damaged"):
        run.read_split()
    (run.path / "split.npz").unlink()
    run.write_split([Fold(np.array([0]), np.array([1]), np.array([2]))], "holdout", 0)
    with np.load(run.path / "split.npz") as arrays:
        kept = {name: array for name, array in arrays.items() if name != "test_0"}
    np.savez(run.path / "split.npz", **kept)
    with pytest.raises(RunError, match=r"split.npz is damaged: .*test_0"):
        run.read_split()
    with pytest.raises(RunError, match="is not a run: it has no recipe.json"):
        RunDirectory.open(ROOT)


def test_a_failed_write_keeps_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    run = create()
    run.write_metrics({"score": 1})

    def full_disk(self: Path, *args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full_disk)
    message = r"cannot write .*metrics.json: No space left on device; free space there and start again, or choose"
    with pytest.raises(RunError, match=message):
        run.write_metrics({"score": 2})
    assert run.read_metrics() == {"score": 1}
    assert not list(run.path.glob(".writing*"))


HEADER = "epoch,steps,learning_rate,loss,accuracy,validation_loss,validation_accuracy,seconds,images_per_second\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEADER,
        HEADER + "1,2,0.1\n",
        HEADER + "1,2,0.1,1,1,1,1,1,1,9\n",
        HEADER + "one,2,0.1,1,1,1,1,1,1\n",
        "a\n1\n",
        "\xff",
    ],
)
def test_a_damaged_history_is_named(text: str) -> None:
    run = create()
    (run.path / "history.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match=r"history.csv is damaged: it is not what kit train writes") as error:
        FoldDirectory(run.path).read_history()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["{}", '{"model": "deeper", "colour": 3}'])
def test_a_damaged_architecture_is_named(text: str) -> None:
    run = create()
    (run.path / "architecture.json").write_text(text)
    with pytest.raises(RunError, match=r"architecture.json is damaged"):
        FoldDirectory(run.path).read_architecture()


def test_files_that_may_not_be_read_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    run = create()
    for name in ("metrics.json", "history.csv", "architecture.json", "predictions.npz"):
        (run.path / name).write_text("")

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr(Path, "open", refuse)
    fold = FoldDirectory(run.path)
    readers = [run.read_metrics, fold.read_history, fold.read_architecture, fold.read_predictions]
    for read, name in zip(readers, ("metrics", "history", "architecture", "predictions"), strict=True):
        with pytest.raises(RunError, match=f"cannot read .*{name}.*: Permission denied; make it readable"):
            read()


def test_a_run_that_is_being_trained_is_not_called_cut_off() -> None:
    from kit.opening import nothing_trained

    run = create()
    assert not run.is_locked  # nothing has ever locked it
    with run.locked():
        assert run.is_locked
        assert str(nothing_trained(run)).endswith("has no scored model yet: it is being trained now, wait for it")
        assert run.way_on == "it is being trained now, wait for it"
    assert not run.is_locked
    assert f"kit train --resume {run.path}" in str(nothing_trained(run))
    with run.locked():  # having asked keeps nobody from it
        pass
