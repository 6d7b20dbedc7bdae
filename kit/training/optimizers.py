"""Optimisers by name, with Keras's own options and defaults."""

from __future__ import annotations

from typing import Any

from kit.errors import RecipeError
from kit.registry import Registry, parse_spec

_NOT_DECAYED = ["bias", "gamma", "beta"]  # shifts and scales: shrinking them does not make a network simpler

OPTIMIZERS = Registry("optimizer")
"""Functions (learning_rate: float or Keras schedule, /, options) -> Keras optimizer."""

_MOMENTA = ("momentum", "beta_1", "beta_2", "rho")  # shares of a past that must fade


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

    return keras.optimizers.SGD(learning_rate, float(momentum), nesterov)  # it refuses 0, which is 0.0


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


@OPTIMIZERS.register
def muon(learning_rate: Any, /, momentum: float = 0.95, nesterov: bool = True) -> Any:
    """Muon: the momentum of each weight matrix made orthogonal (Jordan, 2024; scaled as in arXiv 2502.16982).

    Biases, normalisations and the last layer go by Adam, at the same rate.
    """
    import keras
    from keras import ops

    class Muon(keras.optimizers.Muon):
        """Keras's leaves the kernels of convolutions to Adam; here each is a matrix of (inputs, filters)."""

        def _should_use_adamw(self, variable: Any) -> bool:
            # One filter a channel, as in depthwise convolutions, is no matrix.
            return len(variable.shape) < 2 or variable.shape[-1] == 1 or "logits" in variable.path

        def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
            return super().zeropower_via_newtonschulz5(ops.reshape(x, (-1, x.shape[-1])), steps)

        def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
            self.assign(m, ops.add(gradient, self.momentum * m))
            update = ops.add(gradient, self.momentum * m) if self.nesterov else m
            update = self.lr_adjust(lr * self.zeropower_via_newtonschulz5(update, self.ns_steps))
            self.assign_sub(variable, ops.reshape(update, variable.shape))

    return Muon(learning_rate, momentum=momentum, nesterov=nesterov, weight_decay=None, adam_weight_decay=None)


def check_optimizer(spec: str) -> None:
    """Refuse options with which no training comes to anything; Keras takes many of them.

    Raises:
        RecipeError: so it is.
    """
    options = OPTIMIZERS.options_of(spec)
    if options.get("nesterov") and parse_spec(spec)[0].name == "sgd" and not options.get("momentum"):
        raise RecipeError(f"optimizer {spec!r}: nesterov looks ahead by the momentum, expected some, such as 0.9")
    for name, value in options.items():
        if name in _MOMENTA and not 0 <= value < 1:
            raise RecipeError(f"optimizer {spec!r}: {name} is {value}, expected 0 up to, not including, 1")
        if name == "epsilon" and value <= 0:
            raise RecipeError(f"optimizer {spec!r}: epsilon is {value}, expected more than 0")
        if name == "weight_decay" and value < 0:
            raise RecipeError(f"optimizer {spec!r}: weight_decay is {value}, expected 0 or more")


def build_optimizer(spec: str, learning_rate: float, weight_decay: float = 0.0, clip_norm: float = 0.0) -> Any:
    """An optimiser with what is common to all of them.

    Args:
        weight_decay: each step takes this share of the weights, times the learning rate, away; biases and
            normalisations are spared. 0 leaves the optimiser its own.
        clip_norm: gradients whose norm, all together, is larger are scaled down to it; 0 for none.
    """
    optimizer = OPTIMIZERS.bind_one(spec)(learning_rate)
    if weight_decay:
        optimizer.weight_decay = weight_decay
        if hasattr(optimizer, "adam_weight_decay"):  # Muon's, for what goes by Adam
            optimizer.adam_weight_decay = weight_decay
    if clip_norm:
        optimizer.global_clipnorm = clip_norm
    if optimizer.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=_NOT_DECAYED)
    return optimizer
