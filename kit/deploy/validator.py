"""Whether a CSV is a submission that scores: anyone's CSV, read a line at a time."""

from __future__ import annotations

import csv
import heapq
import io
import logging
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from kit.data.images import Competition, LabelValue, TextFile
from kit.data.sample import is_fraction
from kit.errors import SubmissionError
from kit.scoring.metrics import make_metric

logger = logging.getLogger(__name__)

SUM_TOLERANCE = 1e-3  # what rounding to three decimals makes of a few hundred classes
_SHOWN = 5
_EMPTY = frozenset({"", "nan", "na", "n/a", "null", "none", "<na>"})  # as pandas and others write what is missing
_INDEX = re.compile(r"(unnamed: \d+|index|level_0)?", re.IGNORECASE)
_STARTS = {
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"PK\x03\x04": "a .zip archive or an Excel workbook",
    b"\x1f\x8b": "a .gz archive",
}


@dataclass(frozen=True)
class Expected:
    """What a valid submission looks like.

    header: the id column, then one column for the label, or a column a class for its probability.
    ids: every id that must occur, and occur once, as text.
    labels: every label that may occur, as text: integers without a decimal point; in the order of the classes.
    wants_probabilities: of every class (a column each) or, with two classes and one column, of the second class.
    """

    header: tuple[str, ...]
    ids: frozenset[str]
    labels: tuple[str, ...]
    wants_probabilities: bool = False

    @property
    def classes_asked_for(self) -> list[int]:
        """The class index that each probability column is about."""
        columns = self.header[1:]
        if len(columns) == 1:
            return [1]
        return [self.labels.index(name if name in self.labels else name.strip()) for name in columns]


@dataclass
class _Fault:
    """One kind of fault: how often it occurs, the first few, and where the first one stands."""

    count: int = 0
    first: list[str] = field(default_factory=list)
    line: int = 0

    def add(self, text: str, line: int) -> None:
        self.count += 1
        if len(self.first) < _SHOWN:
            self.first.append(text)
            self.line = self.line or line


def expected_by(competition: Competition, ids: np.ndarray | None, *, sample_decides: bool = False) -> Expected:
    """What a competition expects: :func:`expected_submission`, or where it has no sample, what its metric needs.

    Raises:
        SubmissionError: as there.
    """
    sample = competition.sample_submission
    needs_probabilities = make_metric(competition.metric).needs_probabilities
    if sample is None and needs_probabilities:
        return expected_probabilities(competition.id_column, ids, competition.label_values)
    header = (competition.id_column, competition.target_column)
    return expected_submission(
        header,
        ids,
        competition.label_values,
        sample,
        sample_decides=sample_decides,
        needs_probabilities=needs_probabilities,
    )


def expected_submission(
    header: tuple[str, str],
    ids: np.ndarray | None,
    label_values: Sequence[LabelValue],
    sample: TextFile | None,
    *,
    sample_decides: bool = False,
    needs_probabilities: bool = False,
) -> Expected:
    """What to expect: as the organiser's sample has it where there is one, else the competition's own header.

    Args:
        ids: those of the test set; None where they are not known, which needs a sample.
        sample_decides: where sample and test set differ, expect the sample's ids and warn. A prediction must not:
            it has images for the test set's ids alone.
        needs_probabilities: the metric does, so that a sample's one column of 0 or 1 is of the second of two classes.

    Raises:
        SubmissionError: the sample cannot be read, its ids are not the test set's, or its columns are not the classes.
    """
    labels = tuple(map(str, label_values))
    known = _as_text(ids)
    if sample is None:
        return Expected(header, known, labels)
    rows = _rows(io.StringIO(sample.text), sample.name)
    first = next(rows)
    body = [row for row in rows if row]
    if len(first) < 2 or (len(first) > 2 and sorted(name.strip() for name in first[1:]) != sorted(labels)):
        raise SubmissionError(
            f"{sample.name}: the header is {','.join(first)!r}, expected an id and a target column, or an id column "
            f"and one a class: {', '.join(labels[:10])}"
        )
    sampled = frozenset(row[0] for row in body)
    problems = _id_problems(missing=_fewest(known - sampled), unknown=_fewest(sampled - known))
    if ids is not None and problems:
        if not sample_decides:
            raise SubmissionError(
                f"{sample.name}: the ids are not the test set's: {problems}; sample and test file do not belong "
                "together: put those of one competition there, or move the sample away"
            )
        logger.warning("%s: the ids are not the test set's: %s; the sample decides", sample.name, problems)
    column = [row[1] for row in body if len(row) > 1]
    asks = any(map(is_fraction, column)) or (needs_probabilities and all(map(_is_share, column)))
    return Expected(tuple(first), sampled, labels, len(first) > 2 or (len(labels) == 2 and asks))


