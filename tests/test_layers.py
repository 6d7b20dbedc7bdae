"""Data flows one way: a room imports only from itself and from the rooms before it. docs/architecture.md says why."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = [
    "version",
    "errors",
    "files",
    "registry",
    "data",
    "scoring",
    "models",
    "training",
    "deploy",
    "report",
    "opening",
    "teaching",
    "planning",
]
ROOMS += [
    "variants",
    "exporting",
    "members",
    "evaluating",
    "blending",
    "predicting",
    "explaining",
    "submitting",
    "doctor",
    "data_tools",
    "reporting",
    "notebook",
    "api",
]
HEAVY = {"tensorflow", "keras", "h5py", "jax", "torch", "pandas", "sklearn", "scipy", "matplotlib"}
HEAVY |= {"onnx", "onnxruntime", "tf_keras", "tensorflow_model_optimization"}
MODULES = sorted((ROOT / "kit").rglob("*.py"))


def imports(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole_package = node.module in ("kit", "competitions")
            found |= {f"{node.module}.{alias.name}" for alias in node.names} if whole_package else {node.module}
    return found


def test_the_rooms_are_all_there() -> None:
    names = {path.stem if path.is_file() else path.name for path in (ROOT / "kit").glob("[!_]*")}
    assert names == {*ROOMS, "cli"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_backwards(path: Path) -> None:
    room = path.relative_to(ROOT / "kit").parts[0].removesuffix(".py")
    if room in ("__init__", "__main__", "cli"):
        return
    used = {name.split(".")[1] for name in imports(ast.parse(path.read_text())) if name.startswith("kit.")}
    assert used <= set(ROOMS[: ROOMS.index(room) + 1])
    named = {name for name in imports(ast.parse(path.read_text())) if name.split(".")[0] == "competitions"}
    assert not named or room in ("opening", "data_tools", "api")


@pytest.mark.parametrize("path", sorted((ROOT / "competitions").glob("*.py")), ids=lambda path: path.name)
def test_competitions_know_data_alone(path: Path) -> None:
    used = {name.split(".")[1] for name in imports(ast.parse(path.read_text())) if name.startswith("kit.")}
    assert used <= {"errors", "files", "registry", "data"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_packages_are_imported_where_they_are_used(path: Path) -> None:
    module = ast.parse(path.read_text())
    at_the_top = ast.Module([node for node in module.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
    assert not {name.split(".")[0] for name in imports(at_the_top)} & HEAVY
