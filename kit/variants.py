"""The forms in which a trained model is written: as it is, or smaller, each with what it costs on validation rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kit.data.images import windows
from kit.deploy.export import OPSET, Exported, check_opset
from kit.errors import ModelFileError, SubmissionError
from kit.opening import nothing_trained, saved_competition, training_images
from kit.training.fold_directory import FoldDirectory
from kit.training.runs import RunDirectory
from kit.version import __version__

if TYPE_CHECKING:
    from kit.data.folds import Fold
    from kit.data.images import Competition, Images
    from kit.deploy.model_file import ModelCard
    from kit.models.build import Architecture
    from kit.scoring.metrics import Metric

MAX_LOSS = 0.5  # points that smaller numbers may cost, unless it is said otherwise


OnStep = Callable[[str, int, int], None]
"""Hears of a fine-tuning: what it is for, the step, counted from 1, and of how many."""


@dataclass(frozen=True)
class ExportOptions:
    """What is to be written; by default the trained model as it is, in float32.

    opset: version of the ONNX operators.
    tta: spec of other test-time augmentation than the recipe's.
    fp16, int8: smaller numbers; int8 are calibrated on training rows.
    max_loss: points that may be lost on validation rows; None is ``MAX_LOSS`` for smaller numbers, and no limit for
        pruning and clustering.
    prune: share of the weights that become zero. cluster: distinct weights a layer. Both fine-tune.
    tune_epochs: over the training rows.
    """

    opset: int = OPSET
    tta: str | None = None
    fp16: bool = False
    int8: bool = False
    max_loss: float | None = None
    prune: float = 0.0
    cluster: int = 0
    tune_epochs: int = 2

    def check(self) -> None:
        """Find what makes no sense before anything is done.

        Raises:
            ModelFileError, RecipeError: it says what.
        """
        from kit.models.views import view_axes

        check_opset(self.opset)
        if self.tta is not None:
            view_axes(self.tta)
        for (first, has_first), (second, has_second) in (
            (("fp16", self.fp16), ("int8", self.int8)),
            (("prune", self.prune), ("cluster", self.cluster)),
        ):
            if has_first and has_second:
                raise ModelFileError(f"{first} and {second} together are not to be had: choose one of them")
        if not (self.prune == 0 or 0 < self.prune < 1):
            raise ModelFileError(f"prune is {self.prune:g}, expected a share of the weights above 0 and below 1")
        if not (self.cluster == 0 or 2 <= self.cluster <= 256):
            raise ModelFileError(f"cluster is {self.cluster}, expected 2 to 256 distinct weights a layer")
        if self.tune_epochs < 1:
            raise ModelFileError(f"tune_epochs is {self.tune_epochs}, expected at least 1")
        if self.max_loss is not None and not 0 <= self.max_loss <= 100:
            raise ModelFileError(f"max_loss is {self.max_loss:g}, expected 0 to 100 points")

    def variant(self, recipe_tta: str) -> str:
        """What stands between ``model`` and ``.onnx`` in the name of the file, such as ``pruned.int8``."""
        other_views = self.tta is not None and self.tta != recipe_tta
        parts = {
            "tta-" + re.sub(r"\W+", "-", self.tta or "").strip("-"): other_views,
            "pruned": self.prune,
            "clustered": self.cluster,
            "fp16": self.fp16,
            "int8": self.int8,
        }
        return ".".join(part for part, wanted in parts.items() if wanted)


@dataclass(frozen=True)
class TrainedRun:
    """A run with all that its files are made from."""

    run: RunDirectory
    saved: dict[str, Any]
    competition: Competition
    images: Images
    folds: list[Fold]
    on_step: OnStep
    tuned: dict[Any, tuple[list[np.ndarray], dict[str, Any]]]  # weights and figures, so that none is tuned twice

    @classmethod
    def open(cls, run: RunDirectory, on_step: OnStep | None = None) -> TrainedRun:
        """Raises KitError: nothing in it was trained and scored, or its images are gone."""
        from kit.training.weights import check_scored

        saved = run.read_recipe()
        competition = saved_competition(saved)
        images = training_images(saved, competition)
        for fold in run.trained_folds():
            check_scored(fold)
        if not run.trained_folds():
            raise nothing_trained(run)
        heard = on_step or (lambda what, step, steps: None)
        return cls(run, saved, competition, images, run.read_split(), heard, {})

    def models(self) -> list[tuple[FoldDirectory, str]]:
        """Each fold with each of the weights that it keeps."""
        return [(fold, which) for fold in self.run.trained_folds() for which in fold.model_files]

    def check(self, options: ExportOptions) -> None:
        """Refuse, before any work, what the run has no rows for."""
        if options.int8 and not all(len(self._split(fold).validation) for fold in self.run.trained_folds()):
            raise ModelFileError(
                f"{self.run.path} has no validation rows on which to tell what int8 costs: quantise the run that it is "
                "a refit of, or use --fp16"
            )

    def write(self, fold: FoldDirectory, which: str, options: ExportOptions, scored: bool = False) -> Exported:
        """Write one model file; it takes its place only when it was compared with the trained model.

        Args:
            which: of the fold's weights.
            scored: tell the accuracy of a plain export too, as of all others.

        Raises:
            ModelFileError: it differs from the trained model, or has lost too much; what was there still is.
        """
        from kit.deploy.export import ask, compared, describe, write_checked, writing_model
        from kit.deploy.graphs import set_temperature
        from kit.deploy.parity import record_parity
        from kit.models.build import build_predictor
        from kit.training.weights import load_classifier

        architecture, classifier = fold.read_architecture(), load_classifier(fold, which)
        variant = options.variant(architecture.tta)
        path = fold.variant_files(variant)[which]
        before = self._scores_as_trained(fold, architecture, classifier) if variant or scored else None
        figures = self._tune(classifier, fold, which, options)
        views = architecture if options.tta is None else replace(architecture, tta=options.tta)
        predictor, after = build_predictor(views, classifier), before
        if figures or views != architecture:
            after = self._scores(fold, predictor)
        if figures and options.max_loss is not None:
            _check_loss(f"{variant} of {fold.path}", before, after, options.max_loss)
        card = replace(
            self._card(fold) if not variant else self._card(fold, after),
            tta=views.tta,
            weights_sha256=fold.weights_hashes[which],
        )
        answers = ask(predictor, self.images.pixels, path)
        with writing_model(path) as scratch:
            if options.fp16 or options.int8:
                float32 = scratch.with_name("float32.onnx")
                write_checked(predictor, card, answers, float32, path, options.opset)
                # A limit that was asked for counts from the trained model, the usual one from what is quantised.
                after = self._shrink(float32, scratch, fold, options, after if options.max_loss is None else before)
                describe(scratch, replace(card, score=after["score"] if after else None))
            else:
                write_checked(predictor, card, answers, scratch, path, options.opset)
            exported = compared(scratch, answers, path)
            if (temperature := self.run.read_temperature()) != 1:
                set_temperature(scratch, temperature, keep_score=not self._metric.needs_probabilities)
        record_parity(exported)
        return replace(exported, **figures, **_figures(before, after))

    def _shrink(
        self, float32: Path, target: Path, fold: FoldDirectory, options: ExportOptions, before: dict[str, Any] | None
    ) -> dict[str, Any] | None:
        """Write ``target`` with smaller numbers than ``float32``, and score it on the validation rows."""
        from kit.deploy.export import describe
        from kit.deploy.model_file import load_model
        from kit.deploy.quantize import calibration_rows, to_float16, to_int8

        if options.fp16:
            to_float16(float32, target)
        else:
            rows = calibration_rows(self._train_rows(fold), self.saved["recipe"]["seed"])
            to_int8(float32, target, self.images.pixels[rows])
        describe(target, self._card(fold, None))
        after = self._scores(fold, load_model(target, "cpu"))
        limit = MAX_LOSS if options.max_loss is None else options.max_loss
        _check_loss(f"{'fp16' if options.fp16 else 'int8'} of {fold.path}", before, after, limit)
        return after

    def _tune(self, classifier: Any, fold: FoldDirectory, which: str, options: ExportOptions) -> dict[str, Any]:
        """Prune or cluster the classifier, if that is wanted; returns what :class:`Exported` says of it."""
        from kit.deploy.compress import Tuning, cluster, prune
        from kit.training.recipe import Recipe

        if not options.prune and not options.cluster:
            return {}
        key = fold.path, which, options.prune, options.cluster, options.tune_epochs
        if key not in self.tuned:
            what = f"{'pruning' if options.prune else 'clustering'} {fold.path}"
            tuning = Tuning(
                self.images,
                self._train_rows(fold),
                Recipe.from_dict(self.saved["recipe"]),
                options.tune_epochs,
                lambda step, steps: self.on_step(what, step, steps),
            )
            if options.prune:
                figures: dict[str, Any] = {"zeros": prune(classifier, options.prune, tuning)}
            else:
                figures = {"distinct": cluster(classifier, options.cluster, tuning)}
            self.tuned[key] = classifier.get_weights(), figures
        weights, figures = self.tuned[key]
        classifier.set_weights(weights)
        return figures

    def _split(self, fold: FoldDirectory) -> Fold:
        return self.folds[fold.number]

    def _train_rows(self, fold: FoldDirectory) -> np.ndarray:
        """Without test images that trained by pseudo-labels, which come after all others."""
        train = self._split(fold).train
        return train[train < len(self.images)]

    def _scores_as_trained(
        self, fold: FoldDirectory, architecture: Architecture, classifier: Any
    ) -> dict[str, Any] | None:
        """Those of the training, unless they are of the mean of several models."""
        from kit.models.build import build_predictor

        told = fold.read_scores().get("validation")
        if told and len(fold.model_files) == 1 and told["rows"] == len(self._split(fold).validation):
            return {**told, "higher_is_better": self._metric.higher_is_better}
        return self._scores(fold, build_predictor(architecture, classifier))

    @property
    def _metric(self) -> Metric:
        from kit.scoring.metrics import make_metric

        return make_metric(self.saved["recipe"]["metric"])

    def _scores(self, fold: FoldDirectory, model: Any) -> dict[str, Any] | None:
        """What a predictor or a model file scores on the validation rows; None if there are none."""
        from kit.deploy.model_file import Model
        from kit.scoring.metrics import score
        from kit.training.weights import PREDICTION_BATCH, predict_probabilities

        rows = self._split(fold).validation
        if not len(rows) or self.images.labels is None:
            return None
        pixels = self.images.pixels[rows]
        if isinstance(model, Model):
            probabilities = np.concatenate([model.probabilities(some) for some in windows(pixels, PREDICTION_BATCH)])
            cause = "some are too large for its precision; export without --fp16"
        else:
            probabilities = predict_probabilities(model, pixels)
            cause = "its fine-tuning diverged; prune or cluster less"
        if not np.isfinite(probabilities).all():
            raise ModelFileError(f"this form of {fold.path} answers with what is not a number, as {cause}")
        told = score(probabilities, self.images.labels[rows], self.saved["recipe"]["metric"])
        return {**told, "higher_is_better": self._metric.higher_is_better}

    def _card(self, fold: FoldDirectory, *scored: dict[str, Any] | None) -> ModelCard:
        """With the score of the run, or with that of another form of its model, which may have none."""
        from kit.deploy.model_file import ModelCard

        told = fold.read_scores().get("validation")
        validation = scored[0] if scored else told if len(fold.model_files) == 1 else None  # else it is the mean's
        return ModelCard(
            competition=self.competition.spec,
            class_names=self.competition.class_names,
            label_values=self.competition.label_values,
            input_shape=self.competition.image_shape,
            input_dtype="uint8",
            id_column=self.competition.id_column,
            target_column=self.competition.target_column,
            recipe_hash=self.saved["recipe_hash"],
            kit_version=__version__,
            metric=self.saved["recipe"]["metric"],
            score=validation["score"] if validation else None,
            selected=bool(validation and told and told["selected"]),
            probability_columns=_probability_columns(self.competition),
        )


def _probability_columns(competition: Competition) -> tuple[str, ...]:
    """Of what the competition expects, where that is probabilities, after the id."""
    from kit.deploy.validator import expected_by

    try:
        expected = expected_by(competition, None)
    except SubmissionError:  # a sample of something else, which a prediction of the test set tells of
        return ()
    return expected.header[1:] if expected.wants_probabilities else ()


def _figures(before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, Any]:
    """What :class:`Exported` says of the trained model and of its file."""
    if before is None or after is None:
        return {}
    return {
        "validation_rows": after["rows"],
        "accuracy_before": before["accuracy"],
        "accuracy": after["accuracy"],
        "score_before": before["score"],
        "score": after["score"],
    }


def _check_loss(what: str, before: dict[str, Any] | None, after: dict[str, Any] | None, limit: float) -> None:
    """Refuse what lost more points than that, of accuracy or of a metric that is the better the higher it is."""
    if before is None or after is None:
        return
    figures = ["accuracy", "score"] if after["higher_is_better"] else ["accuracy"]
    lost = {figure: 100 * (before[figure] - after[figure]) for figure in figures}
    worst = max(figures, key=lambda figure: lost[figure])
    if lost[worst] > limit:
        raise ModelFileError(
            f"{what} costs {lost[worst]:.2f} points of {worst} on {after['rows']:,} validation rows "
            f"({before[worst]:.4f} before, {after[worst]:.4f} after), more than {limit:g}; it was not written: "
            "--max-loss allows more"
        )
