"""Names for things a recipe can ask for, and the grammar that asks for them.

A *spec* is a string such as ``deeper``, ``sgd(momentum=0.9)`` or ``flip|shift(height=2)|elastic``:
one or more names joined by ``|``, each with literal options. A registry maps names to functions.
Parameters before ``/`` in such a function are supplied by kit; those after it are the options of the spec:

    @SCHEDULES.register
    def cosine(phase, /, minimum: float = 0.0): ...

Everything is checked without calling the function, so a bad spec is refused before any data is loaded.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import inspect
import pkgutil
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from kit.errors import RecipeError

F = TypeVar("F", bound=Callable[..., Any])
LARGEST = 3e38  # in size, of what float32 holds: training knows no larger number


@dataclass(frozen=True)
class Spec:
    """One parsed stage of a spec string: a name and its literal options."""

    name: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)


def parse_spec(text: str) -> tuple[Spec, ...]:
    """Parse ``a|b(1, c=2)`` into its stages, left to right.

    Raises:
        RecipeError: the text is not made of names, literal options and ``|``.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        return tuple(_stage(node) for node in _stages(tree))
    except OverflowError:
        raise RecipeError(f"the spec {text!r} has a number beyond {LARGEST:g}: expected smaller ones") from None
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise RecipeError(
            f"cannot read the spec {text!r}: expected names with literal options joined by |, words among them in "
            "quotes, such as 'flip|pad_crop(2, \"reflect\")'"
        ) from None


def _stages(node: ast.expr) -> list[ast.expr]:
    stages = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        stages.append(node.right)
        node = node.left
    return [node, *reversed(stages)]


def _stage(node: ast.expr) -> Spec:
    if isinstance(node, ast.Name):
        return Spec(node.id)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if any(keyword.arg is None for keyword in node.keywords):
            raise ValueError("** in a spec")
        args = tuple(_literal(argument) for argument in node.args)
        kwargs = {str(keyword.arg): _literal(keyword.value) for keyword in node.keywords}
        return Spec(node.func.id, args, kwargs)
    raise ValueError("neither a name nor a call")


def _literal(node: ast.expr) -> Any:
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, int | float) and abs(each.value) > LARGEST:
            raise OverflowError
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and "\0" in each.value:
            raise ValueError("no file has such a name")
    return ast.literal_eval(node)


def with_options(text: str, **options: Any) -> str:
    """A spec of one stage with further options: ``cifar100`` and ``labels="coarse"`` -> ``cifar100(labels='coarse')``.

    Options of value None are left out, and leave the text as it is if there are no others.

    Raises:
        RecipeError: the text is no spec of one stage, or sets the option already.
    """
    options = {name: value for name, value in options.items() if value is not None}
    if not options:
        return text
    stages = parse_spec(text)
    for name in options:
        if len(stages) != 1 or name in stages[0].kwargs:
            raise RecipeError(
                f"{text!r} and {name} {options[name]!r}: expected one name that does not set {name} itself"
            )
    (spec,) = stages
    words = [*map(repr, spec.args), *(f"{name}={value!r}" for name, value in {**spec.kwargs, **options}.items())]
    return f"{spec.name}({', '.join(words)})"


