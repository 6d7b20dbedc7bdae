"""What a comparison or a leaderboard has found, for whoever shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kit.report.standings import flat_rows
from kit.scoring.pairs import Pair
from kit.training.answered import Answered
from kit.training.events import Epoch
from kit.training.outline import RunOutline

TOLD = 10  # comparisons up to which each has its sentence


def places_of(rows: Sequence[RunOutline]) -> list[int]:
    """Of rows in the order of their scores: from 1, and shared by those of the same score."""
    places: list[int] = []
    for number, row in enumerate(rows, 1):
        places.append(places[-1] if places and row.score == rows[number - 2].score else number)
    return places


@dataclass(frozen=True)
class Group:
    """Runs of the same images, labels and metric, the best first; results that were published stand among them.

    competition: its spec. images: hash of images and labels, "" where there are published results alone.
    """

    competition: str
    images: str
    metric: str
    rows: tuple[RunOutline, ...]

    @property
    def places(self) -> list[int]:
        """From 1; rows of the same score share one."""
        return places_of(self.rows)


@dataclass(frozen=True)
class Leaderboard:
    """groups: the largest first. unranked: unfinished and damaged runs, and those that were scored on nothing."""

    competition: str
    groups: tuple[Group, ...]
    unranked: tuple[RunOutline, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "competition": self.competition,
            "groups": [
                {
                    "competition": group.competition,
                    "images": group.images or None,
                    "metric": group.metric,
                    "rows": flat_rows(group.rows, group.places),
                }
                for group in self.groups
            ],
            "unranked": flat_rows(self.unranked, [None] * len(self.unranked)),
            "notes": list(self.notes),
        }

    def flat_rows(self) -> list[dict[str, Any]]:
        """All rows in one list, with their place in their group."""
        ranked = [row for group in self.groups for row in flat_rows(group.rows, group.places)]
        return ranked + flat_rows(self.unranked, [None] * len(self.unranked))


@dataclass(frozen=True)
class ComparedRun:
    """A run with what its files say of it.

    class_names: in the order of the class indices.
    histories: of each fold or seed.
    held_out, test: what it answered to rows that it was not trained on; None where there are none.
    tests_own_rows: its test rows were set aside from its training images, and are not the competition's test images.
    """

    name: str
    outline: RunOutline
    saved: dict[str, Any]
    class_names: tuple[str, ...]
    histories: tuple[list[Epoch], ...]
    held_out: Answered | None
    test: Answered | None
    tests_own_rows: bool


@dataclass(frozen=True)
class Comparison:
    """Runs side by side, the best first where they are ranked by one metric.

    recipe: fields that differ, with the value of each run.
    pairs: each two runs on the rows that they share.
    notes: what a reader should know, such as why two runs were not tested against each other.
    """

    runs: tuple[ComparedRun, ...]
    recipe: dict[str, list[Any]]
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...]

    @property
    def places(self) -> list[int] | None:
        """From 1; None where not all are scored by one metric on the same images."""
        tasks = {(run.outline.task, run.outline.metric) for run in self.runs}
        if len(tasks) > 1 or any(run.outline.score is None for run in self.runs):
            return None
        return places_of([run.outline for run in self.runs])

    @property
    def told(self) -> tuple[Pair, ...]:
        """The pairs that there is room to tell of in a sentence each: all of few, or those with the first run."""
        if len(self.pairs) <= TOLD:
            return self.pairs
        return tuple(pair for pair in self.pairs if self.runs[0].name in (pair.first, pair.second))

    def flat_rows(self) -> list[dict[str, Any]]:
        return flat_rows([run.outline for run in self.runs], self.places or [None] * len(self.runs))

    def to_dict(self) -> dict[str, Any]:
        """Of the classes, the five that either run of a pair gains most on."""
        pairs = []
        for pair in self.pairs:
            names = next(run.class_names for run in self.runs if run.name == pair.first)
            changes = [{"class": names[change.label], **asdict(change)} for change in pair.largest_changes]
            pairs.append({**asdict(pair), "changes": changes})
        rows = [{"name": run.name, **row} for run, row in zip(self.runs, self.flat_rows(), strict=True)]
        return {"rows": rows, "recipe": self.recipe, "pairs": pairs, "notes": list(self.notes)}
