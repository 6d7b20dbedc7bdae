"""A CSV on its way to a leaderboard: checked, submitted, scored, recorded; and a competition's files on theirs here."""

from __future__ import annotations

import logging
import os
import shlex
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.errors import DataError, Interrupted, KitError, RunError, SubmissionError
from kit.opening import StrPath, open_task, saved_data

if TYPE_CHECKING:
    from kit.data.images import Competition
    from kit.deploy.kaggle import Tell
    from kit.deploy.validator import Expected

logger = logging.getLogger(__name__)

TIME_LIMIT = 900.0  # seconds to wait for a score


@dataclass(frozen=True)
class Checked:
    """A CSV that would score."""

    path: Path
    rows: int
    competition: str
    against: str  # the organiser's sample, or the test ids


def check_submission(file: StrPath, against: str | None = None, *, data: StrPath | None = None) -> Checked:
    """Check anybody's CSV as a competition would; see :func:`kit.deploy.validator.validate_submission`.

    Args:
        against: spec of the competition, such as ``fashion_mnist``; by default what the JSON beside the CSV says.
        data: directory or ``.zip`` with the competition's files; by default where the run that made the CSV has them,
            else ``KIT_DATA``, else ``data``.

    Raises:
        KitError: it would not score, or nothing says what it is to be checked against.
    """
    from kit.deploy.provenance import provenance_file, read_provenance

    path = _csv_file(file)
    facts = read_provenance(path) or {}
    spec = against or facts.get("competition")
    if not isinstance(spec, str):
        raise SubmissionError(
            f"{path} can be a submission to any competition: name one of kit's with --against, as there is no "
            f"{provenance_file(path)} that does"
        )
    return _check(path, spec, data or _data_of(facts))


def submit(
    file: StrPath,
    message: str,
    *,
    competition: str | None = None,
    against: str | None = None,
    data: StrPath | None = None,
) -> dict[str, Any]:
    """Check a CSV, submit it to Kaggle and record that beside it. :func:`wait_for_score` asks for the score.

    Args:
        competition: its name on Kaggle; by default the one that the CSV was submitted to last, else
            ``KAGGLE_COMPETITION``.
        against, data: as for :func:`check_submission`; a CSV that nothing is known of is submitted with a warning.

    Returns:
        The entry of the JSON: ``kaggle_competition``, ``message``, ``submitted_at``, ``status`` and so on.

    Raises:
        KitError: it would not score, or it was not submitted, and why.
    """
    from kit.deploy import kaggle
    from kit.deploy.provenance import describes, now, read_provenance, runs_of
    from kit.files import file_hash

    path = _csv_file(file)
    if not message.strip():
        raise SubmissionError("--message is empty: say in a few words what this submission is")
    facts = read_provenance(path) or {}
    slug = kaggle.competition_slug(competition or _usual_competition(facts))
    _check_if_known(path, facts, against, data)
    entry = {
        "kaggle_competition": slug,
        "file": path.name,
        "message": message,
        "submitted_at": now(),
        "sha256": file_hash(path),
        "runs": runs_of(facts) if facts and describes(facts, path) else [],
        "status": "pending",
        "public_score": None,
    }
    try:
        entry["ref"] = kaggle.submit_file(path, message, slug)
    except KeyboardInterrupt:
        raise Interrupted(
            signal.SIGINT,
            f"interrupted while {path} was sent: whether Kaggle took it is told by {kaggle.submissions_page(slug)}",
        ) from None
    _record(path, entry)
    return entry


def wait_for_score(
    file: StrPath,
    entry: dict[str, Any] | None = None,
    *,
    time_limit: float = TIME_LIMIT,
    tell: Tell = lambda status: None,
) -> dict[str, Any]:
    """Wait until Kaggle has scored a submission, and record the score beside the CSV.

    Args:
        entry: as :func:`submit` returns it; by default the latest one recorded beside the CSV.
        time_limit: seconds.
        tell: hears its status each time that Kaggle was asked.

    Returns:
        The entry, with ``public_score``: a number, or None where Kaggle shows none.

    Raises:
        KitError: there is no submission, it has no score yet, or cannot be scored.
    """
    from kit.deploy import kaggle
    from kit.deploy.provenance import read_provenance
    from kit.files import file_hash

    path = Path(file)
    entry = entry or _latest(read_provenance(path) or {})
    if entry is None:
        raise SubmissionError(f"{path} was not submitted from here: submit it with -m MESSAGE")
    if path.is_file() and entry.get("sha256") not in (None, file_hash(path)):
        logger.warning("%s is another file than was submitted as %r: the score is of that one", path, entry["message"])
    again = f"'{shlex.join(['kit', 'submit', str(path), '--wait'])}' asks again"
    try:
        entry = {**entry, **kaggle.wait_for_score(entry, time_limit, tell)}
    except KeyboardInterrupt:
        raise Interrupted(signal.SIGINT, f"{path} has been submitted, and is scored without you: {again}") from None
    except SubmissionError as error:
        raise SubmissionError(
            f"{path} has been submitted, but its score cannot be asked for: {error}; {again}"
        ) from None
    _record(path, entry)
    if entry["status"] == "error":
        page = kaggle.submissions_page(entry["kaggle_competition"])
        raise SubmissionError(f"{path} has been submitted, but Kaggle could not score it: {page} says why")
    if entry["status"] == "pending":
        raise SubmissionError(f"{path} has been submitted, but has no score after {time_limit:.0f} s: {again}")
    return entry


