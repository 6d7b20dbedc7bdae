from pathlib import Path

import pytest

import kit.deploy.batch_size
from kit.deploy.batch_size import batch_size_by_rule, choose_batch_size
from kit.deploy.model_file import Model, load_model
from kit.errors import ModelFileError


@pytest.fixture
def model(digits_runs: Path) -> Model:
    return load_model(digits_runs / "digits" / "deeper-1" / "model.onnx")


@pytest.mark.parametrize(
    ("shape", "size"),
    [((28, 28, 1), 256), ((32, 32, 3), 256), ((64, 64, 3), 64), ((224, 224, 3), 4), ((2000, 2000, 3), 1)],
)
def test_the_rule_keeps_activations_small(shape: tuple[int, ...], size: int) -> None:
    assert batch_size_by_rule(shape) == size


def test_short_predictions_measure_nothing(model: Model, tmp_path: Path) -> None:
    assert choose_batch_size(model, 1000) == (256, "rule")
    assert choose_batch_size(model, 2000) == (256, "rule")
    assert not list(tmp_path.rglob("batch-sizes"))


def test_a_size_that_does_not_fit_into_the_memory_is_not_taken(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = 256

    def measured(model: Model, pixels, least: float) -> float:  # type: ignore[no-untyped-def]
        if len(pixels) > fits:
            raise ModelFileError("out of memory; try a smaller --batch-size")
        return 1 / len(pixels)

    monkeypatch.setattr(kit.deploy.batch_size, "_seconds_an_image", measured)
    assert choose_batch_size(model, 10_000) == (256, "measured")
    fits = 100
    with pytest.raises(ModelFileError, match="try a smaller --batch-size"):
        choose_batch_size(model, 20_000)


def test_what_was_measured_is_kept_for_this_model(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = {32: 3.0, 64: 1.0, 128: 2.0, 256: 4.0, 512: 5.0}
    asked: list[int] = []

    def measured(model: Model, pixels, least: float) -> float:  # type: ignore[no-untyped-def]
        asked.append(len(pixels))
        return seconds[len(pixels)]

    monkeypatch.setattr(kit.deploy.batch_size, "_seconds_an_image", measured)
    assert choose_batch_size(model, 10_000) == (64, "measured")
    assert set(asked) == set(seconds)
    seconds[32] = 0.1
    assert choose_batch_size(model, 10_000) == (64, "measured before")
    (kept,) = tmp_path.rglob("batch-sizes/*.json")
    kept.write_text("{")
    assert choose_batch_size(model, 10_000) == (32, "measured")
