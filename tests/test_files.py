import os
from pathlib import Path

import pytest

from kit.files import replacing, write_text


def test_a_symbolic_link_stays_one() -> None:
    Path("real").mkdir()
    Path("real/run.csv").write_text("old")
    Path("link.csv").symlink_to("real/run.csv")
    write_text(Path("link.csv"), "new")
    assert Path("link.csv").is_symlink()
    assert Path("real/run.csv").read_text() == "new"
    Path("dangling.csv").symlink_to("real/later/run.csv")
    write_text(Path("dangling.csv"), "later")
    assert Path("real/later/run.csv").read_text() == "later"


def test_what_is_no_file_is_not_replaced() -> None:
    os.mkfifo("pipe")
    Path("folder").mkdir()
    Path("link").symlink_to("pipe")
    for name, message in (("pipe", "a pipe or a device"), ("link", "a pipe or a device"), ("folder", "a directory")):
        with pytest.raises(OSError, match="it is") as error, replacing(Path(name)):
            pass
        assert message in str(error.value.strerror)
    assert Path("pipe").is_fifo()


def test_a_parent_that_is_a_file_is_named() -> None:
    Path("file").write_text("")
    with pytest.raises(NotADirectoryError) as error:
        write_text(Path("file/folder/run.csv"), "")
    assert error.value.strerror == "file is a file, not a directory"


def test_after_an_error_nothing_is_left() -> None:
    with pytest.raises(ZeroDivisionError), replacing(Path("new/folder/file")) as scratch:
        scratch.write_text("half")
        raise ZeroDivisionError
    assert not Path("new").exists()
