"""The ``kaggle`` program: upload, scores, downloads. It is run, not imported: ``import kaggle`` may end the process."""

from __future__ import annotations

import csv
import io
import logging
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kit.errors import SubmissionError
from kit.files import check_replaceable, replacing

logger = logging.getLogger(__name__)

Tell = Callable[[str], None]

FIRST_PAUSE = 3.0  # seconds between two looks at a score; each pause is half as long again
LONGEST_PAUSE = 60.0  # seconds
ANSWER_SECONDS = 120.0  # within which Kaggle answers a question
CLOCKS_DIFFER = timedelta(hours=1)  # at most, Kaggle's and this machine's

_SITE = "https://www.kaggle.com"
_SUCCESS = "successfully submitted"
_PIPED: dict[str, Any] = {
    "stdin": subprocess.DEVNULL,  # it may ask for a login
    "stdout": subprocess.PIPE,
    "stderr": subprocess.STDOUT,
    "text": True,
    "encoding": "utf-8",
    "errors": "replace",
}
_CREDENTIALS = (
    f"create a token at {_SITE}/settings/api and put it into ~/.kaggle/access_token (chmod 600) or KAGGLE_API_TOKEN; "
    "~/.kaggle/kaggle.json, or KAGGLE_USERNAME and KAGGLE_KEY, do as well"
)


@dataclass(frozen=True)
class _Failure:
    """pattern: of what the program prints, which is the server's text, its own, or a Python error."""

    pattern: str
    explanation: str
    passes: bool = False  # by itself, so that another try is worth it


_FAILURES = (  # the first that matches explains it
    _Failure(
        r"\b429\b|too many requests|rate.?limit|daily.*(allowance|limit)|submission (allowance|limit)",
        "Kaggle takes no more for now (429): the day's submissions are used up, or requests come too fast; wait, "
        "at the latest until midnight UTC",
        passes=True,
    ),
    _Failure(
        r"\b403\b|forbidden|accept.*\brules\b|permission.*denied",
        "Kaggle does not let you into {slug} (403): join it and accept its rules at "
        f"{_SITE}/competitions/{{slug}}/rules",
    ),
    _Failure(
        r"\b401\b|unauthori[sz]ed|unauthenticated",
        f"Kaggle refused your credentials (401): {_CREDENTIALS}",
    ),
    _Failure(
        r"authenticat|kaggle\.json|access_token|missing (username|key)|invalid credentials",
        f"the kaggle program has no credentials that Kaggle takes: {_CREDENTIALS}",
    ),
    _Failure(
        r"\b404\b|not found|could not find competition",
        "Kaggle has no competition {slug}, or it takes no more submissions (404): its name is the last part of its "
        f"address, {_SITE}/competitions/NAME",
    ),
    _Failure(
        r"connection|name ?resolution|max retries|network is unreachable|timed? ?out|proxyerror|sslerror",
        "Kaggle cannot be reached: check the network, and try again",
        passes=True,
    ),
    _Failure(r"\b50[0-4]\b|kaggle's side", "Kaggle has a problem of its own: try again later", passes=True),
)


class PassingError(SubmissionError):
    """A failure that may be gone at the next try."""


def competition_slug(text: str) -> str:
    """The name of a competition on Kaggle, from that name or an address with it.

    Raises:
        SubmissionError: it is neither.
    """
    found = re.fullmatch(r"(?:.*/(?:competitions|c)/)?([A-Za-z0-9][A-Za-z0-9-]*)(?:/.*)?", text.strip())
    if not found:
        raise SubmissionError(
            f"--competition {text!r}: expected a competition's name on Kaggle, such as digit-recognizer, the last part "
            f"of its address {_SITE}/competitions/digit-recognizer"
        )
    return found[1]


def submit_file(path: Path, message: str, slug: str) -> str | None:
    """Upload a CSV. The score comes later.

    Returns:
        The submission's number on Kaggle, where the program tells it.

    Raises:
        SubmissionError: it was not submitted, or not for certain, and why.
    """
    said = _kaggle("submit", f"--file={path}", f"--message={message}", "-q", slug, slug=slug)
    if _SUCCESS not in said.lower():
        raise _explained(said, slug)
    number = re.search(r"submission ref:\s*(\d+)", said, re.IGNORECASE)
    return number[1] if number else None


def wait_for_score(entry: dict[str, Any], time_limit: float, tell: Tell = lambda status: None) -> dict[str, Any]:
    """Look at a submission again and again until it has a score.

    Args:
        entry: ``kaggle_competition``, ``file``, ``message``, ``submitted_at`` and ``ref`` of the submission.
        time_limit: seconds.
        tell: hears its status after each look.

    Returns:
        ``ref``, ``status`` (pending, complete or error), ``public_score`` and ``private_score``. Pending when the time
        is over.

    Raises:
        SubmissionError: Kaggle cannot be asked, for a reason that does not pass by itself.
    """
    slug = competition_slug(str(entry["kaggle_competition"]))
    end, pause = time.monotonic() + time_limit, FIRST_PAUSE
    found: dict[str, Any] = {"status": "pending"}
    while True:
        try:
            found = _state(_own_row(_listed_submissions(slug), entry))
            tell(found["status"])
        except PassingError as error:
            tell(f"pending ({error})")
        left = end - time.monotonic()
        if found["status"] != "pending" or left <= 0:
            return found
        time.sleep(min(pause, left))
        pause = min(1.5 * pause, LONGEST_PAUSE)


