"""What several runs know together, and how sure they may be: judged on rows that none of them has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kit.members import Member, common_held_out_rows, open_members
from kit.opening import StrPath
from kit.training.runs import RunDirectory


def blend(*sources: RunDirectory | StrPath, mean: str = "arithmetic", runs: StrPath = "runs") -> dict[str, Any]:
    """Compare runs with what they would be worth together, on the rows that all of them held out.

    Args:
        sources: two runs or more, trained on the same images.
        mean: ``arithmetic``, ``geometric`` or ``vote``.

    Returns:
        ``rows``, ``metric``; ``members``, each with its ``run``, ``score``, ``accuracy``, ``log_loss`` and ``weight``;
        ``equal`` and ``fitted``, the scores of the blend with equal weights, and with weights that were fitted to
        other rows than those they are scored on; ``gain``, of accuracy by the fitted ones, with ``gain_interval`` and
        ``gain_p``; ``error_correlation``, a row a member.

    Raises:
        KitError: fewer than two runs, or runs that have no held-out rows in common.
    """
    from kit.errors import RunError
    from kit.scoring.blending import error_correlation, fit_weights, judge_weights
    from kit.scoring.ensembles import check_blend
    from kit.scoring.metrics import score

    if len(sources) < 2:
        raise RunError(f"received {len(sources)} runs to blend, expected two or more: name them")
    check_blend(mean, None, len(sources))
    members = open_members(sources, Path(runs))
    if len({Path(member.name).resolve() for member in members}) < len(members):
        raise RunError("a run is named twice, expected different runs: leave one out")
    rows = common_held_out_rows(members)
    judged = judge_weights(rows.as_deployed, rows.labels, rows.metric, mean)
    answers = rows.as_deployed()
    weights = fit_weights(answers, rows.labels, mean)
    each = [score(one, rows.labels, rows.metric) for one in answers]
    return {
        "rows": len(rows.labels),
        "metric": rows.metric,
        "mean": mean,
        "members": [
            {"run": member.name, **one, "weight": float(weight)}
            for member, one, weight in zip(members, each, weights, strict=True)
        ],
        **asdict(judged),
        "error_correlation": error_correlation(answers, rows.labels).tolist(),
    }


def out_of_fold_weights(members: Sequence[Member], mean: str) -> tuple[tuple[float, ...] | None, dict[str, Any]]:
    """Weights that were fitted to the rows that all members held out, and what they are worth on other rows.

    They have the lowest log loss, which may cost accuracy, as when the best members are too modest. So None, which is
    equal weights, where fitted ones are no better by the competition's metric.
    """
    from kit.scoring.blending import fit_weights, judge_weights
    from kit.scoring.metrics import make_metric

    rows = common_held_out_rows(members)
    judged = judge_weights(rows.as_deployed, rows.labels, rows.metric, mean)
    key = make_metric(rows.metric).key
    told = {**asdict(judged), "rows": len(rows.labels), "metric": rows.metric}
    if key(judged.fitted["score"]) <= key(judged.equal["score"]):
        return None, told
    return tuple(map(float, fit_weights(rows.as_deployed(), rows.labels, mean))), told


@dataclass(frozen=True)
class Calibrated:
    """A run's temperature, and the log loss before and after, each row by a temperature from other rows.

    temperature: 1 where no other is better on other rows, or no row is wrong, as nothing then says how sure to be.
    """

    run: str
    temperature: float
    log_loss_before: float
    log_loss_after: float
    rows: int


def fit_temperature_of(member: Member) -> Calibrated:
    """Fit a temperature on the rows that a run held out; nothing is noted yet.

    Raises:
        RunError: it is no run, or held too few rows out.
    """
    from kit.errors import RunError
    from kit.scoring.blending import FEWEST_ROWS
    from kit.scoring.calibration import fit_temperature, tempered_by_others
    from kit.scoring.metrics import mean_log_loss

    rows = common_held_out_rows([member])
    (answers,) = rows.answers
    if len(rows.labels) < FEWEST_ROWS:
        raise RunError(
            f"{member.name} held {len(rows.labels)} rows out, expected at least {FEWEST_ROWS} to fit a temperature to: "
            "leave --calibrate out, or train it with --folds"
        )
    judged = tempered_by_others(answers, rows.labels)
    before, after = (mean_log_loss(each, rows.labels) for each in (answers.mean(axis=0), judged))
    is_wrong = answers.mean(axis=0).argmax(axis=1) != rows.labels
    temperature = fit_temperature(answers, rows.labels) if after < before and is_wrong.any() else 1.0
    return Calibrated(member.name, temperature, before, after, len(rows.labels))
