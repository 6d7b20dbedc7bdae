"""Minutes long, on the real files."""

import csv
from pathlib import Path

import numpy as np
import pytest

from kit import predict, train

pytestmark = pytest.mark.slow


def test_deeper_learns_the_real_five_classes(kit_data: Path) -> None:
    run = train("fashion_mnist", data=kit_data, epochs=3)
    metrics = run.read_metrics()
    assert metrics["test"]["rows"] == 6_000
    assert metrics["test"]["accuracy"] > 0.89
    assert predict(run, out="run.csv").rows == 10_000
    with Path("run.csv").open() as file:
        labels = [int(row["target"]) for row in csv.DictReader(file)]
    assert np.bincount(labels, minlength=6)[1:].min() > 1_500  # about 2,000 each
