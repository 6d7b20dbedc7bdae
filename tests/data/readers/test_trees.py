"""kit.data.readers.trees: the same files from a directory and an archive, and archives that lie."""

from __future__ import annotations

import io
import os
import socket
import stat
import struct
import sys
import time
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.data.readers import trees
from kit.data.readers.trees import Tree, open_tree
from kit.errors import DataError
from tests.data.readers.conftest import on_linux, python

FILES = {
    "train/cat/1.png": b"first",
    "train/cat/10.png": bytes(70_000),
    "train/dog/é 犬.png": b"",
    "train/dog/deep/er/2.png": b"second",
    "labels.csv": b"id,label\n",
}
LEFTOVERS = {
    ".DS_Store": b"",
    "train/._1.png": b"",
    "train/cat/Thumbs.db": b"",
    "train/desktop.ini": b"",
    "__MACOSX/train/._1.png": b"",
    "train/.cache/a/b.png": b"",
}
FOLDERS = ("train", "train/cat", "train/dog", "train/dog/deep", "train/dog/deep/er", "train/empty")
IGNORED = (".DS_Store", "__MACOSX/", "train/._1.png", "train/.cache/", "train/cat/Thumbs.db", "train/desktop.ini")


def directory(path: Path) -> Path:
    for name, content in (FILES | LEFTOVERS).items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    (path / "train/empty").mkdir()
    return path


def archive(path: Path, method: int = zipfile.ZIP_DEFLATED, prefix: str = "") -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in (FILES | LEFTOVERS).items():
            file.writestr(prefix + name, content)
        file.mkdir(prefix + "train/empty")
    return path


MAKERS: dict[str, Callable[[Path], Path]] = {
    "directory": lambda path: directory(path / "data"),
    "deflated": lambda path: archive(path / "data.zip"),
    "stored": lambda path: archive(path / "data.zip", zipfile.ZIP_STORED),
    "with ./ in front": lambda path: archive(path / "data.zip", prefix="./"),
}


