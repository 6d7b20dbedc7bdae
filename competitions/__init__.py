"""One module a competition; each defines ``COMPETITION``. A new module in this package is found by its name."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kit.data.images import Competition


def competition_names() -> list[str]:
    """The names of all competitions; imports none of them."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load_competition(name: str) -> Competition:
    """The competition of that name.

    Raises:
        RecipeError: there is none.
    """
    from kit.errors import RecipeError
    from kit.registry import unknown_name

    names = competition_names()
    if name not in names:
        raise RecipeError(unknown_name("competition", name, names))
    competition: Competition = importlib.import_module(f"{__name__}.{name}").COMPETITION
    return competition
