"""Mixing against plain NumPy: targets that name the rows tell which partner was drawn and what its share is."""

import math

import numpy as np
import pytest
from scipy import stats

from kit.errors import RecipeError
from kit.training.augment import AUGMENTATIONS, augmentation
from kit.training.augment.mixing import cut_boxes, paste, symmetric_beta
from kit.training.step import training_step


def mix(spec: str, rows: int = 64, shape: tuple[int, int, int] = (12, 15, 3)) -> tuple[np.ndarray, ...]:
    """Images, what became of them, and the row that each was mixed with and its share."""
    import keras

    images = np.random.default_rng(0).uniform(0, 255, (rows, *shape)).astype(np.float32)
    targets = np.eye(rows, dtype=np.float32)
    apply, seed = augmentation(spec), keras.random.SeedGenerator(3)
    mixed, soft = map(
        np.asarray, apply(keras.ops.convert_to_tensor(images), keras.ops.convert_to_tensor(targets), seed)
    )
    assert soft.min() >= 0
    assert ((soft > 0).sum(axis=1) <= 2).all()  # of the image and of one partner
    np.testing.assert_allclose(soft.sum(axis=1), 1, atol=1e-6)
    others = np.where(targets == 1, 0, soft)
    return images, mixed, others.argmax(axis=1), others.max(axis=1)


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_mixup_blends_images_as_it_blends_targets(alpha: float) -> None:
    images, mixed, partners, shares = mix(f"mixup({alpha})")
    for row, (partner, share) in enumerate(zip(partners, shares, strict=True)):
        np.testing.assert_allclose(mixed[row], (1 - share) * images[row] + share * images[partner], atol=1e-3)
    assert len(np.unique(shares)) > 32  # drawn for each image


@pytest.mark.backend
@pytest.mark.parametrize("spec", ["cutmix", "cutmix(0.25)", "cutmix(probability=0.5)"])
@pytest.mark.parametrize("shape", [(12, 15, 3), (7, 7, 1), (1, 9, 1)])
def test_the_target_of_cutmix_counts_the_pixels_of_the_partner(spec: str, shape: tuple[int, int, int]) -> None:
    images, mixed, partners, shares = mix(spec, shape=shape)
    for row, (partner, share) in enumerate(zip(partners, shares, strict=True)):
        pasted = (mixed[row] != images[row]).any(axis=-1)
        expected = images[row].copy()
        expected[pasted] = images[partner][pasted]  # from the same place
        np.testing.assert_array_equal(mixed[row], expected)
        assert share == pytest.approx(pasted.sum() / pasted.size, abs=1e-6)
        if share:
            (top, left), (bottom, right) = np.argwhere(pasted).min(axis=0), np.argwhere(pasted).max(axis=0)
            assert pasted[top : bottom + 1, left : right + 1].all()
    assert len(np.unique(shares)) > 4


@pytest.mark.backend
@pytest.mark.parametrize("spec", ["mixup", "cutmix"])
def test_partners_are_a_permutation(spec: str) -> None:
    _, _, partners, shares = mix(f"{spec}(8.0)", rows=200)  # hardly ever a share of nearly 0
    assert np.unique(partners[shares > 0], return_counts=True)[1].max() == 1
    assert (shares > 0).sum() > 180


def slow_boxes(ratio: np.ndarray, centres: np.ndarray, height: int, width: int) -> list[list[int]]:
    boxes = []
    for share, down, right in zip(1 - ratio, *centres, strict=True):
        half_height, half_width = math.sqrt(share) * height / 2, math.sqrt(share) * width / 2
        top, bottom = (math.floor(down * height + offset + 0.5) for offset in (-half_height, half_height))
        left, right_ = (math.floor(right * width + offset + 0.5) for offset in (-half_width, half_width))
        boxes.append([max(top, 0), max(left, 0), min(bottom, height), min(right_, width)])
    return boxes


@pytest.mark.backend
@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 20, 3)])
def test_boxes_and_pasting_are_those_of_a_plain_loop(shape: tuple[int, int, int]) -> None:
    random = np.random.default_rng(1)
    images, partners = random.uniform(0, 255, (2, 300, *shape)).astype(np.float32)
    ratio, centres = random.uniform(size=300).astype(np.float32), random.uniform(size=(2, 300)).astype(np.float32)
    expected_boxes = slow_boxes(ratio, centres, *shape[:2])
    boxes = np.asarray(cut_boxes(ratio, centres, *shape[:2]))
    np.testing.assert_array_equal(boxes, expected_boxes)
    expected = images.copy()
    for row, (top, left, bottom, right) in enumerate(expected_boxes):
        expected[row, top:bottom, left:right] = partners[row, top:bottom, left:right]
    np.testing.assert_array_equal(np.asarray(paste(images, partners, boxes)), expected)