@pytest.fixture(params=MAKERS)
def data(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return MAKERS[request.param](tmp_path)


def failure(path: Path, read: str | None = None) -> str:
    with pytest.raises(DataError) as caught, open_tree(path) as tree:
        for name in tree.files if read is None else (read,):
            tree.read(name)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < len(str(path)) + 400
    return message


# --- honest trees -----------------------------------------------------------------------------------------


def test_what_is_in_it(data: Path) -> None:
    with open_tree(data) as tree:
        assert tree.path == data
        assert tree.files == tuple(sorted(FILES))
        assert tree.folders == FOLDERS
        assert tree.ignored == tuple(sorted(IGNORED))
        assert tree.top_folders == ("train",)
        assert {name: tree.read(name) for name in tree.files} == FILES


def test_names_in_errors(data: Path) -> None:
    with open_tree(data) as tree:
        separator = "/" if data.is_dir() else ": "
        assert tree.describe("train/cat/1.png") == f"{data}{separator}train/cat/1.png"
        assert tree.below("train").below("cat").describe("1.png") == f"{data}{separator}train/cat/1.png"


def test_a_part_of_it(data: Path) -> None:
    with open_tree(data) as tree:
        part = tree.below("train")
        assert part.path == data
        assert part.files == ("cat/1.png", "cat/10.png", "dog/deep/er/2.png", "dog/é 犬.png")
        assert part.top_folders == ("cat", "dog", "empty")
        assert part.ignored == ("._1.png", ".cache/", "cat/Thumbs.db", "desktop.ini")
        assert part.read("cat/1.png") == b"first"
        assert tree.below("train/dog").below("deep").files == ("er/2.png",)
        assert tree.below("train/empty").files == ()
        with pytest.raises(DataError, match=r"there is no folder 'tra' in it; its folders: train$"):
            tree.below("tra")


def test_many_threads(data: Path) -> None:
    with open_tree(data) as tree, ThreadPoolExecutor(8) as pool:
        names = list(FILES) * 200
        assert list(pool.map(tree.read, names)) == [FILES[name] for name in names]


def test_the_data_set_itself_may_be_a_link(data: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(data)
    with open_tree(tmp_path / "link") as tree:
        assert tree.files == tuple(sorted(FILES))


def test_an_archive_behind_something_else(tmp_path: Path) -> None:
    """As archives that unpack themselves are: all offsets are off by the length of the program."""
    path = archive(tmp_path / "data.zip")
    path.write_bytes(b"#!/bin/sh\n" * 100 + path.read_bytes())
    with open_tree(path) as tree:
        assert {name: tree.read(name) for name in tree.files} == FILES


def test_an_archive_with_backslashes_and_streamed_members(tmp_path: Path) -> None:
    class NoSeek(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *arguments: int) -> int:
            raise OSError

    stream = NoSeek()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("train\\cat\\1.png", b"first")
    (tmp_path / "data.zip").write_bytes(stream.getvalue())
    with open_tree(tmp_path / "data.zip") as tree:
        assert tree.files == ("train/cat/1.png",)
        assert tree.read("train/cat/1.png") == b"first"


def test_an_archive_of_nothing(tmp_path: Path) -> None:
    zipfile.ZipFile(tmp_path / "data.zip", "w").close()
    with open_tree(tmp_path / "data.zip") as tree:
        assert (tree.files, tree.folders) == ((), ())


def stamp(path: Path, below: str = "") -> str:
    with open_tree(path) as tree:
        return (tree.below(below) if below else tree).stamp()


def test_the_stamp_stays_until_something_changes(data: Path) -> None:
    before = stamp(data)
    assert stamp(data) == before
    assert len({stamp(data, "train/cat"), stamp(data, "train/dog"), before}) == 3
    status = data.stat()
    os.utime(data, ns=(status.st_atime_ns, status.st_mtime_ns + 1000))
    assert (stamp(data) == before) == data.is_dir()


def change_content(root: Path) -> None:
    """Of the same length, at the same time: only the time of the change of its entry tells."""
    path = root / "train/cat/1.png"
    status = path.stat()
    path.write_bytes(b"FIRST")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": change_content,
    "new file": lambda root: (root / "train/cat/3.png").touch(),
    "new folder": lambda root: (root / "train/new").mkdir(),
    "gone": lambda root: (root / "labels.csv").unlink(),
    "renamed": lambda root: (root / "train/cat").rename(root / "train/lynx"),
    "replaced": lambda root: (root / "train/cat/1.png").replace(root / "train/cat/10.png"),
}


@on_linux
@pytest.mark.parametrize("change", CHANGES)
def test_the_stamp_tells_changes(tmp_path: Path, change: str) -> None:
    root = directory(tmp_path / "data")
    before = stamp(root)
    time.sleep(0.02)  # clocks of file systems tick this slowly
    CHANGES[change](root)
    assert stamp(root) != before


@on_linux
def test_large_directories_are_listed_quickly(tmp_path: Path) -> None:
    for folder in range(10):
        (tmp_path / f"data/{folder}").mkdir(parents=True)
        for number in range(1000):
            (tmp_path / f"data/{folder}/{number}.png").touch()
    started = time.process_time()
    with open_tree(tmp_path / "data") as tree:
        assert len(tree.files) == 10_000
    assert time.process_time() - started < 0.5  # measured: 0.03 s


# --- directories that are not what they seem ----------------------------------------------------------------


@on_linux
def test_links_are_followed(tmp_path: Path) -> None:
    root = directory(tmp_path / "data")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/9.png").write_bytes(b"nine")
    (root / "train/linked").symlink_to(tmp_path / "elsewhere")
    (root / "train/again").symlink_to(root / "train/cat")  # a second way to it, but no loop
    (root / "train/cat/link.png").symlink_to(tmp_path / "elsewhere/9.png")
    with open_tree(root) as tree:
        assert tree.read("train/linked/9.png") == tree.read("train/cat/link.png") == b"nine"
        assert tree.read("train/again/1.png") == b"first"
        assert {"train/linked", "train/again"} <= set(tree.folders)


def make_socket(path: Path) -> None:
    home = Path.cwd()
    os.chdir(path.parent)  # the name of a socket is at most 107 bytes
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path.name)
    os.chdir(home)


STRANGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "loop": (lambda path: path.symlink_to(".."), "it is a link to a folder that it lies in; "),
    "link to itself": (lambda path: path.symlink_to(path), "it cannot be read (Too many levels of symbolic links); "),
    "dangling": (lambda path: path.symlink_to("nothing"), "it is a link that leads nowhere; "),
    "pipe": (os.mkfifo, "it is a pipe; expected a file or a folder; move it elsewhere"),
    "socket": (make_socket, "it is a socket; "),
    "device": (lambda path: path.symlink_to("/dev/zero"), "it is a device; "),
}


@on_linux
@pytest.mark.parametrize("name", STRANGE)
def test_strange_entries(tmp_path: Path, name: str) -> None:
    make, received = STRANGE[name]
    path = directory(tmp_path / "data") / "train/cat/odd"
    make(path)
    assert failure(tmp_path / "data").startswith(f"{path}: {received}")


@on_linux
@pytest.mark.parametrize(
    ("name", "shown"), [("a\nb.png", r"'train/a\nb.png'"), (os.fsdecode(b"\xff.png"), r"'train/\udcff.png'")]
)
def test_names_that_cannot_be_told(tmp_path: Path, name: str, shown: str) -> None:
    root = directory(tmp_path / "data")
    (root / "train" / name).touch()
    assert failure(root) == (
        f"{root}: {shown} holds characters that cannot be shown; expected names of plain text; rename it"
    )


@on_linux
def test_links_that_multiply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty folders with two links each to the next one hold a million folders."""
    monkeypatch.setattr(trees, "MAX_ENTRIES", 1000)
    for level in range(20):
        (tmp_path / f"data/{level}").mkdir(parents=True)
        for side in "ab":
            (tmp_path / f"data/{level}/{side}").symlink_to(f"../{level + 1}")
    (tmp_path / "data/20").mkdir()
    assert "it holds more than 1,000 files and folders; " in failure(tmp_path / "data")


@on_linux
def test_what_may_not_be_read(tmp_path: Path) -> None:
    root = directory(tmp_path / "data")
    tmp_path.chmod(0o755)
    code = """
import os, sys
from pathlib import Path
from kit.data.readers.trees import open_tree
if os.getuid() == 0:
    os.setuid(65534)
with open_tree(Path(sys.argv[1])) as tree:
    tree.read("train/cat/1.png")
