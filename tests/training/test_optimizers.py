import pytest

from kit.training.optimizers import OPTIMIZERS

OPTIONS = {
    "adam": "(0.8, 0.95, 1e-6)",
    "adamw": "(0.01, 0.8, 0.95)",
    "adamax": "(0.8, 0.95, 1e-6)",
    "sgd": "(momentum=0.9, nesterov=True)",
    "rmsprop": "(0.8, 0.5, 1e-6)",
    "lion": "(0.8, 0.95, 0.1)",
}
SETTINGS = {
    "adam": {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-6},
    "adamw": {"weight_decay": 0.01, "beta_1": 0.8, "beta_2": 0.95},
    "adamax": {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-6},
    "sgd": {"momentum": 0.9, "nesterov": True},
    "lion": {"beta_1": 0.8, "beta_2": 0.95, "weight_decay": 0.1},
    "rmsprop": {"rho": 0.8, "momentum": 0.5, "epsilon": 1e-6},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options_reach_keras(name: str) -> None:
    config = OPTIMIZERS.bind_one(name + OPTIONS[name])(0.25).get_config()
    assert config["learning_rate"] == 0.25
    assert config.items() >= SETTINGS[name].items()
