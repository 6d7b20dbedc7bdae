from typing import Literal

import pytest

from kit.errors import RecipeError
from kit.registry import Registry, Spec, parse_spec


@pytest.mark.parametrize(
    ("text", "stages"),
    [
        ("deeper", [Spec("deeper")]),
        ("sgd(momentum=0.9)", [Spec("sgd", (), {"momentum": 0.9})]),
        ("a | b(1, -2.5) | c((10, 12), x='y')", [Spec("a"), Spec("b", (1, -2.5)), Spec("c", ((10, 12),), {"x": "y"})]),
    ],
)
def test_a_spec_is_names_with_literal_options(text: str, stages: list[Spec]) -> None:
    assert list(parse_spec(text)) == stages


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a b",
        "a()()",
        "a.b",
        "a(x=open('f'))",
        "a(**{'x': 1})",
        "__import__('os').system('x')",
        "a+b",
        "1",
        "(" * 400,
        r"folds_file('a\x00b')",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="cannot read the spec"):
        parse_spec(text)


@pytest.mark.parametrize("text", ["a(1e999)", "a(-4e38)", "a(((1, 1e300),))", "a(1" + 400 * "0" + ")"])
def test_numbers_that_float32_does_not_hold_are_refused(text: str) -> None:
    with pytest.raises(RecipeError, match=r"has a number beyond 3e\+38: expected smaller ones"):
        parse_spec(text)


@pytest.fixture
def registry() -> Registry:
    registry = Registry("model")

    @registry.register
    def wide(
        images, /, width: int = 2, rate: float = 0.5, kind: Literal["a", "b"] = "a", span: tuple[int, int] = (0, 1)
    ):
        return images, width, rate, kind, span

    @registry.register
    def deep(images, /, depth: int):
        return images, depth

    return registry


def test_stages_take_only_kits_own_arguments(registry: Registry) -> None:
    wide, deep = registry.bind("wide(3, kind='b') | deep(depth=7)")
    assert wide("x") == ("x", 3, 0.5, "b", (0, 1))
    assert deep("x") == ("x", 7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wid", r"unknown model 'wid': did you mean 'wide'\? choose one of deep, wide"),
        ("wide(heigth=1)", "unexpected keyword argument 'heigth'; wide takes width=2, rate=0.5, kind='a', span="),
        ("wide(1, 2, 'a', (0, 1), 5)", "too many positional arguments"),
        ("deep", "missing a required argument: 'depth'"),
        ("wide(width=2.5)", "width is 2.5, expected a whole number"),
        ("wide(width=True)", "width is True, expected a whole number"),
        ("wide(rate='fast')", "rate is 'fast', expected a number"),
        ("wide(kind='c')", "kind is 'c', expected 'a' or 'b'"),
        ("wide(span=(1, 2, 3))", r"span is \(1, 2, 3\), expected \(a whole number, a whole number\)"),
        ("wide(images=1)", "unexpected keyword argument 'images'"),
    ],
)
def test_a_bad_spec_says_what_is_wrong_with_it(registry: Registry, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        registry.bind(text)


def test_one_stage_only(registry: Registry) -> None:
    with pytest.raises(RecipeError, match="2 stages joined by |, expected one name"):
        registry.bind_one("wide|deep(1)")


def test_a_name_is_registered_once(registry: Registry) -> None:
    def deep() -> None: ...

    with pytest.raises(ValueError, match="registered twice"):
        registry.register(deep)
