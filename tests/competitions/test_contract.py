"""What every competition module keeps; only what needs no files."""

import pytest

from competitions import competition_names, open_competition
from kit.api import resolve_recipe
from kit.errors import RecipeError


@pytest.mark.parametrize("name", competition_names())
def test_a_competition_and_its_recipes_are_valid(name: str) -> None:
    competition = open_competition(name)
    assert competition.name == name
    assert competition.default_model in competition.recipes
    for recipe in competition.recipes:
        assert resolve_recipe(competition, recipe, {}).competition == name
    default = resolve_recipe(competition, None, {})
    assert default.keep == "last"  # a fixed-length schedule: nothing is selected
    assert default.model.partition("(")[0] == competition.default_model


def test_an_unknown_one() -> None:
    with pytest.raises(RecipeError, match="unknown competition 'fashion': did you mean 'fashion_mnist'"):
        open_competition("fashion")


def test_what_a_recipe_leaves_to_the_caller() -> None:
    digits = open_competition("digits")
    assert resolve_recipe(digits, None, {"epochs": 2, "seed": None}).epochs == 2
    assert resolve_recipe(digits, None, {"model": "deeper"}).model == "deeper(momentum=0.9)"
    assert resolve_recipe(digits, None, {"model": "deeper(dropout=0.1)"}).model == "deeper(dropout=0.1)"
    fashion = open_competition("fashion_mnist")
    assert resolve_recipe(fashion, "notebook_elastic", {"epochs": 1}).normalization == "none"
