import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from kit.data.drift import auc_interval, train_test_drift
from kit.errors import DataError


def scenes(rows: int, seed: int) -> np.ndarray:
    """Grey images with a bright patch in some place, under noise: uint8 (rows, 12, 10, 1)."""
    random = np.random.default_rng(seed)
    pixels = random.normal(90, 25, (rows, 12, 10, 1))
    for image, top, left in zip(pixels, random.integers(0, 8, rows), random.integers(0, 6, rows), strict=True):
        image[top : top + 4, left : left + 4] += 80
    return np.clip(pixels, 0, 255).astype(np.uint8)


def brighter(pixels: np.ndarray, levels: int) -> np.ndarray:
    return np.clip(pixels.astype(int) + levels, 0, 255).astype(np.uint8)


def test_without_drift_intervals_hold_guessing() -> None:
    found = [train_test_drift(scenes(300, 2 * seed), scenes(150, 2 * seed + 1)) for seed in range(8)]
    assert sum(drift.interval[0] < 0.5 < drift.interval[1] for drift in found) >= 7
    assert np.mean([drift.auc for drift in found]) == pytest.approx(0.5, abs=0.04)
    verdicts = [drift.verdict for drift in found if not drift.is_told]
    assert all(words.startswith("test images cannot be told from training images: AUC 0.") for words in verdicts)
    assert (len(found[0].train_scores), len(found[0].test_scores)) == (300, 150)


def test_a_change_of_brightness_is_found() -> None:
    found = train_test_drift(scenes(600, 0), brighter(scenes(300, 1), 8))
    assert found.matters
    assert 0.9 < found.interval[0] < found.auc < found.interval[1] <= 1
    assert found.verdict.endswith("a validation score may not hold on the test set")
    slight = train_test_drift(scenes(600, 0), brighter(scenes(300, 1), 1))
    assert slight.auc < found.auc


def test_what_has_drifted_comes_first() -> None:
    train, test = scenes(300, 0), scenes(300, 1)
    test[100:200] = brighter(test[100:200], 30)
    train[50:55] = brighter(train[50:55], 30)
    found = train_test_drift(train, test)
    assert np.mean([100 <= row < 200 for row in found.test_unlike_train[:100]]) > 0.9
    assert {50, 51, 52, 53, 54} <= set(found.train_like_test[:30].tolist())


def test_a_blur_is_found_that_leaves_the_average_as_it_is() -> None:
    test = scenes(300, 1).astype(float)
    test = (test + np.roll(test, 1, axis=1)) / 2
    assert train_test_drift(scenes(300, 0), test.astype(np.uint8)).interval[0] > 0.9


def test_the_order_of_the_rows_does_not_count() -> None:
    train, test = scenes(300, 0), brighter(scenes(200, 1), 2)
    found = train_test_drift(train, test, most_rows=150)
    order = np.random.default_rng(5).permutation
    again = train_test_drift(train[order(300)], test[order(200)], most_rows=150)
    assert again.auc == pytest.approx(found.auc, abs=1e-9)
    sorted_rows = train_test_drift(train[np.argsort(train.mean(axis=(1, 2, 3)))], test, most_rows=150)
    assert sorted_rows.auc == pytest.approx(found.auc, abs=1e-9)


def test_equal_images_are_neither_recognised_nor_remembered() -> None:
    few = scenes(40, 0)
    repeated = train_test_drift(np.repeat(few, 10, axis=0), np.repeat(scenes(40, 1), 10, axis=0))
    assert repeated.auc < 0.75  # 1 if an image could be in two folds: 40 others tell nothing of it
    same = train_test_drift(scenes(400, 0), scenes(400, 0))
    assert same.auc == pytest.approx(0.5)  # each image has one score on both sides


def test_the_area_is_that_of_scikit_learn_and_the_interval_covers_a_bootstrap() -> None:
    random = np.random.default_rng(0)
    negatives, positives = random.normal(0, 1, 150).round(1), random.normal(0.8, 1.5, 90).round(1)  # with ties
    is_positive = np.repeat([0, 1], [150, 90])
    auc, (low, high) = auc_interval(negatives, positives)
    assert auc == pytest.approx(roc_auc_score(is_positive, np.concatenate([negatives, positives])))
    drawn = [
        roc_auc_score(is_positive, np.concatenate([random.choice(negatives, 150), random.choice(positives, 90)]))
        for _ in range(200)
    ]
    assert (high - low) / (2 * 1.96) == pytest.approx(2**0.5 * np.std(drawn), rel=0.15)  # twice the variance


def test_ends_of_the_area() -> None:
    assert auc_interval(np.arange(5.0), np.arange(5.0, 9)) == (1, (1, 1))
    assert auc_interval(np.zeros(5), np.zeros(4)) == (0.5, (0.5, 0.5))


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (scenes(29, 0), scenes(50, 1), "29 training images are too few to tell drift, expected at least 30"),
        (scenes(50, 0), scenes(3, 1), "3 test images are too few to tell drift, expected at least 30"),
        (np.full((40, 5, 5, 1), 9, np.uint8), np.full((40, 5, 5, 1), 9, np.uint8), "nearly all images are equal"),
    ],
)
def test_what_says_nothing(train: np.ndarray, test: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        train_test_drift(train, test)


def test_all_training_images_are_equal() -> None:
    black = np.zeros((40, 12, 10, 1), np.uint8)
    with pytest.raises(DataError, match="nearly all images are equal"):
        train_test_drift(black, scenes(40, 1))


def test_images_of_one_pixel() -> None:
    pixels = np.arange(120, dtype=np.uint8).reshape(120, 1, 1, 1)
    assert train_test_drift(pixels[:60], pixels[60:]).auc > 0.99
