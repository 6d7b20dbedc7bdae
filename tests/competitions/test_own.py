"""Competitions that kit does not bring: in the working directory, in installed packages, in the documentation."""

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kit
from competitions import competition_names, describe_competition, find_competition, named_recipes, open_competition
from kit.data.contract import broken_promises
from kit.data_tools import new_competition
from kit.errors import RecipeError

DOCS = Path(__file__).parents[2] / "docs"
SHAPES = {"box": ["#" * 8, *["#......#"] * 6, "#" * 8], "cross": [*["...##..."] * 3, *["#" * 8] * 2, *["...##..."] * 3]}


def test_a_new_one_works_as_it_is_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    module, test = new_competition("leaf_disease")
    assert len(module.read_text().splitlines()) <= 60
    assert "leaf_disease" in competition_names()
    assert describe_competition("leaf_disease")["about"] == "your own, in competitions/leaf_disease.py"
    assert not caplog.messages  # nothing of it ran so far
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_the_code_runs_when_it_is_named_and_kit_says_so(caplog: pytest.LogCaptureFixture) -> None:
    new_competition("mine")
    marker = Path("ran")
    module = Path("competitions/mine.py")
    module.write_text(module.read_text() + f"\nPath({str(marker)!r}).write_text('')\n")
    open_competition("digits")
    assert not marker.exists()
    assert open_competition("mine", Path()).name == "mine"
    open_competition("mine", Path())
    assert marker.exists()
    assert caplog.messages == ["running the code in competitions/mine.py"]  # once, however often it is opened


def test_names_that_are_taken_or_no_names() -> None:
    new_competition("mine")
    for name, message in (
        ("mine", "competitions/mine.py exists and is never overwritten: choose another name"),
        ("digits", "there is a competition 'digits' already: choose another name"),
        ("Leaf", "competition name 'Leaf': expected lower-case letters, digits and _, such as leaf_disease"),
        ("../leaf", r"competition name '../leaf': expected"),
        ("test_leaf", "competition name 'test_leaf': expected"),
    ):
        with pytest.raises(RecipeError, match=message):
            new_competition(name)
    Path("competitions/digits.py").write_text("")
    with pytest.raises(
        RecipeError, match=r"competitions/digits.py has the name of a competition that kit brings: give"
    ):
        open_competition("digits")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = 1", r"competitions/mine.py cannot be used \(AttributeError: .*\): expected a module that defines compet"),
        ("def competition(:", r"competitions/mine.py cannot be used \(SyntaxError: "),
        ("import nothing_of_this_name", r"competitions/mine.py cannot be used \(ModuleNotFoundError: No module"),
        (
            "def competition(data, /): return 5",
            "competition 'mine': competition.data, /. gave 5, expected a Competition",
        ),
        (
            "def competition(data, /): raise ValueError('no')",
            "competition 'mine' failed in line 1 .ValueError: no.: mend",
        ),
    ],
)
def test_a_module_that_is_broken(code: str, message: str) -> None:
    Path("competitions").mkdir()
    Path("competitions/mine.py").write_text(code)
    with pytest.raises(RecipeError, match=message):
        open_competition("mine")


@pytest.mark.parametrize("recipes", ["['deeper']", "{'deeper': 5}"])
def test_recipes_that_are_none(recipes: str) -> None:
    Path("competitions").mkdir()
    Path("competitions/mine.py").write_text(f"RECIPES = {recipes}\ndef competition(data, /): ...\n")
    with pytest.raises(
        RecipeError, match="competition 'mine': RECIPES of its module is no dict of dicts, expected recipes"
    ):
        named_recipes("mine")


def test_a_loader_that_fails() -> None:
    new_competition("mine")
    Path("train.npz").write_text("not an archive")
    with pytest.raises(RecipeError, match=r"competition 'mine' failed in line \d+ .ValueError: .*: mend its code"):
        open_competition("mine", Path()).load_train()


def test_one_of_an_installed_package(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.entry_points
    installed = {
        "elsewhere": importlib.metadata.EntryPoint("elsewhere", "competitions.digits:competition", "kit.competitions"),
        "broken": importlib.metadata.EntryPoint("broken", "no_such_package:competition", "kit.competitions"),
    }
    monkeypatch.setattr(
        importlib.metadata,
        "entry_points",
        lambda **which: list(installed.values()) if which == {"group": "kit.competitions"} else real(**which),
    )
    assert {"elsewhere", "broken"} <= set(competition_names())
    assert len(open_competition("elsewhere").load_train()) == 1437
    with pytest.raises(
        RecipeError, match="'broken' of an installed package cannot be loaded from no_such_package:comp"
    ):
        find_competition("broken")
    assert "cannot be loaded" in describe_competition("broken")["about"]


def write_shapes(root: Path, folder: str, names: list[str]) -> None:
    random = np.random.default_rng(0)
    (root / folder).mkdir(parents=True)
    for number, name in enumerate(names):
        kind = name.partition("-")[0] if "-" in name else ["box", "cross"][number % 2]
        rows = [list(row) for row in SHAPES[kind]]
        rows[random.integers(8)][random.integers(8)] = "."
        (root / folder / f"{name}.txt").write_text("\n".join("".join(row) for row in rows))


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    """Its module and its commands, as they stand on the page."""
    text = (DOCS / "competitions.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (commands,) = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    Path("competitions").mkdir()
    Path("competitions/shapes.py").write_text(code)
    write_shapes(Path("my-shapes"), "train", [f"{kind}-{n}" for kind in SHAPES for n in range(40)])
    write_shapes(Path("my-shapes"), "test", [str(n) for n in range(10)])
    assert broken_promises(kit.open_competition("shapes", Path("my-shapes"))) == []
    for line in commands.strip().splitlines():
        words = [sys.executable, "-P", "-m", "kit", *line.split()[1:]]
        done = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ})
        assert done.returncode == 0, done.stderr
    lines = Path("submissions/shapes.csv").read_text().splitlines()
    assert lines[0] == "id,target"
    assert [line.split(",")[1] for line in lines[1:]] == ["box", "cross"] * 5


def test_a_module_may_define_dataclasses_and_promise_what_it_does_not_keep() -> None:
    new_competition("mine")
    module = Path("competitions/mine.py")
    text = module.read_text().replace(
        '"""\n\nfrom functools', '"""\n\nfrom __future__ import annotations\n\nfrom functools', 1
    )
    module.write_text(text + "\nfrom dataclasses import dataclass\n\n\n@dataclass\nclass Row:\n    number: int\n")
    np.savez("train.npz", pixels=np.zeros((9, 28, 28), np.uint8), labels=np.zeros(9, int))
    assert open_competition("mine", Path()).name == "mine"
    module.write_text(text.replace("labels = encode_labels", "labels = 7 + encode_labels"))
    with pytest.raises(
        kit.KitError, match="competition 'mine': training labels are 7 to 7, expected class indices 0 to 2"
    ):
        kit.train("mine", data=".", epochs=1)
