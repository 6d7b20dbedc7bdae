"""kit data, kit folds, kit preview, kit score"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from kit.cli.format import percent, print_json
from kit.cli.options import Data, ImageSize, Json, Labels
from kit.cli.progress import line_redrawn, reading_shown

MANY_CLASSES = 20  # more are not listed one by one

app = typer.Typer(help="Check and prepare a competition's data.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def check(
    competition: Annotated[str, typer.Argument(help="Such as fashion_mnist, or folder with --data.")],
    data: Data = None,
    labels: Labels = None,
    image_size: ImageSize = None,
    near: Annotated[
        float, typer.Option(help="Also look for near-duplicates: root mean square difference, in grey levels.")
    ] = 0.0,
    as_json: Json = False,
) -> None:
    """Look for duplicates, conflicting labels, test images in the training set, uneven classes, odd pixel values."""
    from kit import data_tools

    with reading_shown(sys.stderr):
        found = data_tools.check(competition, data, labels=labels, image_size=image_size, near=near)
    if as_json:
        return print_json(found.to_dict())
    _print_audit(found)


@app.command()
def prepare(
    competition: Annotated[str, typer.Argument(help="Such as fashion_mnist, cifar10 or digits.")],
    out: Annotated[Path | None, typer.Option(help="Directory to write; by default data/COMPETITION.")] = None,
    data: Data = None,
) -> None:
    """Write a competition's files from the public data set, which is downloaded if --data does not have it."""
    from kit import data_tools
    from kit.cli.quiet import import_keras_quietly

    if data is None:
        import_keras_quietly()  # downloads come through Keras
    with reading_shown(sys.stderr):
        for path in data_tools.prepare(competition, out, data):
            typer.echo(path)


