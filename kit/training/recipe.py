"""Recipe: everything that a person decides about a run."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from kit.data.folds import make_split
from kit.errors import RecipeError
from kit.models import MODELS
from kit.models.views import VIEWS
from kit.registry import LARGEST, parse_spec, unknown_name
from kit.scoring.metrics import make_metric
from kit.training.augment import augmentation
from kit.training.averaging import AVERAGES
from kit.training.control import MONITORS, PLATEAUS
from kit.training.losses import LOSSES
from kit.training.normalization import NORMALIZATIONS
from kit.training.optimizers import check_optimizer
from kit.training.schedules import learning_rates, lowest_steps
from kit.training.switches import check_precision

KEEP = ("last", "best", "snapshots")
BALANCES = ("none", "weights", "sampling")


@dataclass(frozen=True)
class Recipe:
    """What is trained, on which rows, and how. Specs are explained in ``kit.registry``."""

    competition: str
    model: str  # spec
    split: str = "holdout"  # spec
    epochs: int = 15
    stop_after: int = 0  # epochs after which it ends, although the schedule goes on; 0 for all
    batch_size: int = 128
    optimizer: str = "adamax"  # spec
    learning_rate: float = 6e-3  # the schedule's peak, per batch of batch_size
    schedule: str = "warmup(1)|cosine"  # spec
    augment: str = "none"  # spec
    normalization: str = "rescale"  # spec
    loss: str = "crossentropy"  # spec
    label_smoothing: float = 0.0  # share of each target that is spread evenly over all classes
    progressive: str = ""  # heights of the images in phases of equal length, such as 16,24,32; the last is the full one
    balance: str = "none"  # rare classes count as much as frequent ones: by weights in the loss, or by sampling
    weight_decay: float = 0.0  # decoupled, per unit of learning rate; instead of the optimizer's own
    clip_norm: float = 0.0  # largest norm of all gradients together, 0 for any
    average: str = "none"  # spec: which average of the weights is scored and kept
    weights: str = "random"  # or imagenet, a weights file, or an earlier run, whose backbone is carried over
    frozen_epochs: int = 0  # epochs at the start in which the carried layers stand still
    fine_tune_rate: float = 0.1  # factor on the learning rate after those epochs
    pseudo_labels: str = ""  # CSV of test probabilities: test images train too, with the labels it is sure of
    confidence: float = 0.95  # probability from which on it is
    distill: str = ""  # cross-validated run whose out-of-fold probabilities are part of the targets
    distill_share: float = 0.5  # that part
    precision: str = "auto"
    deterministic: bool = False  # the same bits again also where that costs time
    keep: str = "last"  # weights of the last epoch, of the best by the monitor (a selected score), or all snapshots
    snapshots: int = 0  # the last so many minima of the learning rate, whose weights are saved
    monitor: str = "score"  # what best, plateau and patience go by: the metric's score, accuracy or loss
    plateau: str = "none"  # spec: when the learning rate falls for lack of progress
    patience: int = 0  # epochs without progress after which the training ends, 0 for never
    tta: str = "none"  # spec: test-time augmentation of what is scored, exported and predicted
    metric: str = "accuracy"  # spec; the competition's, unless chosen otherwise
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            _check_whole(name, getattr(self, name), 1, 100_000)
        for name in ("stop_after", "snapshots", "frozen_epochs", "patience"):
            _check_whole(name, getattr(self, name), 0, 100_000)
        _check_whole("seed", self.seed, 0, 2**32 - 1)
        for name in ("learning_rate", "fine_tune_rate"):
            _check_number(name, getattr(self, name), lambda value: 0 < value < math.inf, "above 0")
        for name in ("weight_decay", "clip_norm"):
            _check_number(name, getattr(self, name), lambda value: 0 <= value < math.inf, "from 0 up")
        _check_number(
            "label_smoothing", self.label_smoothing, lambda value: 0 <= value < 1, "from 0 up to, not including, 1"
        )
        for name in ("confidence", "distill_share"):
            _check_number(name, getattr(self, name), lambda value: 0 < value <= 1, "above 0, up to 1")
        for field in fields(self):
            if field.type == "str" and not isinstance(getattr(self, field.name), str):
                raise RecipeError(f"{field.name} is {getattr(self, field.name)!r}, expected a string")
        if not isinstance(self.deterministic, bool):
            raise RecipeError(f"deterministic is {self.deterministic!r}, expected true or false")
        for name, choices in (("keep", KEEP), ("monitor", MONITORS), ("balance", BALANCES)):
            if getattr(self, name) not in choices:
                raise RecipeError(f"{name} is {getattr(self, name)!r}, expected one of {', '.join(choices)}")
        if self.frozen_epochs and self.weights == "random":
            raise RecipeError(
                f"frozen_epochs is {self.frozen_epochs}, but no layer is carried over: name --weights, or leave it out"
            )
        if self.frozen_epochs >= self.epochs and self.frozen_epochs:
            raise RecipeError(
                f"frozen_epochs is {self.frozen_epochs} of {self.epochs} epochs: expected fewer, so that some are left "
                "in which the carried layers learn"
            )
        if self.progressive:
            self._check_sizes()
        check_precision(self.precision)
        make_metric(self.metric)
        MODELS.bind_one(self.model)
        make_split(self.split)
        check_optimizer(self.optimizer)
        NORMALIZATIONS.bind_one(self.normalization)
        LOSSES.bind_one(self.loss)()
        AVERAGES.bind_one(self.average)()
        VIEWS.bind_one(self.tta)
        PLATEAUS.bind_one(self.plateau)()
        augmentation(self.augment)
        rates = learning_rates(self.schedule, self.learning_rate, self.epochs, steps_per_epoch=100)
        minima = int((lowest_steps(rates) < 100 * self.planned_epochs).sum()) if self.snapshots else 0
        if (self.keep == "snapshots") != (self.snapshots > 0):
            raise RecipeError(
                f"keep is {self.keep!r} and snapshots {self.snapshots}: expected both keep 'snapshots' and a number of "
                "them, or neither"
            )
        if self.snapshots and parse_spec(self.average)[0].name == "swa":
            raise RecipeError("snapshots and average swa are two ways to use the same weights: leave one of them out")
        if self.snapshots > minima:
            raise RecipeError(
                f"snapshots is {self.snapshots}, but the rate has {minima} minima in {self.planned_epochs} epochs: "
                f"expected as many, as with schedule 'warm_restarts(period={self.epochs / self.snapshots:g})'"
            )

    @property
    def sizes(self) -> tuple[int, ...]:
        """The heights that ``progressive`` names."""
        return tuple(int(word) for word in self.progressive.split(",")) if self.progressive else ()

    def size_in(self, epoch: int) -> int | None:
        """The height of the images in an epoch, counted from 0; None for the full one."""
        sizes = self.sizes
        phase = epoch * len(sizes) // self.epochs
        return sizes[phase] if phase < len(sizes) - 1 else None

    def _check_sizes(self) -> None:
        wrong = not re.fullmatch(r"\s*\d+\s*(,\s*\d+\s*)+", self.progressive)
        if wrong or sorted(set(self.sizes)) != list(self.sizes) or self.sizes[0] < 1:
            raise RecipeError(f"progressive is {self.progressive!r}, expected rising sizes such as '16,24,32'")
        if len(self.sizes) > self.epochs:
            raise RecipeError(f"progressive has {len(self.sizes)} sizes for {self.epochs} epochs: expected fewer")

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

    @property
    def kept(self) -> tuple[str, ...]:
        """The names of the weights whose mean prediction is scored and exported."""
        return tuple(f"snapshot-{n}" for n in range(1, self.snapshots + 1)) or (self.keep,)

    @property
    def chooses(self) -> bool:
        """Whether rows that are watched have a say in the weights: by the best epoch, a plateau, or patience."""
        return self.keep == "best" or parse_spec(self.plateau)[0].name == "reduce" or self.patience > 0

    @property
    def planned_epochs(self) -> int:
        return min(self.stop_after or self.epochs, self.epochs)

    def without_effect(self) -> list[str]:
        """What is set here and nothing makes use of, a line each."""
        lines = []
        if self.fine_tune_rate != Recipe.fine_tune_rate and not self.frozen_epochs:
            lines.append(f"fine_tune_rate {self.fine_tune_rate} has no effect: it follows frozen_epochs, which is 0")
        if self.monitor != Recipe.monitor and not self.chooses:
            lines.append(f"monitor {self.monitor} has no effect without keep best, a plateau or patience")
        if self.confidence != Recipe.confidence and not self.pseudo_labels:
            lines.append(f"confidence {self.confidence} has no effect without pseudo_labels")
        if self.distill_share != Recipe.distill_share and not self.distill:
            lines.append(f"distill_share {self.distill_share} has no effect without distill")
        return lines

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def hash(self) -> str:
        """Twelve hexadecimal digits that change with any field."""
        return recipe_hash(self.to_dict())


def recipe_hash(values: Mapping[str, Any]) -> str:
    """The hash of a recipe as it was saved, perhaps by a version that had fewer fields."""
    floats = {field.name for field in fields(Recipe) if field.type == "float"}
    as_read = {name: float(value) if name in floats else value for name, value in values.items()}  # 1 is 1.0
    return hashlib.sha256(json.dumps(as_read, sort_keys=True).encode()).hexdigest()[:12]


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


def _check_number(name: str, value: Any, accepts: Callable[[float], bool], expected: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not accepts(value):
        raise RecipeError(f"{name} is {value!r}, expected a number {expected}")
    if value > LARGEST:
        raise RecipeError(f"{name} is {value!r}, expected at most {LARGEST:g}, as training is in float32")
