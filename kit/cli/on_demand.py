"""Commands that are imported when they are asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_group


class Place(NamedTuple):
    """Where a command is written.

    name: of its function, or of a Typer app that has commands of its own.
    command_class: name of the class beside it that shows its help, if not the usual one.
    """

    module: str
    name: str
    command_class: str | None = None


class GroupOnDemand(TyperGroup):
    """Builds a command when it is looked up: one needs none of the others, neither imported nor their options read.

    Their names, which a misspelt one is compared with, are known without that; help builds all of them.
    """

    places: ClassVar[Mapping[str, Place]] = {}

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands: Any = dict.fromkeys(self.places)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.places:
            return None
        place = self.places[cmd_name]
        module = importlib.import_module(place.module)
        found = getattr(module, place.name)
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
        if isinstance(found, typer.Typer):
            alone.add_typer(found, name=cmd_name)
        else:
            command_class = getattr(module, place.command_class) if place.command_class else None
            alone.command(cmd_name, cls=command_class)(found)
        return get_group(alone).commands[cmd_name]