"""
    for parent in list(tmp_path.parents)[:-2]:
        if parent.stat().st_uid == os.getuid():
            parent.chmod(0o755)
    (root / "train/cat/1.png").chmod(0)
    received = f"DataError: {root}/train/cat/1.png: you have no permission to read it; "
    assert received in python(code, root).stderr
    (root / "train/cat").chmod(0)
    assert f"DataError: {root}/train/cat: it cannot be read (Permission denied); " in python(code, root).stderr
    (root / "train/cat").chmod(0o755)


def test_too_large_a_file(tmp_path: Path) -> None:
    with (tmp_path / "1.png").open("wb") as file:
        file.truncate(trees.MAX_FILE_BYTES + 1)
    assert "it has 268,435,457 bytes, the limit is 268,435,456; " in failure(tmp_path, "1.png")


def test_a_file_that_vanished(tmp_path: Path) -> None:
    (tmp_path / "1.png").touch()
    with open_tree(tmp_path) as tree:
        (tmp_path / "1.png").unlink()
        with pytest.raises(DataError, match=r"1\.png: there is no such file; "):
            tree.read("1.png")
        with pytest.raises(DataError, match=r"1\.png: it cannot be read \(No such file"):
            tree.stamp()


# --- archives that are not what they seem -------------------------------------------------------------------


def member(name: str, content: bytes = b"x", **attributes: Any) -> tuple[zipfile.ZipInfo, bytes]:
    info = zipfile.ZipInfo(name)
    for attribute, value in attributes.items():
        setattr(info, attribute, value)
    return info, content


def packed(*members: tuple[zipfile.ZipInfo, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for info, content in members:
            file.writestr(info, content)
    return stream.getvalue()


def unix(kind: int) -> int:
    return (kind | 0o644) << 16


def changed(content: bytes, offset: int, form: str, *values: int, in_local_header: int | None = None) -> bytes:
    """An archive of one member with something else in its entry of the list, and in its own header."""
    lying = bytearray(content)
    struct.pack_into(f"<{form}", lying, content.index(b"PK\1\2") + offset, *values)
    if in_local_header is not None:
        struct.pack_into(f"<{form}", lying, in_local_header, *values)
    return bytes(lying)


ONE = packed(member("a.png", b"content"))
MEMBERS: dict[str, tuple[bytes, str]] = {
    "absolute": (packed(member("/etc/passwd")), "'/etc/passwd' in it leads out of the archive"),
    "parent": (packed(member("a/../../b.png")), "'a/../../b.png' in it leads out of the archive"),
    "parent by backslash": (packed(member("a\\..\\..\\b")), "'a/../../b' in it leads out of the archive"),
    "drive": (packed(member("C:\\b.png")), "'C:/b.png' in it leads out of the archive"),
    "link": (packed(member("a", b"/etc", external_attr=unix(stat.S_IFLNK))), "'a' in it is a link"),
    "device": (packed(member("a", external_attr=unix(stat.S_IFCHR))), "'a' in it is a device or a pipe"),
    "pipe": (packed(member("a", external_attr=unix(stat.S_IFIFO))), "'a' in it is a device or a pipe"),
    "twice": (ONE[: ONE.index(b"PK\1\2")], "'a.png' twice"),
    "twice by another spelling": (packed(member("a.png"), member("./a.png")), "it holds 'a.png' twice"),
    "file and folder": (packed(member("a"), member("a/b")), "'a' is both a file and a folder in it"),
    "line break": (packed(member("a\nb.png")), r"the name 'a\nb.png' in it holds characters that cannot be shown"),
    "bzip2": (packed(member("a", compress_type=zipfile.ZIP_BZIP2)), "'a' in it is packed by the method bzip2, not by"),
    "LZMA": (packed(member("a", compress_type=zipfile.ZIP_LZMA)), "'a' in it is packed by the method LZMA, not by"),
    "unknown method": (changed(ONE, 10, "H", 77), "'a.png' in it is packed by the method 77, not by Deflate"),
    "password": (changed(ONE, 8, "H", 1), "'a.png' in it is protected by a password"),
    "large": (changed(ONE, 24, "I", 2**28 + 1), "'a.png' in it claims 268,435,457 bytes, the limit is 268,435,456"),
    "bomb": (changed(ONE, 24, "I", 2**28), "'a.png' in it claims 268,435,456 bytes packed into 7"),
    "beyond the end": (changed(ONE, 20, "I", 5000), "'a.png' in it overlaps with what follows"),
    "starts in the list": (changed(ONE, 42, "I", 45), "'a.png' in it overlaps with what follows"),
    "no such member": (ONE.replace(b"PK\3\4", b"PK\3\5"), "there is no such member where the archive says"),
    "checksum": (ONE.replace(b"content", b"CONTENT"), "its size or checksum is not what the archive says"),
    "other name inside": (ONE.replace(b"a.png", b"b.png", 1), "the archive holds 'b.png' under this name"),
    "smaller": (changed(ONE, 24, "I", 6), "its size or checksum is not what the archive says"),
}


def twice() -> bytes:
    with pytest.warns(UserWarning, match="Duplicate"):
        return packed(member("a.png"), member("a.png"))


@pytest.mark.parametrize("name", MEMBERS)
def test_members_that_are_refused(tmp_path: Path, name: str) -> None:
    content, received = MEMBERS[name]
    (tmp_path / "data.zip").write_bytes(twice() if name == "twice" else content)
    message = failure(tmp_path / "data.zip")
    assert message.startswith(f"{tmp_path}/data.zip: ")
    assert received in message
    assert message.count("; ") >= 2, "received; expected; fix"


def test_a_member_that_unpacks_to_more_than_it_claims(tmp_path: Path) -> None:
    """Four gigabytes packed into four megabytes that claim to be a thousand: no more than those are unpacked."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    stream = squeeze.compress(bytes(2**26)) + squeeze.flush()
    content = packed(member("a.png", stream))
    content = changed(content, 10, "H", zipfile.ZIP_DEFLATED, in_local_header=8)
    (tmp_path / "data.zip").write_bytes(changed(content, 24, "I", 1000))
    assert "its size or checksum is not what the archive says" in failure(tmp_path / "data.zip")


