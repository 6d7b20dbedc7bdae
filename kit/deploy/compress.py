"""Weights that compress well: many zeros (pruning), or few distinct values (clustering), and a short fine-tuning.

Zhu and Gupta, "To prune, or not to prune" (arXiv 1710.01878); Han et al., "Deep Compression" (arXiv 1510.00149); both
through tensorflow-model-optimization.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kit.data.images import Images
from kit.deploy.legacy import carry_back, optimization_toolkit, to_legacy
from kit.errors import ModelFileError
from kit.training.batches import epoch_batches, steps_per_epoch
from kit.training.losses import LOSSES, smoothed
from kit.training.recipe import Recipe

LEARNING_RATE = 1e-3  # of Adam, falling to zero: the weights are good and only make up for what they lost
_SETTLED = 0.5  # share of the steps after which no more weights become zero
_CHECKED = 32  # images


@dataclass(frozen=True)
class Tuning:
    """What a fine-tuning sees.

    rows: of the images, training rows alone.
    on_step: hears of each step, counted from 1, and of how many there are.
    """

    images: Images
    rows: np.ndarray
    recipe: Recipe
    epochs: int
    on_step: Callable[[int, int], None] = lambda step, steps: None

    @property
    def batch_size(self) -> int:
        return min(self.recipe.batch_size, len(self.rows))

    @property
    def steps(self) -> int:
        return self.epochs * steps_per_epoch(len(self.rows), self.batch_size)

    def batches(self, classes: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Images as they are, not augmented: (float32 pixels, float32 targets (batch, classes))."""
        for epoch in range(self.epochs):
            for batch in epoch_batches(self.images, self.rows, self.batch_size, self.recipe.seed, epoch):
                yield batch["pixels"].astype(np.float32), np.eye(classes, dtype=np.float32)[batch["labels"]]


def prune(classifier: Any, share: float, tuning: Tuning) -> float:
    """Set the smallest weights of every convolution and dense layer to zero, more and more while it trains on.

    Args:
        classifier: Keras 3 model, raw pixels -> logits; gets the pruned weights.
        share: of a layer's weights that end as zero.

    Returns:
        The share of zeros in all layers that were pruned.

    Raises:
        ModelFileError: a layer has no counterpart in tf_keras, or the zeros were not kept.
    """
    with optimization_toolkit() as (toolkit, tf_keras):
        sparsity = toolkit.sparsity.keras
        every = max(1, tuning.steps // 50)
        schedule = sparsity.PolynomialDecay(
            initial_sparsity=share / 2,
            final_sparsity=share,
            begin_step=0,
            end_step=every * max(1, int(_SETTLED * tuning.steps / every)),  # one of the steps that prune
            frequency=every,
        )
        legacy, names = _wrapped(
            classifier, tuning, lambda layer: sparsity.prune_low_magnitude(layer, pruning_schedule=schedule), tf_keras
        )
        _fine_tune(legacy, tuning, tf_keras, [sparsity.UpdatePruningStep()])
        carry_back(sparsity.strip_pruning(legacy), classifier)
        classifier.set_weights([weight + 0.0 for weight in classifier.get_weights()])  # -0.0 costs gzip a bit each
    pruned = kernels(classifier, names)
    for name, kernel in zip(names, pruned, strict=True):
        zeros, expected = int((kernel == 0).sum()), int(share * kernel.size)
        if zeros < expected - 1:  # one weight at least is kept
            raise ModelFileError(
                f"{zeros} of {kernel.size} weights of {name} are zero after {tuning.steps} steps, expected {expected}: "
                "take more --tune-epochs"
            )
    return float(np.mean(np.concatenate([kernel.ravel() for kernel in pruned]) == 0))


def cluster(classifier: Any, clusters: int, tuning: Tuning) -> int:
    """Let the weights of every convolution and dense layer share a few values, which are trained.

    Args:
        classifier: Keras 3 model, raw pixels -> logits; gets the clustered weights.
        clusters: distinct values a layer.

    Returns:
        The number of distinct values in the layer that has most.

    Raises:
        ModelFileError: a layer has no counterpart in tf_keras, or the values were not kept together.
    """
    with optimization_toolkit() as (toolkit, tf_keras):
        clustering = toolkit.clustering.keras
        # k-means++ asks for numbers while the graph is built. Linear starts lose fewer points than those by density.
        options = {
            "number_of_clusters": clusters,
            "cluster_centroids_init": clustering.CentroidInitialization.LINEAR,
        }
        legacy, names = _wrapped(
            classifier, tuning, lambda layer: clustering.cluster_weights(layer, **options), tf_keras, clusters
        )
        _fine_tune(legacy, tuning, tf_keras, [])
        carry_back(clustering.strip_clustering(legacy), classifier)
    distinct = max(len(np.unique(kernel)) for kernel in kernels(classifier, names))
    if distinct > clusters:
        raise ModelFileError(f"a layer has {distinct} distinct weights after the clustering, expected {clusters}")
    return distinct


def kernels(classifier: Any, names: list[str]) -> list[np.ndarray]:
    """The weights of the named layers, without their biases."""
    return [classifier.get_layer(name).get_weights()[0] for name in names]


def _wrapped(
    classifier: Any, tuning: Tuning, wrap: Callable[[Any], Any], tf_keras: Any, fewest_weights: int = 0
) -> tuple[Any, list[str]]:
    """The classifier under tf_keras with every convolution and dense layer wrapped, and the names of those."""
    tf_keras.utils.set_random_seed(tuning.recipe.seed)
    legacy = to_legacy(classifier, tuning.images.pixels[tuning.rows[:_CHECKED]])
    wrapped = []

    def wrapping(layer: Any) -> Any:
        is_one = isinstance(layer, tf_keras.layers.Conv2D | tf_keras.layers.Dense)
        if not is_one or isinstance(layer, tf_keras.layers.DepthwiseConv2D):
            return layer
        if layer.kernel.shape.num_elements() <= fewest_weights:
            return layer
        wrapped.append(layer.name)
        return wrap(layer)

    clone = tf_keras.models.clone_model(legacy, clone_function=wrapping)
    if not wrapped:
        raise ModelFileError("the model has no convolution and no dense layer that could be pruned or clustered")
    return clone, wrapped


def _fine_tune(legacy: Any, tuning: Tuning, tf_keras: Any, callbacks: list[Any]) -> None:
    """Train on, by the recipe's loss and penalties."""
    loss_of, smoothing = LOSSES.bind_one(tuning.recipe.loss)(), tuning.recipe.label_smoothing
    rate = tf_keras.optimizers.schedules.CosineDecay(LEARNING_RATE, tuning.steps)
    legacy.compile(
        tf_keras.optimizers.Adam(rate), loss=lambda targets, logits: loss_of(smoothed(targets, smoothing), logits)
    )

    class Steps(tf_keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            tuning.on_step(batch + 1, tuning.steps)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of gradients that the straight-through estimators leave out
        legacy.fit(
            tuning.batches(legacy.output_shape[-1]),
            steps_per_epoch=tuning.steps,  # one epoch to tf_keras, with its own mask at the end
            epochs=1,
            callbacks=[*callbacks, Steps()],
            verbose=0,
        )
