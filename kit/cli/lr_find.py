"""kit lr-find"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from kit.cli.options import Data, ImageSize, Labels


def lr_find(
    competition: Annotated[str, typer.Argument(help="Such as digits or fashion_mnist; kit competitions lists them.")],
    model: Annotated[str | None, typer.Option(help="Such as deeper, or deeper(dropout=0.3).")] = None,
    recipe: Annotated[str | None, typer.Option(help="A recipe's name, or a recipe.json of a run.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a training step.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="Such as adamw or sgd(momentum=0.9).")] = None,
    augment: Annotated[str | None, typer.Option(help="Such as 'flip|shift(height=2, width=0)|elastic'.")] = None,
    normalization: Annotated[str | None, typer.Option(help="none, rescale or standardize.")] = None,
    loss: Annotated[str | None, typer.Option(help="crossentropy or focal(gamma=2).")] = None,
    label_smoothing: Annotated[float | None, typer.Option(help="Share of a target spread over all classes.")] = None,
    balance: Annotated[str | None, typer.Option(help="none, weights or sampling.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Decoupled, per unit of learning rate.")] = None,
    clip_norm: Annotated[float | None, typer.Option(help="Largest norm of all gradients together.")] = None,
    weights: Annotated[str | None, typer.Option(help="imagenet, a weights file, or a run.")] = None,
    split: Annotated[str | None, typer.Option(help="Such as 'holdout' or 'stratified_kfold(5)'.")] = None,
    fold: Annotated[int | None, typer.Option(help="Of the split, counting from 0.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of split, weights, order and augmentation.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, float32, bfloat16 or float16.")] = None,
    steps: Annotated[int, typer.Option(help="Training steps from the lowest rate to the highest.")] = 300,
    data: Data = None,
    labels: Labels = None,
    image_size: ImageSize = None,
    out: Annotated[Path, typer.Option(help="The picture to write: .png, .svg or .pdf.")] = Path("lr.png"),
) -> None:
    """Find a learning rate: train for some hundred steps while it rises, and draw the loss against it."""
    from kit import api
    from kit.cli.progress import progress_listener, reading_shown
    from kit.cli.quiet import import_keras_quietly

    import_keras_quietly()
    changes: dict[str, Any] = {
        "model": model,
        "batch_size": batch_size,
        "optimizer": optimizer,
        "augment": augment,
        "normalization": normalization,
        "loss": loss,
        "label_smoothing": label_smoothing,
        "balance": balance,
        "weight_decay": weight_decay,
        "clip_norm": clip_norm,
        "weights": weights,
        "split": split,
        "fold": fold,
        "seed": seed,
        "precision": precision,
    }
    with reading_shown(sys.stderr), progress_listener(sys.stderr) as listener:
        found = api.find_learning_rate(
            competition,
            recipe=recipe,
            steps=steps,
            data=data,
            labels=labels,
            image_size=image_size,
            out=out,
            listener=listener,
            **changes,
        )
    ending = f"diverged at {found.rates[-1]:.2g}" if found.diverged else f"did not diverge up to {found.rates[-1]:.2g}"
    typer.echo(
        f"suggested   {found.suggestion:.2g}, the middle of the lowest losses; {len(found.rates)} steps, {ending}"
    )
    typer.echo(f"wrote       {out}")
    given = {"recipe": recipe, **changes, "data": data, "labels": labels, "image_size": image_size}
    words = [
        word
        for name, value in given.items()
        if value is not None
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]
    command = ["kit", "train", competition, *words, "--learning-rate", f"{found.suggestion:.2g}"]
    typer.echo(f"next        {shlex.join(command)}")