def test_members_that_share_their_bytes(tmp_path: Path) -> None:
    """The bomb of David Fifield: many entries of the list for one and the same member."""
    start, end = ONE.index(b"PK\1\2"), ONE.index(b"PK\5\6")
    entries = [ONE[start:end].replace(b"a.png", b"%05d" % number) for number in range(1000)]
    tail = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1000, 1000, sum(map(len, entries)), start, 0)
    (tmp_path / "data.zip").write_bytes(ONE[:start] + b"".join(entries) + tail)
    assert "in it overlaps with what follows; " in failure(tmp_path / "data.zip")


def test_lists_that_are_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "MAX_ENTRIES", 5)
    path = tmp_path / "data.zip"
    path.write_bytes(packed(*(member(f"{number}.png") for number in range(6))))
    assert "it lists 6 members, the limit is 5; " in failure(path)
    monkeypatch.setattr(trees, "MAX_DIRECTORY_BYTES", 200)
    assert "its list of contents claims 306 bytes, the limit is 200; " in failure(path)


WRONG: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "it is empty (0 bytes)", "download or copy it again"),
    "web page": (b"<!DOCTYPE html><html>Log in", "it is a web page, not data", "download it again, logged in"),
    "LFS pointer": (b"version https://git-lfs.github.com/spec/v1\n", "it is a Git LFS pointer", "git lfs pull"),
    "gzip": (b"\x1f\x8b\x08" + bytes(90), "it is a gzip file, not a .zip archive", "unpack it, then name the dir"),
    "table": (b"id,label\n1,2\n", r"it starts with b'id,label\n1,2\n', not as a .zip archive", "check which file"),
    "truncated": (ONE[:-30], "its list of contents cannot be read ('File is not a zip file')", "download or copy"),
    "list at the wrong place": (ONE[:-7] + b"\x70" + ONE[-6:], "its list of contents cannot be read", "download"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_file(tmp_path: Path, name: str) -> None:
    content, received, fix = WRONG[name]
    (tmp_path / "data.zip").write_bytes(content)
    message = failure(tmp_path / "data.zip")
    assert message.startswith(f"{tmp_path}/data.zip: {received}")
    assert "; expected a directory or a .zip archive of images in folders; " in message
    assert fix in message


def test_nothing_there(tmp_path: Path) -> None:
    assert failure(tmp_path / "data").startswith(f"{tmp_path}/data: there is no such file; expected a directory or")


@on_linux
def test_a_pipe_in_its_place(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "data.zip")  # opening it would wait for ever
    assert "it is not a regular file" in failure(tmp_path / "data.zip")


# --- damage -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damage") / "data.zip"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return archive(tmp_path_factory.mktemp("whole") / "data.zip").read_bytes()


def read_damaged(path: Path, whole: bytes, data: st.DataObject) -> None:
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        removed = data.draw(st.integers(0, 3))
        content[start : start + removed] = data.draw(st.binary(max_size=3))
    path.write_bytes(content[: data.draw(st.sampled_from([None, -1, -22, len(content) // 2]))])
    try:
        with open_tree(path) as tree:
            unpack(tree)
    except DataError as error:
        assert str(error).startswith(f"{path}: ")
        assert "\n" not in str(error)


def unpack(tree: Tree) -> None:
    """What passes the checksums is the content, whatever its name is now."""
    for name in tree.files:
        try:
            assert tree.read(name) in (FILES | LEFTOVERS).values()
        except DataError as error:
            assert str(error).startswith(tree.describe(name) + ": ")


@settings(max_examples=500, deadline=None)
@given(data=st.data())
def test_damaged_archives(scratch: Path, whole: bytes, data: st.DataObject) -> None:
    read_damaged(scratch, whole, data)


@pytest.mark.slow
@settings(max_examples=20_000, deadline=None)
@given(data=st.data())
def test_damaged_archives_at_length(scratch: Path, whole: bytes, data: st.DataObject) -> None:
    read_damaged(scratch, whole, data)


@pytest.mark.skipif(sys.platform == "win32", reason="names there are case-insensitive")
def test_names_that_differ_by_case_are_two_files(tmp_path: Path) -> None:
    (tmp_path / "data.zip").write_bytes(packed(member("a.png"), member("A.png")))
    with open_tree(tmp_path / "data.zip") as tree:
        assert tree.files == ("A.png", "a.png")
