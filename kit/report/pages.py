"""Pages: one HTML file each, with its style, its script and its figures inside, so that nothing is fetched."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.errors import RunError
from kit.files import check_replaceable, write_text
from kit.training.run_files import refuse_file_of_run
from kit.version import __version__

if TYPE_CHECKING:
    from jinja2 import Environment

PAGES = (".html", ".htm")


def check_out(path: Path, *formats: str) -> None:
    """Refuse a file that could not be written, before any work is done for it.

    Args:
        formats: endings that its name may have.

    Raises:
        RunError: its name ends in none of them, it is a file that a run needs, or nothing can be written there.
    """
    if path.suffix not in formats:
        known = " or ".join([", ".join(formats[:-1]), formats[-1]] if formats[1:] else formats)
        raise RunError(f"--out {path}: expected a name that ends in {known}")
    refuse_file_of_run(path)
    try:
        check_replaceable(path)
        if path.suffix in PAGES:
            check_replaceable(figures_directory(path) / "figure.svg")
    except OSError as error:
        raise cannot_write(path, error) from None


def cannot_write(path: Path, error: OSError) -> RunError:
    """What a user is told where a page, a table or a figure cannot be written."""
    return RunError(f"cannot write {path}: {error.strerror or error}; choose another --out")


def figures_directory(page: Path) -> Path:
    """Where the figures of a page are kept as files: ``report-figures`` beside ``report.html``."""
    return page.with_name(f"{page.stem}-figures")


def write_page(path: Path, template: str, **parts: Any) -> Path:
    """Fill a template of this room and write the page.

    Args:
        template: its file name, such as ``run.html``.
        parts: what the template speaks of: ``title``, ``sections`` as (id, title) pairs, and what else it has in it.
            Text is escaped, and a part that is missing is an error.

    Raises:
        RunError: nothing can be written there.
    """
    text = (
        environment()
        .get_template(template)
        .render(version=__version__, written=time.strftime("%Y-%m-%d %H:%M"), **parts)
    )
    try:
        write_text(path, text)
    except OSError as error:
        raise cannot_write(path, error) from None
    return path


def environment() -> Environment:
    """The templates, in which a class named ``<script>`` stays text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    pages = Environment(
        loader=PackageLoader("kit.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {"percent": percent, "count": count}
    return pages


def percent(share: float | None, digits: int = 2) -> str:
    """0.5 -> ``50.00 %``; ``–`` for what is not known."""
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def count(number: float | None) -> str:
    """12345 -> ``12,345``; ``–`` for what is not known."""
    return "–" if number is None else f"{number:,.0f}"
