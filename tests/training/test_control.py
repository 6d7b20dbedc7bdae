import math
from dataclasses import replace

import pytest

from kit.errors import RecipeError
from kit.training.control import PLATEAUS, best_epoch, epochs_without_progress, quality
from kit.training.events import Epoch


def epoch(number: int, loss: float, accuracy: float, score: float) -> Epoch:
    return Epoch(number, 10, 0.1, 1.0, 0.5, loss, accuracy, score, 1.0, 100.0)


HISTORY = [epoch(1, 0.9, 0.50, 1.2), epoch(2, 0.7, 0.60, 1.1), epoch(3, 0.8, 0.62, 0.9), epoch(4, 0.8, 0.62, 1.5)]


@pytest.mark.parametrize(
    ("monitor", "metric", "best"),
    [("loss", "accuracy", 2), ("accuracy", "accuracy", 3), ("score", "log_loss", 3), ("score", "macro_f1", 4)],
)
def test_the_best_epoch_is_the_first_best_by_what_is_monitored(monitor: str, metric: str, best: int) -> None:
    assert best_epoch(HISTORY, monitor, metric).epoch == best


def test_quality_is_higher_for_the_better() -> None:
    assert quality(HISTORY[1], "loss", "accuracy") > quality(HISTORY[0], "loss", "accuracy")
    assert quality(HISTORY[2], "score", "log_loss") > quality(HISTORY[3], "score", "log_loss")


@pytest.mark.parametrize(
    ("qualities", "expected"), [([], 0), ([1], 0), ([1, 2], 0), ([2, 1], 1), ([2, 2, 2], 2), ([1, 3, 2, 3, 1], 3)]
)
def test_epochs_without_progress(qualities: list[float], expected: int) -> None:
    assert epochs_without_progress(qualities) == expected


def test_the_rate_falls_after_so_many_epochs_without_progress_and_waits_anew() -> None:
    reduced = PLATEAUS.bind_one("reduce(0.1, patience=2)")()
    course = [5, 6, 6, 6, 6, 6, 7, 7, 7]  # progress at the 1st, 2nd and 7th epoch
    factors = [reduced(course[:ended]) for ended in range(len(course) + 1)]
    assert factors == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.001])


def test_the_rate_never_falls_below_the_minimum() -> None:
    assert PLATEAUS.bind_one("reduce(0.1, patience=1, minimum=0.05)")()([1] * 9) == 0.05


def test_no_plateau_leaves_the_schedule_alone() -> None:
    assert PLATEAUS.bind_one("none")()([1] * 9) == 1.0


@pytest.mark.parametrize("options", ["factor=1.0", "factor=0.0", "patience=0", "minimum=-0.1", "minimum=1.0"])
def test_bad_options(options: str) -> None:
    with pytest.raises(RecipeError, match="plateau: factor is"):
        PLATEAUS.bind_one(f"reduce({options})")()


def test_what_is_no_number_is_never_the_best() -> None:
    first = replace(HISTORY[0], validation_loss=math.nan, validation_score=math.nan)
    for monitor in ("loss", "score"):
        assert best_epoch([first, *HISTORY[1:]], monitor, "accuracy").epoch > 1
        assert quality(first, monitor, "accuracy") == -math.inf