def download_files(slug: str, directory: Path, overwrite: bool = False, tell: Tell = lambda line: None) -> Path:
    """Download a competition's files as the one ``.zip`` that they are, which kit reads in place.

    Args:
        tell: hears the lines of the program's progress bar.

    Returns:
        ``directory/slug.zip``: whole, or not there.

    Raises:
        SubmissionError: it is there already, or could not be downloaded, and why.
        OSError: nothing can be written there.
    """
    path = directory / f"{slug}.zip"
    if path.exists() and not overwrite:
        raise SubmissionError(f"{path} is there already: read it with --data {path}, or replace it with --overwrite")
    check_replaceable(path)
    with replacing(path) as scratch:
        said = _kaggle("download", slug, "-p", str(scratch.parent), slug=slug, tell=tell)
        if not scratch.is_file():
            for other in scratch.parent.iterdir():
                raise SubmissionError(f"{slug} comes as {other.name}, expected a .zip: run the kaggle program itself")
            raise _explained(said, slug)
        if not zipfile.is_zipfile(scratch):
            raise SubmissionError(f"{scratch.name} came damaged: download it again")
    return path


# --- submissions ------------------------------------------------------------------------------------------


def _listed_submissions(slug: str) -> list[dict[str, str]]:
    """The newest submissions; warnings and other lines around the table are left out."""
    said = _kaggle("submissions", slug, "--csv", slug=slug, seconds=ANSWER_SECONDS)
    table = re.search(r"^[^\n]*\bfileName,.*", said, re.MULTILINE | re.DOTALL)
    if table is None:
        if "no submissions" in said.lower():
            return []
        raise _explained(said, slug)
    rows = csv.DictReader(io.StringIO(table[0]), restval="")
    return [{name: (value or "").strip() for name, value in row.items() if isinstance(name, str)} for row in rows]


def _own_row(rows: list[dict[str, str]], entry: dict[str, Any]) -> dict[str, str] | None:
    """The row of a submission: by its number, or else the newest of its file and message that is not an older one."""
    if entry.get("ref") and any("ref" in row for row in rows):
        return next((row for row in rows if row.get("ref") == entry["ref"]), None)
    earliest = _date(entry["submitted_at"]) - CLOCKS_DIFFER
    own = [
        row
        for row in rows
        if row["fileName"] == entry["file"]
        and row.get("description", "").split() == str(entry["message"]).split()
        and _date(row.get("date")) >= earliest
    ]
    return max(own, key=lambda row: _date(row.get("date")), default=None)


def _date(text: Any) -> datetime:
    try:
        date = datetime.fromisoformat(str(text))
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)  # better taken for the own one than waited for in vain
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _state(row: dict[str, str] | None) -> dict[str, Any]:
    if row is None:  # not listed yet
        return {"status": "pending"}
    status = row.get("status", "").rpartition(".")[2].lower()  # SubmissionStatus.COMPLETE
    return {
        **({"ref": row["ref"]} if "ref" in row else {}),
        "status": status if status in ("complete", "error") else "pending",
        "public_score": _number(row.get("publicScore", "")),
        "private_score": _number(row.get("privateScore", "")),
    }


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


# --- the program ------------------------------------------------------------------------------------------


def _kaggle(*words: str, slug: str, tell: Tell | None = None, seconds: float | None = None) -> str:
    """Run ``kaggle competitions`` and return all that it prints.

    Args:
        seconds: after which it is ended; uploads and downloads take as long as they take.

    Raises:
        SubmissionError: it is not there, or it failed, in words that say what to do.
    """
    beside = str(Path(sys.executable).parent)  # where pip puts it, also if that environment is not activated
    program = shutil.which("kaggle") or shutil.which("kaggle", path=beside)
    if program is None:
        raise SubmissionError("the kaggle program is not installed: pip install 'kit[kaggle]'")
    lines = []
    try:
        started = subprocess.Popen([program, "competitions", *words], **_PIPED)
    except OSError as error:
        raise SubmissionError(f"cannot run {program}: {error.strerror}; install it again: pip install kaggle") from None
    with started as process:
        alarm = threading.Timer(seconds or 0, process.kill)
        if seconds is not None:
            alarm.start()
        try:
            for line in process.stdout or ():
                if "%|" not in line:
                    lines.append(line)
                elif tell:  # its progress bar, drawn anew
                    tell(line.strip())
        except BaseException:
            process.kill()
            raise
        finally:
            alarm.cancel()
    said = "".join(lines)
    if "readable by other users" in said:
        logger.warning("your Kaggle credentials are readable by other users of this machine: chmod 600 the file")
    if process.returncode == -signal.SIGKILL and seconds is not None:
        raise PassingError(f"Kaggle gave no answer within {seconds:.0f} s: check the network, and try again")
    if process.returncode:
        raise _explained(said, slug)
    return said


def _explained(said: str, slug: str) -> SubmissionError:
    """Why it failed, of what it printed: it may have ended with 0 nevertheless."""
    text = said.replace(slug, "")  # which may hold any word
    for failure in _FAILURES:
        if re.search(failure.pattern, text, re.IGNORECASE):
            kind = PassingError if failure.passes else SubmissionError
            return kind(failure.explanation.format(slug=slug))
    return SubmissionError(f"the kaggle program failed, it said {_gist(said)!r}: run it alone to see more")


def _gist(said: str) -> str:
    """The line that says most: the first that is no warning."""
    lines = [" ".join(line.split()) for line in said.splitlines()]
    telling = [line for line in lines if line and not line.startswith(("Warning", "Using compe"))]
    return telling[0][:200] if telling else "nothing"


def submissions_page(slug: str) -> str:
    return f"{_SITE}/competitions/{slug}/submissions"
