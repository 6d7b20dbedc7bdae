import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kit.errors import KitError
from kit.report.lr_curve import write_lr_curve
from kit.training.lr_find import RangeTest


def some_test() -> RangeTest:
    rates = np.geomspace(1e-6, 1, 60)
    losses = np.concatenate([np.linspace(2, 0.5, 50), np.geomspace(0.5, 1000, 10)])
    return RangeTest(rates, losses, losses, True, 0.012)


def test_the_curve_names_both_rates() -> None:
    words = re.findall(r">([^<]+)</text>", write_lr_curve(some_test(), Path("a.svg"), 0.004).read_text())
    assert {"suggested: 0.012", "the recipe's: 0.004", "learning rate", "loss on training batches"} <= set(words)
    assert {"0.0001", "0.01"} <= set(words)
    assert "1000" not in " ".join(words)  # the end is cut off, the valley can be seen
    words = re.findall(r">([^<]+)</text>", write_lr_curve(some_test(), Path("b.svg"), 5.0).read_text())
    assert not any("recipe" in word for word in words)
    assert Image.open(write_lr_curve(some_test(), Path("pictures/a.png"))).size == (1125, 630)


def test_what_cannot_be_written() -> None:
    with pytest.raises(KitError, match="cannot write /proc/a.png: "):
        write_lr_curve(some_test(), Path("/proc/a.png"))
