"""The flat diagram of a model: boxes in the order of the flow, with branches, shapes and parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kit.report.architecture_steps import Block, Part, Step, shown_size
from kit.report.drawing import BLUE, GREEN, GREY, INK, ORANGE, PURPLE
from kit.report.lettering import text_measure, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 5.0  # inches, and so are all of the lengths below
LEFT, RIGHT = 0.06, 4.94  # of the boxes
SHAPES_END, NUMBERS_END = 3.92, 4.84  # where these columns are flush
LINE, PADDING, GAP = 0.155, 0.065, 0.16
BRANCH_ENDS = (3.05, 4.84)  # of the long branch and of the short one, within a block
SIZE = 8  # points
ROOM = 0.85  # of a box's width that words may take: a page's own font may be wider than Matplotlib's

KINDS = {  # what a colour says, and what the layers are called that have it
    "convolution": ("Conv", BLUE),
    "pooling": ("Pool", ORANGE),
    "dense": ("Dense", GREEN),
    "branches": ("Block|Module|Stage|Add|Concat", PURPLE),
    "other": ("", GREY),
}


def kind_of(part: Part) -> str:
    """The key of KINDS: of what the part mainly is."""
    import re

    if isinstance(part, Step) and part.title:
        return "branches"
    return next(kind for kind, (pattern, _) in KINDS.items() if re.search(pattern, part.kind))


def is_frozen(part: Part) -> bool:
    return part.parameters > 0 and part.trainable == 0


def flow(parts: Sequence[Part]) -> Figure:
    """One box a part, from the pixels down to the logits; a block's branches stand side by side in it.

    Of a folded part, the parameters are those of one, and how often it stands there.
    """
    from matplotlib.figure import Figure

    measure = text_measure(SIZE)
    placed: list[tuple[float, Part]] = []
    y = LINE + PADDING
    for part in parts:
        placed.append((y, part))
        y += _height(part, measure) + GAP
    total = y + LINE
    figure = Figure(figsize=(WIDTH, total))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(total, 0))  # downwards
    axes.axis("off")
    for x, words, side in ((LEFT + PADDING, "layers", "left"), (SHAPES_END, "output", "right")):
        axes.text(x, LINE * 0.6, words, ha=side, va="center", fontsize=SIZE, color=GREY)
    axes.text(NUMBERS_END, LINE * 0.6, "parameters", ha="right", va="center", fontsize=SIZE, color=GREY)
    for (y, part), following in zip(placed, [*placed[1:], None], strict=True):
        if isinstance(part, Block):
            _draw_block(axes, part, y, measure)
        else:
            _draw_step(axes, part, y, measure)
        if following:
            _arrow(axes, WIDTH / 2, following[0] - GAP, following[0])
    parameters = sum(part.parameters * part.times for part in parts)
    trainable = sum(part.trainable * part.times for part in parts)
    said = f"{parameters:,} parameters" + (f", {trainable:,} of them trainable" if trainable != parameters else "")
    axes.text(NUMBERS_END, total - LINE * 0.9, said, ha="right", va="center", fontsize=SIZE)
    return figure


# --- one part ---------------------------------------------------------------------------------------------


def _step_lines(step: Step, measure: Callable[[str], float], right: float = SHAPES_END) -> list[str]:
    """Of a box over the whole width, the words have what the columns leave."""
    words = f"{step.times} × ({step.words})" if step.times > 1 else step.words
    if is_frozen(step):
        words += ", frozen"
    return wrapped(words, ROOM * (right - LEFT - 0.95 - 2 * PADDING), measure)


def _step_height(step: Step, measure: Callable[[str], float]) -> float:
    return LINE * len(_step_lines(step, measure)) + 2 * PADDING


def _branch_lines(step: Step, room: float, measure: Callable[[str], float]) -> list[str]:
    facts = shown_size(step.shape) + (f" · {step.parameters:,}" if step.parameters else "")
    return [*wrapped(step.words, ROOM * room, measure, most=3), *wrapped(facts, ROOM * room, measure)]


def _branch_heights(branch: Sequence[Step], room: float, measure: Callable[[str], float]) -> list[float]:
    return [LINE * len(_branch_lines(step, room, measure)) + 2 * PADDING for step in branch]


def _rooms() -> tuple[float, float]:
    return BRANCH_ENDS[0] - LEFT - 3 * PADDING, BRANCH_ENDS[1] - BRANCH_ENDS[0] - 3 * PADDING


def _height(part: Part, measure: Callable[[str], float]) -> float:
    if isinstance(part, Step):
        return _step_height(part, measure)
    tallest = max(
        sum(_branch_heights(branch, room, measure)) + GAP * max(len(branch) - 1, 0)
        for branch, room in zip(part.branches, _rooms(), strict=False)
    )
    return PADDING + LINE + GAP + tallest + GAP + _step_height(part.end, measure) + PADDING


def _draw_step(axes: Any, step: Step, y: float, measure: Callable[[str], float], inset: float = 0.0) -> None:
    lines = _step_lines(step, measure)
    height = LINE * len(lines) + 2 * PADDING
    _box(axes, (LEFT + inset, RIGHT - inset), y, height, KINDS[kind_of(step)][1], is_frozen(step))
    _text(axes, LEFT + inset + PADDING, y, lines)
    middle = y + height / 2
    axes.text(SHAPES_END, middle, shown_size(step.shape), ha="right", va="center", fontsize=SIZE)
    if step.parameters:
        number = f"{step.parameters:,}" if step.times == 1 else f"{step.times} × {step.parameters:,}"
        axes.text(NUMBERS_END, middle, number, ha="right", va="center", fontsize=SIZE)


def _draw_block(axes: Any, block: Block, y: float, measure: Callable[[str], float]) -> None:
    height = _height(block, measure)
    _box(axes, (LEFT, RIGHT), y, height, PURPLE, is_frozen(block), outline=True)
    words = f"{block.words} × {block.times}" if block.times > 1 else block.words
    _text(axes, LEFT + PADDING, y, [words + (", frozen" if is_frozen(block) else "")])
    number = f"{block.parameters:,}" if block.times == 1 else f"{block.times} × {block.parameters:,}"
    axes.text(NUMBERS_END, y + PADDING + LINE / 2, number, ha="right", va="center", fontsize=SIZE)
    top = y + PADDING + LINE
    bottom = y + height - PADDING - _step_height(block.end, measure)
    begins = (LEFT + PADDING, BRANCH_ENDS[0] + PADDING)
    for branch, begin, end, room in zip(block.branches, begins, BRANCH_ENDS, _rooms(), strict=False):
        middle = (begin + end) / 2
        at = top + GAP
        for step, tall in zip(branch, _branch_heights(branch, room, measure), strict=True):
            _arrow(axes, middle, at - GAP, at)
            _box(axes, (begin, end), at, tall, KINDS[kind_of(step)][1], is_frozen(step))
            _text(axes, begin + PADDING, at, _branch_lines(step, room, measure))
            at += tall + GAP
        _arrow(axes, middle, at - GAP, bottom)
        if not branch:
            axes.text(
                middle + PADDING, (top + bottom) / 2, "shortcut", ha="left", va="center", fontsize=SIZE, gid="shortcut"
            )
    _draw_step(axes, block.end, bottom, measure, inset=PADDING)


def _box(
    axes: Any, ends: tuple[float, float], y: float, height: float, colour: str, frozen: bool, outline: bool = False
) -> None:
    from matplotlib.patches import FancyBboxPatch

    style = "round,pad=0,rounding_size=0.05"
    place = (ends[0], y), ends[1] - ends[0], height
    if not outline:  # apart, as edges are to be seen more than faces
        axes.add_patch(FancyBboxPatch(*place, boxstyle=style, facecolor=colour, alpha=0.22, linewidth=0))
    line = ":" if frozen else "-"
    axes.add_patch(FancyBboxPatch(*place, boxstyle=style, fill=False, edgecolor=colour, linewidth=1.1, linestyle=line))


def _text(axes: Any, x: float, y: float, lines: Sequence[str]) -> None:
    for number, line in enumerate(lines):
        axes.text(x, y + PADDING + (number + 0.5) * LINE, line, ha="left", va="center", fontsize=SIZE)


def _arrow(axes: Any, x: float, begin: float, end: float) -> None:
    head = 0.05
    axes.plot([x, x], [begin, end - head], color=INK, linewidth=0.9, solid_capstyle="butt")
    axes.fill([x - head * 0.6, x + head * 0.6, x], [end - head, end - head, end], color=INK, linewidth=0)
