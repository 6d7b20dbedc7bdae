import inspect

import keras
import numpy as np
import pytest

from kit.errors import RecipeError
from kit.models.backbones import FAMILIES, application, blocks, scaled
from kit.models.build import Architecture, build_classifier

NETWORKS = [
    name
    for name, function in vars(keras.applications).items()
    if inspect.isfunction(function) and "include_top" in inspect.signature(function).parameters
]


def build(spec: str, shape: tuple[int, int, int] = (32, 32, 3), precision: str = "float32"):  # type: ignore[no-untyped-def]
    ones = (1.0,) * shape[-1]
    return build_classifier(Architecture(spec, shape, 4, ones, (0.0,) * shape[-1]), precision)


def trained_layers(model) -> list[str]:  # type: ignore[no-untyped-def]
    return [layer.name for layer in model.layers if layer.trainable_weights]


def network(name: str, side: int = 96):  # type: ignore[no-untyped-def]
    return application(name)(include_top=False, weights=None, input_shape=(side, side, 3))


def test_every_network_of_keras_is_known() -> None:
    assert len(NETWORKS) >= 40
    modules = {inspect.unwrap(application(name)).__module__.rpartition(".")[2] for name in NETWORKS}
    assert modules <= set(FAMILIES)


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        ("efficientnet_v2_b0", "EfficientNetV2B0"),
        ("resnet50_v2", "ResNet50V2"),
        ("nasnet_mobile", "NASNetMobile"),
        ("convnext_xlarge", "ConvNeXtXLarge"),
        ("inception_resnet_v2", "InceptionResNetV2"),
    ],
)
def test_names_in_lower_case(name: str, spelled: str) -> None:
    assert application(name) is application(spelled) is getattr(keras.applications, spelled)


@pytest.mark.parametrize(("name", "meant"), [("resnet50_v3", "resnet50_v2"), ("MobileNetV4Large", "MobileNetV3Large")])
def test_an_unknown_network(name: str, meant: str) -> None:
    with pytest.raises(RecipeError, match=f"unknown backbone '{name}': did you mean '{meant}'[?] choose one of "):
        build(f"backbone('{name}')")


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("VGG16", "vgg16"),
        ("VGG19", "vgg19"),
        ("ResNet50", "resnet"),
        ("ResNet50V2", "resnet_v2"),
        ("DenseNet121", "densenet"),
        ("MobileNet", "mobilenet"),
        ("MobileNetV2", "mobilenet_v2"),
        ("Xception", "xception"),
        ("InceptionV3", "inception_v3"),
        ("InceptionResNetV2", "inception_resnet_v2"),
        ("NASNetMobile", "nasnet"),
        ("EfficientNetB0", "densenet"),  # which Keras scales inside, with weights of the file, to the same values
    ],
)
def test_the_scaling_is_the_one_that_keras_states(name: str, module: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3)).astype(np.float32)
    expected = getattr(keras.applications, module).preprocess_input(pixels.copy())
    np.testing.assert_allclose(np.asarray(scaled(pixels, name)), expected, atol=1e-4)


@pytest.mark.parametrize("name", ["MobileNetV3Small", "EfficientNetV2B0", "ConvNeXtTiny"])
def test_the_scaling_is_the_one_inside_the_network(name: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    base = network(name, 32)
    own = [layer for layer in base.layers if isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization)]
    expected = np.asarray(keras.Model(base.input, own[-1].output)(pixels))
    np.testing.assert_allclose(np.asarray(scaled(pixels, name)), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "number", "last"),
    [
        ("VGG16", 5, ["block5_conv1", "block5_conv2", "block5_conv3"]),
        ("Xception", 14, ["block14_sepconv1", "block14_sepconv1_bn", "block14_sepconv2", "block14_sepconv2_bn"]),
        ("MobileNet", 13, ["conv_dw_13", "conv_dw_13_bn", "conv_pw_13", "conv_pw_13_bn"]),
        ("ConvNeXtTiny", 18, ["depthwise_conv", "layernorm", "pointwise_conv_1", "pointwise_conv_2", "layer_scale"]),
    ],
)
def test_blocks(name: str, number: int, last: list[str]) -> None:
    base = network(name)
    parts = blocks(base, name)
    assert len(parts) == number
    assert [layer for part in parts for layer in part] == base.layers
    names = [layer.name.removeprefix("convnext_tiny_stage_3_block_2_") for layer in parts[-1] if layer.weights]
    assert names[: len(last)] == last


