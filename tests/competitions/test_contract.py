"""What every competition keeps, in every layout its files come in."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from competitions import competition_names, describe_competition, find_competition, open_competition
from kit.data.contract import broken_promises
from kit.data.folds import make_split
from kit.data.images import Superclasses
from kit.deploy.submission import write_submission
from kit.deploy.validator import expected_submission
from kit.errors import RecipeError
from kit.opening import resolve_recipe
from kit.registry import parse_spec
from tests.layouts import LAYOUTS


def test_every_competition_has_a_layout_here() -> None:
    assert {parse_spec(spec)[0].name for spec, _ in LAYOUTS.values()} == set(competition_names())


@pytest.mark.parametrize("title", LAYOUTS)
def test_a_competition_keeps_its_promises(title: str, tmp_path: Path) -> None:
    spec, write = LAYOUTS[title]
    (tmp_path / "files").mkdir()
    write(tmp_path / "files")
    competition = open_competition(spec, tmp_path / "files")
    assert competition.spec == spec
    assert broken_promises(competition) == []

    for recipe in competition.recipes:
        assert resolve_recipe(competition, recipe, {}).competition == spec
    default = resolve_recipe(competition, None, {})
    assert default.keep == "last"  # a fixed-length schedule: nothing is selected
    assert default.metric == competition.metric
    assert default.model.partition("(")[0] == competition.default_model

    images, again = competition.load_train(), open_competition(spec, tmp_path / "files").load_train()
    np.testing.assert_array_equal(images.pixels, again.pixels)
    np.testing.assert_array_equal(images.ids, again.ids)
    np.testing.assert_array_equal(images.labels, again.labels)  # type: ignore[arg-type]
    (fold,) = make_split("holdout").make_folds(images, 0)
    rows = np.concatenate([fold.train, fold.validation, fold.test])
    assert sorted(rows.tolist()) == list(range(len(images)))

    test = competition.load_test()
    header = (competition.id_column, competition.target_column)
    expected = expected_submission(header, test.ids, competition.label_values, competition.sample_submission)
    classes = len(competition.label_values)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(classes), len(test)).astype(np.float32)
    write_submission(Path("run.csv"), test.ids, [probabilities], expected)
    assert len(Path("run.csv").read_text().splitlines()) == 1 + len(test)


@pytest.mark.parametrize("name", competition_names())
def test_a_competition_describes_itself(name: str) -> None:
    described = describe_competition(name)
    assert described["about"]
    assert {"deeper", "brief"} <= set(described["recipes"])
    assert find_competition(name).__name__ == "competition"


@pytest.mark.parametrize("of_class", [(0, 1, 0), (0, 1, 2, 0, 1, 0, 1, 0, 1, 0), (-1, *[0] * 9)])
def test_superclasses_are_one_a_class(of_class: tuple[int, ...]) -> None:
    digits = replace(open_competition("digits"), superclasses=Superclasses(("even", "odd"), (0, 1) * 5))
    assert broken_promises(digits) == []
    (line,) = broken_promises(replace(digits, superclasses=Superclasses(("even", "odd"), of_class)))
    assert line == f"superclasses name {len(of_class)} indices for 10 classes, expected one of 0 to 1 for each"


def test_an_unknown_one() -> None:
    with pytest.raises(RecipeError, match="unknown competition 'fashion': did you mean 'fashion_mnist'"):
        open_competition("fashion")
    with pytest.raises(RecipeError, match=r"labels is 'course', expected 'fine' or 'coarse'"):
        open_competition("cifar100(labels='course')")
    with pytest.raises(
        RecipeError, match=r"competition 'digits.labels=5.': got an unexpected .*digits takes no options"
    ):
        open_competition("digits(labels=5)")


def test_what_a_recipe_leaves_to_the_caller() -> None:
    digits = open_competition("digits")
    assert resolve_recipe(digits, None, {"epochs": 2, "seed": None}).epochs == 2
    assert resolve_recipe(digits, None, {"model": "deeper"}).model == "deeper(momentum=0.9)"
    assert resolve_recipe(digits, None, {"model": "deeper(dropout=0.1)"}).model == "deeper(dropout=0.1)"
    fashion = open_competition("fashion_mnist")
    for name in (None, "fast"):  # a network scales raw pixels itself
        changes = {"model": "backbone('MobileNetV2')"}
        assert resolve_recipe(digits, name, changes).normalization == "none"
        assert resolve_recipe(digits, name, {**changes, "normalization": "rescale"}).normalization == "rescale"
    assert resolve_recipe(digits, None, {"model": "efficientnet_v2_b0"}).normalization == "standardize"
    assert resolve_recipe(fashion, "notebook_elastic", {"epochs": 1}).normalization == "none"
