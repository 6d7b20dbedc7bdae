"""Who has a say in a prediction: runs and model files, and what runs answered to rows that they had not seen."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kit.errors import KitError, ModelFileError, RunError
from kit.opening import StrPath, nothing_trained
from kit.training.run_files import run_around

if TYPE_CHECKING:
    from kit.deploy.model_file import Model
    from kit.training.runs import RunDirectory


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

    def home(self, competition: str) -> RunDirectory | None:
        """The run; of a file alone, that in whose directory it lies, if it is of that competition."""
        if self.run is not None or (place := run_around(self.files[0]) or run_around(self.files[0].resolve())) is None:
            return self.run
        from kit.training.runs import RunDirectory

        with suppress(KitError):
            run = RunDirectory.open(place)
            return run if run.read_recipe()["recipe"]["competition"] == competition else None
        return None


def open_members(sources: Sequence[RunDirectory | StrPath], runs: Path) -> list[Member]:
    """Runs, exported if they were not, and model files; without any, the newest run.

    Raises:
        RunError: something is neither, or a run that has no model.
        ModelFileError: a run cannot be exported.
    """
    if not sources:
        from kit.training.runs import newest_run

        return [_member_of(newest_run(runs))]
    return [_open(source) for source in sources]


def _open(source: RunDirectory | StrPath) -> Member:
    if not isinstance(source, str | os.PathLike):
        return _member_of(source)
    path = Path(source)
    if not path.is_dir():
        return Member(None, (path,))
    from kit.training.runs import RunDirectory  # splits and models come with it, and a model file needs neither

    return _member_of(RunDirectory.open(path))


def _member_of(run: RunDirectory) -> Member:
    folds = run.trained_folds()
    if not folds:
        raise nothing_trained(run)
    files = [path for fold in folds for path in fold.model_files.values()]
    if not all(path.is_file() for path in files):
        from kit.exporting import export_in_child  # seldom, and one picture is answered in half a second

        export_in_child(run)
    return Member(run, tuple(files))


def load_file(run: RunDirectory | None, file: Path, provider: str = "auto", threads: int | None = None) -> Model:
    """A model file; that of a run gets the run's temperature where it has another one.

    Raises:
        ModelFileError: it is missing or damaged, or was not made of the weights that the run has.
    """
    from kit.deploy.model_file import load_model
    from kit.scoring.metrics import make_metric

    model = load_model(file, provider, threads)
    if run is None:
        return model
    check_weights(model)
    if model.card.temperature == (temperature := run.read_temperature()):
        return model
    from kit.deploy.graphs import set_temperature
    from kit.deploy.parity import read_parity, write_parity

    found = read_parity(file)
    set_temperature(file, temperature, keep_score=not make_metric(model.card.metric).needs_probabilities)
    if found:
        write_parity(file, found)  # it is still the network that was compared
    return load_model(file, provider, threads)


def check_weights(model: Model) -> None:
    """Refuse a file of a run that was copied from elsewhere; files of an older kit do not tell.

    Raises:
        ModelFileError: it was not made of the weights that its fold has.
    """
    from kit.training.fold_directory import FoldDirectory

    fold = FoldDirectory(model.path.parent)
    which = next((which for which, path in fold.model_files.items() if path == model.path), "")
    known = fold.read_scores().get("weights_sha256")
    expected = known.get(which) if isinstance(known, dict) else None
    if model.card.weights_sha256 and expected and model.card.weights_sha256 != expected:
        raise ModelFileError(
            f"{model.path} was made of other weights than those of the run: remove it, and it is exported anew"
        )


@dataclass(frozen=True)
class HeldOut:
    """Rows that had no part in the models that answered to them.

    ids, labels: (rows,), labels as class indices.
    answers: of each run, float (models, rows, classes): of as many models as have held out each row, such as one of its
        folds, or all of its seeds. Their mean is the run's answer.
    temperatures: that each run's model files have.
    metric: spec of the competition's.
    """

    ids: np.ndarray
    labels: np.ndarray
    answers: list[np.ndarray]
    temperatures: list[float]
    metric: str

    def as_deployed(self, fitted_to: np.ndarray | None = None) -> list[np.ndarray]:
        """Each run's answers (rows, classes) at its temperature; or, of those that have one, at one fitted anew.

        Args:
            fitted_to: bool (rows,), the rows that may be fitted to, where others are to be scored.
        """
        from kit.scoring.calibration import fit_temperature, mean_tempered

        temperatures = [
            fit_temperature(answers[:, fitted_to], self.labels[fitted_to])
            if fitted_to is not None and temperature != 1
            else temperature
            for answers, temperature in zip(self.answers, self.temperatures, strict=True)
        ]
        return [mean_tempered(*each) for each in zip(self.answers, temperatures, strict=True)]


def common_held_out_rows(members: Sequence[Member]) -> HeldOut:
    """The rows that every run was validated on, none of them chosen by.

    Raises:
        RunError: a member is a file, a run has no such rows, or the runs have none in common.
    """
    runs = [_run_of(member) for member in members]
    saved = [run.read_recipe() for run in runs]
    found = [_held_out(run) for run in runs]
    for member, one in zip(members, saved, strict=True):
        both = one["images"], saved[0]["images"]
        orders = {images.get("order") for images in both} - {None}  # ids are row numbers, at times
        if len({images["hash"] for images in both}) > 1 or len(orders) > 1:
            raise RunError(
                f"{members[0].name} and {member.name} were trained on different images or labels, or in another order"
            )
    ids = found[0][0]
    for others, _, _ in found[1:]:
        ids = ids[np.isin(ids, others)]
    if not len(ids):
        raise RunError(
            f"{', '.join(member.name for member in members)} have no held-out row in common: train them with --folds, "
            "or with the same split and seed"
        )
    places = [np.searchsorted(known, ids) for known, _, _ in found]
    labels = [known[place] for (_, known, _), place in zip(found, places, strict=True)]
    for member, known in zip(members, labels, strict=True):
        if not np.array_equal(known, labels[0]):
            raise RunError(f"{members[0].name} and {member.name} have different labels for the same ids")
    answers = [probabilities[:, place] for (_, _, probabilities), place in zip(found, places, strict=True)]
    temperatures = [run.read_temperature() for run in runs]
    return HeldOut(ids, labels[0], answers, temperatures, saved[0]["recipe"]["metric"])


def _run_of(member: Member) -> RunDirectory:
    if member.run is None:
        raise RunError(f"{member.name} is a model file, which has no out-of-fold answers: name its run instead")
    return member.run


def _held_out(run: RunDirectory) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids in their order, labels, and the probabilities (models, rows, classes) of the rows that a run had not seen."""
    from kit.training.run_files import reading

    metrics = run.read_metrics()
    scored = metrics.get("out_of_fold") or metrics.get("validation")
    if not scored:
        raise RunError(
            f"{run.path} has no held-out rows: it was trained on every row; name the run that it was made of"
        )
    with reading(run.path / "metrics.json"):
        selected = scored["selected"]
    if selected:
        raise RunError(
            f"{run.path} chose by the rows that it is scored on, so that they are not held out: "
            "train it with --folds 5, or with --keep last"
        )
    folds = run.trained_folds()
    if any(len(fold.model_files) > 1 for fold in folds):
        raise RunError(f"{run.path} keeps snapshots, and the answers of their mean alone: name a run without snapshots")
    each = []
    for fold in folds:
        arrays = fold.read_predictions()
        with reading(fold.path / "predictions.npz"):
            each.append([arrays[f"validation_{name}"] for name in ("ids", "labels", "probabilities")])
    ids, labels, answers = map(np.concatenate, zip(*each, strict=True))
    order = np.argsort(ids, kind="stable")
    known, counts = np.unique(ids, return_counts=True)
    if len(set(counts.tolist())) > 1:
        raise RunError(f"{run.path}: some rows were held out more often than others; train all of its folds")
    models = int(counts[0])
    by_row = answers[order].reshape(len(known), models, -1)
    return known, labels[order][::models], by_row.transpose(1, 0, 2)
