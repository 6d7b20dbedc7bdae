"""Several models' answers to the same rows as one answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kit.errors import RecipeError
from kit.registry import unknown_name
from kit.scoring.metrics import make_metric, score

MEANS = ("arithmetic", "geometric", "vote")
LEAST = 1e-12  # a probability whose logarithm is taken


def blend(
    members: Sequence[np.ndarray], weights: Sequence[float] | None = None, mean: str = "arithmetic"
) -> np.ndarray:
    """Several models' probabilities as one model's.

    Args:
        members: float (rows, classes) each.
        weights: one a member, from 0 up; equal by default.
        mean: ``arithmetic``; ``geometric``, the normalised product; or ``vote``, the weighted share of the members
            that find a class likeliest, where of two with the same share the one of the higher mean comes first.

    Returns:
        float32 (rows, classes), rows sum to one.
    """
    given = np.ones(len(members)) if weights is None else np.asarray(weights)
    share = given / given.sum()
    stacked = np.stack(members).astype(np.float64)  # in float32, ten equal shares sum to more than one
    if mean == "geometric":
        scores = np.tensordot(share, np.log(np.maximum(stacked, LEAST)), 1)
        odds = np.exp(scores - np.max(scores, axis=1, keepdims=True))
        return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
    total = np.tensordot(share, stacked, 1)
    if mean == "vote":
        votes = np.zeros_like(total)
        for weight, member in zip(share, stacked, strict=True):
            votes[np.arange(len(votes)), member.argmax(axis=1)] += weight
        total = (votes + 1e-4 * total) / (1 + 1e-4)
    return np.minimum(total, 1).astype(np.float32)


def check_blend(mean: str, weights: Sequence[float] | None, members: int) -> None:
    """Refuse a mean that does not exist, and weights that are no weights of so many members.

    Raises:
        RecipeError: so it is.
    """
    if mean not in MEANS:
        raise RecipeError(unknown_name("mean", mean, MEANS))
    if weights is None:
        return
    if len(weights) != members:
        raise RecipeError(f"--weights has {len(weights)} numbers for {members} members, expected one each")
    if not all(0 <= weight < np.inf for weight in weights) or not sum(weights) > 0:
        raise RecipeError(f"--weights are {', '.join(map(str, weights))}, expected numbers from 0 up, one above 0")


def compare_members(members: Sequence[np.ndarray], labels: np.ndarray, metric: str) -> dict[str, Any]:
    """What each member scores alone, and all of them by vote.

    Returns:
        ``scores``, one a member; ``best``, the number of the best of them, counting from 0, which is a selected one;
        ``vote_accuracy``.
    """
    each = [score(member, labels, metric) for member in members]
    key = make_metric(metric).key
    return {
        "scores": [one["score"] for one in each],
        "best": max(range(len(each)), key=lambda number: key(each[number]["score"])),
        "vote_accuracy": float((blend(members, mean="vote").argmax(axis=1) == labels).mean()),
    }