def test_the_last_blocks_train() -> None:
    head = ["logits"]
    assert trained_layers(build("backbone('VGG16', size=32)")) == head
    last = [f"block5_conv{number}" for number in (1, 2, 3)]
    assert trained_layers(build("backbone('VGG16', size=32, train_blocks=1)")) == last + head
    all_of_it = trained_layers(build("backbone('VGG16', size=32, train_blocks=-1)"))
    assert len(all_of_it) == 14
    assert trained_layers(build("backbone('VGG16', size=32, train_blocks=5)")) == all_of_it
    for number in (6, -2):
        with pytest.raises(RecipeError, match=f"train_blocks is {number}, but VGG16 has 5 blocks: expected 0"):
            build(f"backbone('VGG16', size=32, train_blocks={number})")


def test_frozen_blocks_neither_learn_nor_drop_out() -> None:
    model = build("backbone('EfficientNetV2B0', size=32, dropout=0.0, train_blocks=1)")
    part = keras.Model(model.input, model.get_layer("block6g_add").output)
    pixels = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(part(pixels, training=True)), np.asarray(part(pixels, training=False)))
    assert np.abs(np.asarray(model(pixels, training=True)) - np.asarray(model(pixels, training=False))).max() > 0


@pytest.mark.parametrize("name", ["EfficientNetB0", "InceptionV3"])
def test_layers_are_flat_and_keep_their_names(name: str) -> None:
    first, second = (build(f"backbone('{name}')") for _ in range(2))
    names = [layer.name for layer in first.layers if layer.weights]
    assert names == [layer.name for layer in second.layers if layer.weights]
    assert len({layer.name for layer in first.layers}) == len(first.layers)
    assert not [layer for layer in first.layers if isinstance(layer, keras.Model)]


def test_the_same_network_in_keras_answers_alike() -> None:
    """EfficientNet is the family whose own scaling is cut off."""
    model = build("backbone('EfficientNetB0', size=64, dropout=0.0)", (64, 64, 3))
    base = network("EfficientNetB0", 64)
    weights = {layer.name: layer.get_weights() for layer in model.layers}
    for layer in base.layers:
        if layer.name in weights and not isinstance(layer, keras.layers.Normalization):
            layer.set_weights(weights[layer.name])
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.float32)
    maps = base(np.asarray(keras.applications.densenet.preprocess_input(pixels.copy())) * 255)  # undoes its 1/255
    kernel, bias = weights["logits"]
    expected = np.asarray(maps).mean(axis=(1, 2)) @ kernel + bias
    np.testing.assert_allclose(np.asarray(model(pixels)), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "size"), [((28, 28, 1), (96, 96)), ((32, 64, 3), (96, 192)), ((100, 120, 3), (100, 120))]
)
def test_small_images_are_enlarged(shape: tuple[int, int, int], size: tuple[int, int]) -> None:
    preprocessing = build("backbone('MobileNetV3Small')", shape).get_layer("preprocessing")
    assert tuple(preprocessing.output.shape[1:]) == (*size, 3)


def test_grey_images_are_coloured_grey() -> None:
    keras.utils.set_random_seed(0)
    grey = build("backbone('VGG16', size=32)", (20, 20, 1))
    colour = build("backbone('VGG16', size=32)", (20, 20, 3))
    colour.set_weights(grey.get_weights())
    pixels = np.random.default_rng(0).integers(0, 256, (2, 20, 20, 1), np.uint8)
    expected = np.asarray(colour.predict_on_batch(np.repeat(pixels, 3, axis=-1)))
    np.testing.assert_allclose(np.asarray(grey.predict_on_batch(pixels)), expected, atol=1e-5)
    assert np.abs(expected).max() > 0


def test_images_that_a_network_does_not_take() -> None:
    with pytest.raises(
        RecipeError, match="Xception does not take images of 60x60 pixels .*71x71.*: choose a larger size"
    ):
        build("backbone('Xception', size=60)")
    with pytest.raises(RecipeError, match="images have 2 channels: .*take 1 .* or 3"):
        build("backbone", (32, 32, 2))
    with pytest.raises(RecipeError, match="size is 0, expected pixels a side"):
        build("vgg16_224(size=0)")


def test_images_that_a_published_model_was_not_made_for() -> None:
    for shape in ((20, 41, 1), (48, 48, 3)):
        assert build("vgg16_transfer", shape).output_shape == (None, 4)
