"""Help of a command with many options: under headings, by what they are for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from typer.core import TyperCommand


class GroupedCommand(TyperCommand):
    """Typer puts options under headings only in its rich help, which is boxes and colours."""

    headings: ClassVar[Mapping[str, str]] = {}
    """Name of the first option under a heading -> the heading."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        heading = "Options"
        for parameter in self.get_params(ctx):
            heading = self.headings.get(str(parameter.name), "Options" if parameter.name == "help" else heading)
            if record := parameter.get_help_record(ctx):
                is_argument = parameter.param_type_name == "argument"
                sections.setdefault("Arguments" if is_argument else heading, []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)
