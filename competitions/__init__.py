"""One module a competition; each defines ``competition(data, /, ...)``, which opens it.

A competition is found by its name: in this package, in installed packages that announce one under the entry point
group ``kit.competitions``, and in the working directory as ``competitions/NAME.py``. The latter is a user's own code:
it is loaded only when it is named, and then kit says so.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import importlib.util
import logging
import pkgutil
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kit.data.claims import NamedRecipes
    from kit.data.images import Competition, Trained
    from kit.registry import Registry

logger = logging.getLogger("kit")

ENTRY_POINTS = "kit.competitions"
OWN_DIRECTORY = Path("competitions")  # in the working directory

Opener = Callable[..., "Competition"]


def competition_names() -> list[str]:
    """The names of all competitions; imports none of them."""
    return sorted({*_built_in(), *_installed(), *_own()})


def find_competition(name: str) -> Opener:
    """The function that opens the competition of that name, with the options of its spec after ``/``.

    Raises:
        RecipeError: there is none, or the module of that name does not define one.
    """
    from kit.errors import RecipeError
    from kit.registry import unknown_name

    own = _own().get(name)
    if name in _built_in():
        if own is not None:
            raise RecipeError(f"{own} has the name of a competition that kit brings: give it another name")
        opener: Opener = importlib.import_module(f"{__name__}.{name}").competition
        return opener
    if own is not None:
        return _load_own(own)
    if name in _installed():
        return _load_installed(name)
    raise RecipeError(unknown_name("competition", name, competition_names()))


def describe_competition(name: str) -> dict[str, Any]:
    """What a list says of a competition: its options, recipes and first line. A user's own code is not run for it."""
    from kit.errors import RecipeError
    from kit.registry import option_parameters

    described: dict[str, Any] = {"competition": name, "options": [], "recipes": []}
    if name not in _built_in() and name in _own():
        return {**described, "about": f"your own, in {_own()[name]}", "files": ""}
    try:
        opener = find_competition(name)
    except RecipeError as error:
        if name not in _installed():
            raise
        # A broken package must not hide the others.
        return {**described, "about": str(error), "files": ""}
    module = sys.modules[opener.__module__]
    return {
        **described,
        "options": [f"{option.name}={option.default!r}" for option in option_parameters(opener)],
        "recipes": list(getattr(module, "RECIPES", {})),
        "about": (module.__doc__ or "").strip().partition("\n")[0].rstrip("."),
        "files": (module.__doc__ or "").strip(),
    }


def named_recipes(spec: str) -> NamedRecipes:
    """A competition's recipes with their claims, as its module has them; needs no data.

    Raises:
        RecipeError: there is no such competition or option, or its module's recipes are none.
    """
    from kit.errors import RecipeError

    name, registry = _registered(spec)
    registry.bind_one(spec)
    recipes = getattr(sys.modules[registry[name].__module__], "RECIPES", {})
    if not isinstance(recipes, Mapping) or not all(isinstance(each, Mapping) for each in recipes.values()):
        raise RecipeError(
            f"competition {name!r}: RECIPES of its module is no dict of dicts, expected recipes' fields by name"
        )
    return recipes


def _registered(spec: str) -> tuple[str, Registry]:
    """The name of a spec's competition, and a registry of that one alone: no other module is imported."""
    from kit.registry import Registry, parse_spec

    name = parse_spec(spec)[0].name
    registry = Registry("competition")
    registry.add(name, find_competition(name))
    return name, registry


