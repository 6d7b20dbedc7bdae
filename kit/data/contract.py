"""What every competition promises; the same checks for those that kit brings and for a user's own."""

from __future__ import annotations

from collections.abc import Iterator

from kit.data.images import Competition, Images


def broken_promises(competition: Competition) -> list[str]:
    """Load a competition's images and say what about them would lead kit astray, one line each; [] if nothing.

    Raises:
        DataError: its files are missing or cannot be read.
    """
    train, test = competition.load_train(), competition.load_test()
    return [*broken_promises_of(competition, train), *broken_promises_of_test(competition, test)]


def broken_promises_of_test(competition: Competition, test: Images) -> list[str]:
    """The same of test images that were loaded already."""
    is_short = competition.test_is_labelled and test.labels is None
    unlabelled = ["the test images have no labels, the competition says that they are labelled"] if is_short else []
    return [*_of_images(competition, test, "test"), *unlabelled]


def broken_promises_of(competition: Competition, train: Images) -> list[str]:
    """The same of training images that were loaded already."""
    unlabelled = ["the training images have no labels"] if train.labels is None else []
    return [*_of_the_names(competition), *_of_images(competition, train, "training"), *unlabelled]


def _of_the_names(competition: Competition) -> Iterator[str]:
    texts = [str(value) for value in competition.label_values]
    if len(set(texts)) < len(texts):
        yield f"label values {competition.label_values} are not distinct as a CSV has them"
    if competition.default_model not in competition.recipes:
        yield f"there is no recipe for the default model {competition.default_model!r}"
    if competition.superclasses is not None:
        kinds, of_class = len(competition.superclasses.names), competition.superclasses.of_class
        if len(of_class) != len(competition.label_values) or not set(of_class) <= set(range(kinds)):
            yield (
                f"superclasses name {len(of_class)} indices for {len(competition.label_values)} classes, "
                f"expected one of 0 to {kinds - 1} for each"
            )


def _of_images(competition: Competition, images: Images, part: str) -> Iterator[str]:
    if images.pixels.shape[1:] != competition.image_shape:
        yield f"{part} images are {images.pixels.shape[1:]}, the competition says {competition.image_shape}"
    if not len(images):
        yield f"there are no {part} images"
    texts = list(map(str, images.ids.tolist()))
    if len(set(texts)) < len(texts):
        yield f"{part} ids are not unique"
    if images.labels is not None and len(images):
        low, high, classes = images.labels.min(), images.labels.max(), len(competition.label_values)
        if low < 0 or high >= classes:
            yield f"{part} labels are {low} to {high}, expected class indices 0 to {classes - 1}"
