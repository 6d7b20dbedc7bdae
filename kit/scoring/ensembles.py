"""Several models' answers to the same rows as one answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kit.scoring.metrics import make_metric, score


def majority_vote(members: Sequence[np.ndarray]) -> np.ndarray:
    """The class that most members find likeliest; of those with as many votes, the one of the highest mean probability.

    Args:
        members: float (rows, classes) probabilities each.

    Returns:
        int64 (rows,).
    """
    mean = np.mean(members, axis=0)
    votes = np.zeros_like(mean)
    for member in members:
        votes[np.arange(len(mean)), member.argmax(axis=1)] += 1
    winners: np.ndarray = np.where(votes == votes.max(axis=1, keepdims=True), mean, -1.0).argmax(axis=1)
    return winners


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
        "vote_accuracy": float((majority_vote(members) == labels).mean()),
    }
