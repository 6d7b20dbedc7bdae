"""One training step: augment and mix a batch, score the classifier on it, all in one compiled graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from kit.training.augment import augmentation


def training_step(classifier: Any, augment: str, num_classes: int, label_smoothing: float = 0.0) -> Any:
    """Wrap a classifier (float32 pixels -> logits) for training, on any Keras backend.

    The wrapper takes ``{"pixels", "labels", "seed"}`` as ``epoch_batches`` yields them. Its generator is set
    from the batch's ``seed``, so that what a step draws depends on (seed, epoch, step) alone.

    Args:
        label_smoothing: share of each target that is spread evenly over all classes, for the loss alone.
    """
    import keras
    from keras import ops

    apply_augmentation = augmentation(augment)

    class TrainingStep(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.classifier = classifier
            self.generator = keras.random.SeedGenerator(0)
            self.accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")

        def call(self, inputs: dict[str, Any], training: bool = False) -> dict[str, Any]:
            self.generator.state.assign(inputs["seed"][0])
            images = ops.cast(inputs["pixels"], "float32")
            targets = ops.one_hot(inputs["labels"], num_classes, dtype="float32")
            images, targets = apply_augmentation(images, targets, self.generator)
            return {"logits": self.classifier(images, training=training), "targets": targets}

        def compute_loss(
            self,
            x: Any = None,
            y: Any = None,
            y_pred: Any = None,
            sample_weight: Any = None,
            training: bool = True,
        ) -> Any:
            loss = keras.losses.categorical_crossentropy(
                y_pred["targets"], y_pred["logits"], from_logits=True, label_smoothing=label_smoothing
            )
            return ops.mean(loss) + sum(self.classifier.losses)

        def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
            self.accuracy.update_state(y_pred["targets"], y_pred["logits"])
            return self.get_metrics_result()

    return TrainingStep()


def rate_table(rates: np.ndarray) -> Any:
    """A Keras schedule that looks up each step's learning rate: float32 (steps,).

    A table in the graph serves any schedule on any backend; a callback that sets the rate does not reach a
    JAX step.
    """
    import keras
    from keras import ops

    class RateTable(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            table = ops.convert_to_tensor(rates)
            return ops.take(table, ops.minimum(ops.cast(step, "int32"), len(rates) - 1))

    return RateTable()
