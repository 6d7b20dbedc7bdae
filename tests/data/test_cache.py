import os
from pathlib import Path

import numpy as np
import pytest

from kit.data.cache import cached_arrays
from kit.errors import DataError


class Converter:
    """Reads numbers from a text file, and counts how often it had to."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, source: Path, directory: Path) -> None:
        self.calls += 1
        if "bad" in source.read_text():
            np.save(directory / "half.npy", np.zeros(1))
            raise DataError("bad numbers")
        np.save(directory / "numbers.npy", np.array(source.read_text().split(), dtype=int))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source.txt").write_text("1 2 3")
    return tmp_path / "source.txt"


def entries(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache" / "arrays").iterdir())


def test_a_file_is_converted_once(source: Path) -> None:
    convert = Converter()
    for _ in range(3):
        numbers = cached_arrays(source, "text-1", convert)["numbers"]
        assert numbers.tolist() == [1, 2, 3]
        assert isinstance(numbers, np.memmap)
        assert not numbers.flags.writeable
    assert convert.calls == 1


def test_the_key_is_the_content(source: Path, tmp_path: Path) -> None:
    convert = Converter()
    cached_arrays(source, "text-1", convert)
    copy = tmp_path / "copy.txt"
    copy.write_text("1 2 3")
    cached_arrays(copy, "text-1", convert)
    assert convert.calls == 1
    cached_arrays(source, "text-2", convert)
    assert convert.calls == 2
    status = source.stat()
    source.write_text("4 5 6")  # as long as before, and as old
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert cached_arrays(source, "text-1", convert)["numbers"].tolist() == [4, 5, 6]


def test_a_failed_conversion_leaves_nothing(source: Path, tmp_path: Path) -> None:
    source.write_text("bad")
    with pytest.raises(DataError, match="bad numbers"):
        cached_arrays(source, "text-1", Converter())
    assert entries(tmp_path) == []


def test_another_process_may_be_first(source: Path, tmp_path: Path) -> None:
    """It makes the entry while this one converts; the arrays it has mapped stay where they are."""
    convert = Converter()

    def slowly(source: Path, directory: Path) -> None:
        cached_arrays(source, "text-1", convert)
        np.save(directory / "numbers.npy", np.array([9]))

    assert cached_arrays(source, "text-1", slowly)["numbers"].tolist() == [1, 2, 3]
    assert len(entries(tmp_path)) == 1


@pytest.mark.parametrize("damage", ["cut", "empty", "gone"])
def test_a_damaged_entry_is_made_again(source: Path, tmp_path: Path, damage: str) -> None:
    convert = Converter()
    cached_arrays(source, "text-1", convert)
    (entry,) = entries(tmp_path)
    file = tmp_path / "cache" / "arrays" / entry / "numbers.npy"
    whole = file.read_bytes()
    file.unlink()
    if damage != "gone":
        file.write_bytes(whole[: {"cut": 20, "empty": 0}[damage]])
    assert cached_arrays(source, "text-1", convert)["numbers"].tolist() == [1, 2, 3]
    assert convert.calls == 2


def test_a_directory_under_the_files_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: Is a directory; expected the competition's file"):
        cached_arrays(tmp_path, "text-1", Converter())


def test_a_cache_that_cannot_be_written(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("KIT_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match="cannot write the cache in .*KIT_CACHE"):
        cached_arrays(source, "text-1", Converter())
