"""How long a training will take: what is measured, and the sum that is made of it."""

from pathlib import Path

import pytest

import kit.training.rehearsal
from kit import train
from kit.data.images import Competition
from kit.planning import estimate, plan_resumption, plan_training
from kit.training.rehearsal import FEWEST, Phase, Rehearsal


def test_the_sum() -> None:
    frozen, thawed = Phase(2, 10, (0.1, 0.1, 0.2)), Phase(3, 10, (0.5, 1.0, 1.5))
    measured = Rehearsal((frozen, thawed), start_seconds=4.0, epoch_seconds=2.0)
    assert measured.seconds(0.5) == pytest.approx(4 + 2 * 10 * 0.1 + 3 * 10 * 1.0 + (5 + 1) * 2.0)
    assert measured.seconds(0.5, trained=3) == pytest.approx(4 + 2 * 10 * 1.0 + (2 + 1) * 2.0)
    assert measured.seconds(0.0) < measured.seconds(0.5) < measured.seconds(1.0)


def test_folds_take_as_long_as_their_steps(tiny: Competition, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kit.training.rehearsal.SECONDS", 0.0)
    plan = plan_training("tiny", folds=3, epochs=2)
    told = estimate(plan)
    assert plan.steps == 2 * 3 * 4  # 60 rows a fold, 16 a batch
    assert told.seconds == pytest.approx(3 * told.rehearsal.seconds(0.5))
    assert told.fastest <= told.seconds <= told.slowest
    (phase,) = told.rehearsal.phases
    assert (phase.epochs, phase.steps) == (2, 4)
    assert len(phase.step_seconds) >= FEWEST
    assert min(phase.step_seconds) > 0
    assert not list(Path().glob("runs*"))


def test_each_size_of_growing_images_is_measured(tiny: Competition, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kit.training.rehearsal.SECONDS", 0.0)
    words = {"model": "speed_net(widths=(8, 16))", "progressive": "14,20,28", "batch_size": 8}
    measured: list[int | None] = []
    real = kit.training.rehearsal.set_size
    monkeypatch.setattr(
        "kit.training.rehearsal.set_size",
        lambda training, epoch: (real(training, epoch), measured.append(training.step.size)),
    )
    told = estimate(plan_training("tiny", epochs=7, **words))
    assert sum(phase.epochs for phase in told.rehearsal.phases) == 7
    assert measured == [(14, 14), (20, 20), None]
    assert [phase.title for phase in told.rehearsal.phases] == ["14x14", "20x20", ""]


def test_a_run_that_goes_on_takes_what_is_left_of_it(tiny: Competition, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kit.training.rehearsal.SECONDS", 0.0)
    run = train("tiny", folds=2, epochs=4)
    assert plan_resumption(run, {}).trained == (4, 4)
    assert estimate(plan_resumption(run, {})).seconds == 0
    begun = run.trained_folds()[1]
    (begun.path / "scores.json").unlink()
    begun.write_history(begun.read_history()[:1])
    plan = plan_resumption(run, {})
    assert plan.trained == (4, 1)
    told = estimate(plan)
    assert told.seconds == pytest.approx(told.rehearsal.seconds(0.5, trained=1))


def test_frozen_epochs_are_measured_apart(tiny: Competition, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kit.training.rehearsal.SECONDS", 0.0)
    first = train("tiny", epochs=1)
    words = {"weights": str(first.path), "frozen_epochs": 2, "average": "ema", "balance": "sampling"}
    told = estimate(plan_training("tiny", epochs=3, **words))
    assert [phase.epochs for phase in told.rehearsal.phases] == [2, 1]
    assert [phase.title for phase in told.rehearsal.phases] == ["frozen", ""]
