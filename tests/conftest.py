"""Shared by all tests: no network, a cache and a working directory of their own, small competitions."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from kit.data.images import Competition, Images

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
REAL_DATA = os.environ.get("KIT_DATA")


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KIT_DATA", raising=False)  # which only the tests that ask for it see


@pytest.fixture
def kit_data() -> Path:
    """The directory with real competition files, from KIT_DATA alone."""
    if not REAL_DATA:
        pytest.skip("KIT_DATA is not set: this test needs the real competition files")
    return Path(REAL_DATA)


def striped_images(rows: int, seed: int = 0, labelled: bool = True) -> Images:
    """Three classes that a small net tells apart: horizontal, vertical and no stripes, under noise."""
    random = np.random.default_rng(seed)
    labels = np.arange(rows) % 3
    stripes = np.zeros((rows, 28, 28, 1))
    stripes[labels == 0, ::4] = 150
    stripes[labels == 1, :, ::4] = 150
    pixels = (stripes + random.integers(0, 100, stripes.shape)).astype(np.uint8)
    return Images(pixels, np.arange(1000, 1000 + rows), labels if labelled else None)


def tiny_competition() -> Competition:
    """In memory: 90 images to train on, 30 to predict, labels that are neither indices nor in order."""
    return Competition(
        name="tiny",
        title="Stripes",
        label_values=(42, 3, 7),
        class_names=("lying", "standing", "none"),
        image_shape=(28, 28, 1),
        load_train=lambda: striped_images(90),
        load_test=lambda: striped_images(30, seed=1, labelled=False),
        default_model="brief",
        recipes={"brief": {"model": "brief(momentum=0.8)", "epochs": 3, "batch_size": 16, "learning_rate": 0.003}},
    )


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Competition:
    """The tiny competition, under its name in kit's own functions."""
    import kit.opening

    competition = tiny_competition()
    real = kit.opening.open_competition
    monkeypatch.setattr(
        kit.opening,
        "open_competition",
        lambda spec, data=None, known=None: competition if spec == "tiny" else real(spec, data),
    )
    return competition


@pytest.fixture(scope="session")
def digits_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with one short run on digits, trained and exported once. Read it; to change it, copy it first."""
    from kit import train

    root = tmp_path_factory.mktemp("trained") / "runs"
    train("digits", epochs=3, seed=1, out=root)
    return root
