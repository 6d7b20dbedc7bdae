"""CSV files nobody vouches for: small tables of ids, names and labels, and large ones of pixels.

Everything is text, and nothing is guessed: "003" stays "003", "NA" stays "NA". That is also why a library that
guesses types is not asked: it would fill up short rows, drop long ones, and read "NA" as nothing.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np

from kit.data.readers.faults import FaultError, reading, shown, stranger
from kit.data.readers.growing import growing
from kit.errors import DataError

MAX_TABLE_BYTES = 2**25  # of a small table; a million rows of an id and a label take about half of it
_MAX_FIELDS = 4_000_000
_MAX_HEADER = 2**21  # bytes; the names of 150,528 columns, a colour image of 224x224 pixels, take about 1.7 MB
_MAX_CELL = 40  # bytes on average, in the rows of a table of pixels
_MAX_TEXT = 100  # characters of a label or an id beside pixels
_CELLS_AT_A_TIME = 2**20  # 8 MB as float64
_NUMBERED = re.compile(r"(\D*)(\d{1,9})")
_PIXELS = "expected a CSV file with a header and an image a row, values 0..255 or 0..1"
_STRANGERS = (b"<", b"version https://git-lfs", b"PK\x03\x04", b"\x1f\x8b", b"\x80", b"\x93NUMPY")


def read_table(
    path: Path | str, content: bytes | None = None, *, required: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """Read a small CSV file, such as labels or a sample submission.

    Commas alone separate. A file with semicolons or tabs is refused: a spreadsheet wrote it, and may have
    changed ids on the way, and the submission that is made after it needs commas.

    Args:
        path: the file, of 32 MB at most.
        content: its bytes, if they were read from elsewhere; ``path`` then only says what to call it.
        required: columns that must be there.

    Returns:
        name -> text (rows,), in the order of the columns; at least one row.

    Raises:
        DataError: the file is missing, unreadable, damaged, too large, ragged, empty or something else.
    """
    expected = f"expected a CSV file with a header and the columns {', '.join(required) or 'that it names'}"
    if content is None:
        with reading(Path(path), "table", expected) as (file, size):
            _refuse_large(size)
            return _columns(file.read(), required)
    try:
        _refuse_large(len(content))
        return _columns(content, required)
    except FaultError as fault:
        raise DataError(f"{path}: {fault.received}; {expected}; {fault.fix}") from None


@dataclass(frozen=True)
class PixelTable:
    """What stands beside the pixels of a table.

    shape: (rows, height, width, channels).
    labels, ids: text (rows,), or None where there is no such column.
    """

    shape: tuple[int, int, int, int]
    labels: np.ndarray | None
    ids: np.ndarray | None


def write_pixel_table(
    path: Path, target: Path, *, label_column: str = "label", id_column: str = "id", channels: int = 1
) -> PixelTable:
    """Read a CSV file with an image a row, as of Kaggle's Digit Recognizer, and write its pixels as ``.npy``.

    Pixels are all columns but the label's and the id's; if all their names are one word with a number, such as
    pixel0, pixel1, they are taken in the order of the numbers, else as they stand. Images are square. Values
    are whole numbers 0..255, or 0..1, which are scaled; 0 and 1 alone are taken for 0..1.

    Args:
        path: the file; it is read in pieces, whatever its size.
        target: the file to write, uint8 (rows, side, side, channels), 0..255.
        label_column, id_column: left out of the pixels, if they are there.
        channels: 1, or 3 for images that were stored as red, green, blue, pixel by pixel.

    Raises:
        DataError: the file is missing, unreadable, damaged, ragged, empty, something else, or has no square
            images; or a cell that is no number 0..255.
        OSError: the target cannot be written.
    """
    layout = _read_layout(path, label_column, id_column, channels)
    factor = _factor(path, layout)
    texts: list[np.ndarray] = []
    with growing(target, (layout.side, layout.side, channels)) as write:
        for rows in _pieces(path, layout, factor):
            write(np.rint(rows["values"] * factor).astype(np.uint8).reshape(-1, layout.side, layout.side, channels))
            texts.append(np.array(rows["texts"].tolist(), str))  # a view would keep the values
    columns = dict(zip(layout.texts, np.concatenate(texts).T, strict=True))
    shape = (sum(map(len, texts)), layout.side, layout.side, channels)
    return PixelTable(shape, columns.get(label_column), columns.get(id_column))


# --- small tables ---------------------------------------------------------------------------------------------


def _refuse_large(size: int) -> None:
    if size > MAX_TABLE_BYTES:
        fix = "keep ids and labels in the table, and pixels in image files"
        raise FaultError(f"it has {size:,} bytes, the limit is {MAX_TABLE_BYTES:,}", fix)


def _columns(content: bytes, required: Sequence[str]) -> dict[str, np.ndarray]:
    text = _decoded(content)
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = _header(next((row for row in rows if row), []))
        if missing := [name for name in required if name not in header]:
            received = f"it has no column {', '.join(missing)}, it has {shown(', '.join(header))}"
            raise FaultError(received, "rename the column, or check which file this is")
        columns: list[list[str]] = [[] for _ in header]
        for row in rows:
            if row:  # an empty line is no row
                _refuse_ragged(len(row), len(header), rows.line_num)
                for column, field in zip(columns, row, strict=True):
                    column.append(field)
                if len(columns[0]) * len(header) > _MAX_FIELDS:
                    raise FaultError(f"it has more than {_MAX_FIELDS:,} fields", "keep ids and labels alone in it")
    except csv.Error as error:  # an open quote, or a field beyond the csv module's limit of 131,072 characters
        fix = "look at that line, or download the file again"
        raise FaultError(f"its line {rows.line_num:,} cannot be read ({error})", fix) from None
    if not columns[0]:
        raise FaultError("it has a header and no rows", "check which file this is, or download it again")
    return dict(zip(header, _text_arrays(header, columns, 8 * len(content) + 2**26), strict=True))


def _decoded(content: bytes) -> str:
    start = content[:512]
    if not content.strip(b"\xef\xbb\xbf \t\r\n"):
        raise FaultError(f"it is empty ({len(content):,} bytes)", "download or copy it again")
    if start.removeprefix(codecs.BOM_UTF8).lstrip().lower().startswith(tuple(map(bytes.lower, _STRANGERS))):
        raise stranger(start, "a CSV file")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise FaultError("it is in UTF-16", "save it as UTF-8; a spreadsheet calls that CSV UTF-8")
    if (zero := content.find(b"\0")) >= 0:
        raise FaultError(f"it has a zero byte at byte {zero:,}", "it is damaged, or no text: check which file this is")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"its byte {error.start:,}, {shown(content[error.start : error.start + 1])}, is not UTF-8 text"
        raise FaultError(what, "save it as UTF-8; a spreadsheet calls that CSV UTF-8") from None


def _header(fields: list[str]) -> list[str]:
    names = [name.strip() for name in fields]
    if len(names) == 1 and (other := next((sign for sign in ";\t|" if sign in names[0]), None)):
        fix = "save it with commas, and see that the ids are still as they were"
        raise FaultError(f"it seems to be separated by {shown(other)} (its header: {shown(names[0])})", fix)
    if repeated := sorted({name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else ()):
        received = f"its header has {', '.join(map(shown, repeated[:5]))} more than once"
        raise FaultError(received, "give each column one name, or add the header if it has none")
    return names


def _refuse_ragged(fields: int, expected: int, line: int) -> None:
    if fields != expected:
        received = f"its line {line:,} has {fields} fields and its header {expected}"
        raise FaultError(received, "look at that line: text with a comma in it must be quoted")


def _text_arrays(header: list[str], columns: list[list[str]], budget: int) -> Iterator[np.ndarray]:
    """Text arrays take four bytes a character of the longest text, for every row."""
    for name, column in zip(header, columns, strict=True):
        longest = max(map(len, column))
        budget -= 4 * max(longest, 1) * len(column)
        if budget < 0:
            received = f"its column {shown(name)} has a text of {longest:,} characters among {len(column):,} rows"
            raise FaultError(received, "look at that text: a quote may be missing")
        yield np.array(column, f"U{max(longest, 1)}")


# --- tables of pixels -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Layout:
    """Which columns of a pixel table are what, by their places; pixels in the order of the image."""

    names: list[str]
    texts: dict[str, int]  # label and id, of those that are there
    pixels: list[int]
    side: int


def _read_layout(path: Path, label_column: str, id_column: str, channels: int) -> _Layout:
    with reading(path, "table", _PIXELS) as (file, _):
        first = next(_lines(file), None)
        if first is None:
            raise FaultError("it is empty (0 bytes)", "download or copy it again")
        names = _header(_split(*first))
        wanted = {column.casefold(): column for column in (label_column, id_column)}
        texts = {wanted[name.casefold()]: at for at, name in enumerate(names) if name.casefold() in wanted}
        pixels = _in_order([at for at in range(len(names)) if at not in texts.values()], names)
        side = math.isqrt(len(pixels) // channels)
        if not pixels or side * side * channels != len(pixels):
            received = f"its {len(pixels):,} columns of pixels are no square image of {channels} channel(s)"
            colour = math.isqrt(len(pixels) // 3) ** 2 * 3 == len(pixels) > 0
            strays = ", ".join(names[at] for at in pixels if not _NUMBERED.fullmatch(names[at]))[:80]
            fix = f"name what is no pixel with label_column or id_column (perhaps {strays or names[0]})"
            fix = "say channels=3 if they are in colour" if colour else fix
            raise FaultError(received, fix)
        return _Layout(names, texts, pixels, side)


def _in_order(places: list[int], names: list[str]) -> list[int]:
    """By their numbers, if all are one word with a number: pixel10 after pixel9, wherever it stands."""
    found = [_NUMBERED.fullmatch(names[at]) for at in places]
    if all(found) and len({match[1] for match in found if match}) == 1:
        return sorted(places, key=lambda at: int(re.sub(r"\D", "", names[at])))
    return places


def _factor(path: Path, layout: _Layout) -> int:
    """255 for values 0..1, 1 for values 0..255: the first other than 0 and 1 tells, mostly in the first piece."""
    rows = 0
    for piece in _pieces(path, layout):
        rows += len(piece)
        others = piece["values"][(piece["values"] != 0) & (piece["values"] != 1)]
        if len(others):
            return 255 if 0 < others[0] < 1 else 1
    if not rows:
        raise DataError(f"{path}: it has a header and no rows; {_PIXELS}; check which file this is")
    return 255


def _pieces(path: Path, layout: _Layout, factor: int | None = None) -> Iterator[np.ndarray]:
    """Some rows at a time: texts, (label and id,), and values, float64 (pixels,).

    With a factor, values are checked to be whole numbers 0..255 (1), or 0..1 (255).
    """
    with reading(path, "table", _PIXELS) as (file, _):
        lines = _lines(file, _MAX_CELL * len(layout.names) + 2 * _MAX_TEXT)
        next(lines, None)  # the header
        while numbered := list(islice(lines, max(1, _CELLS_AT_A_TIME // len(layout.names)))):
            yield _parsed(numbered, layout, factor)


def _lines(file: IO[bytes], limit: int = 0) -> Iterator[tuple[int, str]]:
    """Lines that are not empty, with their numbers from 1; those after the first of so many bytes at most."""
    number, longest = 0, _MAX_HEADER
    while line := file.readline(longest + 1):
        number += 1
        if number == 1:
            _decoded(line)  # says what else the file may be
            line = line.removeprefix(codecs.BOM_UTF8)
        if len(line) > longest:
            raise FaultError(f"its line {number:,} has more than {longest:,} bytes", "check which file this is")
        longest = limit
        try:
            text = line.decode().strip("\r\n")
        except UnicodeDecodeError:
            raise FaultError(f"its line {number:,} is not UTF-8 text", "save it as UTF-8") from None
        if "\0" in text or "\r" in text:
            raise FaultError(f"its line {number:,} has a zero byte or a line end in it", "check which file this is")
        if text:
            yield number, text


def _parsed(numbered: list[tuple[int, str]], layout: _Layout, factor: int | None) -> np.ndarray:
    for number, line in numbered:
        fields = len(_split(number, line)) if '"' in line else line.count(",") + 1
        _refuse_ragged(fields, len(layout.names), number)
    texts = ("texts", f"U{_MAX_TEXT + 1}", (len(layout.texts),))
    dtype = np.dtype([texts, ("values", "f8", (len(layout.pixels),))])
    try:
        rows = np.loadtxt(
            [line for _, line in numbered],
            dtype,
            delimiter=",",
            comments=None,
            quotechar='"',
            usecols=[*layout.texts.values(), *layout.pixels],
            ndmin=1,
        )
    except ValueError:
        raise _no_number(numbered, layout) from None
    if (np.char.str_len(rows["texts"]) > _MAX_TEXT).any():
        received = f"it has a label or an id of more than {_MAX_TEXT} characters from line {numbered[0][0]:,} on"
        raise FaultError(received, "check which columns are the label and the id")
    if factor:
        _check_values(rows["values"], [number for number, _ in numbered], layout, factor)
    return rows


def _check_values(values: np.ndarray, numbers: list[int], layout: _Layout, factor: int) -> None:
    right = (values >= 0) & (values <= 255 // factor)  # false for what is no number, too
    if factor == 1:
        right &= np.rint(values) == values
    if right.all():
        return
    row, column = np.argwhere(~right)[0]
    cell = f"line {numbers[row]:,}, column {shown(layout.names[layout.pixels[column]])}"
    limits = "a whole number 0..255" if factor == 1 else "0..1, as the values before it"
    raise FaultError(f"its {cell} holds {values[row, column]:g} and not {limits}", "correct that value")


def _no_number(numbered: list[tuple[int, str]], layout: _Layout) -> FaultError:
    for number, line in numbered:
        fields = _split(number, line)
        for at in layout.pixels:
            try:
                float(fields[at])
            except ValueError:
                cell = f"line {number:,}, column {shown(layout.names[at])}"
                return FaultError(f"its {cell} holds {shown(fields[at])}, which is no number", "correct that value")
    lines = f"lines {numbered[0][0]:,} to {numbered[-1][0]:,}"
    return FaultError(f"its {lines} hold a value that is no number", "correct that value")


def _split(number: int, line: str) -> list[str]:
    try:
        return next(csv.reader([line], strict=True))
    except (csv.Error, StopIteration):
        raise FaultError(f"its line {number:,} has a broken quote or no fields", "look at that line") from None