@app.command()
def download(
    competition: Annotated[str, typer.Argument(help="Its name on Kaggle, such as digit-recognizer, or its address.")],
    data: Annotated[Path, typer.Option(help="The directory to put its .zip into.")] = Path("data"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the .zip if it is there.")] = False,
) -> None:
    """Download a Kaggle competition's files as one .zip, which kit reads as it is."""
    from kit import submitting

    with line_redrawn(sys.stderr) as tell:
        path = submitting.download_competition(competition, data, overwrite=overwrite, tell=tell)
    typer.echo(f"wrote  {path}  {path.stat().st_size / 1e6:,.1f} MB")
    name = _named_like(path.stem)
    others = "" if name else "  (or folder, or pixels: 'kit competitions csv' tells what one reads)"
    typer.echo(f"next   {shlex.join(['kit', 'train', name or 'csv', '--data', str(path)])}{others}")


def _named_like(slug: str) -> str | None:
    """kit's competition of the name that one has on Kaggle, but for hyphens."""
    from competitions import competition_names

    plain = slug.replace("-", "").lower()
    return next((name for name in competition_names() if name.replace("_", "") == plain), None)


def folds(
    competition: Annotated[str, typer.Argument(help="Such as fashion_mnist, or csv with --data.")],
    out: Annotated[Path, typer.Option(help="The CSV to write, of an id and a fold an image.")] = Path("folds.csv"),
    folds: Annotated[int, typer.Option(help="How many folds.")] = 5,
    group: Annotated[str | None, typer.Option(help="Column whose rows stay together, such as patient.")] = None,
    near: Annotated[
        float, typer.Option(help="Near-duplicates stay together: root mean square difference, in grey levels.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Another seed deals other folds.")] = 0,
    data: Data = None,
    labels: Labels = None,
    image_size: ImageSize = None,
) -> None:
    """Deal the training images into stratified folds, duplicates together, for 'kit train --folds FILE'."""
    from kit import data_tools

    with reading_shown(sys.stderr):
        sizes = data_tools.folds(
            competition, out, folds, group=group, near=near, seed=seed, data=data, labels=labels, image_size=image_size
        )
    typer.echo(f"folds   {', '.join(f'{size:,}' for size in sizes)} images")
    typer.echo(f"wrote   {out}")
    given = {"--data": data, "--labels": labels, "--image-size": image_size, "--folds": out}
    words = [word for option, value in given.items() if value is not None for word in (option, str(value))]
    typer.echo(f"next    {shlex.join(['kit', 'train', competition, *words])}")


def preview(
    competition: Annotated[str, typer.Argument(help="Such as fashion_mnist, or folder with --data.")],
    augment: Annotated[str, typer.Option(help="Such as 'flip|shift(height=2, width=2)|elastic'.")],
    out: Annotated[Path, typer.Option(help="The picture to write: .png, .svg or .pdf.")] = Path("preview.png"),
    extremes: Annotated[
        bool, typer.Option("--extremes", help="One image, under each augmentation at the ends of what it draws.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Another seed draws other images and changes.")] = 0,
    data: Data = None,
    labels: Labels = None,
    image_size: ImageSize = None,
) -> None:
    """Draw training images above what an augmentation makes of them."""
    from kit import data_tools
    from kit.cli.quiet import import_keras_quietly

    import_keras_quietly()
    with reading_shown(sys.stderr):
        path = data_tools.preview(
            competition, augment, out, extremes=extremes, seed=seed, data=data, labels=labels, image_size=image_size
        )
    typer.echo(f"wrote  {path}")


def score(
    submission: Annotated[Path, typer.Argument(help="CSV of ids and labels, or ids and a probability column a class.")],
    answers: Annotated[Path, typer.Argument(help="CSV of ids and labels; a column Usage may name the public rows.")],
    metric: Annotated[
        str | None, typer.Option(help="Such as macro_f1; by default accuracy, or log_loss of probabilities.")
    ] = None,
    public: Annotated[float, typer.Option(help="Share of the rows on the public leaderboard.")] = 0.3,
    as_json: Json = False,
) -> None:
    """Score a submission against held-out answers, as the public and the private leaderboard would."""
    from kit import data_tools
    from kit.scoring.metrics import make_metric

    scores = data_tools.score(submission, answers, metric, public)
    if as_json:
        return print_json(scores)
    show = make_metric(scores["metric"]).show
    for part in ("public", "private", "all"):
        if part in scores:
            low, high = map(show, scores[part]["interval"])
            figure = show(scores[part]["score"])
            typer.echo(f"{part:<8}{scores['metric']} {figure} ({low} to {high}), {scores[part]['rows']:,} rows")


def _print_audit(found: Any) -> None:
    shape = "x".join(map(str, found.image_shape))
    test = "no test images" if found.test_rows is None else f"{found.test_rows:,} to predict"
    _print("images", f"{found.rows:,} to train on, {test}, {shape}")
    counts = sorted(found.class_counts.items(), key=lambda item: item[1])
    if len(counts) > MANY_CLASSES:
        (least, fewest), (most, largest) = counts[0], counts[-1]
        _print("classes", f"{len(counts)}, from {least}: {fewest:,} to {most}: {largest:,}")
    else:
        _print("classes", ", ".join(f"{name}: {count:,}" for name, count in found.class_counts.items()))
    _print("balance", f"the smallest class has {percent(found.balance)} of the largest one's images")
    for number, channel in enumerate(found.channels):
        moments = f"mean {channel.mean:.2f}, standard deviation {channel.deviation:.2f}"
        _print(f"channel {number}", f"{channel.minimum} to {channel.maximum}, {moments}")
    if found.constant.rows:
        _print("constant", f"{found.constant.rows:,} images of one colour, such as {_ids(found.constant.ids)}")
    _print("duplicates", f"{found.duplicates.groups:,} images occur more than once, in {found.duplicates.rows:,} rows")
    conflicts = found.conflicts
    _print("conflicts", f"{conflicts.groups:,} of them have different labels, in {conflicts.rows:,} rows")
    for conflict in found.conflict_examples:
        _print("", ", ".join(f"{name} is {label}" for name, label in zip(conflict.ids, conflict.classes, strict=True)))
    if found.in_test is not None:
        such = f", such as {_ids(found.in_test.ids)}" if found.in_test.rows else ""
        _print("in test", f"{found.in_test.rows:,} training images are in the test set too{such}")
        _print("test", f"{found.test_duplicates.groups:,} test images occur more than once")
    if near := found.near_duplicates:
        _print(
            "near",
            f"{near.within_train:,} pairs of training images and {near.train_to_test:,} pairs of a training and a test "
            f"image differ by at most {near.radius:g} grey levels",
        )
    for note in found.notes:
        _print("note", note)


def _print(what: str, finding: str) -> None:
    typer.echo(f"{what:<12}{finding}")


def _ids(ids: tuple[int | str, ...]) -> str:
    return ", ".join(map(str, ids))
