"""A competition's files as they were downloaded: a directory, its `.zip` archives read in place, or one archive."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath

from kit.data.locate import data_directories
from kit.data.readers.trees import Tree, open_tree
from kit.errors import DataError

_CONTENT = (".csv", ".zip", ".png", ".jpg", ".jpeg")  # a README beside a folder is no content
_NOTHING = re.compile(r"(?!)")


@contextmanager
def open_data_tree(root: Path, archives: re.Pattern[str], needed: re.Pattern[str]) -> Iterator[Tree]:
    """Open a data set as one tree.

    Archives at the top of a directory become folders of their names: ``train.zip`` is the folder ``train``. A folder
    that everything lies in is left out, as archives often have one.

    Args:
        root: the directory or the `.zip`.
        archives: which archives to open, by name without ``.zip``; others stay closed files.
        needed: names at the top that tell the data set itself from a folder around it.
    """
    with ExitStack() as stack:
        tree = _unwrapped(stack.enter_context(open_tree(root)), needed)
        mounted = {}
        for name in tree.files:
            if "/" not in name and name.lower().endswith(".zip") and archives.fullmatch(name[:-4]):
                path = disk_path(tree, name)
                if path is None:
                    raise DataError(f"{tree.describe(name)}: it is an archive within an archive; unpack the outer one")
                mounted[name[:-4]] = _unwrapped(stack.enter_context(open_tree(path)), _NOTHING)
        clash = [name for name in mounted if name in tree.folders]
        if clash:
            raise DataError(
                f"{root}: there are both {clash[0]}.zip and a folder {clash[0]}; move one of them away, so that it is "
                "clear which to read"
            )
        yield _Mounted(tree, mounted) if mounted else tree


def disk_path(tree: Tree, name: str) -> Path | None:
    """Where a file of a tree lies on the disk; None if it is within an archive."""
    path = Path(tree.describe(name))
    return path if path.is_file() else None


def data_set_root(competition: str, data: Path | None) -> Path:
    """The directory or archive of a data set: DIR/competition where there is one, else DIR; or its only archive.

    Raises:
        DataError: there is none.
    """
    places = [place for place in data_directories(competition, data) if place.exists()]
    if not places:
        looked_in = " or ".join(map(str, data_directories(competition, data)))
        raise DataError(
            f"there is no {looked_in}: put the competition's files there, or name their directory or .zip with --data"
        )
    root = places[0]
    if root.is_dir():
        visible = [path for path in root.iterdir() if path.is_dir() or path.suffix.lower() in _CONTENT]
        visible = [path for path in visible if not path.name.startswith((".", "__"))]
        if len(visible) == 1 and visible[0].suffix.lower() == ".zip" and visible[0].is_file():
            return visible[0]
    return root


def _unwrapped(tree: Tree, needed: re.Pattern[str]) -> Tree:
    while len(tree.top_folders) == 1 and not needed.fullmatch(tree.top_folders[0]):
        if any("/" not in name and name.lower().endswith(_CONTENT) for name in tree.files):
            break
        tree = tree.below(tree.top_folders[0])
    return tree


class _Mounted(Tree):
    """A tree with other trees in it, in place of the archives that they are."""

    def __init__(self, base: Tree, mounted: Mapping[str, Tree]) -> None:
        self.path = base.path
        self._base, self._mounted = base, mounted
        archives = {f"{name}.zip" for name in mounted}
        inside = [f"{mount}/{name}" for mount, tree in mounted.items() for name in tree.files]
        folders = [f"{mount}/{name}" for mount, tree in mounted.items() for name in tree.folders]
        ignored = [f"{mount}/{name}" for mount, tree in mounted.items() for name in tree.ignored]
        kept = [name for name in base.files if name not in archives and name.lower() not in map(str.lower, archives)]
        self.files = tuple(sorted([*kept, *inside]))
        self.folders = tuple(sorted([*base.folders, *mounted, *folders]))
        self.ignored = tuple(sorted([*base.ignored, *ignored]))

    def _find(self, name: str) -> tuple[Tree, str]:
        mount, _, inside = name.partition("/")
        return (self._mounted[mount], inside) if mount in self._mounted and inside else (self._base, name)

    def read(self, name: str) -> bytes:
        tree, inside = self._find(name)
        return tree.read(inside)

    def describe(self, name: str) -> str:
        tree, inside = self._find(name)
        return tree.describe(inside)

    def stamp(self, names: Sequence[str] | None = None) -> str:
        inside: dict[Tree, list[str]] = {}
        for name in self.files if names is None else names:
            tree, own_name = self._find(name)
            inside.setdefault(tree, []).append(own_name)
        stamps = [tree.stamp(own_names) for tree, own_names in inside.items()]
        return hashlib.sha256("\0".join(stamps).encode()).hexdigest()


def find_table(tree: Tree, *names: str) -> str | None:
    """The first of these tables at the top of a tree; also in ``train.csv.zip`` or ``train.zip``."""
    by_name = {name.casefold(): name for name in tree.files}
    for name in names:
        for place in (name, f"{name}/{name}", f"{PurePosixPath(name).stem}/{name}"):
            if found := by_name.get(place.casefold()):
                return found
    return None
