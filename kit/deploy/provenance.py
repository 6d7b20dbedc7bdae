"""Beside each CSV a JSON of its name: which models made it, and what became of it on the leaderboard."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kit.errors import SubmissionError
from kit.files import file_hash, write_text
from kit.version import __version__

logger = logging.getLogger(__name__)

Facts = dict[str, Any]


def provenance_file(csv: Path) -> Path:
    """``run.json`` for ``run.csv``; ``run.txt.json`` for ``run.txt``, which may lie beside it."""
    return csv.with_suffix(".json") if csv.suffix.lower() == ".csv" else csv.with_name(f"{csv.name}.json")


def check_provenance(csv: Path) -> None:
    """Refuse a place beside which there is a JSON that is somebody else's.

    Raises:
        SubmissionError: so it is.
    """
    _read(csv)


def write_provenance(csv: Path, facts: Facts) -> None:
    """Say what made a CSV that was just written. What was submitted before under its name stays listed.

    Args:
        facts: such as ``competition``, ``header``, ``rows``, and ``models``, a list with a ``run`` each; the file's
            name, its hash, the time and kit's version are added.

    Raises:
        SubmissionError: there is a JSON in its place that is none of these, and is left as it is.
        OSError: it cannot be written.
    """
    before = _read(csv) or {}
    _write(csv, {**_identity(csv), **facts, "submissions": before.get("submissions", [])})


def read_provenance(csv: Path) -> Facts | None:
    """What the JSON beside a CSV says; None if there is none.

    A prediction that was changed since is still for the same competition: a warning says that it is another file now.

    Raises:
        SubmissionError: the JSON cannot be read, or is something else.
    """
    facts = _read(csv)
    if facts is not None and "models" in facts and not describes(facts, csv):
        logger.warning("%s was changed after %s was written: what made it is not known", csv, provenance_file(csv))
    return facts


def describes(facts: Facts, csv: Path) -> bool:
    """Whether the facts are about the CSV as it is now."""
    return csv.is_file() and facts["sha256"] == file_hash(csv)


def runs_of(facts: Facts) -> list[str]:
    """The runs whose models made a CSV, each once."""
    return list(dict.fromkeys(model["run"] for model in facts.get("models", []) if isinstance(model.get("run"), str)))


def record_submission(csv: Path, entry: Facts) -> None:
    """Add a submission to the JSON of a CSV, or renew the one of that time; a CSV of anybody's gets a JSON.

    Args:
        entry: with ``submitted_at``, which tells submissions apart.

    Raises:
        SubmissionError: there is a JSON in its place that is something else.
        OSError: it cannot be written.
    """
    facts = _read(csv) or _identity(csv)
    others = [each for each in facts.get("submissions", []) if each.get("submitted_at") != entry["submitted_at"]]
    _write(csv, {**facts, "submissions": [*others, entry]})


def latest_submissions(directory: Path) -> dict[Path, Facts]:
    """Of each run that a JSON in a directory names, the latest submission; a JSON that is something else is skipped."""
    entries = []
    for path in directory.glob("*.json"):
        try:
            facts = _parsed(path)
        except SubmissionError:
            continue
        entries += [entry for entry in facts.get("submissions", []) if isinstance(entry.get("submitted_at"), str)]
    entries.sort(key=lambda entry: str(entry["submitted_at"]))
    return {
        Path(run).resolve(): entry
        for entry in entries
        for run in (entry["runs"] if isinstance(entry.get("runs"), list) else [])
        if isinstance(run, str)
    }


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _identity(csv: Path) -> Facts:
    return {"csv": csv.name, "sha256": file_hash(csv), "time": now(), "kit_version": __version__}


def _read(csv: Path) -> Facts | None:
    path = provenance_file(csv)
    return _parsed(path) if path.exists() else None


def _parsed(path: Path) -> Facts:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        whole = isinstance(facts["csv"], str) and isinstance(facts["sha256"], str)
        lists = [each for name in ("models", "submissions") for each in facts.get(name, [])]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        whole, lists = False, []
    if not (whole and all(isinstance(each, dict) for each in lists)):
        raise SubmissionError(f"{path} is damaged, or is not what kit writes beside a CSV: move it away")
    return dict(facts)


def _write(csv: Path, facts: Facts) -> None:
    write_text(provenance_file(csv), json.dumps(facts, indent=2) + "\n")
