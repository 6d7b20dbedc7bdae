"""One training step: augment and mix a batch, score the classifier on it, all in one compiled graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from kit.training.augment import augmentation
from kit.training.losses import LOSSES, smoothed


def training_step(
    classifier: Any,
    augment: str,
    num_classes: int,
    loss: str = "crossentropy",
    label_smoothing: float = 0.0,
    class_weights: np.ndarray | None = None,
) -> Any:
    """Wrap a classifier (float32 pixels -> logits) for training, on any Keras backend.

    The wrapper takes ``{"pixels", "labels", "seed"}`` as ``epoch_batches`` yields them. Its generator is set
    from the batch's ``seed``, so that what a step draws depends on (seed, epoch, step) alone.

    Args:
        label_smoothing: share of each target that is spread evenly over all classes, for the loss alone.
        class_weights: float32 (classes,), what an image of each class counts in the loss.
    """
    import keras
    from keras import ops

    apply_augmentation = augmentation(augment)
    loss_of = LOSSES.bind_one(loss)()

    class TrainingStep(keras.Model):
        size: tuple[int, int] | None = None  # (height, width) that augmented images are shrunk to

        def __init__(self) -> None:
            super().__init__()
            self.classifier = classifier
            self.generator = keras.random.SeedGenerator(0)
            self.accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")

        def call(self, inputs: dict[str, Any], training: bool = False) -> dict[str, Any]:
            self.generator.state.assign(inputs["seed"][0])
            images = ops.cast(inputs["pixels"], "float32")
            targets = inputs.get("targets")
            if targets is None:
                targets = ops.one_hot(inputs["labels"], num_classes, dtype="float32")
            images, targets = apply_augmentation(images, targets, self.generator)
            if self.size is not None:
                rows, columns = map(resize_weights, images.shape[1:3], self.size)
                images = ops.einsum("ih,bhwc,jw->bijc", rows, images, columns)
            return {"logits": self.classifier(images, training=training), "targets": targets}

        def compute_loss(
            self,
            x: Any = None,
            y: Any = None,
            y_pred: Any = None,
            sample_weight: Any = None,
            training: bool = True,
        ) -> Any:
            targets = y_pred["targets"]
            if class_weights is not None:
                targets = targets * class_weights  # each part of a mixture counts as its class does
            losses = loss_of(smoothed(targets, label_smoothing), y_pred["logits"])
            return ops.mean(losses) + sum(self.classifier.losses)

        def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
            self.accuracy.update_state(y_pred["targets"], y_pred["logits"])
            return self.get_metrics_result()

    return TrainingStep()


def resize_weights(before: int, after: int) -> np.ndarray:
    """What each pixel of a line adds to each pixel of a resized one: float32 (after, before), rows sum to one.

    Bilinear, and averaging where it shrinks: ``keras.ops.image.resize(antialias=True)``, whose operation XLA does not
    have in TensorFlow.
    """
    scale = before / after
    centres = (np.arange(after) + 0.5) * scale - 0.5
    weights = np.maximum(0, 1 - np.abs(np.arange(before) - centres[:, np.newaxis]) / max(scale, 1))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