def test_a_box_that_is_not_cut_off_has_the_area_asked_for() -> None:
    ratio = np.random.default_rng(2).uniform(0, 1, 2000).astype(np.float32)
    boxes = np.asarray(cut_boxes(ratio, np.full((2, 2000), 0.5, np.float32), 1000, 1000))
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / 1e6
    np.testing.assert_allclose(area, 1 - ratio, atol=0.003)


@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_the_largest_box_is_the_image_and_the_smallest_is_empty(ratio: float) -> None:
    boxes = np.asarray(cut_boxes(np.full(1, ratio, np.float32), np.full((2, 1), 0.5, np.float32), 8, 6))
    assert (boxes[0, 2:] - boxes[0, :2]).tolist() == ([8, 6] if ratio == 0 else [0, 0])


def draws(alpha: float, count: int = 100_000) -> np.ndarray:
    import keras

    return np.asarray(symmetric_beta(count, alpha, keras.random.SeedGenerator(5)))


@pytest.mark.parametrize("alpha", [0.2, 0.25, 0.5, 1.0, 4.0, 30.0])
def test_the_beta_distribution_is_scipys(alpha: float) -> None:
    places = np.linspace(1e-4, 1 - 1e-4, 500)  # float32 cannot tell what lies closer to 1
    received = np.searchsorted(np.sort(draws(alpha)), places) / 100_000
    expected = stats.beta(alpha, alpha).cdf(places)
    assert np.abs(received - expected).max() < 1.95 / math.sqrt(100_000)  # Kolmogorov and Smirnov, p = 0.001


@pytest.mark.parametrize("alpha", [1e-6, 0.001, 0.01, 0.25, 1.0, 50.0, 1e5])
def test_the_beta_distribution_has_its_mean_and_variance(alpha: float) -> None:
    sample, variance = draws(alpha).astype(np.float64), 1 / (4 * (2 * alpha + 1))
    assert 0 <= sample.min() <= sample.max() <= 1
    assert sample.mean() == pytest.approx(0.5, abs=5 * math.sqrt(variance / len(sample)))
    assert sample.var() == pytest.approx(variance, rel=0.03)


@pytest.mark.backend
@pytest.mark.parametrize("spec", ["mixup", "cutmix"])
def test_probability_is_the_share_of_images_that_are_mixed(spec: str) -> None:
    shares = mix(f"{spec}(8.0, probability=0.3)", rows=400)[3]
    assert 75 < (shares > 0).sum() < 165  # 120 expected, standard deviation 9
    images, mixed, _, shares = mix(f"{spec}(8.0, probability=0)")
    np.testing.assert_array_equal(mixed, images)
    assert not shares.any()


@pytest.mark.parametrize("spec", ["mixup", "cutmix"])
def test_a_batch_of_one_stays_as_it_is(spec: str) -> None:
    images, mixed, _, shares = mix(spec, rows=1)
    np.testing.assert_array_equal(mixed, images)
    assert not shares.any()


@pytest.mark.backend
@pytest.mark.parametrize("jit_compile", [False, True])  # True: by XLA, as on a GPU
def test_a_compiled_training_step_has_every_augmentation(jit_compile: bool) -> None:
    import keras

    classifier = keras.Sequential([keras.Input((3, 3, 1)), keras.layers.Flatten(), keras.layers.Dense(4)])
    step = training_step(classifier, "|".join(AUGMENTATIONS.names()), 4)
    step.size = (3, 3)
    step.compile("sgd", jit_compile=jit_compile)
    random = np.random.default_rng(4)
    batch = {
        "pixels": random.integers(0, 256, (16, 8, 8, 1)).astype(np.uint8),
        "labels": random.integers(0, 4, 16),
        "seed": np.broadcast_to(np.array([1, 2], np.uint32), (16, 2)),
    }
    assert math.isfinite(step.train_on_batch(batch, return_dict=True)["loss"])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mixup(0)", "^mixup: alpha is 0, expected 1e-06 or more, such as 0.2 or 1$"),
        ("cutmix(alpha=-1.0)", "^cutmix: alpha is -1.0, expected 1e-06 or more"),
        ("mixup(1e-300)", "^mixup: alpha is 1e-300, expected 1e-06 or more"),
        ("cutmix(1e999)", r"the spec 'cutmix\(1e999\)' has a number beyond 3e.38: expected smaller ones"),
        ("mixup(probability=2)", "^mixup: probability is 2, expected 0 to 1$"),
        ("cutmix('much')", "alpha is 'much', expected a number"),
    ],
)
def test_bad_options_are_refused(spec: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        augmentation(spec)
