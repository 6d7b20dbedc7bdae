"""kit predict"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from kit.cli.grouping import GroupedCommand
from kit.cli.options import DEFAULT_RUNS, Data, Mean, Runs


class PredictCommand(GroupedCommand):
    """Its options under headings."""

    headings: ClassVar[dict[str, str]] = {"input": "What", "probabilities": "Output", "weights": "Ensembles"}
    headings |= {"provider": "Speed", "runs": "Options"}


def predict(
    models: Annotated[
        list[Path] | None,
        typer.Argument(help="Runs or ONNX files, each counting the same; by default the newest finished run."),
    ] = None,
    input: Annotated[
        Path | None,
        typer.Option(help="Other images than the test set: .npy, .npz, a folder, a CSV of paths, a picture."),
    ] = None,
    data: Data = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="A column a class, whatever the competition asks for.")
    ] = False,
    top: Annotated[int | None, typer.Option(help="The so many likeliest labels, with their probabilities.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The file to write: .csv, or .parquet.", show_default="submissions/run.csv")
    ] = None,
    weights: Annotated[
        str, typer.Option(help="equal; oof, fitted to rows that all have held out; or a number each: 0.7,0.3.")
    ] = "equal",
    mean: Mean = "arithmetic",
    tta: Annotated[str, typer.Option(help="Answer by the mean over views: flip, or flip('both').")] = "none",
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Fit a temperature to held-out rows, and store it in the model files.")
    ] = False,
    provider: Annotated[str, typer.Option(help="auto, cpu, cuda, tensorrt or openvino.")] = "auto",
    batch_size: Annotated[
        int | None, typer.Option(help="Images at once.", show_default="by a rule, or measured once")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Of the processor.", show_default="all")] = None,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Predict the test images, or others, and write a submission that was checked. Several models are averaged."""
    from kit import predicting  # not through kit.api, which takes a tenth of a second for what is not needed here

    done = predicting.predict(
        *(models or ()),
        out=out,
        data=data,
        input=input,
        probabilities=probabilities,
        top=top,
        weights=_numbers(weights),
        mean=mean,
        tta=tta,
        calibrate=calibrate,
        provider=provider,
        batch_size=batch_size,
        threads=threads,
        runs=runs,
    )
    _tell(done, mean, tta)


def _numbers(weights: str) -> str | list[float]:
    """Words stay words, which the library knows."""
    try:
        return [float(part) for part in weights.split(",")]
    except ValueError:
        return weights


def _tell(done: Any, mean: str, tta: str) -> None:
    for fitted in done.blend.get("temperatures", ()):
        typer.echo(
            f"scaled  temperature {fitted['temperature']:.3f} for {fitted['run']}: log loss "
            f"{fitted['log_loss_before']:.4f} -> {fitted['log_loss_after']:.4f} on {fitted['rows']:,} held-out rows"
        )
        if fitted["temperature"] == 1:
            typer.echo("        none is better on other rows, or no row is wrong and nothing tells how sure to be")
    of_several = {"arithmetic": "mean", "geometric": "geometric mean", "vote": "vote"}[mean]
    blended = f", {of_several} of {len(done.models)} models" if len(done.models) > 1 else ""
    typer.echo(f"model   {done.models[0]}{blended}{'' if tta == 'none' else f', {tta}'} on {done.provider}")
    for name, weight in done.blend.get("weights", ()):
        typer.echo(f"weight  {weight:.3f} {name}")
    if judged := done.blend.get("judged"):
        typer.echo(f"judged  {judged_in_words(judged)}")
        if "weights" not in done.blend:
            typer.echo("weight  equal for all, as fitted ones are no better by the competition's metric")
    for label, probability in done.likeliest:
        typer.echo(f"{100 * probability:6.2f} %  {label}")
    if done.label_counts:
        typer.echo(f"labels  {', '.join(f'{label}: {count:,}' for label, count in sorted(done.label_counts.items()))}")
    if done.path:
        typer.echo(f"valid   {done.rows:,} rows in {done.path}")


def judged_in_words(judged: dict[str, Any]) -> str:
    """What fitted weights are worth, and whether that is more than noise."""
    from kit.scoring.metrics import make_metric
    from kit.scoring.paired import SIGNIFICANCE

    metric = make_metric(judged["metric"])
    equal, fitted = judged["equal"], judged["fitted"]
    verdict = "better" if metric.key(fitted["score"]) > metric.key(equal["score"]) else "no better"
    of_metric = ""
    if judged["metric"] == "accuracy":
        better = "better" if judged["gain"] > 0 else "worse"
        verdict = better if judged["gain_p"] <= SIGNIFICANCE else "no more than noise"
    else:
        of_metric = f"{judged['metric']} {metric.show(equal['score'])} -> {metric.show(fitted['score'])}, "
    p = f"p = {judged['gain_p']:.2g}" if judged["gain_p"] >= 0.001 else "p < 0.001"
    gain, low, high = (100 * share for share in (judged["gain"], *judged["gain_interval"]))
    return (
        f"fitted weights against equal ones, on rows that did not fit them: {of_metric}accuracy {gain:+.2f} points "
        f"({low:+.2f} to {high:+.2f}, {p}), "
        f"log loss {equal['log_loss']:.4f} -> {fitted['log_loss']:.4f}: {verdict}"
    )
