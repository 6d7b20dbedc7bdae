"""How far a model file is from the trained model: kept beside it in exports.json, and bound to it by its hash.

Not in the file's own metadata: the figures depend on the machine's rounding, and the same model is to be the same file.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from kit.deploy.export import Exported
from kit.errors import ModelFileError
from kit.files import file_hash, write_text

EXPORTS_FILE = "exports.json"


@dataclass(frozen=True)
class Parity:
    """What an export found of a file.

    largest_difference: of a probability, between the file and the trained model, both before any temperature.
    images, random_images: how many real images, and how many of bytes by chance, were compared.
    """

    largest_difference: float
    labels_that_differ: int
    images: int
    random_images: int


def record_parity(exported: Exported) -> None:
    """Write down what an export found, beside its file.

    Raises:
        ModelFileError: it cannot be written.
    """
    found = {field.name: getattr(exported, field.name) for field in fields(Parity)}
    write_parity(exported.path, Parity(**found))


def write_parity(file: Path, parity: Parity) -> None:
    """Write down what was found of a file, as it is now.

    Raises:
        ModelFileError: it cannot be written.
    """
    path = file.with_name(EXPORTS_FILE)
    known = _read(path)
    known[file.name] = {"sha256": file_hash(file), **asdict(parity)}
    try:
        write_text(path, json.dumps(known, indent=2))
    except OSError as error:
        raise ModelFileError(f"cannot write {path}: {error.strerror or error}; mend that and export again") from None


def read_parity(file: Path) -> Parity | None:
    """What was found of a file; None where nothing was written down, or the file is another one by now."""
    found = _read(file.with_name(EXPORTS_FILE)).get(file.name)
    if not isinstance(found, dict) or found.pop("sha256", None) != file_hash(file):
        return None
    try:
        return Parity(**found)
    except TypeError:
        return None


def _read(path: Path) -> dict[str, Any]:
    """Damaged figures are worth as much as none: the next export writes them anew."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
