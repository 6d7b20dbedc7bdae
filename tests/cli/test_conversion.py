"""What is converted without a validator is what Typer would have made of it, for all options of all commands."""

import os
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.main import get_command

from kit.cli.conversion import Command, converted_when_needed
from kit.cli.main import Commands, app

GIVEN = [None, "", "word", "3", "0.5", "-1", "~/a b", "gone/x.npy", "here.txt", "folder", Path("runs"), 7, b"bytes"]
GIVEN += [(), ("word",), ("here.txt", "gone"), ["folder"], (Path("runs"),), ("3", "x")]


def outcome(convert: Any, parameter: Any, value: Any, context: Any) -> Any:
    try:
        return convert.coerce(value, param=parameter, ctx=context)
    except Exception as error:  # noqa: BLE001  compared
        return type(error), str(error)


def both(command: Any, name: str) -> None:
    """Compare them on all values that a command line, a default or a program could have."""
    with command.make_context(name, [], resilient_parsing=True) as context:
        for parameter in command.get_params(context):
            for value in GIVEN:
                ours, theirs = (
                    outcome(convert, parameter, value, context)
                    for convert in (parameter.get_runtime_param(), type(parameter).get_runtime_param(parameter))
                )
                assert (type(ours), ours) == (type(theirs), theirs), (parameter.name, value)


@pytest.fixture(autouse=True)
def files() -> None:
    Path("here.txt").write_text("")
    Path("folder").mkdir()


@pytest.mark.parametrize("name", Commands.places)
def test_every_command_gets_the_values_of_typer(name: str) -> None:
    group = get_command(app)
    both(group, "kit")
    both(group.get_command(None, name), name)


@pytest.mark.parametrize("known", [{}, {"type_descriptor": object()}])
def test_a_typer_that_is_made_otherwise_converts_by_itself(known: dict[str, Any]) -> None:
    class Otherwise:
        multiple, nargs = False, 1

        def __init__(self) -> None:
            vars(self).update(known)  # a descriptor that tells neither the annotation nor what is asked, or none

        def get_runtime_param(self) -> Any:
            return self

        def coerce(self, value: Any, param: Any, ctx: Any) -> str:
            return f"Typer's {value}"

    (parameter,) = converted_when_needed([Otherwise()])
    assert parameter.get_runtime_param().coerce("word", param=parameter, ctx=None) == "Typer's word"


def test_a_path_that_may_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "here.txt")
    both(get_command(app).get_command(None, "predict"), "predict")


def test_paths_of_which_more_is_asked() -> None:
    def asks(
        there: Annotated[Path, typer.Option(exists=True)],
        file: Annotated[Path, typer.Option(dir_okay=False)],
        whole: Annotated[Path, typer.Option(resolve_path=True)],
        made: Annotated[str, typer.Option(parser=lambda text: f"<{text}>")],
        several: Annotated[list[str], typer.Option()],
        pair: Annotated[tuple[str, int], typer.Option()],
    ) -> None:
        pass

    alone = typer.Typer(add_completion=False)
    alone.command(cls=Command)(asks)
    both(get_command(alone), "asks")
