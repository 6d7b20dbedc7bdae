"""What is claimed of a recipe: how good it was measured to be, on what, and what its authors reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kit.errors import DataError

NamedRecipes = Mapping[str, Mapping[str, Any]]
"""Name -> recipe fields, and under ``claim`` perhaps the recipe's Claim."""


@dataclass(frozen=True)
class Claim:
    """What training by a recipe has come to; without a ``score``, it was not measured here.

    score: by ``metric`` on rows that chose nothing; the mean where there are several ``seeds``.
    rows: that each seed was scored on.
    deviation: standard deviation over the seeds.
    minutes: of training, a seed.
    machine: what it was measured on.
    published: what the recipe's authors reached by their own program, on ``published_on`` rows; ``validation`` rows
        have chosen the epoch.
    note: what must be known to compare.
    """

    score: float | None = None
    rows: int | None = None
    seeds: tuple[int, ...] = ()
    deviation: float | None = None
    minutes: float | None = None
    machine: str = ""
    metric: str = "accuracy"
    published: float | None = None
    published_on: str = "test"
    note: str = ""

    def __post_init__(self) -> None:
        if self.score is None:
            return
        if not (self.rows and self.seeds and self.minutes is not None and self.machine):
            raise DataError(f"a claim of {self.score} says not how it was measured: give rows, seeds, minutes, machine")
        if (self.deviation is None) != (len(self.seeds) == 1):
            raise DataError(f"a claim of seeds {self.seeds} has deviation {self.deviation}: give one for several seeds")


def fields_of(recipes: NamedRecipes) -> dict[str, dict[str, Any]]:
    """The recipes without what is claimed of them."""
    return {name: {key: value for key, value in recipe.items() if key != "claim"} for name, recipe in recipes.items()}


def claims_of(recipes: NamedRecipes) -> dict[str, Claim]:
    """What is claimed, by the recipes' names.

    Raises:
        DataError: what stands under ``claim`` is none.
    """
    claims = {name: recipe["claim"] for name, recipe in recipes.items() if "claim" in recipe}
    for name, claim in claims.items():
        if not isinstance(claim, Claim):
            raise DataError(f"recipe {name!r}: its claim is {claim!r}, expected a kit.data.claims.Claim")
    return claims
