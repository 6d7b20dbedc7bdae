import json
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from kit.errors import ModelFileError, RecipeError
from kit.models.build import Architecture, build_classifier
from kit.models.carry import carry_file, carry_from, carry_imagenet, imagenet_backbone, weighted_layers

SMALL = "backbone('MobileNetV3Small', size=32)"


def build(spec: str, shape: tuple[int, int, int] = (28, 28, 1), classes: int = 3):  # type: ignore[no-untyped-def]
    ones = (1.0,) * shape[-1]
    return build_classifier(Architecture(spec, shape, classes, ones, (0.0,) * shape[-1]))


def network():  # type: ignore[no-untyped-def]
    """As somebody else would make it, with averages that differ from those of a new network."""
    model = keras.applications.MobileNetV3Small(include_top=False, weights=None, input_shape=(32, 32, 3))
    shift_averages(model)
    return model


def shift_averages(model) -> None:  # type: ignore[no-untyped-def]
    for place, layer in enumerate(weighted_layers(model)):
        layer.set_weights([array + 0.01 * place for array in layer.get_weights()])


def write_older_format(model, path: Path, names: dict[str, str] | None = None) -> Path:  # type: ignore[no-untyped-def]
    """The layout of the files that keras.applications downloads."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [(names or {}).get(each.name, each.name).encode() for each in model.layers]
        file.attrs["keras_version"], file.attrs["backend"] = b"2.2.4", b"tensorflow"
        for layer in model.layers:
            name = (names or {}).get(layer.name, layer.name)
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{each.name}:0".encode() for each in layer.weights]
            for each, array in zip(layer.weights, layer.get_weights(), strict=True):
                group.create_dataset(f"{name}/{each.name}:0", data=array)
    return path


def assert_equal_backbones(classifier, base) -> None:  # type: ignore[no-untyped-def]
    expected = {layer.name: layer.get_weights() for layer in weighted_layers(base)}
    found = {layer.name: layer.get_weights() for layer in weighted_layers(classifier) if layer.name != "logits"}
    assert found.keys() == expected.keys()
    for name, arrays in expected.items():
        for received, array in zip(found[name], arrays, strict=True):
            np.testing.assert_array_equal(received, array)


def assert_unchanged(classifier, before: list[np.ndarray]) -> None:  # type: ignore[no-untyped-def]
    for received, expected in zip(classifier.get_weights(), before, strict=True):
        np.testing.assert_array_equal(received, expected)


def test_the_same_model_built_twice_in_a_process() -> None:
    source, target = build("deeper"), build("deeper", classes=5)
    shift_averages(source)
    head = target.get_layer("logits").get_weights()
    carried = carry_from(target, source, "runs/a")
    sources = dict(zip([layer.name for layer in weighted_layers(target)], weighted_layers(source), strict=True))
    assert [layer.name for layer in carried.layers] == list(sources)
    assert len(set(sources) & {layer.name for layer in sources.values()}) == 1  # Keras numbers all but the last
    for layer in weighted_layers(target)[:-1]:
        for received, expected in zip(layer.get_weights(), sources[layer.name].get_weights(), strict=True):
            np.testing.assert_array_equal(received, expected)
    for received, expected in zip(target.get_layer("logits").get_weights(), head, strict=True):
        np.testing.assert_array_equal(received, expected)
    assert carried.names == [layer.name for layer in weighted_layers(target)[:-1]]
    assert carried.layers[-1].note == "head: it belongs to the other classes"


def test_what_does_not_fit_is_told_layer_by_layer() -> None:
    source, target = build("deeper"), build("deeper", (32, 32, 3), 5)
    carried = carry_from(target, source, "runs/a")
    notes = {layer.name.rstrip("_0123456789"): layer.note for layer in reversed(carried.layers)}  # the first of each
    assert notes["conv2d"] == "shape (3,3,1,32) (32) there, (3,3,3,32) (32) here"
    assert notes["dense"] == "shape (3136,64) (64) there, (4096,64) (64) here"
    assert notes["batch_normalization"].startswith("carried from batch_normalization")
    told = json.loads(json.dumps(carried.to_dict()))
    weights = 4 * 32 + (9 * 32 * 64 + 64) + (9 * 64 * 64 + 64) + 4 * 64
    everything = sum(int(np.prod(weight.shape)) for weight in target.weights)
    assert told["summary"] == f"carried 4 of 7 layers, {weights:,} of {everything:,} weights, from runs/a"
    assert len(told["layers"]) == 7
    assert told["origin"] == "runs/a"
    conv, normalization = told["layers"][:2]
    assert (conv["shapes"], conv["from"], conv["note"]) == ([[3, 3, 3, 32], [32]], None, notes["conv2d"])
    assert normalization["from"] == source.layers[4].name


def test_layers_that_the_other_does_not_have() -> None:
    carried = carry_from(build("deeper"), build("brief"), "runs/a")
    notes = [layer.note for layer in carried.layers]
    assert notes.count("new: no such layer there") == 3  # two convolutions and a normalisation
    assert len(carried.names) == 2


def test_a_backbone_from_another_head_and_size() -> None:
    source, target = build(SMALL), build("backbone('MobileNetV3Small', train_blocks=2)", (40, 40, 3), 7)
    carried = carry_from(target, source, "runs/a")
    assert len(carried.names) == len(carried.layers) - 1
    assert all(layer.source == layer.name for layer in carried.layers[:-1])


def test_layers_inside_of_layers() -> None:
    source, target = (build("backbone('ConvNeXtTiny', size=32)") for _ in range(2))
    shift_averages(source)
    carried = carry_from(target, source, "runs/a")
    assert "convnext_tiny_downsampling_conv_2" in carried.names
    assert_equal_backbones(target, keras.Model(source.input, source.get_layer("head_pool").output))


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras", ".h5", "_notop.h5"])
def test_files_of_a_network(suffix: str, tmp_path: Path) -> None:
    base, classifier, path = network(), build(SMALL), tmp_path / f"net{suffix}"
    if suffix == ".weights.h5":
        base.save_weights(path)
    elif suffix == "_notop.h5":
        write_older_format(base, path)
    else:
        base.save(path)
    carried = carry_file(classifier, path)
    assert_equal_backbones(classifier, base)
    assert carried.origin == str(path)
    assert len(carried.names) == len(carried.layers) - 1


def test_an_older_file_with_names_that_the_network_no_longer_has(tmp_path: Path) -> None:
    base, classifier = network(), build(SMALL)
    before = {"conv": "Conv", "conv_bn": "Conv/BatchNorm"}  # as Keras has them in its storage
    carry_file(classifier, write_older_format(base, tmp_path / "old_notop.h5", before))
    assert_equal_backbones(classifier, base)
    top = keras.layers.Dense(7, name="predictions")(keras.layers.GlobalAveragePooling2D()(base.output))
    whole, classifier = keras.Model(base.input, top), build(SMALL, classes=7)
    carried = carry_file(classifier, write_older_format(whole, tmp_path / "old.h5", before))
    assert_equal_backbones(classifier, base)
    assert carried.layers[-1].source is None


def test_no_frozen_layer_stays_random(tmp_path: Path) -> None:
    base, path = network(), tmp_path / "net.weights.h5"
    base.save_weights(path)
    with h5py.File(path, "r+") as file:
        del file["layers/conv2d"]
    frozen = build(SMALL)
    message = (
        r"1 of the model's \d+ frozen layers would keep random weights, as nothing in .*net.weights.h5 fits them "
        r"\(conv: new: no such layer there\): take the weights of the same backbone, or let all layers train"
    )
    before = [array.copy() for array in frozen.get_weights()]
    with pytest.raises(ModelFileError, match=message):
        carry_file(frozen, path)
    assert_unchanged(frozen, before)
    carried = carry_file(build("backbone('MobileNetV3Small', size=32, train_blocks=-1)"), path)
    assert [layer.name for layer in carried.layers if layer.source is None] == ["conv", "logits"]


def test_a_file_of_a_model_around_the_network(tmp_path: Path) -> None:
    base = network()
    whole = keras.Sequential([keras.Input((32, 32, 3)), base, keras.layers.Flatten(), keras.layers.Dense(2)])
    whole.save_weights(tmp_path / "whole.weights.h5")
    classifier = build(SMALL)
    carry_file(classifier, tmp_path / "whole.weights.h5")
    assert_equal_backbones(classifier, base)


def test_names_that_keras_numbered_otherwise_in_a_file(tmp_path: Path) -> None:
    source, target = build("deeper"), build("deeper")
    shift_averages(source)
    renamed = {
        layer.name: f"{layer.name.rstrip('_0123456789')}_{90 + place}" for place, layer in enumerate(source.layers)
    }
    del renamed["logits"]
    carried = carry_file(target, write_older_format(source, tmp_path / "old.h5", renamed))
    assert len(carried.names) == 6
    for ours, theirs in zip(weighted_layers(target)[:-1], weighted_layers(source)[:-1], strict=True):
        for received, expected in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(received, expected)


def test_a_file_without_names(tmp_path: Path) -> None:
    """More than ten layers of a class, whose groups HDF5 lists as conv2d, conv2d_1, conv2d_10, conv2d_2."""
    base, classifier, path = network(), build(SMALL), tmp_path / "net.weights.h5"
    base.save_weights(path)
    with h5py.File(path, "r+") as file:
        for group in file["layers"].values():
            group["vars"].attrs.pop("name", None)
    carry_file(classifier, path)
    assert_equal_backbones(classifier, base)


@pytest.mark.backend
def test_weights_of_a_classifier_of_our_own(tmp_path: Path) -> None:
    source, target = build("deeper"), build("deeper", classes=5)
    shift_averages(source)
    source.save_weights(tmp_path / "last.weights.h5")
    carried = carry_file(target, tmp_path / "last.weights.h5")
    assert len(carried.names) == 6
    np.testing.assert_array_equal(
        weighted_layers(target)[0].get_weights()[0], weighted_layers(source)[0].get_weights()[0]
    )


def damage(kind: str, path: Path) -> None:
    whole = path.read_bytes()
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "text":
        path.write_text("<html>404</html>")
    elif kind == "missing":
        path.unlink()
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("other.txt", "")
    elif kind == "packed":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("model.weights.h5", whole)
    else:
        with h5py.File(path, "r+") as file:
            dense = file["layers/dense/vars"]
            if kind == "link":
                del dense["0"]
                dense["0"] = h5py.ExternalLink("/etc/passwd", "/0")
            elif kind == "loop":
                del file["layers/dense/vars"]
                file["layers/dense/layers"] = file["layers"]
            elif kind == "nan":
                dense["0"][-1, -1] = np.nan
            elif kind == "words":
                del dense["0"]
                dense.create_dataset("0", (3136, 64), "S3")
            elif kind == "foreign":
                file.move("layers", "state_dict")
            elif kind == "misfit":
                for name in ("conv2d", "conv2d_1", "conv2d_2", "batch_normalization", "batch_normalization_1", "dense"):
                    del file[f"layers/{name}"]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("empty", "is empty: download"),
        (
            "cut",
            "cannot read .*w.weights.h5: .*truncated.*; it is damaged or no file of Keras weights, expected .weights",
        ),
        ("text", "cannot read .*w.weights.h5: .*; it is damaged or no file"),
        ("missing", "there is no file .*w.weights.h5: expected Keras weights"),
        ("zip", "cannot read .*no item named 'model.weights.h5'.*expected"),
        ("packed", "cannot read .*model.weights.h5 in it is compressed"),
        ("link", "cannot read .*: 0 is missing, or a link"),
        ("loop", "cannot read .*: it has more than 10000 layers, or models in models 8 levels"),
        ("nan", "is damaged or was diverging: layer dense.* has weights that are not numbers"),
        ("words", "has weights that are not numbers"),
        ("foreign", "cannot read .*: it holds state_dict, vars"),
        (
            "misfit",
            r"nothing in .* fits the model's 7 layers \(conv2d.*: new: no such layer there; .*expected the weights",
        ),
    ],
)
def test_files_that_cannot_be_used(kind: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "w.weights.h5"
    build("deeper").save_weights(path)
    damage(kind, path)
    classifier = build("deeper")
    before = [array.copy() for array in classifier.get_weights()]
    with pytest.raises(ModelFileError, match=message) as caught:
        carry_file(classifier, path)
    assert "\n" not in str(caught.value)
    assert_unchanged(classifier, before)


def test_which_models_have_imagenet_weights() -> None:
    assert imagenet_backbone("vgg16_224(train_blocks=1)") == "VGG16"
    assert imagenet_backbone("backbone") == "EfficientNetV2B0"
    assert imagenet_backbone("backbone('xception', size=80)") == "xception"
    with pytest.raises(
        RecipeError, match="no ImageNet weights for the model 'deeper': expected one of backbone, .*vgg16_"
    ):
        imagenet_backbone("deeper(dropout=0.1)")
    with pytest.raises(RecipeError, match="did you mean 'deeper'"):
        imagenet_backbone("deper")


@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory that is served as Keras's own storage of MobileNet, the family that it loads without a checksum."""
    directory = tmp_path / "storage"
    for each in (directory, tmp_path / "keras"):
        each.mkdir()
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path / "keras"))
    handler = partial(_Quiet, directory=str(directory))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        monkeypatch.setattr("keras.src.applications.mobilenet.BASE_WEIGHT_PATH", address)
        yield directory
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def test_imagenet_weights_are_downloaded_and_carried(downloads: Path, capsys: pytest.CaptureFixture[str]) -> None:
    published = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(64, 64, 3))
    shift_averages(published)
    write_older_format(published, downloads / "mobilenet_1_0_224_tf_no_top.h5")
    classifier = build("backbone('mobilenet', size=32)")
    carried = carry_imagenet(classifier, "backbone('mobilenet', size=32)")
    assert_equal_backbones(classifier, published)
    assert carried.origin == "the ImageNet weights of mobilenet"
    assert capsys.readouterr().out == ""  # where results go


