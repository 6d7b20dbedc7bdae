"""Recipe: everything that a person decides about a run."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from kit.data.folds import make_split
from kit.errors import RecipeError
from kit.models import MODELS
from kit.registry import parse_spec, unknown_name
from kit.scoring.metrics import make_metric
from kit.training.augment import augmentation
from kit.training.normalization import NORMALIZATIONS
from kit.training.optimizers import OPTIMIZERS
from kit.training.schedules import learning_rates
from kit.training.switches import check_precision

KEEP = ("last", "best")


@dataclass(frozen=True)
class Recipe:
    """What is trained, on which rows, and how. Specs are explained in ``kit.registry``."""

    competition: str
    model: str  # spec
    split: str = "holdout"  # spec
    epochs: int = 15
    batch_size: int = 128
    optimizer: str = "adamax"  # spec
    learning_rate: float = 6e-3  # the schedule's peak, per batch of batch_size
    schedule: str = "warmup(1)|cosine"  # spec
    augment: str = "none"  # spec
    normalization: str = "rescale"  # spec
    label_smoothing: float = 0.0  # share of each target that is spread evenly over all classes
    precision: str = "auto"
    keep: str = "last"  # weights of the last epoch, or of the best by the metric on validation rows (a selected score)
    metric: str = "accuracy"  # spec; the competition's, unless chosen otherwise
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            _check_whole(name, getattr(self, name), 1, 100_000)
        _check_whole("seed", self.seed, 0, 2**32 - 1)
        rate = self.learning_rate
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < math.inf:
            raise RecipeError(f"learning_rate is {rate!r}, expected a number above 0")
        smoothing = self.label_smoothing
        if isinstance(smoothing, bool) or not isinstance(smoothing, int | float) or not 0 <= smoothing < 1:
            raise RecipeError(f"label_smoothing is {smoothing!r}, expected a number from 0 up to, not including, 1")
        for name in ("competition", "model", "split", "optimizer", "schedule", "augment", "normalization", "metric"):
            if not isinstance(getattr(self, name), str):
                raise RecipeError(f"{name} is {getattr(self, name)!r}, expected a string")
        if self.keep not in KEEP:
            raise RecipeError(f"keep is {self.keep!r}, expected one of {', '.join(KEEP)}")
        check_precision(self.precision)
        make_metric(self.metric)
        MODELS.bind_one(self.model)
        make_split(self.split)
        OPTIMIZERS.bind_one(self.optimizer)
        NORMALIZATIONS.bind_one(self.normalization)
        augmentation(self.augment)
        learning_rates(self.schedule, rate, self.epochs, steps_per_epoch=100)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Build a recipe from JSON; a field that does not exist is an error, not ignored."""
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise RecipeError(unknown_name("recipe field", name, known))
        for name in ("competition", "model"):
            if name not in values:
                raise RecipeError(f"the recipe has no {name}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def hash(self) -> str:
        """Twelve hexadecimal digits that change with any field."""
        numbers = {name: float(getattr(self, name)) for name in ("learning_rate", "label_smoothing")}
        fields_as_read = {**self.to_dict(), **numbers}  # 1 and 1.0 are the same
        canonical = json.dumps(fields_as_read, sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def model_name(spec: str) -> str:
    """The registered name in a model's spec: ``deeper`` of ``deeper(dropout=0.3)``.

    Raises:
        RecipeError: there is no such model.
    """
    name = parse_spec(spec)[0].name
    if name not in MODELS.names():
        raise RecipeError(unknown_name("model", name, MODELS.names()))
    return name


def _check_whole(name: str, value: Any, minimum: int, maximum: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        raise RecipeError(f"{name} is {value!r}, expected a whole number from {minimum} to {maximum}")
