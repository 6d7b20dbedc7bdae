"""One self-contained HTML page about a data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kit.data.audit import Audit, EqualImages, NearPair
from kit.data.exploration import Exploration, Part
from kit.data.images import Competition, Images
from kit.report import exploration_figures as figures
from kit.report.drawing import Figures
from kit.report.pages import figures_directory, write_page
from kit.report.showcase import Picture, Showcase
from kit.report.thumbnails import data_uri, shrunk, strip

SIDE = 64  # pixels of a shown image, at most: 300 of them in colour are 2.5 MB
SMALL_SIDE = 32  # where they are more than MANY_IMAGES
MANY_IMAGES = 400
SAMPLED = ((12, 8), (40, 4), (200, 3))  # up to so many classes: images of each; else one
BARS_OF = 200  # classes; of more, the largest and the smallest have bars
BESIDE = 5  # columns of counts
UNEVEN = 0.5  # smallest class / largest, from which on it is worth a word
DRIFTED = 16  # images of each set that are most like the other


@dataclass(frozen=True)
class Normalized:
    """How a recipe scales pixels: ``value * scale + offset``, each (channels,), fitted on ``rows``.

    split: the recipe's; empty where it cannot be made, so that they are all rows.
    """

    spec: str
    split: str
    rows: np.ndarray
    scale: np.ndarray
    offset: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        scaling = {"scale": self.scale.tolist(), "offset": self.offset.tolist(), "fitted_on": len(self.rows)}
        return {"split": self.split, "normalization": {"spec": self.spec, **scaling}}


@dataclass(frozen=True)
class _Page:
    """What the sections of a page are made of."""

    competition: Competition
    train: Images
    test: Images | None
    found: Exploration
    drawn: Figures

    @property
    def names(self) -> tuple[str, ...]:
        return self.competition.class_names

    @property
    def channels(self) -> tuple[str, ...]:
        """Their names."""
        count = self.train.pixels.shape[-1]
        known = {1: ("grey",), 3: ("red", "green", "blue")}
        return known.get(count) or tuple(f"channel {number}" for number in range(count))

    @property
    def labels(self) -> np.ndarray:
        assert self.train.labels is not None  # noqa: S101  the audit has refused images without
        return self.train.labels


def write_exploration(
    path: Path,
    competition: Competition,
    train: Images,
    test: Images | None,
    found: Exploration,
    normalized: Normalized,
) -> Path:
    """Write the page of a data set, and its figures beside it.

    Raises:
        RunError: the page cannot be written.
    """
    page = _Page(competition, train, test, found, Figures(figures_directory(path)))
    sections = [("classes", "Classes"), ("samples", "Samples"), ("pixels", "Pixels"), ("averages", "Averages")]
    sections += [("normalisation", "Normalisation"), ("duplicates", "Duplicates")]
    return write_page(
        path,
        "exploration.html",
        title=f"{competition.title}: the data",
        sections=sections + ([("drift", "Drift")] if found.drift else []),
        figure_files=figures_directory(path).name,
        lead=_lead(page),
        warnings=list(_warnings(found)),
        notes=found.notes,
        classes=_classes(page),
        samples=_samples(page),
        pixels=_pixels(page),
        averages=_averages(page),
        normalisation=_normalisation(page, normalized),
        duplicates=_duplicates(page),
        drift=_drift(page),
    )


def _lead(page: _Page) -> str:
    height, width, depth = page.competition.image_shape
    colours = {1: "in grey", 3: "in colour"}.get(depth, f"of {depth} channels")
    test = "no test images"
    if page.test is not None:
        test = f"{len(page.test):,} test images {'with' if page.test.labels is not None else 'without'} labels"
    size = f"{width} x {height} pixels {colours}"
    return f"{len(page.train):,} images to train on, {test}, {len(page.names)} classes, {size}"


def _warnings(found: Exploration) -> Iterator[str]:
    """What may spoil a training or its score, a line each."""
    audit = found.audit
    if audit.empty_classes:
        names = ", ".join(audit.empty_classes[:10]) + (", ..." if len(audit.empty_classes) > 10 else "")
        yield f"classes without images: {len(audit.empty_classes)}, {names}"
    elif audit.balance < UNEVEN:
        yield f"the smallest class has {100 * audit.balance:.1f} % of the largest one's images"
    if audit.conflicts.groups:
        yield f"equal images with different labels: {audit.conflicts.groups:,}, in {audit.conflicts.rows:,} rows"
    if audit.in_test is not None and audit.in_test.rows:
        yield f"training images in the test set too: {audit.in_test.rows:,}; its score rewards remembering them"
    if (near := audit.near_duplicates) and near.conflicts + near.train_to_test:
        found_near = f"{near.conflicts:,} of different labels, {near.train_to_test:,} of a training and a test image"
        yield f"pairs of images at most {near.radius:g} grey levels apart: {found_near}"
    if audit.constant.rows:
        yield f"images of one colour: {audit.constant.rows:,}"
    if found.drift and found.drift.matters:
        yield found.drift.verdict


def _classes(page: _Page) -> dict[str, Any]:
    """The table of class counts, and bars of them, the largest class first."""
    columns = [part for part in page.found.parts if part.of_classes is not None]
    everything = columns[0]
    counts = np.array([part.of_classes for part in columns])  # (parts, classes)
    order = np.argsort(-counts[0], kind="stable")
    shown = order if len(order) <= BARS_OF else np.concatenate([order[: figures.BARS], order[-figures.BARS :]])
    split = [number for number, part in enumerate(columns) if part.column == "split"]
    stacked = split if counts[split].sum() == everything.rows and len(split) <= 3 else [0]
    bars = []
    for start in range(0, len(shown), figures.BARS):
        some = shown[start : start + figures.BARS]
        parts = {columns[number].name: counts[number, some].tolist() for number in stacked}
        names = [page.names[index] for index in some]
        most, least = (f"{page.names[index]} with {counts[0, index]:,}" for index in (some[0], some[-1]))
        said = f"Images of {len(some)} classes, from {most} to {least}"
        name = f"classes-{start // figures.BARS + 1}"
        bars.append(page.drawn.add(name, said, figures.class_bars, names, parts, int(counts[0].max())))
    rows = [(name, counts[:, index].tolist()) for index, name in enumerate(page.names)]
    return {
        "header": [_column_title(part) for part in columns],
        "rows": rows,
        "totals": counts.sum(axis=1).tolist(),
        "bars": bars,
        "barred": len(shown),
        "beside": len(bars) == 1 and len(columns) <= BESIDE,  # the table has room beside the bars
    }


def _column_title(part: Part) -> str:
    says_itself = part.column in ("", "split", "test") or part.column in part.name
    return part.name if says_itself else f"{part.column} {part.name}"


def _samples(page: _Page) -> list[Picture]:
    """Some images of every class, drawn at random."""
    classes = len(page.names)
    each = next((images for most, images in SAMPLED if classes <= most), 1)
    side = SIDE if classes * each <= MANY_IMAGES else SMALL_SIDE
    order = np.random.default_rng(0).permutation(len(page.train))
    by_class = order[np.argsort(page.labels[order], kind="stable")]
    starts = np.searchsorted(page.labels[by_class], np.arange(classes + 1))
    pictures, strips = [], []
    for index, name in enumerate(page.names):
        rows = by_class[starts[index] : starts[index + 1]][:each]
        if len(rows):
            strips.append(strip([shrunk(page.train.pixels[row], side) for row in rows]))
            said = f"{len(rows)} images of class {name}" if len(rows) > 1 else f"an image of class {name}"
            pictures.append(Picture(data_uri(strips[-1]), said, (name,), len(rows)))
    _save_montage(page, "samples", strips, [picture.lines[0] for picture in pictures], min(8, 20 // each))
    return pictures


def _save_montage(page: _Page, name: str, strips: Sequence[np.ndarray], captions: Sequence[str], columns: int) -> None:
    """The file of a gallery; the page has the gallery itself, which fits any screen."""
    if strips:
        page.drawn.keep(name, figures.montage, strips, captions, columns)


def _pixels(page: _Page) -> dict[str, Any]:
    found = page.found
    rows = [("training", name, channel) for name, channel in zip(page.channels, found.audit.channels, strict=True)]
    rows += [("test", *each) for each in zip(page.channels, found.test_channels, strict=False)]
    histogram = page.drawn.add(
        "intensities",
        "How often each pixel value occurs in the training images",
        figures.intensities,
        found.histograms,
        page.channels,
    )
    return {"rows": rows, "histogram": histogram}


def _averages(page: _Page) -> dict[str, Any]:
    """The average image, and that of each class beside what sets it apart."""
    averages = page.found.averages
    figure = page.drawn.add(
        "average",
        "The average of all training images, and the standard deviation of each pixel",
        figures.average,
        averages.mean,
        averages.deviation,
    )
    apart = averages.of_classes - averages.mean
    furthest = float(np.nanquantile(np.abs(apart), 0.999))
    times = max(1, int(127 / furthest)) if furthest else 1
    pictures, strips = [], []
    for index, name in enumerate(page.names):
        if np.isnan(averages.of_classes[index]).any():
            continue
        both = averages.of_classes[index], np.clip(128 + times * apart[index], 0, 255)
        strips.append(strip([shrunk(np.rint(image).astype(np.uint8), SIDE) for image in both]))
        said = f"the average image of class {name}, and its difference from the average of all"
        pictures.append(Picture(data_uri(strips[-1]), said, (name,), 2))
    _save_montage(page, "class-averages", strips, [picture.lines[0] for picture in pictures], 8)
    return {"figure": figure, "pictures": pictures, "times": times}


def _normalisation(page: _Page, normalized: Normalized) -> dict[str, Any]:
    row = int(normalized.rows[0])
    image = page.train.pixels[row]
    after = image * normalized.scale + normalized.offset
    name = page.names[page.labels[row]]
    figure = page.drawn.add(
        "normalisation",
        f"An image of class {name} before and after normalisation",
        figures.normalized,
        image,
        after,
        page.channels,
    )
    scaling = zip(normalized.scale.tolist(), normalized.offset.tolist(), strict=True)
    rows = [
        (channel, scale, offset, found.minimum * scale + offset, found.maximum * scale + offset)
        for channel, (scale, offset), found in zip(page.channels, scaling, page.found.audit.channels, strict=True)
    ]
    return {
        "figure": figure,
        "spec": normalized.spec,
        "split": normalized.split,
        "fitted_on": len(normalized.rows),
        "rows": rows,
        "image": {"id": page.train.ids[row], "class": name, "low": float(after.min()), "high": float(after.max())},
    }


def _duplicates(page: _Page) -> dict[str, Any]:
    """The first of each finding, as groups of pictures."""
    audit = page.found.audit
    near = audit.near_duplicates
    findings: dict[str, Sequence[EqualImages | NearPair]] = {
        "conflicts": audit.conflict_examples,
        "in-test": audit.in_test_examples,
        "duplicates": audit.duplicate_examples,
        "near": near.examples if near else (),
    }
    show = Showcase(page.train, page.test, page.names, SIDE)
    groups = {name: [show.group(one) for one in found] for name, found in findings.items()}
    for name, found in groups.items():
        captions = ["\n".join(" / ".join(one.lines) for one in each.pictures) for each in found]
        _save_montage(page, name, [each.strip for each in found], captions, 4)
    constant = [show.training(one) for one in audit.constant.ids]
    return {"audit": audit, "rows": list(_counted(audit)), "groups": groups, "constant": constant}


def _counted(audit: Audit) -> Iterator[tuple[str, int | None, int | None]]:
    """What was looked for, in how many images or pairs it was found, and in how many rows."""
    yield "training images that occur more than once", audit.duplicates.groups, audit.duplicates.rows
    yield "of them, with different labels", audit.conflicts.groups, audit.conflicts.rows
    if audit.in_test is not None and audit.test_duplicates is not None:
        yield "training images that are in the test set too", None, audit.in_test.rows
        yield "test images that occur more than once", audit.test_duplicates.groups, audit.test_duplicates.rows
    if near := audit.near_duplicates:
        apart = f"at most {near.radius:g} grey levels apart (root mean square)"
        yield f"pairs of training images, {apart}", near.within_train, None
        yield "of them, with different labels", near.conflicts, None
        yield f"pairs of a training and a test image, {apart}", near.train_to_test, None


def _drift(page: _Page) -> dict[str, Any] | None:
    drift = page.found.drift
    if drift is None or page.test is None:
        return None
    scores = page.drawn.add(
        "drift-scores",
        "Scores of training and test images by the classifier that tells them apart",
        figures.drift_scores,
        drift.train_scores,
        drift.test_scores,
    )
    intensities = page.drawn.add(
        "drift-intensities",
        "How often each pixel value occurs in the training and in the test images",
        figures.intensities,
        page.found.histograms,
        page.channels,
        page.found.test_histograms,
    )
    shown: list[tuple[str, list[Picture]]] = []
    if drift.matters:
        show = Showcase(page.train, page.test, page.names, SIDE)
        for words, images, rows in (
            ("Test images that are least like training images", page.test, drift.test_unlike_train),
            ("Training images that are most like test images", page.train, drift.train_like_test),
        ):
            shown.append((words, [show.picture(images, row) for row in rows[:DRIFTED].tolist()]))
    verdict = drift.verdict[0].upper() + drift.verdict[1:]
    return {
        "found": drift,
        "verdict": verdict,
        "scores": scores,
        "intensities": intensities,
        "shown": shown,
    }
