"""From models and images to a submission that was checked, or to whatever else was asked for."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.errors import ModelFileError, RecipeError, RunError, SubmissionError
from kit.members import Member, load_file, open_members
from kit.opening import StrPath, open_for_model, saved_data
from kit.training.run_files import refuse_file_of_run

if TYPE_CHECKING:
    from kit.data.images import LabelValue
    from kit.data.inputs import ImageSource
    from kit.deploy.model_file import Model, ModelCard
    from kit.deploy.predict import Ensemble
    from kit.deploy.validator import Expected
    from kit.training.runs import RunDirectory

logger = logging.getLogger("kit")

SHOWN = 5  # labels of one picture
MOST_THREADS = 512  # each takes memory and waits for the others


@dataclass(frozen=True)
class Prediction:
    """What ``predict`` wrote, and by what.

    path: None where one picture was predicted, and nothing written.
    label_counts: how often each label is the most probable one; empty for tables of the likeliest labels.
    likeliest: of one picture: labels and their probabilities, the highest first.
    settings: provider, batch size and how it was found, threads.
    blend: weights and what they are worth, temperatures; what of it there is.
    """

    path: Path | None
    rows: int
    models: tuple[Path, ...]
    provider: str
    label_counts: Counter[str] = field(default_factory=Counter)
    likeliest: tuple[tuple[LabelValue, float], ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    blend: dict[str, Any] = field(default_factory=dict)


def predict(
    *models: RunDirectory | StrPath,
    out: StrPath | None = None,
    data: StrPath | None = None,
    input: StrPath | None = None,
    probabilities: bool = False,
    top: int | None = None,
    weights: str | Sequence[float] = "equal",
    mean: str = "arithmetic",
    tta: str = "none",
    calibrate: bool = False,
    provider: str = "auto",
    batch_size: int | None = None,
    threads: int | None = None,
    runs: StrPath = "runs",
) -> Prediction:
    """Predict the competition's test images and write a submission that was checked; or other images.

    Args:
        models: runs or ONNX files; by default the newest run in ``runs``. Each is a member of the ensemble, and is
            itself the mean of its folds; of a single run, the folds are the members.
        out: the file to write, replaced only by a complete and valid one: a CSV, or ``.parquet`` for probabilities.
            It may be left out for one picture.
        data: directory with the competition's files; by default the one that the first run was trained from, which
            may be the run that a model file lies in, else ``KIT_DATA``, else ``data``.
        input: what to predict instead of the test images: ``.npy``, ``.npz``, a folder, a CSV of paths, a picture.
        probabilities: write a column a class, named like the label, instead of what the competition asks for.
        top: write the so many likeliest labels of each image with their probabilities.
        weights: ``equal``; ``oof``, fitted to the rows that all members held out; or a number a member.
        mean: ``arithmetic``, ``geometric`` or ``vote``.
        tta: spec of the views of an image whose mean answer counts, such as ``flip``.
        calibrate: fit a temperature to each run's held-out rows, and store it in its model files.
        provider: ``auto``, ``cpu``, ``cuda``, ``tensorrt`` or ``openvino``.
        batch_size, threads: by default by a rule, or a short measurement where the prediction is long.

    Raises:
        KitError: something that the caller can mend; nothing was written then.
    """
    from kit.deploy.answers import check_likeliest
    from kit.deploy.predict import Ensemble, predict_windows
    from kit.deploy.provenance import check_provenance, write_provenance

    _check_words(out, probabilities, top, batch_size, threads)
    members = _members(open_members(models, Path(runs)), mean, weights)
    _check_blend(members, weights, mean)
    loaded = load_models(members, tta, provider, threads)
    card = loaded[0][0].card
    check_likeliest(top or 1, len(card.label_values))
    source, expected = _what_to_predict(members, card, data, input, probabilities)
    path = Path(out if out is not None else "submissions/run.csv")
    is_told = source.is_one_picture and out is None
    if not is_told:
        _refuse_what_is_needed(path, input)
        check_provenance(path)
    blended: dict[str, Any] = {}
    with _calibrated(members) if calibrate else nullcontext() as temperatures:
        shares = _weights(members, weights, mean, blended)
    if temperatures is not None:
        blended["temperatures"] = temperatures
        loaded = load_models(members, tta, provider, threads)
    ensemble = Ensemble(loaded, shares, mean, tta)
    size, found = _batch_size(ensemble, len(source.ids), batch_size)
    done = partial(
        Prediction,
        rows=len(source.ids),
        models=tuple(model.path for model in ensemble.models),
        provider=ensemble.models[0].provider,
        settings={"batch_size": size, "batch_size_by": found, "threads": threads or "automatic"},
        blend=blended,
    )
    with closing(predict_windows(ensemble, source, size)) as answers:
        if is_told:
            shown = len(card.label_values) if probabilities else top or SHOWN
            return done(path=None, likeliest=_of_one(next(answers)[0], card, shown))
        header, counts = _write(path, source, answers, card, expected, top)
    prediction: Prediction = done(path=path, label_counts=counts)
    facts = {"header": list(header), "input": input and str(input), **_facts(prediction, members, ensemble)}
    write_provenance(path, facts)
    return prediction


@contextmanager
def _calibrated(members: Sequence[Member]) -> Iterator[list[dict[str, Any]]]:
    """Fit each run's temperature, and note all of them; if the block fails, the runs have those that they had."""
    from kit.blending import fit_temperature_of

    each_run = {member.name: member for member in members}.values()  # folds may be members of their own
    fitted = [fit_temperature_of(member) for member in each_run]
    runs = [member.run for member in each_run if member.run is not None]
    before = [run.read_temperature() for run in runs]
    try:
        for run, found in zip(runs, fitted, strict=True):
            if found.temperature != run.read_temperature():
                run.write_temperature(found.temperature)
        yield [asdict(found) for found in fitted]
    except BaseException:
        for run, temperature in zip(runs, before, strict=True):
            if temperature != run.read_temperature():
                run.write_temperature(temperature)
        raise