def test_without_a_network(monkeypatch: pytest.MonkeyPatch, downloads: Path) -> None:
    monkeypatch.setattr("keras.src.applications.mobilenet.BASE_WEIGHT_PATH", "http://127.0.0.1:9/")
    classifier = build("backbone('MobileNet', size=32)")
    before = [array.copy() for array in classifier.get_weights()]
    message = (
        r"cannot fetch the ImageNet weights of MobileNet from http://127.0.0.1:9/mobilenet_1_0_224_tf_no_top.h5 "
        r"\(.*refused\): try on a machine with network, or download mobilenet_1_0_224_tf_no_top.h5 there and give it "
        r"here: --weights mobilenet_1_0_224_tf_no_top.h5$"
    )
    with pytest.raises(ModelFileError, match=message):
        carry_imagenet(classifier, "backbone('MobileNet', size=32)")
    assert_unchanged(classifier, before)


def test_a_download_that_is_no_weights_file(downloads: Path) -> None:
    (downloads / "mobilenet_1_0_224_tf_no_top.h5").write_text("<html>please log in</html>")
    with pytest.raises(ModelFileError, match="cannot load the ImageNet weights of MobileNet: .*; try again, or give"):
        carry_imagenet(build("backbone('MobileNet', size=32)"), "backbone('MobileNet', size=32)")