def _is_share(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def expected_probabilities(
    id_column: str, ids: np.ndarray | None, label_values: Sequence[LabelValue], columns: Sequence[str] = ()
) -> Expected:
    """An id and a column a class with its probability, named like its label; or other columns, as a sample has them."""
    labels = tuple(map(str, label_values))
    return Expected((id_column, *(columns or labels)), _as_text(ids), labels, True)


def _as_text(ids: np.ndarray | None) -> frozenset[str]:
    return frozenset() if ids is None else frozenset(map(str, ids.tolist()))


def validate_submission(path: Path, expected: Expected, name: Path | None = None) -> int:
    """Check a CSV against what the competition wants, a line at a time. Row order does not matter.

    Args:
        name: what to call the file in an error, if not ``path``.

    Returns:
        The number of rows.

    Raises:
        SubmissionError: what is wrong.
    """
    name = name or path
    rows = read_rows(path, name)
    header = next(rows)
    _check_header(name, header, expected)
    fault_of = _probability_fault if expected.wants_probabilities else _label_fault(expected.labels)
    missing = set(expected.ids)
    unknown, repeated, faults = _Fault(), _Fault(), defaultdict[str, _Fault](_Fault)
    line = 1
    for line, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise SubmissionError(f"{name}, line {line}: {_wrong_width(row, header)}")
        if row[0] in missing:
            missing.remove(row[0])
        else:
            (repeated if row[0] in expected.ids else unknown).add(row[0], line)
        if kind := fault_of(row):
            faults[kind].add(", ".join(row[1:]), line)
    if problems := _id_problems(missing=_fewest(missing), unknown=unknown, repeated=repeated):
        respelt = _respelt(unknown.first, expected.ids)
        raise SubmissionError(
            f"{name}: the ids are not the test set's: {problems}{respelt}: write each of the "
            f"{len(expected.ids):,} ids once, as text"
        )
    if faults:
        tell = _probability_message if expected.wants_probabilities else _label_message
        raise SubmissionError(f"{name}{tell(*next(iter(faults.items())), expected)}")
    return line - 1


# --- header and width -------------------------------------------------------------------------------------


def _check_header(name: Path, header: list[str], expected: Expected) -> None:
    if header[0].startswith("\ufeff"):
        raise SubmissionError(
            f"{name}: it starts with a byte order mark; save it as UTF-8 without one: encoding='utf-8', not 'utf-8-sig'"
        )
    if tuple(header) != expected.header:
        received, wanted = _shown(",".join(header), 200), _shown(",".join(expected.header), 200)
        raise SubmissionError(f"{name}: the header is {received}, expected {wanted}{_header_fix(header, expected)}")


def _header_fix(header: list[str], expected: Expected) -> str:
    """What makes the expected header of another one; names the mistakes that programs make."""
    wanted = list(expected.header)
    for place, column in enumerate(header):
        if header[:place] + header[place + 1 :] == wanted and _INDEX.fullmatch(column.strip()):
            called = f"column {column!r}" if column.strip() else "unnamed column"
            return f": the {called} is an index, as pandas writes it: write the file with index=False"
    if len(header) == 1 and (separator := next((mark for mark in ";\t|" if mark in header[0]), None)):
        return f": columns are separated by {separator!r}: write the file with sep=','"
    if header[0] in expected.ids:
        return ": the first line is a row already: write the file with its header"
    if sorted(header) == sorted(wanted):
        return ": write the columns in that order"
    if [column.strip().casefold() for column in header] == [column.strip().casefold() for column in wanted]:
        return ": rename the columns: capitals and spaces count"
    lacking = [column for column in wanted if column not in header]
    extra = [column for column in header if column not in wanted]
    changes = [
        f"{verb} {', '.join(_shown(column) for column in columns[:_SHOWN])}{' and others' * (len(columns) > _SHOWN)}"
        for verb, columns in (("add", lacking), ("leave out", extra))
        if columns
    ]
    return f": {' and '.join(changes) or 'write each column once'}"


def _wrong_width(row: list[str], header: list[str]) -> str:
    if not row:
        return f"it is empty, expected {len(header)} columns: remove the line"
    fix = "quote a value that holds a comma" if len(row) > len(header) else "write a value in each"
    return f"{len(row)} columns, expected {len(header)} ({_shown(','.join(header))}): {fix}"


# --- ids --------------------------------------------------------------------------------------------------


def _fewest(ids: Iterable[str]) -> _Fault:
    """Ids in no order: the count, and the first of them, 9 before 10."""
    known = list(ids)
    return _Fault(len(known), heapq.nsmallest(_SHOWN, known, lambda name: (len(name), name)))


def _id_problems(**problems: _Fault) -> str:
    """How many ids each problem has, and the first of them; empty where there is none."""
    return "; ".join(
        f"{fault.count:,} {problem} ({', '.join(map(_shown, fault.first))})"
        for problem, fault in problems.items()
        if fault.count
    )


def _respelt(unknown: list[str], ids: frozenset[str]) -> str:
    """Says so where an unknown id is one of the test set's in another spelling."""
    ending = PurePosixPath(next(iter(ids), "")).suffix
    for text in unknown:
        plain = re.sub(r"\.0+$", "", text.strip())
        spellings = [plain, PurePosixPath(plain).stem, plain + ending, *(plain.zfill(width) for width in range(2, 13))]
        for spelling in spellings:
            if spelling in ids:
                return f"; {text!r} stands for {spelling!r}"
    return ""


# --- labels -----------------------------------------------------------------------------------------------


def _label_fault(labels: Sequence[str]) -> Callable[[list[str]], str | None]:
    allowed = frozenset(labels)
    folded = frozenset(label.casefold() for label in labels)

    def fault_of(row: list[str]) -> str | None:
        if row[1] in allowed:
            return None
        text = row[1].strip()
        if text.casefold() in _EMPTY:
            return "empty"
        if text in allowed:
            return "spaced"
        if re.sub(r"\.0*$", "", text) in allowed:
            return "decimal"
        if text.casefold() in folded:
            return "capitals"
        return "fraction" if is_fraction(text) else "unknown"

    return fault_of


def _label_message(kind: str, fault: _Fault, expected: Expected) -> str:
    text = fault.first[0]
    such = f"such as {_shown(repr(text))} in line {fault.line}"
    labels = f"one of {', '.join(expected.labels[:10])}{', ...' * (len(expected.labels) > 10)}"
    whole = re.sub(r"\.0*$", "", text.strip())
    told = {
        "empty": f"labels are empty or NaN, {such}, expected {labels}: write a label for every id",
        "spaced": f"labels have spaces around them, {such}, expected {text.strip()!r}: strip them",
        "decimal": f"labels are written with a decimal point, {such}, expected {whole!r}; "
        "it can score 0 without any error: write integers, as by astype(int)",
        "capitals": f"labels are spelt otherwise, {such}, expected {labels}: write them exactly so",
        "fraction": f"labels are fractions, {such}, expected {labels}: write the most probable label itself",
        "unknown": f"labels are not allowed, {such}, expected {labels}: write the competition's labels, not class "
        "indices or names",
    }
    return f": {fault.count:,} {told[kind]}"


# --- probabilities ----------------------------------------------------------------------------------------


def _probability_fault(row: list[str]) -> str | None:
    """Each from 0 to 1; where every class has a column, they sum to one."""
    try:
        values = list(map(float, row[1:]))
    except ValueError:
        values = [math.nan]
    total = sum(values)
    if math.isnan(total):
        return "empty" if any(cell.strip().casefold() in _EMPTY for cell in row[1:]) else "text"
    if min(values) < 0 or max(values) > 1 + 1e-6:  # as float32 may have it
        return "range"
    return "sum" if len(values) > 1 and abs(total - 1) > SUM_TOLERANCE else None


def _probability_message(kind: str, fault: _Fault, expected: Expected) -> str:
    one_a_class = len(expected.header) > 2
    fixes = {
        "empty": "it is empty or NaN: write a number in every cell",
        "text": "it is no number: write plain numbers with a decimal point",
        "range": "write probabilities, as by a softmax" if one_a_class else "write the probability of the second class",
        "sum": "divide each row by its sum",
    }
    return (
        f", line {fault.line}: received {_shown(fault.first[0])}, expected probabilities from 0 to 1"
        f"{' that sum to 1' * one_a_class}; {fault.count:,} rows are like that: {fixes[kind]}"
    )


# --- reading ----------------------------------------------------------------------------------------------


def read_rows(path: Path, name: Path) -> Iterator[list[str]]:
    """The rows of a CSV, the first of which is there."""
    try:
        with path.open("rb") as content:
            start = content.read(4)
        for mark, what in _STARTS.items():
            if start.startswith(mark):
                raise SubmissionError(f"{name} is {what}, expected a CSV in UTF-8: save it as plain text, unpacked")
        with path.open(newline="", encoding="utf-8") as file:
            yield from _rows(file, str(name))
    except UnicodeDecodeError as error:
        raise SubmissionError(
            f"{name}, line {_undecodable_line(path)}: the byte {error.object[error.start]:#04x} is not UTF-8, which is "
            "expected: save it with encoding='utf-8'"
        ) from None
    except OSError as error:
        raise SubmissionError(f"cannot read {name}: {error.strerror or error}; expected a CSV file") from None


def _undecodable_line(path: Path) -> int:
    """Decoding goes by blocks of the file, and its error counts within one."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 1


def _rows(lines: Iterable[str], name: str) -> Iterator[list[str]]:
    rows = csv.reader(lines, strict=True)
    try:
        first = next(rows, None)
        if not first:
            raise SubmissionError(f"{name} is empty, expected a header and a row an image")
        yield first
        yield from rows
    except csv.Error as error:
        raise SubmissionError(
            f"cannot read {name} as a CSV, line {rows.line_num}: {error}: close every quote, and quote a value that "
            "holds a quote"
        ) from None


def _shown(text: str, longest: int = 80) -> str:
    """Anybody's text on one line of a terminal."""
    short = text if len(text) <= longest else f"{text[:longest]}..."
    return short if short.isprintable() and short.strip() == short and short else repr(short)
