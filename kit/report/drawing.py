"""Figures of a page: drawn once, each as SVG that stands inside the page, and as PNG and SVG files beside it."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.files import replacing
from kit.report.pages import cannot_write

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart by everyone: https://jfly.uni-koeln.de/color/
BLUE, ORANGE, GREEN, PURPLE, SKY, YELLOW = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, SKY, YELLOW)
GREY = "#8c8c8c"  # legible on white and on black
INK = "#0b0b0c"  # black in a file; within a page it becomes the colour of the page's text, which may be white
# Letters that Matplotlib's font lacks stay text in an SVG, where the reader's font has them: not worth a warning each.
MISSING_GLYPH = "Glyph .* missing from font"
STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: searchable, and in the page's own font
    "svg.hashsalt": "kit",  # the same figure is the same file
    "text.parse_math": False,  # a class may be called $5
    "font.size": 9,
    "axes.prop_cycle": f"cycler('color', {list(PALETTE)})",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "grid.color": GREY,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "legend.fontsize": 8,
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color"), INK
    ),
}


class Figures:
    """Draws the figures of one page.

    Args:
        directory: for the PNG and SVG files, made with the first of them; None writes none.
        prefix: of the figures' names, which keeps those of several runs on one page apart.
    """

    def __init__(self, directory: Path | None = None, prefix: str = "") -> None:
        self.directory = directory
        self.prefix = prefix

    def add(self, name: str, description: str, draw: Callable[..., Figure], *arguments: Any, **options: Any) -> Markup:
        """Draw a figure, and return the ``<svg>`` element that shows it within the page.

        Args:
            name: of its files, and unique within the page, such as ``confusion``.
            description: what somebody should know who does not see it, in a sentence.
            draw: makes a Matplotlib figure of ``arguments`` and ``options``. One to two small axes, no more than
                5 inches wide: the page arranges figures in as many columns as a screen has room for.

        Raises:
            RunError: its files cannot be written.
        """
        from markupsafe import Markup, escape

        text = self._draw(name, draw, *arguments, **options)
        svg = _with_own_ids(text[text.index("<svg") :].replace(INK, "currentColor"), self.prefix + name)
        return Markup(svg.replace("<svg", f'<svg role="img" aria-label="{escape(description)}"', 1))

    def keep(self, name: str, draw: Callable[..., Figure], *arguments: Any, **options: Any) -> None:
        """Draw a figure for its files alone: of what the page itself shows otherwise, such as a gallery."""
        if self.directory:
            self._draw(name, draw, *arguments, **options)

    def _draw(self, name: str, draw: Callable[..., Figure], *arguments: Any, **options: Any) -> str:
        """Draw a figure, write its files, and return the text of its SVG."""
        with drawing():
            figure = draw(*arguments, **options)
            text = io.StringIO()
            figure.savefig(text, format="svg", metadata={"Date": None}, transparent=True)
            figure.set_layout_engine("none")  # it has its layout by now, which takes as long as the drawing
            if self.directory:
                _write_files(figure, text.getvalue(), self.directory / (self.prefix + name))
        return text.getvalue()


def charted(size: tuple[float, float], x_label: str, y_label: str) -> tuple[Figure, Any]:
    """A figure of one chart with a grid, and its axes; ``size`` in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(True)
    return figure, axes


def _write_files(figure: Figure, svg: str, path: Path) -> None:
    """``path``: without the endings."""
    try:
        with replacing(path.with_name(f"{path.name}.svg")) as scratch:
            scratch.write_text(_on_white(svg), encoding="utf-8")
        with replacing(path.with_name(f"{path.name}.png")) as scratch:
            figure.savefig(scratch, format="png", dpi=150)
    except OSError as error:
        raise cannot_write(path, error) from None


def _on_white(svg: str) -> str:
    """A figure that stands alone has paper of its own, whatever shows it."""
    head, opening, rest = svg.partition("<svg")
    attributes, close, content = rest.partition(">")
    return f'{head}{opening}{attributes}{close}\n <rect width="100%" height="100%" fill="#ffffff"/>{content}'


@contextmanager
def drawing() -> Iterator[None]:
    """Within it figures are drawn and measured in one style."""
    import matplotlib

    with warnings.catch_warnings(), matplotlib.rc_context(STYLE):
        warnings.filterwarnings("ignore", MISSING_GLYPH, UserWarning)
        yield


def _with_own_ids(svg: str, name: str) -> str:
    """Matplotlib numbers the elements of each figure from 1, and a page has several."""
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    return re.sub(r'(url\(#|xlink:href="#)', rf"\g<1>{name}-", svg)
