"""Values of options and arguments, converted when there is something to convert.

Typer builds a validator of pydantic's for each that is no flag, also where nothing was given, also for text that stays
text. Importing pydantic took a fifth of the time from one picture to its label.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from typer.core import TyperCommand

_UNCHECKED = {
    "parser": None,
    "exists": False,
    "file_okay": True,
    "dir_okay": True,
    "writable": False,
    "resolve_path": False,
    "allow_dash": False,
    "path_type": None,
}
"""Of ``typer.Option`` and ``typer.Argument``: nothing is asked of a path but that it can be read if it is there."""
_UNKNOWN = object()


class Command(TyperCommand):
    """Typer's command, which converts values when needed."""

    def get_params(self, ctx: Any) -> Any:
        return converted_when_needed(super().get_params(ctx))


def converted_when_needed(parameters: Sequence[Any]) -> Sequence[Any]:
    """The same parameters, which come to the same values and mistakes as Typer's own.

    It is Typer's private matter what this replaces. A Typer that asks for its validators by another name, or keeps what
    they are made of elsewhere, converts everything itself again, and takes longer.
    """
    for parameter in parameters:
        parameter.get_runtime_param = _WhenNeeded
    return parameters


class _WhenNeeded:
    """In place of Typer's ``RuntimeParam``."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        several = param.multiple or param.nargs == -1
        kind: Any = getattr(getattr(param, "type_descriptor", None), "annotation", None)
        if value is None:
            return () if several else None
        if not several and _is_as_given(param, kind, value):
            return kind(value)
        if several and isinstance(value, list | tuple):
            (kind,) = get_args(kind) or (None,)
            if all(_is_as_given(param, kind, each) for each in value):
                return [kind(each) for each in value]
        return type(param).get_runtime_param(param).coerce(value, param=param, ctx=ctx)


def _is_as_given(param: Any, kind: Any, value: Any) -> bool:
    asked = getattr(getattr(param, "type_descriptor", None), "parameter_info", None)
    if not isinstance(value, str | Path) or any(
        getattr(asked, name, _UNKNOWN) != usual for name, usual in _UNCHECKED.items()
    ):
        return False
    if kind is Path:
        there = os.path.exists(value)  # noqa: PTH110  Path.exists raises where a folder may not be looked into
        return not there or os.access(value, os.R_OK)
    return kind is str and isinstance(value, str)
