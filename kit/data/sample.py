"""What an organiser's ``sample_submission.csv`` says of a competition: header, ids, classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from kit.data.data_trees import find_table
from kit.data.images import TextFile
from kit.data.picture_sets import natural_order
from kit.data.readers.tables import read_table
from kit.data.readers.trees import Tree
from kit.errors import DataError

SAMPLE_NAMES = ("sample_submission.csv", "sampleSubmission.csv", "sample-submission.csv", "SampleSubmission.csv")


@dataclass(frozen=True)
class Sample:
    """A sample submission.

    text: the file itself.
    columns: names of the columns after the id; one, or one a class.
    ids: (rows,) as text.
    holds_fractions: of its one column; of two classes it is then the probability of the second.
    """

    text: TextFile
    id_column: str
    columns: tuple[str, ...]
    ids: np.ndarray
    holds_fractions: bool

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Where there is a probability column a class, the classes."""
        return self.columns if len(self.columns) > 1 else None


def read_sample(tree: Tree) -> Sample | None:
    """The sample of a data set, if there is one.

    Raises:
        DataError: it cannot be read, has one column only, or an id twice.
    """
    file = find_table(tree, *SAMPLE_NAMES)
    if file is None:
        return None
    content = tree.read(file)
    columns = read_table(tree.describe(file), content)
    id_column, *others = columns
    if not others:
        raise DataError(f"{tree.describe(file)}: it has the column {id_column!r} alone, expected an id and a target")
    ids = columns[id_column]
    refuse_repeated(ids, f"{tree.describe(file)} ({id_column})")
    text = TextFile(tree.describe(file), content.decode("utf-8-sig"))
    fractions = len(others) == 1 and any(map(is_fraction, columns[others[0]].tolist()))
    return Sample(text, id_column, tuple(others), ids, fractions)


def is_fraction(text: str) -> bool:
    """Whether a cell of a sample is a probability and can be no label."""
    try:
        return 0 < float(text) < 1
    except ValueError:
        return False


def asked_by(
    sample: Sample | None, metric: str | None, classes: Sequence[str], id_column: str, target_column: str
) -> dict[str, Any]:
    """What a sample makes of the fields of a Competition: the header, and the metric unless it was named."""
    if sample is None:
        return {"metric": metric or "accuracy", "id_column": id_column, "target_column": target_column}
    wants_probabilities = sample.classes or (sample.holds_fractions and len(classes) == 2)
    return {
        "metric": metric or ("log_loss" if wants_probabilities else "accuracy"),
        "sample_submission": sample.text,
        "id_column": sample.id_column,
        "target_column": target_column if sample.classes else sample.columns[0],
    }


def refuse_repeated(ids: np.ndarray, source: str) -> None:
    """Raises DataError for ids that occur more than once."""
    unique, counts = np.unique(ids, return_counts=True)
    if len(unique) < len(ids):
        repeated = unique[counts > 1]
        raise DataError(
            f"{source}: {len(repeated)} ids occur more than once ({', '.join(map(str, repeated[:5]))}), "
            "expected each once"
        )


def files_of_ids(ids: Sequence[str], files: Sequence[str], source: str) -> list[str]:
    """The file that each id names: by its path, its name, or its name without the ending.

    Raises:
        DataError: ids without a file, or with several.
    """
    by_name: dict[str, str | None] = {}
    for file in files:
        path = PurePosixPath(file)
        names = {path.name, path.stem, *(str(PurePosixPath(*path.parts[start:])) for start in range(len(path.parts)))}
        for name in names:
            by_name[name] = None if name in by_name else file
    ids = [name.replace("\\", "/").removeprefix("./") for name in ids]
    found = [by_name.get(name) for name in ids]
    missing = [name for name, file in zip(ids, found, strict=True) if file is None]
    if missing:
        several = [name for name in missing if name in by_name]
        what = "several files each" if several else "no image file"
        shown = (several or missing)[:5]
        raise DataError(
            f"{source}: {len(missing)} ids have {what} ({', '.join(shown)}); the {len(files)} image files are "
            f"{', '.join(files[:3])}, ...: put the missing images there, or correct the ids"
        )
    return [file for file in found if file is not None]


def test_ids(files: Sequence[str], sample: Sample | None, source: str) -> tuple[list[str], np.ndarray]:
    """Test files in the order of their ids: those of the sample, or else the names of the files themselves."""
    if sample is not None:
        return files_of_ids(sample.ids.tolist(), files, source), sample.ids
    ordered = sorted(files, key=natural_order)
    names = [PurePosixPath(file).name for file in ordered]
    return ordered, np.array(names if len(set(names)) == len(names) else ordered)