def open_competition(spec: str, data: Path | None = None, known: Trained | None = None) -> Competition:
    """Open the competition that a spec such as ``digits`` or ``cifar100(labels='coarse')`` names.

    Args:
        data: the directory or archive with its files; None looks in ``KIT_DATA``, then in ``data``.
        known: what a trained model knows; an opener that takes it as a second parameter needs no training files.

    Raises:
        RecipeError: there is no such competition or option.
        DataError: its classes are read from files that are missing or wrong.
    """
    from kit.data.images import Competition
    from kit.errors import DataError, RecipeError

    if data is not None and not data.exists():  # also where a competition is embedded and would not look
        raise DataError(f"--data {data} does not exist: name the directory or .zip with the competition's files")
    name, registry = _registered(spec)
    opener, is_own = registry.bind_one(spec), name in _own()
    opened = (_guarded(name, opener) if is_own else opener)(*_own_arguments(registry[name], data, known))
    if not isinstance(opened, Competition):
        raise RecipeError(f"competition {name!r}: competition(data, /) gave {opened!r}, expected a Competition")
    if is_own:
        load_train, load_test = _guarded(name, opened.load_train), _guarded(name, opened.load_test)
        opened = dataclasses.replace(opened, load_train=load_train, load_test=load_test)
    return dataclasses.replace(opened, spec=registry.canonical(spec))


def _own_arguments(opener: Opener, data: Path | None, known: Trained | None) -> tuple[Any, ...]:
    """What an opener takes before ``/``."""
    import inspect

    own = [p for p in inspect.signature(opener).parameters.values() if p.kind is inspect.Parameter.POSITIONAL_ONLY]
    return (data, known)[: len(own)]


def _built_in() -> list[str]:
    return [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]


def _installed() -> dict[str, importlib.metadata.EntryPoint]:
    return {entry.name: entry for entry in importlib.metadata.entry_points(group=ENTRY_POINTS)}


def _own() -> dict[str, Path]:
    if not OWN_DIRECTORY.is_dir() or str(OWN_DIRECTORY.resolve()) in map(str, map(Path.resolve, map(Path, __path__))):
        return {}
    files = sorted(OWN_DIRECTORY.glob("*.py"))
    return {path.stem: path for path in files if path.stem.isidentifier() and not path.stem.startswith(("_", "test_"))}


def _load_own(path: Path) -> Opener:
    return _run_own(path, path.stat().st_mtime_ns)


@cache
def _run_own(path: Path, changed: int) -> Opener:
    """Run a file once, and again when it has changed."""
    from kit.errors import RecipeError

    logger.warning("running the code in %s", path)
    specification = importlib.util.spec_from_file_location(f"kit_own_competitions.{path.stem}", path)
    module = importlib.util.module_from_spec(specification)  # type: ignore[arg-type]
    sys.modules[module.__name__] = module  # dataclasses look their module up
    try:
        specification.loader.exec_module(module)  # type: ignore[union-attr]
        opener: Opener = module.competition
    except (Exception, SystemExit) as error:  # noqa: BLE001  the file may do anything
        raise RecipeError(
            f"{path} cannot be used ({type(error).__name__}: {_one_line(error)}): expected a module that defines "
            "competition(data, /), such as 'kit new' writes"
        ) from None
    return opener


def _guarded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A user's own code may fail in any way: one line that says where, instead of a traceback through kit."""
    from kit.errors import KitError, RecipeError

    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except KitError:
            raise
        except (Exception, SystemExit) as error:
            line = error.__traceback__ and _last_line(error.__traceback__, _own().get(name))
            raise RecipeError(
                f"competition {name!r} failed{line or ''} ({type(error).__name__}: {_one_line(error)}): mend its code"
            ) from error

    return call


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _last_line(trace: TracebackType, path: Path | None) -> str | None:
    """Where in the user's file an error came up."""
    import traceback

    lines = [
        frame.lineno
        for frame in traceback.extract_tb(trace)
        if path and Path(frame.filename).resolve() == path.resolve()
    ]
    return f" in line {lines[-1]}" if lines else None


def _load_installed(name: str) -> Opener:
    from kit.errors import RecipeError

    entry = _installed()[name]
    try:
        opener: Opener = entry.load()
    except Exception as error:  # noqa: BLE001  somebody else's package
        raise RecipeError(
            f"the competition {name!r} of an installed package cannot be loaded from {entry.value} "
            f"({type(error).__name__}: {error}): reinstall or remove that package"
        ) from None
    return opener
