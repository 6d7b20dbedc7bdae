import json
import shutil
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib
import pytest

from kit.models.build import Architecture, build_classifier
from kit.report.architecture import architecture, layers_of, model_layers
from kit.report.architecture_blocks import layered_blocks
from kit.report.architecture_flow import flow
from kit.report.architecture_steps import Block, Layer, Step, parts_of
from kit.report.drawing import STYLE, Figures
from kit.report.lettering import text_measure, wrapped
from kit.training.runs import RunDirectory

MODELS = {
    "deeper": (28, 28, 1),
    "custom_vgg16": (32, 32, 3),
    "wide_resnet": (32, 32, 3),
    "custom_resnet10": (32, 32, 3),
    "resnet50_224(train_blocks=2)": (32, 32, 3),
    "backbone('EfficientNetB0')": (32, 32, 3),
    "baseline": (32, 32, 3),
}


@cache
def build(spec: str, shape: tuple[int, int, int] | None = None) -> Any:
    shape = shape or MODELS[spec]
    return build_classifier(Architecture(spec, shape, 10, (1.0,) * shape[-1], (0.0,) * shape[-1]))


def chain(*kinds: str, name: str = "a", shape: tuple[int, ...] = (4, 4, 8)) -> list[Layer]:
    """Layers one after the other, 100 parameters each."""
    names = [f"{name}{number}" for number in range(len(kinds))]
    return [
        Layer(own, kind, shape, 100, 100, (before,) if before else ())
        for own, kind, before in zip(names, kinds, ["", *names], strict=False)
    ]