def download_competition(
    competition: str, data: StrPath = "data", *, overwrite: bool = False, tell: Tell = lambda line: None
) -> Path:
    """Download a Kaggle competition's files as one ``.zip``, which kit reads in place.

    Args:
        competition: its name on Kaggle, or its address.
        data: the directory to put it into.
        overwrite: replace the file if it is there.
        tell: hears how far it is.

    Raises:
        KitError: it is there already, or could not be downloaded, and why.
    """
    from kit.deploy import kaggle

    return kaggle.download_files(kaggle.competition_slug(competition), Path(data), overwrite, tell)


def _csv_file(file: StrPath) -> Path:
    path = Path(file)
    if not path.is_file():
        raise SubmissionError(f"{path} is {'no file' if path.exists() else 'not there'}: name the CSV to submit")
    return path


def _check(path: Path, spec: str, data: StrPath | None) -> Checked:
    from kit.deploy.validator import validate_submission

    task = open_task(spec, data)
    expected, what = _expected(task)
    return Checked(path, validate_submission(path, expected), task.spec, what)


def _expected(task: Competition) -> tuple[Expected, str]:
    """What the competition wants, and what says so."""
    from kit.deploy.validator import expected_by

    sample = task.sample_submission
    try:
        ids = task.load_test().ids
    except DataError as error:
        if sample is None:
            raise
        logger.warning("the test images cannot be read, %s decides alone (%s)", sample.name, error)
        ids = None
    return expected_by(task, ids, sample_decides=True), sample.name if sample else "the test ids"


def _data_of(facts: dict[str, Any]) -> Path | None:
    """The data of the first run that made a CSV; None, which is where data is looked for by default, if unknown."""
    from kit.deploy.provenance import runs_of
    from kit.training.runs import RunDirectory

    try:
        saved = RunDirectory.open(Path(next(iter(runs_of(facts)), ""))).read_recipe()
    except RunError:
        return None
    return saved_data(saved, "name their directory with --data")


def _usual_competition(facts: dict[str, Any]) -> str:
    slug = (_latest(facts) or {}).get("kaggle_competition") or os.environ.get("KAGGLE_COMPETITION")
    if not slug:
        raise SubmissionError(
            "to which competition on Kaggle is not known: name it with --competition, such as digit-recognizer"
        )
    return str(slug)


def _latest(facts: dict[str, Any]) -> dict[str, Any] | None:
    needed = {"kaggle_competition", "file", "message", "submitted_at"}
    known = [entry for entry in facts.get("submissions", []) if needed <= entry.keys()]
    return max(known, key=lambda entry: str(entry["submitted_at"]), default=None)


def _check_if_known(path: Path, facts: dict[str, Any], against: str | None, data: StrPath | None) -> None:
    """Nothing invalid is submitted; where nothing says what is valid, or its files are not here, that is told."""
    spec = against or facts.get("competition")
    if not isinstance(spec, str):
        logger.warning("%s cannot be checked: --against would say which competition of kit's it is for", path)
        return
    try:
        _check(path, spec, data or _data_of(facts))
    except DataError as error:
        if against is not None or data is not None:
            raise
        logger.warning("%s cannot be checked: %s", path, error)


def _record(path: Path, entry: dict[str, Any]) -> None:
    """The submission is made: that it cannot be noted is no error of it."""
    from kit.deploy.provenance import record_submission

    try:
        record_submission(path, entry)
    except (OSError, KitError) as error:
        logger.warning("%s has been submitted, but that cannot be recorded beside it: %s", path, error)
