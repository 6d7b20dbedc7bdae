import dataclasses
import json

import pytest

from kit.errors import RecipeError
from kit.training.recipe import Recipe

RECIPE = Recipe(competition="digits", model="deeper")


def test_json_round_trip() -> None:
    assert Recipe.from_dict(json.loads(json.dumps(RECIPE.to_dict()))) == RECIPE


def test_the_hash_changes_with_every_field() -> None:
    other = {
        "competition": "tiny", "model": "brief", "split": "stratified_kfold(3)", "epochs": 3, "batch_size": 7,
        "optimizer": "sgd", "learning_rate": 0.5, "schedule": "constant", "augment": "flip",
        "normalization": "none", "loss": "focal", "label_smoothing": 0.1, "balance": "weights", "weight_decay": 0.1,
        "clip_norm": 1.0, "average": "ema", "weights": "random", "frozen_epochs": 2, "fine_tune_rate": 0.5,
        "precision": "float32", "keep": "best", "monitor": "loss", "plateau": "reduce", "patience": 3,
        "deterministic": True, "metric": "log_loss", "seed": 9, "stop_after": 2, "snapshots": 1, "progressive": "14,28",
        "pseudo_labels": "a.csv", "confidence": 0.5, "distill": "a", "distill_share": 0.25, "tta": "flip",
    }  # fmt: skip
    assert set(other) == {field.name for field in dataclasses.fields(Recipe)}
    carried = dataclasses.replace(RECIPE, weights="imagenet")  # layers stand still only if they were carried
    together = {"snapshots": {"keep": "snapshots"}}
    hashes = {
        dataclasses.replace(carried, **{name: value, **together.get(name, {})}).hash() for name, value in other.items()
    }
    assert len(hashes | {carried.hash()}) == len(other) + 1


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("epochs", 0, "epochs is 0, expected a whole number from 1 to 100000"),
        ("epochs", 10**9, "epochs is 1000000000, expected"),
        ("epochs", 1.5, "epochs is 1.5"),
        ("batch_size", -4, "batch_size is -4"),
        ("batch_size", True, "batch_size is True"),
        ("learning_rate", 0, "learning_rate is 0, expected a number above 0"),
        ("learning_rate", float("nan"), "learning_rate is nan"),
        ("learning_rate", "fast", "learning_rate is 'fast'"),
        ("label_smoothing", 1.0, "label_smoothing is 1.0, expected a number from 0 up to, not including, 1"),
        ("frozen_epochs", -1, "frozen_epochs is -1, expected a whole number from 0"),
        ("frozen_epochs", 2, "frozen_epochs is 2, but no layer is carried over: name --weights, or leave it out"),
        ("frozen_epochs", 15, "frozen_epochs is 15, but no layer is carried over"),
        ("fine_tune_rate", 0, "fine_tune_rate is 0, expected a number above 0"),
        ("patience", 1.5, "patience is 1.5, expected a whole number"),
        ("weight_decay", -0.1, "weight_decay is -0.1, expected a number from 0 up"),
        ("clip_norm", float("inf"), "clip_norm is inf, expected a number from 0 up"),
        ("clip_norm", 1e300, r"clip_norm is 1e\+300, expected at most 3e\+38, as training is in float32"),
        ("weight_decay", 1e308, "weight_decay is 1e.308, expected at most"),
        ("learning_rate", 10**400, "learning_rate is 10+, expected at most"),
        ("optimizer", "muon(momentum=-1)", "momentum is -1, expected 0 up to, not including, 1"),
        ("model", "custom_vgg(l1=1e308)", r"'custom_vgg\(l1=1e308\)' has a number beyond 3e\+38"),
        ("loss", "focal(gamma=1e308)", "has a number beyond"),
        ("monitor", "f1", "monitor is 'f1', expected one of score, accuracy, loss"),
        ("balance", True, "balance is True, expected a string"),
        ("balance", "both", "balance is 'both', expected one of none, weights, sampling"),
        ("loss", "hinge", "unknown loss 'hinge'"),
        ("average", "ema(1.0)", "ema: decay is 1.0, expected between 0 and 1"),
        ("plateau", "reduce(2.0)", "plateau: factor is 2.0"),
        ("seed", -1, "seed is -1"),
        ("seed", 2**32, "expected a whole number from 0 to 4294967295"),
        ("model", "resnet", "unknown model 'resnet'"),
        ("model", 5, "model is 5, expected a string"),
        ("optimizer", "adamm", "unknown optimizer 'adamm': did you mean 'adam'"),
        ("optimizer", "sgd(mometum=0.9)", "sgd takes momentum=0.0, nesterov=False"),
        ("schedule", "cosine(1.0)", "minimum is 1.0"),
        ("augment", "flip|blur", "unknown augmentation 'blur'"),
        ("normalization", "center", "unknown normalization 'center'"),
        ("split", "stratified_kfold(1)", "folds is 1, expected at least 2"),
        ("precision", "float64", "expected one of auto, float32, bfloat16, float16"),
        ("keep", "first", "keep is 'first', expected one of last, best"),
        ("epoch", 3, "unknown recipe field 'epoch': did you mean 'epochs'"),
    ],
)
def test_bad_fields_are_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe.from_dict({**RECIPE.to_dict(), field: value})