def boxes(figure: Any) -> list[tuple[str, Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # a legend is laid out only then
    renderer = canvas.get_renderer()
    texts = [each for each in figure.findobj(Text) if each.get_text()]
    return [(each.get_text(), each.get_window_extent(renderer)) for each in texts]


@pytest.mark.parametrize("spec", MODELS)
def test_every_weight_is_in_the_diagrams_and_no_words_overlap(spec: str) -> None:
    model = build(spec)
    layers = model_layers(model)
    assert sum(layer.parameters for layer in layers) == model.count_params()
    trainable = sum(weight.shape.num_elements() for weight in model.trainable_weights)
    assert sum(layer.trainable for layer in layers) == trainable
    names = [layer.name for layer in layers]
    for place, layer in enumerate(layers):
        assert set(layer.inputs) <= set(names[:place])  # after its inputs
    assert len(set(names)) == len(names)
    assert (layers[0].kind, layers[-1].name, layers[-1].shape) == ("InputLayer", "logits", (10,))
    parts = parts_of(layers)
    assert len(parts) <= 26
    assert sum(part.times * part.parameters for part in parts) == model.count_params()
    assert sum(part.times * part.trainable for part in parts) == trainable
    assert sum(part.times * len(part.all_layers) for part in parts) == len(layers)
    with matplotlib.rc_context(STYLE):
        drawn = [flow(parts), layered_blocks(parts)]
    for figure in drawn:
        width, height = figure.get_size_inches() * figure.dpi
        shown = boxes(figure)
        for words, box in shown:
            assert box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height, words
        for (one, first), (other, second) in combinations(shown, 2):
            assert not first.overlaps(second), (one, other)
    assert drawn[0].get_size_inches()[0] <= 5
    assert f"{model.count_params():,} parameters" in " ".join(words for words, _ in boxes(drawn[0]))


def test_steps_are_layers_and_what_serves_them() -> None:
    parts = parts_of(model_layers(build("deeper")))
    assert [part.words for part in parts] == [
        "Pixels + Rescale",
        "Convolution 3×3 + ReLU",
        "Max pooling 2×2 + BatchNorm",
        "Convolution 3×3 + ReLU + Dropout 25\u00a0%",
        "Max pooling 2×2",
        "Convolution 3×3 + ReLU + BatchNorm + Dropout 25\u00a0%",
        "Flatten",
        "Dense + ReLU",
        "Dense",
    ]
    assert [part.parameters for part in parts] == [0, 320, 128, 18496, 0, 37184, 0, 200768, 650]


def test_shortcuts_are_branches() -> None:
    blocks = [part for part in parts_of(model_layers(build("wide_resnet"))) if isinstance(part, Block)]
    assert len(blocks) == 6
    for number, block in enumerate(blocks):
        long, short = block.branches
        assert [step.kind for step in long] == ["Conv2D", "Conv2D"]
        assert [step.kind for step in short] == (["Conv2D"] if number % 2 == 0 else [])  # strided, or as it came
        assert block.end.kind == "Add"
    with matplotlib.rc_context(STYLE):
        words = [words for words, _ in boxes(flow(blocks))]
    assert words.count("shortcut") == 3
    assert words.count("Residual block") == 6


def test_equal_blocks_are_folded_and_others_are_not() -> None:
    parts = parts_of(model_layers(build("custom_resnet34_dropout", (32, 32, 3))))
    times = [part.times for part in parts if isinstance(part, Block)]
    # The first of a stage has a stride, and the last is followed by dropout.
    assert times == [2, 1, 1, 2, 1, 1, 4, 1, 1, 1, 1]
    layers = chain("InputLayer", "Conv2D", "Conv2D", "Conv2D")
    assert [part.times for part in parts_of(layers)] == [1, 3]
    layers[2] = Layer("a2", "Conv2D", (4, 4, 8), 101, 101, ("a1",))
    assert [part.times for part in parts_of(layers)] == [1, 1, 1, 1]


def test_frozen_layers_become_stages() -> None:
    parts = parts_of(model_layers(build("resnet50_224(train_blocks=2)")))
    frozen = [part for part in parts if part.parameters and not part.trainable]
    assert [part.words for part in frozen[1:3]] == [
        "Stage of 34 layers, 3 residual blocks",
        "Stage of 42 layers, 4 residual blocks",
    ]
    (last,) = [part for part in parts if isinstance(part, Block) and part.trainable]
    assert (last.times, last.shape) == (2, (7, 7, 2048))


def test_more_branches_than_there_is_room_for_are_one_step() -> None:
    layers = chain("InputLayer")
    for name in "bcd":
        layers += [Layer(name, "Conv2D", (4, 4, 8), 100, 100, ("a0",))]
    layers += [
        Layer("e", "Concatenate", (4, 4, 24), 0, 0, ("b", "c", "d")),
        Layer("f", "Flatten", (384,), 0, 0, ("e",)),
    ]
    parts = parts_of(layers)
    assert [part.words for part in parts] == ["Pixels", "Module of 4 layers: Convolution", "Flatten"]
    assert all(isinstance(part, Step) for part in parts)


def test_names_that_are_too_long_are_shortened() -> None:
    measure = text_measure(8)
    lines = wrapped("Convolution 3×3 + " + "Very" * 40 + "LongAttention + ReLU", 1.5, measure)
    assert len(lines) <= 4
    assert all(measure(line) <= 1.5 for line in lines)
    assert any(line.endswith("…") for line in lines)
    layers = [*chain("InputLayer", "Conv2D"), Layer("x", "Very" * 40 + "Long", (2, 2, 123456), 10**9, 10**9, ("a1",))]
    with matplotlib.rc_context(STYLE):
        shown = boxes(flow(parts_of(layers)))
    for (one, first), (other, second) in combinations(shown, 2):
        assert not first.overlaps(second), (one, other)


def test_layers_are_found_once_and_kept(digits_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunDirectory(shutil.copytree(digits_runs / "digits" / "deeper-1", tmp_path / "run"))
    found = layers_of(run)
    assert sum(layer.trainable for layer in found) == run.read_metrics()["trainable_parameters"]
    monkeypatch.setattr("kit.models.build.build_classifier", None)  # nothing is built any more
    assert layers_of(run) == found
    shown = architecture(run, Figures(tmp_path / "figures"))
    assert (shown.parameters, shown.trainable, shown.note) == (257546, 257354, "")
    assert shown.flow.startswith("<svg") and shown.blocks.startswith("<svg")
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        f"architecture{which}{suffix}" for which in ("-blocks", "") for suffix in (".png", ".svg")
    ]
    (run.path / "layers.json").write_text('{"layers": [{"name": 5}]}')  # of another version
    assert "cannot be built any more" in architecture(run, Figures()).note
    monkeypatch.undo()
    assert layers_of(run) == found


def test_a_model_that_cannot_be_built_any_more_is_told_in_a_line(digits_runs: Path, tmp_path: Path) -> None:
    run = RunDirectory(shutil.copytree(digits_runs / "digits" / "deeper-1", tmp_path / "run"))
    saved = json.loads((run.path / "architecture.json").read_text())
    told = {}
    for name, changes in {"gone": {"model": "mine"}, "other": {"model": "deeper(dropout=2)"}}.items():
        (run.path / "architecture.json").write_text(json.dumps(saved | changes))
        told[name] = architecture(run, Figures()).note
    assert told["gone"].startswith("the model mine cannot be built any more: unknown model 'mine'")
    assert "dropout is 2" in told["other"]
    (run.path / "architecture.json").write_text(json.dumps(saved | {"model": "brief"}))
    assert "257,354 trainable parameters, and kit now builds one of" in architecture(run, Figures()).note
    assert not (run.path / "layers.json").exists()
    (run.path / "architecture.json").write_text(json.dumps(saved))
    (run.path / "layers.json").write_text('{"layers": []}')
    (run.path / "scores.json").write_text("{}")  # does not say how many parameters it should have
    assert architecture(run, Figures()).trainable == 257_354
    (run.path / "layers.json").unlink()
    (run.path / "architecture.json").write_text("{}")
    assert "damaged" in architecture(run, Figures()).note
    (run.path / "architecture.json").unlink()
    assert architecture(run, Figures()).note.endswith("cut off before the first one was built")