def _refuse_what_is_needed(path: Path, input: StrPath | None) -> None:
    refuse_file_of_run(path)
    if input is not None and path.exists() and path.samefile(input):
        raise SubmissionError(f"--out {path} is the --input itself, which would be lost: name another file")


def _check_words(
    out: StrPath | None, probabilities: bool, top: int | None, batch_size: int | None, threads: int | None
) -> None:
    """Refuse what cannot be, before anything is loaded."""
    if probabilities and top is not None:
        raise SubmissionError("--probabilities and --top are two kinds of table: choose one")
    for name, value in (("--batch-size", batch_size), ("--threads", threads), ("--top", top)):
        if value is not None and value < 1:
            raise SubmissionError(f"{name} is {value}, expected at least 1")
    if threads is not None and threads > MOST_THREADS:
        raise SubmissionError(f"--threads is {threads}, expected at most {MOST_THREADS}, or leave it out")
    if str(out or "").lower().endswith(".parquet") and not probabilities:
        raise SubmissionError(
            f"--out {out}: Parquet holds probabilities, and a submission is a CSV: add --probabilities"
        )


def _members(members: list[Member], mean: str, weights: str | Sequence[float]) -> list[Member]:
    """The folds of a single run, where it matters who is a member; else the runs and files as they are."""
    names = [member.name for member in members]
    if weights == "oof" and len(set(names)) < len(names):
        raise RunError(f"{', '.join(names)}: weights are fitted to different runs, expected each once")
    if len(members) > 1 or (mean == "arithmetic" and weights == "equal"):
        return members
    if weights == "oof":
        raise RunError(
            f"{members[0].name} is one run: weights are fitted to rows that several runs held out; leave --weights "
            "out, or name several runs"
        )
    return [Member(members[0].run, (file,)) for file in members[0].files]


def _check_blend(members: Sequence[Member], weights: str | Sequence[float], mean: str) -> None:
    from kit.scoring.ensembles import check_blend

    check_blend(mean, None if isinstance(weights, str) else weights, len(members))
    if isinstance(weights, str) and weights not in ("equal", "oof"):
        raise RecipeError(f"--weights is {weights!r}, expected equal, oof, or a number a member such as 0.7,0.3")


def _weights(
    members: Sequence[Member], weights: str | Sequence[float], mean: str, told: dict[str, Any]
) -> tuple[float, ...] | None:
    if weights == "equal":
        return None
    shares: tuple[float, ...] | None
    if isinstance(weights, str):
        from kit.blending import out_of_fold_weights

        shares, told["judged"] = out_of_fold_weights(members, mean)
    else:
        shares = tuple(float(weight) / sum(weights) for weight in weights)
    if shares is not None:
        told["weights"] = [
            (str(member.files[0]) if len(member.files) == 1 else member.name, share)
            for member, share in zip(members, shares, strict=True)
        ]
    return shares


def load_models(
    members: Sequence[Member], tta: str = "none", provider: str = "auto", threads: int | None = None
) -> tuple[tuple[Model, ...], ...]:
    """The models of each member, all of which belong together."""
    from kit.deploy.predict import check_models
    from kit.models.views import view_axes

    view_axes(tta)
    loaded = tuple(tuple(load_file(member.run, file, provider, threads) for file in member.files) for member in members)
    models = [model for each in loaded for model in each]
    check_models(models, models[0].card.input_shape)
    for model in models:
        if tta != "none" and model.card.tta != "none":
            raise ModelFileError(f"{model.path} answers by {model.card.tta} itself: leave --tta out")
    return loaded


