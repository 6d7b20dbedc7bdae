"""Train one fold: images and a recipe in; weights, history, probabilities and scores out."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import numpy as np

from kit.data.duplicates import row_keys
from kit.data.images import Images
from kit.errors import Interrupted, RunError
from kit.files import file_hash
from kit.scoring.ensembles import compare_members
from kit.scoring.metrics import make_metric, mean_log_loss, score
from kit.training.batches import epoch_batches
from kit.training.checkpoints import Checkpoints, Standing
from kit.training.control import PLATEAUS, best_epoch, epochs_without_progress, quality
from kit.training.events import Epoch, Listener
from kit.training.memory import out_of_memory_told
from kit.training.preparation import Task, Training, labels_of, prepare, set_size, thaw
from kit.training.recipe import Recipe
from kit.training.weights import load_predictor, predict_probabilities, save_weights

logger = logging.getLogger("kit")


def train_fold(
    images: Images, task: Task, listener: Listener, test: Images | None = None, score_partial: bool = True
) -> dict[str, Any] | None:
    """Train a fold and write its files; the result depends on the arguments alone.

    Args:
        test: the competition's own labelled test images, which are scored if the fold holds out no test rows.
        score_partial: score a training that the listener ends early; else it leaves a checkpoint only.

    Sets the global seeds of Python, NumPy and Keras, and ends Keras's session: models built before are detached.

    A training whose directory has a checkpoint goes on from there, and ends as if it had never been interrupted.

    Returns:
        What is in the fold's scores.json: scores of the validation and test rows, the best epoch, sizes and times.
        None if it was ended early and is not to be scored.

    Raises:
        RunError: the loss stopped being finite; the epochs before that are scored and kept.
        Interrupted: the listener heard a signal; a checkpoint has been left.
    """
    training = prepare(images, task, test)
    task.directory.write_architecture(training.architecture)
    if training.origin.carried is not None:
        task.directory.write_carried(training.origin.carried.to_dict())
    recipe = task.recipe
    checkpoints = Checkpoints(task.directory, recipe.to_dict(), task.checkpoint_seconds)
    standing = checkpoints.restore(training)
    history = standing.history
    ended_by_listener = False
    try:
        while len(history) < recipe.planned_epochs and not _out_of_patience(recipe, history):
            if len(history) >= recipe.frozen_epochs:
                thaw(training)
            set_size(training, len(history))
            ended = train_epoch(training, len(history), standing, listener, checkpoints)
            ended_by_listener = not listener.keep_going()
            if ended_by_listener:
                checkpoints.save(training, standing)  # what is done to the weights from here on is for now only
            if training.average and standing.step == training.steps:
                training.average.epoch_ended(len(history) + 1, recipe.epochs, training.classifier)
            with _averaged(training):
                ended = _validated(training, ended)
                keep(training, [*history, ended])
            standing.begin_epoch(ended)  # only now: an epoch that could not be written is not scored
            listener.epoch_ended(ended)
            if ended_by_listener:
                break
            checkpoints.save_if_due(training, standing)
    except RunError:
        if history and score_partial:
            with suppress(RunError):  # what went wrong first is told
                _score(training, history, ended=False)
        raise
    if ended_by_listener and not score_partial:
        return None
    if training.average and training.average.weights() is None:
        logger.warning("the training ended before %s began: the weights are those of the last step", recipe.average)
    if recipe.snapshots and not any(task.directory.weights_file(which).is_file() for which in recipe.kept):
        logger.warning("the training ended before its first snapshot: the weights are those of the last step")
    scores = _score(training, history, ended=not ended_by_listener)
    if not ended_by_listener:
        checkpoints.clear()
    return scores


def train_epoch(
    training: Training, number: int, standing: Standing, listener: Listener, checkpoints: Checkpoints | None = None
) -> Epoch:
    """Train the rest of an epoch, counted from 0; what it says of the validation rows is filled in after it.

    Batches go to ``train_on_batch`` one by one. ``fit`` would wrap them into a tf.data pipeline, whose autotuning
    thread was seen to hold up the end of every second training for up to 20 seconds. The learning rate is a variable
    that is set before each step, which every backend notices.
    """
    recipe, fold = training.task.recipe, training.task.fold
    factor = PLATEAUS.bind_one(recipe.plateau)()(_qualities(recipe, standing.history))
    if recipe.frozen_epochs and number >= recipe.frozen_epochs:
        factor *= recipe.fine_tune_rate
    rates = training.rates[number * training.steps : (number + 1) * training.steps] * factor
    batches = epoch_batches(
        training.images, fold.train, recipe.batch_size, recipe.seed, number, recipe.balance == "sampling", standing.step
    )
    before, size = time.perf_counter(), training.batch_size
    loss = standing.recent_loss
    for batch in batches:
        rate = float(rates[standing.step])
        training.step.optimizer.learning_rate = rate
        with out_of_memory_told(f"a step of {size} images", f"try --batch-size {max(1, size // 2)}"):
            logs = training.step.train_on_batch(batch, return_dict=True)
        if not math.isfinite(logs["loss"]):
            after = f", after {loss:.4g} before" if math.isfinite(loss) else ""
            raise RunError(
                f"the loss became {logs['loss']} in epoch {number + 1}, step {standing.step + 1}, at learning rate "
                f"{rate:.3g}{after}: try a lower --learning-rate or a longer warm-up"
            )
        loss = float(logs["loss"])
        standing.step += 1
        standing.loss += loss
        standing.accuracy += float(logs["accuracy"])
        if training.average:
            training.average.step_ended(number * training.steps + standing.step, training.classifier)
        take_snapshot(training, number * training.steps + standing.step)
        standing.seconds += time.perf_counter() - before
        listener.batch_ended(number + 1, standing.step, standing.loss / standing.step)
        signal = listener.signalled()
        if checkpoints is not None:
            if signal:
                checkpoints.save(training, standing)
                raise Interrupted(signal, f"interrupted after step {standing.step} of epoch {number + 1}")
            checkpoints.save_if_due(training, standing)
        if not listener.keep_going():
            break
        before = time.perf_counter()
    return Epoch(
        epoch=number + 1,
        steps=standing.step,
        learning_rate=float(rates[standing.step - 1]),
        loss=standing.loss / standing.step,
        accuracy=standing.accuracy / standing.step,
        validation_loss=math.nan,
        validation_accuracy=math.nan,
        validation_score=math.nan,
        seconds=standing.seconds,
        images_per_second=standing.step * training.batch_size / standing.seconds,
    )


def take_snapshot(training: Training, steps: int) -> None:
    """Save the weights, or their average, if so many steps from the start end in a minimum that the recipe wants."""
    wanted = training.snapshot_steps
    if steps not in wanted:
        return
    with _averaged(training):
        save_weights(training.classifier, training.task.directory, f"snapshot-{wanted.index(steps) + 1}")


@contextmanager
def _averaged(training: Training) -> Iterator[None]:
    """While this lasts, the classifier has the averaged weights, if there are any."""
    mean = training.average.weights() if training.average else None
    if mean is None:
        yield
        return
    current = training.classifier.get_weights()
    training.classifier.set_weights(mean)
    try:
        yield
    finally:
        training.classifier.set_weights(current)


def _validated(training: Training, epoch: Epoch) -> Epoch:
    rows = training.task.fold.watched
    if not len(rows):
        return epoch
    pixels, labels = training.images.pixels[rows], labels_of(training.images)[rows]
    probabilities = predict_probabilities(training.classifier, pixels, True, training.prediction_batch)
    # With the penalties on weights, as in the training loss and as Keras counts it: what a plateau goes by.
    penalties = float(sum(float(penalty) for penalty in training.classifier.losses))
    return replace(
        epoch,
        validation_loss=mean_log_loss(probabilities, labels) + penalties,
        validation_accuracy=float((probabilities.argmax(axis=1) == labels).mean()),
        validation_score=make_metric(training.task.recipe.metric).compute(probabilities, labels),
    )


def _qualities(recipe: Recipe, history: list[Epoch]) -> list[float]:
    """Of the epochs of the present phase: a fine-tuning begins to wait anew."""
    phase = history[recipe.frozen_epochs :] if len(history) >= recipe.frozen_epochs else history
    return [quality(epoch, recipe.monitor, recipe.metric) for epoch in phase]


def _out_of_patience(recipe: Recipe, history: list[Epoch]) -> bool:
    """Whether the training has gone on for too long without progress; never before its last phase."""
    if len(history) <= recipe.frozen_epochs:
        return False
    return 0 < recipe.patience <= epochs_without_progress(_qualities(recipe, history))


def keep(training: Training, history: list[Epoch]) -> None:
    """Put the weights of the epoch that just ended, and the history up to it, on disk."""
    directory, recipe = training.task.directory, training.task.recipe
    save_weights(training.classifier, directory, "last")
    if len(training.task.fold.watched) and best_epoch(history, recipe.monitor, recipe.metric) is history[-1]:
        save_weights(training.classifier, directory, "best")
    directory.write_history(history)


def _score(training: Training, history: list[Epoch], ended: bool) -> dict[str, Any]:
    """Score the weights that the recipe keeps, in the float32 form that is exported.

    ended: the training has come to its end, and need not go on.
    """
    task = training.task
    ended_early = sum(epoch.steps for epoch in history) < task.recipe.planned_epochs * training.steps
    kept = [which for which in task.recipe.kept if task.directory.weights_file(which).is_file()]
    if len(kept) < len(task.recipe.kept) and not ended_early:
        lost = ", ".join(sorted(set(task.recipe.kept) - set(kept)))
        raise RunError(
            f"the weights {lost} were removed from {task.directory.path} during the training: go on with --resume, or "
            "train a new run"
        )
    kept = kept or ["last"]
    predictors = [load_predictor(task.directory, which) for which in kept]
    scores: dict[str, Any] = {
        "ended": ended,
        "epochs": len(history),
        "planned_epochs": task.recipe.planned_epochs,
        "kept": kept,
        "weights_sha256": {which: file_hash(task.directory.weights_file(which)) for which in kept},
        "checkpoint": not ended and any(task.directory.checkpoints.glob("*.json")),
        "best_epoch": _best(task, history),
        "trainable_parameters": int(sum(math.prod(w.shape) for w in predictors[0].trainable_weights)),
        "seconds": sum(epoch.seconds for epoch in history),
        "images_per_second": float(np.median([epoch.images_per_second for epoch in history])),
    }
    # The rows that picked the epoch, lowered the rate or ended the training, or that a person may have looked at
    # before ending it, had a say in the weights.
    chosen = task.recipe.chooses or (ended_early and len(task.fold.watched) > 0)
    arrays: dict[str, np.ndarray] = {}
    for part, scored in _scored_rows(training).items():
        members = [predict_probabilities(p, scored.pixels, batch_size=training.prediction_batch) for p in predictors]
        probabilities = np.mean(members, axis=0)
        if not np.isfinite(probabilities).all():
            raise RunError(
                f"the trained model answers {part} rows with probabilities that are not numbers: "
                "its training diverged, try a lower --learning-rate"
            )
        labels: np.ndarray = scored.labels  # type: ignore[assignment]
        selected = _had_a_say(part, training, chosen)
        scores[part] = {**score(probabilities, labels, task.recipe.metric), "selected": selected}
        if len(members) > 1:
            scores[part]["members"] = compare_members(members, labels, task.recipe.metric)
        arrays |= {
            f"{part}_ids": scored.ids,
            f"{part}_labels": labels,
            f"{part}_probabilities": probabilities,
        }
    for exported in task.directory.path.glob("*.onnx"):  # of the weights before
        exported.unlink()
    task.directory.write_predictions(arrays)
    task.directory.write_seen(_seen(training, chosen))
    task.directory.write_scores(scores)
    return scores


def _had_a_say(part: str, training: Training, chosen: bool) -> bool:
    """Whether the rows of a part had any in the weights, so that their score is too good."""
    recipe, fold = training.task.recipe, training.task.fold
    if part == "test" and training.scores_competitions_test:
        return bool(recipe.pseudo_labels)  # they were trained on, though not by their own labels
    if recipe.distill or recipe.pseudo_labels:  # the teacher has learned the rows' labels, and tells through its own
        return True
    return part == "validation" and chosen and bool(np.isin(fold.validation, fold.watched).any())


def _best(task: Task, history: list[Epoch]) -> dict[str, Any] | None:
    """The best of many epochs was chosen by the rows that were watched, so its score on them is too good."""
    if not len(task.fold.watched):
        return None
    best = best_epoch(history, task.recipe.monitor, task.recipe.metric)
    return {
        "epoch": best.epoch,
        "validation_score": best.validation_score,
        "validation_accuracy": best.validation_accuracy,
        "validation_loss": best.validation_loss,
        "selected": True,
    }


def _seen(training: Training, with_watched: bool) -> np.ndarray:
    """Keys of the images that had a part in the weights: trained on, here or before, or looked at to choose."""
    fold = training.task.fold
    rows = np.concatenate([fold.train, fold.watched]) if with_watched else fold.train
    if training.task.recipe.distill:
        rows = np.concatenate([rows, fold.validation, fold.test])  # the teacher's
    return np.union1d(row_keys(training.images.pixels[rows], seed=0), training.origin.seen)


def _scored_rows(training: Training) -> dict[str, Images]:
    """The labelled rows that were not trained on: of the fold, and the competition's test set where it has labels."""
    fold, images = training.task.fold, training.images
    scored = {}
    for part, rows in (("validation", fold.validation), ("test", fold.test)):
        if len(rows):
            scored[part] = Images(images.pixels[rows], images.ids[rows], labels_of(images)[rows])
    if training.scores_competitions_test:
        assert training.test is not None  # noqa: S101  for the type checker
        scored["test"] = training.test
    return scored
