"""The named recipes of every competition that kit brings: complete, buildable, trainable; what they claim is backed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from competitions import competition_names, named_recipes, open_competition
from kit import train
from kit.data.claims import Claim, claims_of, fields_of
from kit.data.images import Competition
from kit.errors import DataError, RecipeError
from kit.models import MODELS
from kit.models.backbones import application, name_as_if_alone
from kit.opening import resolve_recipe
from kit.planning import plan_training
from kit.training.control import PLATEAUS
from kit.training.recipe import Recipe, model_name
from kit.training.runs import RunDirectory
from kit.training.schedules import learning_rates
from tests import layouts
from tests.conftest import tiny_competition

FILES = {
    "cifar10": layouts.cifar10_folders,
    "cifar100": layouts.cifar100_python,
    "csv": layouts.table_and_images,
    "digits": layouts.nothing,
    "fashion_mnist": layouts.fashion,
    "folder": layouts.class_folders,
    "pixels": layouts.pixel_tables,
}
NAMED = [(competition, name) for competition in FILES for name in named_recipes(competition)]
# One of each study, of different schedules, splits and ways to end.
SOME = [
    ("fashion_mnist", "notebook_elastic"),
    ("cifar10", "model_s"),
    ("cifar100", "weak_cnn_cyclic"),
    ("cifar100", "baseline_cutmix"),
]


def recipe_of(competition: str, name: str) -> Recipe:
    return Recipe.from_dict({**fields_of(named_recipes(competition))[name], "competition": competition})


def test_every_competition_is_here_with_a_fast_and_a_best_recipe() -> None:
    assert sorted(FILES) == competition_names()
    for competition in FILES:
        assert {"fast", "best"} <= set(named_recipes(competition))


@pytest.mark.parametrize(("competition", "name"), NAMED)
def test_a_recipe_named_like_a_model_is_of_that_model(competition: str, name: str) -> None:
    assert name not in MODELS.names() or model_name(recipe_of(competition, name).model) == name


@pytest.mark.parametrize(
    ("competition", "published"),
    [
        ("fashion_mnist", {"notebook_brief": 0.8957, "notebook_vgg16_transfer": 0.8542}),
        ("cifar10", {"model_s": 0.834, "resnet50_224": 0.923}),
        ("cifar100", {"weak_cnn_cyclic": 0.4507, "custom_vgg16_tuned": 0.6155, "efficientnet_v2_b0_basic": 0.575}),
    ],
)
def test_the_listing_has_what_the_authors_reached(competition: str, published: dict[str, float]) -> None:
    claims = claims_of(named_recipes(competition))
    assert {name: claims[name].published for name in published} == published
    assert all(claim.rows and claim.machine for claim in claims.values() if claim.score is not None)


def test_published_rates() -> None:
    """By epoch, as the studies state them."""
    course = recipe_of("cifar100", "preactivation_cnn")
    rates = learning_rates(course.schedule, course.learning_rate, course.epochs, 10)
    by_epoch = [1e-3] * 6 + [1e-4] * 3 + [1e-5] * 2 + [1e-6] * 2 + [5e-7] * 2
    np.testing.assert_allclose(rates, np.repeat(by_epoch, 10), rtol=1e-6)

    cyclic = recipe_of("cifar100", "weak_cnn_cyclic")
    rates = learning_rates(cyclic.schedule, cyclic.learning_rate, cyclic.epochs, 10)
    assert (rates[50], rates[100]) == pytest.approx((1e-3, 0))
    assert rates.argmax() == 50

    restarts = recipe_of("fashion_mnist", "notebook_elastic")
    rates = learning_rates(restarts.schedule, restarts.learning_rate, restarts.epochs, 375).reshape(10, -1)
    assert rates[:, 0] == pytest.approx(np.full(10, 6e-3))
    assert rates[:, -1] == pytest.approx(np.full(10, 1e-3), rel=1e-3)

    transfer = recipe_of("cifar10", "vgg16_224")
    lowest = PLATEAUS.bind_one(transfer.plateau)()([0.0] * 20)
    assert transfer.learning_rate * lowest == pytest.approx(1e-5)


@pytest.mark.parametrize(("competition", "name"), SOME)
def test_a_published_recipe_trains_on_small_files(competition: str, name: str, tmp_path: Path) -> None:
    trains(competition, name, tmp_path)


@pytest.mark.parametrize(("competition", "name"), NAMED)
def test_a_model_can_be_built_for_the_competition(competition: str, name: str, tmp_path: Path) -> None:
    if not is_small(recipe_of(competition, name).model):
        pytest.skip("large: built where it is trained, in the slow tests")
    FILES[competition](tmp_path)
    ready = plan_training(competition, recipe=name, data=tmp_path, **split_of_small_files(competition, name))
    check_size(ready.recipe, ready.competition, ready.trainable_parameters)
    assert ready.parameters >= ready.trainable_parameters


@pytest.mark.slow
@pytest.mark.parametrize(("competition", "name"), [row for row in NAMED if row not in SOME])
def test_every_recipe_trains_on_small_files(
    competition: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.models.carry.with_imagenet_weights", network_without_imagenet)
    run = trains(competition, name, tmp_path)
    if recipe_of(competition, name).weights == "imagenet":
        (fold,) = run.trained_folds()
        assert all(layer["from"] for layer in fold.read_carried()["layers"] if not is_of_the_head(layer["name"]))


def split_of_small_files(competition: str, name: str) -> dict[str, str]:
    """Instead of a split by position, one at a position that the small files have."""
    if not recipe_of(competition, name).split.startswith("first_rows"):
        return {}
    return {"split": "first_rows(160)" if competition == "cifar100" else "first_rows(40)"}


def network_without_imagenet(name: str) -> Any:
    """What Keras would download, with other numbers in it."""
    base = application(name)(include_top=False, weights=None, input_shape=(224, 224, 3))
    name_as_if_alone(base)
    return base


def is_of_the_head(layer: str) -> bool:
    return layer == "logits" or layer.startswith("head_")


def is_small(model: str) -> bool:
    found: Any = MODELS[model_name(model)]
    return not hasattr(found, "backbone") and found.reference.trainable_parameters < 10_000_000


def check_size(recipe: Recipe, competition: Competition, trainable_parameters: int) -> None:
    """It is the published one where the model is used as published: this shape, these classes, no other sizes."""
    reference = MODELS[model_name(recipe.model)].reference  # type: ignore[attr-defined]
    asked = (competition.image_shape, len(competition.label_values))
    if "width" not in recipe.model and asked == (reference.image_shape, reference.num_classes):
        assert trainable_parameters == reference.trainable_parameters


def trains(competition: str, name: str, tmp_path: Path, **changes: Any) -> RunDirectory:
    """One epoch, on files in the official format."""
    (tmp_path / "files").mkdir()
    FILES[competition](tmp_path / "files")
    changes |= split_of_small_files(competition, name)
    if recipe_of(competition, name).snapshots:
        changes["snapshots"] = 1  # of the one epoch
    given = {**fields_of(named_recipes(competition))[name], "epochs": 1, **changes}
    run = train(competition, recipe=name, data=tmp_path / "files", epochs=1, **changes)
    saved = run.read_recipe()["recipe"]
    assert {field: saved[field] for field in given} == given
    metrics = run.read_metrics()
    assert metrics["status"] == "complete"
    asked = open_competition(competition, tmp_path / "files")
    check_size(recipe_of(competition, name), asked, metrics["trainable_parameters"])
    return run


def test_model_s_validates_on_the_second_folder_or_on_as_many_rows(tmp_path: Path) -> None:
    layouts.cifar10_folders(tmp_path / "folders")
    ready = plan_training("cifar10", model="model_s", data=tmp_path / "folders")
    images = ready.competition.load_train()
    assert set(images.columns["folder"][ready.folds[0].validation]) == {"train2"}
    layouts.cifar10_python(tmp_path / "batches")
    ready = plan_training("cifar10", model="model_s", data=tmp_path / "batches")
    assert [len(ready.folds[0].train), len(ready.folds[0].validation)] == [40, 10]


def test_patience_keeps_the_best_unless_told_otherwise(tiny: Competition) -> None:
    assert resolve_recipe(tiny, None, {}).keep == "last"
    assert resolve_recipe(tiny, None, {"patience": 2}).keep == "best"
    assert resolve_recipe(tiny, None, {"patience": 2, "keep": "last"}).keep == "last"
    patient = replace(tiny, recipes={"brief": {"model": "brief", "patience": 2}})
    assert resolve_recipe(patient, "brief", {}).keep == "best"
    assert resolve_recipe(patient, "brief", {"patience": 0}).keep == "last"
    stubborn = replace(tiny, recipes={"brief": {"model": "brief", "patience": 2, "keep": "last"}})
    assert resolve_recipe(stubborn, "brief", {}).keep == "last"
    assert resolve_recipe(stubborn, "brief", {"patience": 3}).keep == "best"


def test_snapshots_of_a_recipe_stay_whatever_is_said_beside(tiny: Competition) -> None:
    fields = {"model": "brief", "epochs": 4, "schedule": "warm_restarts(period=2)", "keep": "snapshots", "snapshots": 2}
    object.__setattr__(tiny, "recipes", {"brief": fields})
    for words in ({"patience": 3}, {"keep": "snapshots"}):
        assert plan_training("tiny", recipe="brief", **words).recipe.keep == "snapshots"


def test_a_claim_says_how_it_was_measured() -> None:
    with pytest.raises(DataError, match=r"a claim of 0.9 says not how it was measured: give rows, seeds,"):
        Claim(score=0.9, rows=100)
    with pytest.raises(DataError, match=r"a claim of seeds \(0, 1\) has deviation None: give one for several seeds"):
        Claim(score=0.9, rows=100, seeds=(0, 1), minutes=1, machine="here")
    with pytest.raises(DataError, match="recipe 'brief': its claim is 0.9, expected a kit.data.claims.Claim"):
        replace(tiny_competition(), recipes={"brief": {"claim": 0.9, "model": "brief"}})


def test_claims_are_no_fields_of_a_recipe() -> None:
    claim = Claim(published=0.5)
    competition = replace(tiny_competition(), recipes={"brief": {"claim": claim, "model": "brief"}})
    assert competition.recipes == {"brief": {"model": "brief"}}
    assert replace(competition, title="again").claims == {"brief": claim}
    assert resolve_recipe(competition, "brief", {}).model == "brief"


def test_frozen_layers_want_weights(tiny: Competition) -> None:
    with pytest.raises(RecipeError, match=r"of vgg16_transfer are frozen, and would keep their random weights: name"):
        plan_training("tiny", model="vgg16_transfer")
