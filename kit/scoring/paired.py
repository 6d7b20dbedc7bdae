"""Two models on the same rows: is one better than the other, or was it luck?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SIGNIFICANCE = 0.05
_NORMAL = 1.959964  # half of a 95 % interval, in standard deviations


@dataclass(frozen=True)
class Paired:
    """Right and wrong answers of two models, row by row.

    difference: of the accuracies, first minus second, with its 95 % interval, low to high; all as shares of the rows.
    only_first, only_second: rows that one of them alone has right.
    p: how likely a division at least so uneven is where both are equally good (McNemar's exact test).
    """

    difference: float
    low: float
    high: float
    only_first: int
    only_second: int
    p: float


def paired_test(first_right: np.ndarray, second_right: np.ndarray) -> Paired:
    """Compare two models on the same rows.

    Rows that both have right, or both wrong, say nothing of who is better; of the others, either model would have half
    if both were equally good, whose binomial probability is exact (McNemar, 1947). The interval is Agresti and Min's
    (2005) for matched pairs: half a row is added to each of the four cells, so that it has a width also where the two
    models hardly ever differ.

    Args:
        first_right, second_right: bool (rows,), at least one, in the same order.

    Raises:
        ValueError: they are of different lengths, or empty.
    """
    from scipy.stats import binomtest

    if first_right.shape != second_right.shape or not len(first_right):
        raise ValueError(f"right answers of {first_right.shape} and {second_right.shape}, expected the same rows, any")
    rows = len(first_right)
    only_first = int((first_right & ~second_right).sum())
    only_second = int((second_right & ~first_right).sum())
    disagreed = only_first + only_second
    p = float(binomtest(only_first, disagreed).pvalue) if disagreed else 1.0
    total = rows + 2
    middle = (only_first - only_second) / total
    spread = _NORMAL * (((disagreed + 1) / total - middle**2) / total) ** 0.5
    low, high = max(middle - spread, -1.0), min(middle + spread, 1.0)
    return Paired((only_first - only_second) / rows, low, high, only_first, only_second, p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Each p-value as it counts among several comparisons (Holm, 1979): in the order given, at most 1.

    The chance that any of the comparisons with an adjusted value up to 0.05 is luck is at most 5 %, however they
    depend on each other.
    """
    count = len(p_values)
    adjusted, largest = [0.0] * count, 0.0
    for rank, index in enumerate(sorted(range(count), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (count - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def in_words(name_a: str, name_b: str, paired: Paired, adjusted_p: float, comparisons: int) -> str:
    """A sentence that says who is better, by how much, and whether that is more than noise.

    A test that finds no difference has not shown that there is none: then the words are that it may be noise.

    Args:
        paired: of the model called ``name_a`` against the one called ``name_b``.
        adjusted_p: its p-value after Holm's correction for so many ``comparisons``.
    """
    of_many = f" after Holm's correction for {comparisons} comparisons" if comparisons > 1 else ""
    p = f"p = {adjusted_p:.2g}" if adjusted_p >= 0.001 else "p < 0.001"
    if adjusted_p > SIGNIFICANCE:
        interval = f"{100 * paired.low:+.2f} to {100 * paired.high:+.2f}"
        return (
            f"{name_a} and {name_b} differ by {100 * paired.difference:+.2f} points ({interval}), "
            f"which may be noise ({p}{of_many})"
        )
    better, worse, sign = (name_a, name_b, 1) if paired.difference > 0 else (name_b, name_a, -1)
    low, high = sorted((sign * 100 * paired.low, sign * 100 * paired.high))
    return (
        f"{better} is better than {worse} by {100 * abs(paired.difference):.2f} points ({low:.2f} to {high:.2f}): "
        f"more than noise ({p}{of_many})"
    )
