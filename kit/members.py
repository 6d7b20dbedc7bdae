"""Who has a say in a prediction: runs and model files, and what runs answered to rows that they had not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kit.deploy.model_file import load_model
from kit.errors import RunError
from kit.exporting import export_in_child
from kit.opening import NOTHING_TRAINED, StrPath
from kit.scoring.calibration import tempered
from kit.training.runs import RunDirectory, newest_run


@dataclass(frozen=True)
class Member:
    """A run or a model file; the mean of its files' answers counts.

    run: None for a file.
    """

    run: RunDirectory | None
    files: tuple[Path, ...]

    @property
    def name(self) -> str:
        return str(self.run.path if self.run else self.files[0])


def open_members(sources: Sequence[RunDirectory | StrPath], runs: Path) -> list[Member]:
    """Runs, exported if they were not, and model files; without any, the newest run.

    Raises:
        RunError: something is neither, or a run that has no model.
        ModelFileError: a run cannot be exported.
    """
    if not sources:
        return [_member_of(newest_run(runs))]
    opened: list[Member] = []
    for source in sources:
        if isinstance(source, RunDirectory):
            opened.append(_member_of(source))
        elif Path(source).is_dir():
            opened.append(_member_of(RunDirectory.open(Path(source))))
        else:
            opened.append(Member(None, (Path(source),)))
    return opened


def _member_of(run: RunDirectory) -> Member:
    folds = run.trained_folds()
    if not folds:
        raise RunError(NOTHING_TRAINED.format(run.path))
    files = [path for fold in folds for path in fold.model_files.values()]
    if not all(path.is_file() for path in files):
        export_in_child(run)
    return Member(run, tuple(files))


@dataclass(frozen=True)
class HeldOut:
    """Rows that had no part in the models that answered to them.

    ids, labels: (rows,), labels as class indices.
    answers: float (rows, classes) of each run.
    metric: spec of the competition's.
    """

    ids: np.ndarray
    labels: np.ndarray
    answers: list[np.ndarray]
    metric: str


def common_held_out_rows(members: Sequence[Member], *, as_deployed: bool = True) -> HeldOut:
    """The rows that every run was validated on, none of them chosen by.

    Args:
        as_deployed: at the temperature that the model files have.

    Raises:
        RunError: a member is a file, a run has no such rows, or the runs have none in common.
    """
    found = []
    for member in members:
        if member.run is None:
            raise RunError(f"{member.name} is a model file, which has no out-of-fold answers: name its run instead")
        ids, labels, raw = _held_out(member.run)
        found.append((ids, labels, tempered(raw, _temperature(member)) if as_deployed else raw))
    saved = [member.run.read_recipe() for member in members if member.run]
    for member, one in zip(members, saved, strict=True):
        if one["images"]["hash"] != saved[0]["images"]["hash"]:
            raise RunError(f"{members[0].name} and {member.name} were trained on different images or labels")
    ids = found[0][0]
    for others, _, _ in found[1:]:
        ids = ids[np.isin(ids, others)]
    if not len(ids):
        raise RunError(
            f"{', '.join(member.name for member in members)} have no held-out row in common: train them with --folds, "
            "or with the same split and seed"
        )
    places = [_places(known, ids) for known, _, _ in found]
    answers = [probabilities[place] for (_, _, probabilities), place in zip(found, places, strict=True)]
    return HeldOut(ids, found[0][1][places[0]], answers, saved[0]["recipe"]["metric"])


def _temperature(member: Member) -> float:
    return load_model(member.files[0], "cpu").card.temperature


def _places(known: np.ndarray, ids: np.ndarray) -> np.ndarray:
    order = np.argsort(known)
    return order[np.searchsorted(known[order], ids)]


def _held_out(run: RunDirectory) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids, labels and probabilities of the rows that a run was scored on and had not seen."""
    metrics = run.read_metrics()
    scored = metrics.get("out_of_fold") or metrics.get("validation")
    if not scored:
        raise RunError(
            f"{run.path} has no held-out rows: it was trained on every row; name the run that it was made of"
        )
    if scored["selected"]:
        raise RunError(
            f"{run.path} chose by the rows that it is scored on, so that they are not held out: "
            "train it with --folds 5, or with --keep last"
        )
    if (run.path / "out_of_fold.npz").is_file():
        arrays = run.read_out_of_fold()
        return arrays["ids"], arrays["labels"], arrays["probabilities"]
    each = [fold.read_predictions() for fold in run.trained_folds()]
    mean = np.mean([arrays["validation_probabilities"] for arrays in each], axis=0)  # of several seeds, the same rows
    return each[0]["validation_ids"], each[0]["validation_labels"], mean