def _what_to_predict(
    members: Sequence[Member], card: ModelCard, data: StrPath | None, input: StrPath | None, probabilities: bool
) -> tuple[ImageSource, Expected]:
    """The images, and what a table of answers to them looks like."""
    from kit.data.inputs import ImageSource
    from kit.deploy.validator import expected_by, expected_probabilities, expected_submission
    from kit.scoring.metrics import make_metric

    if input is not None:
        if data is not None:
            raise SubmissionError("--input and --data: name the images to predict, or the competition's files")
        source = input_images(Path(input), card)
        if probabilities or card.probability_columns:
            columns = () if probabilities else card.probability_columns
            return source, expected_probabilities(card.id_column, source.ids, card.label_values, columns)
        header = (card.id_column, card.target_column)
        return source, expected_submission(header, source.ids, card.label_values, None)
    directory = Path(data) if data is not None else None
    homes = (member.home(card.competition) for member in members)  # for one picture, nobody needs to know
    if directory is None and (run := next(filter(None, homes), None)) is not None:
        directory = saved_data(run.read_recipe(), "name their directory with --data")
    competition = open_for_model(card, directory)
    source = ImageSource.of(competition.load_test())
    if probabilities:
        return source, expected_probabilities(competition.id_column, source.ids, card.label_values)
    if tuple(competition.label_values) != card.label_values:
        then, now = (", ".join(map(str, values[:10])) for values in (card.label_values, competition.label_values))
        raise ModelFileError(
            f"the model was trained for the labels {then}, and {competition.name} now has {now}: put its module or its "
            "files back as they were, or train anew"
        )
    expected = expected_by(competition, source.ids)
    if not expected.wants_probabilities and make_metric(card.metric).needs_probabilities:
        logger.warning(
            "the CSV has labels, of which %s says nothing: if that scores the competition, name it as its own, as in "
            "csv(metric=%r)",
            card.metric,
            card.metric,
        )
    return source, expected


def input_images(path: Path, card: ModelCard) -> ImageSource:
    """Images that are no competition's, brought to a model's size as those of its competition were.

    Raises:
        DataError: it is nothing that holds images, or damaged.
    """
    from kit.data.inputs import open_input
    from kit.registry import parse_spec

    fit = str(parse_spec(card.competition)[0].kwargs.get("fit", "stretch"))
    return open_input(path, card.input_shape, fit)


def _batch_size(ensemble: Ensemble, rows: int, chosen: int | None) -> tuple[int, str]:
    from kit.deploy.batch_size import choose_batch_size
    from kit.models.views import view_axes

    if chosen is not None:
        return chosen, "chosen"
    largest: Model = max(ensemble.models, key=lambda model: model.path.stat().st_size)
    return choose_batch_size(largest, rows * len(ensemble.models) * len(view_axes(ensemble.tta)))


def _of_one(answers: Any, card: ModelCard, count: int) -> tuple[tuple[LabelValue, float], ...]:
    from kit.deploy.answers import likeliest

    return tuple((card.label_values[index], float(answers[index])) for index in likeliest(answers[None], count)[0])


def _write(
    path: Path, source: ImageSource, answers: Any, card: ModelCard, expected: Expected, top: int | None
) -> tuple[tuple[str, ...], Counter[str]]:
    """Returns the header of what was written, and how often each label is the most probable one where that is told."""
    from kit.deploy.answers import likeliest_header, write_likeliest, write_parquet
    from kit.deploy.submission import write_submission

    id_column = expected.header[0]
    if top is not None:
        write_likeliest(path, id_column, source.ids, answers, card.label_values, top)
        return likeliest_header(id_column, top), Counter()
    if path.suffix.lower() == ".parquet":
        write_parquet(path, id_column, source.ids, answers, card.label_values)
        return expected.header, Counter()
    return expected.header, write_submission(path, source.ids, answers, expected)


def _facts(prediction: Prediction, members: Sequence[Member], ensemble: Ensemble) -> dict[str, Any]:
    """What made the file, for who asks later."""
    competition = ensemble.models[0].card.competition
    runs = [member.home(competition) for member in members]
    shares = ensemble.weights or (1 / len(members),) * len(members)
    models = [
        {
            "file": str(model.path),
            "sha256": model.sha256,
            "run": run and str(run.path),
            "recipe_hash": model.card.recipe_hash,
            "metric": model.card.metric,
            "score": model.card.score,
            "selected": model.card.selected,
            "temperature": model.card.temperature,
            "weight": share / len(loaded),
        }
        for run, loaded, share in zip(runs, ensemble.members, shares, strict=True)
        for model in loaded
    ]
    return {
        "competition": competition,
        "rows": prediction.rows,
        "mean": ensemble.mean,
        "tta": ensemble.tta,
        "models": models,
        "judged": prediction.blend.get("judged"),
        "provider": prediction.provider,
        **prediction.settings,
    }
