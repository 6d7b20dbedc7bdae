"""Folds as a CSV of ``id,fold``, such as people share them."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from kit.errors import DataError
from kit.files import replacing

HEADER = ["id", "fold"]


def write_folds_file(path: Path, ids: np.ndarray, hand: np.ndarray) -> None:
    """Write a CSV for :func:`folds_file`: ids (rows,) and the fold int64 (rows,) in which each validates."""
    try:
        with replacing(path) as scratch, scratch.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(HEADER)
            writer.writerows(zip(ids.tolist(), hand.tolist(), strict=True))
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}; choose another --out") from None


def read_folds_file(path: Path, ids: np.ndarray) -> np.ndarray:
    """The fold of each id, in the order of the ids: int64 (rows,), each of 0..K-1 at least once."""
    rows = _read_rows(path)
    names = [name for name, _ in rows]
    wanted = list(map(str, ids.tolist()))
    _refuse(path, "ids of the images that are not unique", _repeated(wanted))
    _refuse(path, "ids that are listed more than once", _repeated(names))
    known, listed = set(wanted), set(names)
    _refuse(path, "ids that no image has", [name for name in names if name not in known])
    _refuse(path, "images that are not listed", [name for name in wanted if name not in listed])
    whole = "rows whose fold is not a whole number of 0 or more"
    _refuse(path, whole, [name for name, fold in rows if not (fold.isascii() and fold.isdecimal() and len(fold) < 10)])
    fold_of = {name: int(fold) for name, fold in rows}
    hand = np.array([fold_of[name] for name in wanted], np.int64)
    found = np.unique(hand).tolist()
    if len(found) < 2 or found != list(range(len(found))):
        shown = _shown(map(str, found))
        raise DataError(f"{path}: the folds are {shown}, expected all whole numbers from 0 to at least 1, without gaps")
    return hand


def _read_rows(path: Path) -> list[tuple[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # spreadsheets put a byte order mark in front
            lines = [line for line in csv.reader(file, strict=True) if line]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; expected a CSV file with header id,fold") from None
    except (UnicodeDecodeError, csv.Error):
        raise DataError(f"{path} is not a CSV file in UTF-8, expected one with header id,fold") from None
    if not lines or lines[0] != HEADER:
        raise DataError(f"{path}: the header is {','.join(lines[0]) if lines else 'missing'!r}, expected 'id,fold'")
    _refuse(path, "rows that do not have two fields", [line[0] for line in lines if len(line) != 2])
    return [(name, fold) for name, fold in lines[1:]]


def _refuse(path: Path, what: str, ids: Sequence[str]) -> None:
    if ids:
        raise DataError(f"{path}: {len(ids)} {what}, expected each id of the images once, with its fold: {_shown(ids)}")


def _repeated(names: list[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]


def _shown(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
