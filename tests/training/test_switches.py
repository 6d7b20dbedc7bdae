import pytest

import kit.training.switches as switches
from kit.errors import RecipeError
from kit.training.switches import resolve_switches

pytestmark = pytest.mark.backend


@pytest.mark.parametrize(
    ("gpu", "cpu_bfloat16", "gpu_bfloat16", "precision", "jit_compile"),
    [
        (False, False, False, "float32", False),
        (False, True, False, "bfloat16", False),
        (True, True, False, "float32", True),
        (True, False, True, "bfloat16", True),
    ],
)
def test_the_rule(
    gpu: bool,
    cpu_bfloat16: bool,
    gpu_bfloat16: bool,
    precision: str,
    jit_compile: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import keras

    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["gpu:0"] if gpu else ["cpu:0"])
    monkeypatch.setattr(switches, "_cpu_has_bfloat16", lambda: cpu_bfloat16)
    monkeypatch.setattr(switches, "_gpu_has_bfloat16", lambda: gpu_bfloat16)
    resolved = resolve_switches("auto")
    on_jax = resolved.backend == "jax"
    assert resolved.precision == ("float32" if on_jax and not gpu else precision)
    assert resolved.jit_compile == (jit_compile or on_jax)
    assert resolve_switches("float16").precision == "float16"


def test_a_backend_that_is_not_tested_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(RecipeError, match="Keras runs on torch here, expected one of tensorflow, jax"):
        resolve_switches("auto")


def test_jax_must_start_deterministic_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert resolve_switches("float32", deterministic=True).deterministic
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["gpu:0"])
    with pytest.raises(RecipeError, match="set XLA_FLAGS=--xla_gpu_deterministic_ops=true"):
        resolve_switches("float32", deterministic=True)
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_deterministic_ops=true")
    assert resolve_switches("float32", deterministic=True).deterministic