class Registry:
    """Functions by name.

    kind: the word that error messages use, such as ``model``.
    package: whose modules register their functions; they are imported when a name is first asked for, so that who
        predicts with a model file does not wait for all architectures.
    """

    def __init__(self, kind: str, package: str | None = None) -> None:
        self.kind = kind
        self._package = package
        self._entries: dict[str, Callable[..., Any]] = {}

    def _known(self) -> dict[str, Callable[..., Any]]:
        if self._package is not None:
            name, self._package = self._package, None  # its modules ask for names themselves
            try:
                for module in pkgutil.iter_modules(importlib.import_module(name).__path__):
                    importlib.import_module(f"{name}.{module.name}")
            except BaseException:
                self._package = name
                raise
        return self._entries

    def register(self, function: F) -> F:
        """Register a function under its own name; a name that is taken raises ``ValueError``."""
        self.add(function.__name__, function)
        return function

    def add(self, name: str, function: Callable[..., Any]) -> None:
        """Register a function under a name that is not its own."""
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is registered twice")
        self._entries[name] = function

    def names(self) -> list[str]:
        return sorted(self._known())

    def __getitem__(self, name: str) -> Callable[..., Any]:
        if name not in self._known():
            raise RecipeError(unknown_name(self.kind, name, self.names()))
        return self._known()[name]

    def bind(self, text: str) -> list[Callable[..., Any]]:
        """Check a spec and return its stages as functions of kit's own arguments alone.

        Raises:
            RecipeError: an unknown name or option, a missing option, or a value of the wrong type.
        """
        return [self._bind_stage(spec, text) for spec in parse_spec(text)]

    def bind_one(self, text: str) -> Callable[..., Any]:
        """Like :meth:`bind`, for fields that take one name and no ``|``."""
        stages = self.bind(text)
        if len(stages) != 1:
            raise RecipeError(f"{self.kind} {text!r} has {len(stages)} stages joined by |, expected one name")
        return stages[0]

    def canonical(self, text: str) -> str:
        """A spec of one stage without the options that are set to their defaults, and with names for all others."""
        (spec,) = parse_spec(text)
        default = {parameter.name: parameter.default for parameter in option_parameters(self[spec.name])}
        return with_options(
            spec.name, **{name: value for name, value in self.options_of(text).items() if value != default[name]}
        )

    def options_of(self, text: str) -> dict[str, Any]:
        """The options that a spec of one stage sets, by name, in the order of the function's own.

        Raises:
            RecipeError: as :meth:`bind_one`.
        """
        self.bind_one(text)
        (spec,) = parse_spec(text)
        return inspect.Signature(option_parameters(self[spec.name])).bind(*spec.args, **spec.kwargs).arguments

    def _bind_stage(self, spec: Spec, text: str) -> Callable[..., Any]:
        function = self[spec.name]
        options = option_parameters(function)
        try:
            bound = inspect.Signature(options).bind(*spec.args, **spec.kwargs)
        except TypeError as error:
            raise RecipeError(f"{self.kind} {text!r}: {error}; {spec.name} takes {_describe(options)}") from None
        hints = typing.get_type_hints(function)
        for name, value in bound.arguments.items():
            if not _accepts(hints.get(name, Any), value):
                expected = _type_words(hints[name])
                raise RecipeError(f"{self.kind} {text!r}: {name} is {value!r}, expected {expected}")

        def call(*own: Any) -> Any:
            return function(*own, *bound.args, **bound.kwargs)

        return call


def unknown_name(kind: str, name: str, valid: Sequence[str]) -> str:
    """The message for a name that is not registered: the nearest one first, then all of them."""
    nearest = difflib.get_close_matches(name, valid, n=1)
    suggestion = f"did you mean {nearest[0]!r}? " if nearest else ""
    return f"unknown {kind} {name!r}: {suggestion}choose one of {', '.join(valid)}"


def option_parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of a registered function that a spec may set."""
    parameters = inspect.signature(function).parameters.values()
    return [p for p in parameters if p.kind is not inspect.Parameter.POSITIONAL_ONLY]


def _describe(options: list[inspect.Parameter]) -> str:
    return ", ".join(str(option.replace(annotation=inspect.Parameter.empty)) for option in options) or ("no options")


def _accepts(hint: Any, value: Any) -> bool:
    origin = typing.get_origin(hint)
    if hint is Any:
        return True
    if origin is typing.Literal:
        return value in typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_accepts(part, value) for part in typing.get_args(hint))
    if origin is tuple:
        parts = typing.get_args(hint)
        if parts[-1] is Ellipsis:
            return isinstance(value, tuple) and all(_accepts(parts[0], each) for each in value)
        return isinstance(value, tuple) and len(value) == len(parts) and all(map(_accepts, parts, value))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _type_words(hint: Any) -> str:
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return " or ".join(map(repr, typing.get_args(hint)))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(_type_words, typing.get_args(hint)))
    if origin is tuple:
        parts = typing.get_args(hint)
        return f"({', '.join('...' if part is Ellipsis else _type_words(part) for part in parts)})"
    words = {float: "a number", int: "a whole number", str: "a string", bool: "True or False", types.NoneType: "None"}
    return words.get(hint, str(hint))
