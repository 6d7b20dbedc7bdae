"""Optimisers by name, with Keras's own options and defaults."""

from __future__ import annotations

from typing import Any

from kit.registry import Registry

OPTIMIZERS = Registry("optimizer")
"""Functions (learning_rate: float or Keras schedule, /, options) -> Keras optimizer."""


@OPTIMIZERS.register
def adam(learning_rate: Any, /, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7) -> Any:
    """Adam (Kingma and Ba, arXiv 1412.6980)."""
    import keras

    return keras.optimizers.Adam(learning_rate, beta_1, beta_2, epsilon)


@OPTIMIZERS.register
def adamw(learning_rate: Any, /, weight_decay: float = 0.004, beta_1: float = 0.9, beta_2: float = 0.999) -> Any:
    """Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101)."""
    import keras

    return keras.optimizers.AdamW(learning_rate, weight_decay, beta_1, beta_2)


@OPTIMIZERS.register
def adamax(learning_rate: Any, /, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7) -> Any:
    """Adam with the infinity norm (Kingma and Ba, arXiv 1412.6980, section 7)."""
    import keras

    return keras.optimizers.Adamax(learning_rate, beta_1, beta_2, epsilon)


@OPTIMIZERS.register
def sgd(learning_rate: Any, /, momentum: float = 0.0, nesterov: bool = False) -> Any:
    """Stochastic gradient descent."""
    import keras

    return keras.optimizers.SGD(learning_rate, momentum, nesterov)


@OPTIMIZERS.register
def rmsprop(learning_rate: Any, /, rho: float = 0.9, momentum: float = 0.0, epsilon: float = 1e-7) -> Any:
    """RMSprop (Tieleman and Hinton, 2012)."""
    import keras

    return keras.optimizers.RMSprop(learning_rate, rho, momentum, epsilon)


@OPTIMIZERS.register
def lion(learning_rate: Any, /, beta_1: float = 0.9, beta_2: float = 0.99, weight_decay: float = 0.0) -> Any:
    """Lion (Chen et al., arXiv 2302.06675); its rate is a third to a tenth of Adam's."""
    import keras

    return keras.optimizers.Lion(learning_rate, beta_1, beta_2, weight_decay=weight_decay or None)
