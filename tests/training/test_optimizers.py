import numpy as np
import pytest

from kit.errors import RecipeError
from kit.training.optimizers import OPTIMIZERS, build_optimizer, check_optimizer

pytestmark = pytest.mark.backend

OPTIONS = {
    "adam": "(0.8, 0.95, 1e-6)",
    "adamw": "(0.01, 0.8, 0.95)",
    "adamax": "(0.8, 0.95, 1e-6)",
    "sgd": "(momentum=0.9, nesterov=True)",
    "rmsprop": "(0.8, 0.5, 1e-6)",
    "lion": "(0.8, 0.95, 0.1)",
    "muon": "(0.8, nesterov=False)",
}
SETTINGS = {
    "adam": {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-6},
    "adamw": {"weight_decay": 0.01, "beta_1": 0.8, "beta_2": 0.95},
    "adamax": {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-6},
    "sgd": {"momentum": 0.9, "nesterov": True},
    "lion": {"beta_1": 0.8, "beta_2": 0.95, "weight_decay": 0.1},
    "muon": {"momentum": 0.8, "nesterov": False},
    "rmsprop": {"rho": 0.8, "momentum": 0.5, "epsilon": 1e-6},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options_reach_keras(name: str) -> None:
    config = OPTIMIZERS.bind_one(name + OPTIONS[name])(0.25).get_config()
    assert config["learning_rate"] == 0.25
    assert config.items() >= SETTINGS[name].items()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("adam(beta_1=1.5)", "beta_1 is 1.5, expected 0 up to, not including, 1"),
        ("adamw(0.1, 0.9, 1.0)", "beta_2 is 1.0, expected 0 up to"),
        ("muon(momentum=-1)", "momentum is -1, expected 0 up to"),
        ("rmsprop(rho=5)", "rho is 5, expected 0 up to"),
        ("adamax(epsilon=0)", "epsilon is 0, expected more than 0"),
        ("sgd(nesterov=True)", "nesterov looks ahead by the momentum, expected some"),
        ("sgd(momentum=0, nesterov=True)", "nesterov looks ahead by the momentum, expected some"),
        ("lion(weight_decay=-0.1)", "weight_decay is -0.1, expected 0 or more"),
    ],
)
def test_options_that_train_nothing_are_refused(spec: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        check_optimizer(spec)


def test_no_momentum_may_be_said_in_either_way() -> None:
    for spec in ("sgd(momentum=0)", "sgd(0.0)"):
        check_optimizer(spec)
        assert build_optimizer(spec, 0.1).momentum == 0
    check_optimizer("muon(nesterov=True)")  # which has some


def test_every_optimizer_is_tested() -> None:
    assert set(OPTIONS) == set(OPTIMIZERS.names())


def variable(name: str, value: np.ndarray):  # type: ignore[no-untyped-def]
    import keras

    return keras.Variable(value.astype(np.float32), name=name)


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_weight_decay_shrinks_kernels_alone(name: str) -> None:
    """With gradients of zero nothing else moves."""
    kernel, bias, gamma = (variable(n, np.ones(s)) for n, s in (("kernel", (3, 2)), ("bias", 2), ("gamma", 2)))
    optimizer = build_optimizer(name, 0.5, weight_decay=0.1)
    optimizer.apply([np.zeros(v.shape, np.float32) for v in (kernel, bias, gamma)], [kernel, bias, gamma])
    np.testing.assert_allclose(np.asarray(kernel), 0.95, rtol=1e-6)
    np.testing.assert_array_equal(np.asarray(bias), 1.0)
    np.testing.assert_array_equal(np.asarray(gamma), 1.0)


def test_gradients_are_clipped_by_their_common_norm() -> None:
    first, second = variable("kernel", np.zeros(1)), variable("kernel2", np.zeros(1))
    optimizer = build_optimizer("sgd", 1.0, clip_norm=1.0)
    optimizer.apply([np.array([3.0], np.float32), np.array([4.0], np.float32)], [first, second])
    np.testing.assert_allclose([np.asarray(first)[0], np.asarray(second)[0]], [-0.6, -0.8], rtol=1e-5)


@pytest.mark.parametrize("shape", [(3, 3, 4, 8), (3, 3, 16, 8), (20, 5)])
def test_muon_turns_the_gradient_of_a_kernel_into_a_nearly_orthogonal_step(shape: tuple[int, ...]) -> None:
    """Against the singular value decomposition: same vectors, singular values near one."""
    gradient = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    kernel = variable("kernel", np.zeros(shape))
    build_optimizer("muon(momentum=0.0, nesterov=False)", 1.0).apply([gradient], [kernel])
    rows, columns = int(np.prod(shape[:-1])), shape[-1]
    step = -np.asarray(kernel).reshape(rows, columns) / (0.2 * np.sqrt(max(rows, columns)))
    left, _, right = np.linalg.svd(gradient.reshape(rows, columns), full_matrices=False)
    aligned = left.T @ step @ right.T
    np.testing.assert_allclose(aligned, np.diag(np.diag(aligned)), atol=1e-3)
    assert np.diag(aligned).min() > 0.6 and np.diag(aligned).max() < 1.3


def test_muon_leaves_biases_and_the_last_layer_to_adam() -> None:
    import keras

    layer = keras.layers.Dense(3, name="logits")
    layer.build((None, 4))
    gradients = [np.random.default_rng(0).normal(size=v.shape).astype(np.float32) for v in layer.trainable_variables]
    before = [np.array(v) for v in layer.trainable_variables]
    build_optimizer("muon", 0.01).apply(gradients, layer.trainable_variables)
    for value, old, gradient in zip(layer.trainable_variables, before, gradients, strict=True):
        np.testing.assert_allclose(old - np.asarray(value), 0.01 * np.sign(gradient), rtol=1e-3)  # Adam's first step
