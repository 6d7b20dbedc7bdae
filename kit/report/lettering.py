"""Words that must fit into a figure: so many letters, or so many inches."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from kit.report.drawing import MISSING_GLYPH


def clipped(name: str, letters: int) -> str:
    """A name of at most so many letters, the last of them an ellipsis where there were more."""
    return name if len(name) <= letters else f"{name[: letters - 1]}…"


def in_legend(name: str) -> str:
    """A name as Matplotlib shows it: of a legend it leaves out what begins with ``_``, which classes and runs may."""
    return f"\N{ZERO WIDTH SPACE}{name}" if name.startswith("_") else name


def text_measure(size: float) -> Callable[[str], float]:
    """Words -> the inches that they take, in Matplotlib's own font."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties

    renderer = FigureCanvasAgg(Figure(dpi=100)).get_renderer()
    font = FontProperties(size=size)

    def measure(words: str) -> float:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", MISSING_GLYPH, UserWarning)
            return float(renderer.get_text_width_height_descent(words, font, False)[0]) / 100

    return measure


def wrapped(words: str, room: float, measure: Callable[[str], float], most: int = 4) -> list[str]:
    """Lines that fit into so many inches; what is too long even so ends with an ellipsis."""
    lines: list[str] = []
    for word in words.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and measure(longer) <= room:
            lines[-1] = longer
        else:
            lines.append(_shortened(word, room, measure))
    if len(lines) > most:
        lines = [*lines[: most - 1], _shortened(lines[most - 1] + " ...", room, measure)]
    return lines


def _shortened(words: str, room: float, measure: Callable[[str], float]) -> str:
    if measure(words) <= room:
        return words
    while len(words) > 1 and measure(f"{words}…") > room:
        words = words[:-1]
    return f"{words}…"
