"""What may be compared, on which rows, and how runs are ranked."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from kit.api import compare_runs, leaderboard
from kit.deploy.provenance import record_submission
from kit.errors import KitError
from kit.scoring.metrics import make_metric
from kit.training.runs import RunDirectory
from tests.made_runs import ROWS, fold_of, kfold, labels_of_rows, made_run


def test_only_rows_that_both_held_out_are_tested(tmp_path: Path) -> None:
    """Row 150 to 199 were trained on by the second run, and row 250 to 299 by the first."""
    first = made_run(tmp_path, "first", folds=[fold_of(range(150, 250))])
    second = made_run(tmp_path, "second", seed=1, folds=[fold_of(range(200, 300))])
    (pair,) = compare_runs(first, second).pairs
    assert pair.rows == 50
    right = []
    for run in (first, second):
        arrays = run.trained_folds()[0].read_predictions()
        common = np.isin(arrays["validation_ids"], np.arange(200, 250))
        answers = arrays["validation_probabilities"][common].argmax(axis=1)
        right.append((answers == labels_of_rows()[200:250]).mean())
    assert abs(pair.paired.difference) == pytest.approx(abs(right[0] - right[1]))


def test_answers_that_are_not_numbers_are_left_out(tmp_path: Path) -> None:
    """The first class has the largest of several NaN."""
    runs = [made_run(tmp_path, name, folds=[fold_of(range(100, 200))]) for name in ("whole", "broken")]
    (fold,) = runs[1].trained_folds()
    arrays = fold.read_predictions()
    arrays["validation_probabilities"][:30] = np.nan
    fold.write_predictions(arrays)
    compared = compare_runs(*runs)
    assert compared.pairs[0].rows == 70
    assert "broken, validation: 30 of 100 answers are not numbers and left out" in compared.notes


def test_folds_of_two_seeds_share_every_row(tmp_path: Path) -> None:
    runs = [made_run(tmp_path, f"seed-{n}", seed=n, folds=kfold(4, seed=n)) for n in range(2)]
    (pair,) = compare_runs(*runs).pairs
    assert pair.rows == ROWS
    assert "which may be noise" in pair.words


def test_test_rows_are_tested_apart(tmp_path: Path) -> None:
    folds = [fold_of(range(100, 200), range(200, 300))]
    runs = [made_run(tmp_path, f"run-{n}", seed=n, folds=folds) for n in range(2)]
    held_out, test = compare_runs(*runs).pairs
    assert (held_out.part, held_out.rows, test.part, test.rows) == ("rows that both held out", 100, "test rows", 100)
    assert held_out.words.startswith("On 100 rows that both held out: ")
    assert "for 2 comparisons" in held_out.words


def test_a_competitions_test_rows_are_not_those_of_a_split(tmp_path: Path) -> None:
    """Both are numbered from 0, and have nothing to do with each other."""
    of_split = made_run(tmp_path, "split", folds=[fold_of(range(100, 200), range(100))])
    own = made_run(tmp_path, "own", seed=1, folds=[fold_of(range(100, 200))])
    (fold,) = own.trained_folds()
    arrays = of_split.trained_folds()[0].read_predictions()
    fold.write_predictions({**arrays, **fold.read_predictions()})  # with the test rows of the other
    assert [pair.part for pair in compare_runs(of_split, own).pairs] == ["rows that both held out"]


@pytest.mark.parametrize("changes", [{"images": "other"}, {"folds": [fold_of(range(50))]}])
def test_runs_that_share_no_rows_are_shown_without_a_test(changes: dict, tmp_path: Path) -> None:
    runs = made_run(tmp_path, "one"), made_run(tmp_path, "two", seed=1, **changes)
    compared = compare_runs(*runs)
    assert len(compared.runs) == 2
    assert not compared.pairs
    why = "other images or labels" if "images" in changes else "no row that both held out"
    assert why in compared.notes[0]
    assert compared.notes[0].startswith("one and two: no test") or compared.notes[0].startswith("two and one: no test")


def test_many_pairs_without_a_test_are_one_note(tmp_path: Path) -> None:
    runs = [made_run(tmp_path, f"run-{n}", folds=[fold_of(range(50 * n, 50 * n + 50))]) for n in range(4)]
    note, *_ = compare_runs(*runs).notes
    assert note.count(" and run") == 5
    assert "; and 1 more: no test" in note


def test_a_run_that_was_trained_on_every_row(tmp_path: Path) -> None:
    refit = made_run(tmp_path, "refit")
    saved = refit.read_recipe()
    refit.write_recipe(saved.pop("recipe"), {**saved, "refit_of": {"run": "folds"}})
    (refit.path / "predictions.npz").unlink()
    refit.trained_folds()[0].write_predictions({})
    refit.write_metrics({**refit.read_metrics(), "score": None, "scored_on": "nothing", "validation": None})
    compared = compare_runs(made_run(tmp_path, "one"), refit, out=tmp_path / "c.html")
    assert not compared.pairs
    assert compared.places is None
    assert "refit has no held-out rows: it was trained on every row" in compared.notes


def test_the_mean_of_several_models_is_told(tmp_path: Path) -> None:
    fold = fold_of(range(200, 400))
    seeds = made_run(tmp_path, "seeds", folds=[fold, fold], seeds=2)
    (pair,) = compare_runs(seeds, made_run(tmp_path, "one", seed=3)).pairs
    assert pair.rows == 200
    assert "seeds answered with the mean of its 2 models." in pair.words
    assert "one answered" not in pair.words


def test_rows_that_chose_the_epoch_are_told(tmp_path: Path) -> None:
    chosen = made_run(tmp_path, "chosen", selected=True)
    (pair,) = compare_runs(made_run(tmp_path, "plain", seed=1), chosen).pairs
    assert "These rows had a say in the training of chosen, which flatters it." in pair.words


def test_a_run_without_its_history_is_compared_by_its_answers(tmp_path: Path) -> None:
    one, two = (made_run(tmp_path / "runs", name, folds=kfold(2, 0), seed=seed) for seed, name in enumerate("ab"))
    (one.path / "fold-0" / "history.csv").unlink()
    for fold in two.trained_folds():
        (fold.path / "history.csv").write_text("epoch\n")
    found = compare_runs(one, two, out=tmp_path / "page.html")
    assert len(found.pairs) == 1
    told = "\n".join(found.notes)
    assert "a: history.csv of 1 of 2 models is missing or damaged, and not in its curves" in told
    assert "b: history.csv of 2 of 2 models" in told


def test_the_best_comes_first_and_recipes_are_told_where_they_differ(tmp_path: Path) -> None:
    runs = [made_run(tmp_path, name, right=right, augment=name) for name, right in (("poor", 0.5), ("good", 0.9))]
    compared = compare_runs(*runs)
    assert [run.name for run in compared.runs] == ["good", "poor"]
    assert compared.recipe == {"augment": ["good", "poor"]}
    assert compared.places == [1, 2]
    assert "good is better than poor" in compared.pairs[0].words
    told = json.loads(json.dumps(compared.to_dict()))
    assert [row["name"] for row in told["rows"]] == ["good", "poor"]
    assert {change["class"] for change in told["pairs"][0]["changes"]} == {"cat", "dog", "<b>mouse</b>"}


def test_a_metric_that_is_better_lower(tmp_path: Path) -> None:
    runs = [made_run(tmp_path, name, right=right, metric="log_loss") for name, right in (("poor", 0.5), ("good", 0.9))]
    compared = compare_runs(*runs)
    assert [run.name for run in compared.runs] == ["good", "poor"]
    difference = compared.pairs[0].metric_difference
    assert difference is not None
    assert difference.high < 0
    assert [row.run for row in leaderboard("digits", runs=tmp_path).groups[0].rows] == [str(r.path) for r in runs[::-1]]


def test_an_older_run_is_completed_from_its_predictions(tmp_path: Path) -> None:
    runs = [made_run(tmp_path, name) for name in ("one", "two")]
    for name in ("fit", "class_accuracies"):
        metrics = runs[0].read_metrics()
        runs[0].write_metrics({key: value for key, value in metrics.items() if key != name})
    one, two = (run.outline for run in compare_runs(*runs).runs)
    assert (one.gap, one.best_class, one.worst_class_accuracy) == (two.gap, two.best_class, two.worst_class_accuracy)


def test_paths_from_within_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        made_run(tmp_path, name)
    monkeypatch.chdir(tmp_path / "digits" / "one")
    runs = compare_runs(".", "../two").runs
    assert {(run.name, run.outline.competition) for run in runs} == {("one", "digits"), ("two", "digits")}


def test_what_is_not_compared(tmp_path: Path) -> None:
    one, two = made_run(tmp_path, "one"), made_run(tmp_path, "two")
    unfinished = made_run(tmp_path, "cut")
    (unfinished.path / "metrics.json").unlink()
    torn = made_run(tmp_path, "torn")
    torn.write_metrics({"status": "complete"})
    other = made_run(tmp_path, "other", competition="fashion_mnist")
    for runs, message in (
        ([one], "received 1 run to compare, expected two or more"),
        ([one, two, one.path], "one is named twice, expected different runs"),
        ([one, unfinished], "cut did not finish: go on with 'kit train --resume"),
        ([one, torn], "torn is damaged: its recipe.json or metrics.json is not what kit train writes"),
        ([one, other], "one is of digits and .*other is of fashion_mnist, expected runs of one competition"),
        ([one, tmp_path / "none"], "none is not a run"),
    ):
        with pytest.raises(KitError, match=message):
            compare_runs(*runs)


@pytest.mark.parametrize("name", ["board.png", "board", "taken/board.html"])
def test_a_place_that_cannot_be_written_is_refused_first(name: str, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(KitError, match="--out|cannot write"):
        compare_runs("no run", "at all", out=tmp_path / name)
    with pytest.raises(KitError, match="--out|cannot write"):
        leaderboard("no competition", out=tmp_path / name)


@pytest.mark.parametrize("name", ["recipe.json", "metrics.json", "history.csv", "fold-1/scores.json"])
def test_a_file_of_a_run_is_never_replaced(name: str, tmp_path: Path) -> None:
    runs = [made_run(tmp_path, each, folds=kfold(2, 0)).path for each in ("one", "two")]
    with pytest.raises(KitError, match="is a file that the run one needs"):
        compare_runs(*runs, out=runs[0] / name)
    with pytest.raises(KitError, match="is a file that the run one needs"):
        leaderboard("digits", runs=tmp_path, out=runs[0] / name)
    compare_runs(*runs, out=runs[0] / "compared.json")


def test_runs_are_ranked_among_published_results(tmp_path: Path) -> None:
    for name, right in (("good", 0.9), ("poor", 0.5)):
        made_run(tmp_path, name, right=right, competition="fashion_mnist")
    made_run(tmp_path, "ten", right=0.99, competition="fashion_mnist(labels=10)")
    board = leaderboard("fashion_mnist", runs=tmp_path)
    five, ten = board.groups
    assert [(g.competition, len(g.rows)) for g in (five, ten)] == [
        ("fashion_mnist", 8),
        ("fashion_mnist(labels=10)", 1),
    ]
    scores = [row.score for row in five.rows]
    assert scores == sorted(scores, reverse=True)  # type: ignore[type-var]
    assert sum(row.published for row in five.rows) == 6
    place = [Path(row.run).name for row in five.rows].index("good") + 1
    assert board.notes[0] == f"good, the best run, has rank {place} of 7 with the published results"
    assert any("not ranked with each other" in note for note in board.notes)


def test_what_is_not_ranked_is_listed(tmp_path: Path) -> None:
    whole = made_run(tmp_path, "whole")
    for name in ("torn", "cut"):
        shutil.copytree(whole.path, tmp_path / "digits" / name)
    (tmp_path / "digits" / "torn" / "metrics.json").write_text("[")
    (tmp_path / "digits" / "cut" / "metrics.json").unlink()
    board = leaderboard("digits", runs=tmp_path)
    assert [Path(row.run).name for row in board.groups[0].rows] == ["whole"]
    assert {Path(row.run).name: row.status for row in board.unranked} == {"torn": "damaged", "cut": "unfinished"}


def test_equal_scores_share_a_place(tmp_path: Path) -> None:
    for name, right in (("a", 0.9), ("b", 0.9), ("c", 0.5)):
        made_run(tmp_path, name, right=right)
    (group,) = leaderboard("digits", runs=tmp_path).groups
    assert group.places == [1, 1, 3]


def test_no_runs_leave_what_was_published(tmp_path: Path) -> None:
    board = leaderboard("fashion_mnist", runs=tmp_path)
    assert all(row.published for group in board.groups for row in group.rows)
    assert not leaderboard("digits", runs=tmp_path).unranked
    with pytest.raises(KitError, match="unknown competition 'fashion_mist': did you mean 'fashion_mnist'"):
        leaderboard("fashion_mist", runs=tmp_path)


def test_submitted_scores_stand_beside_the_runs(tmp_path: Path) -> None:
    run = made_run(tmp_path / "runs", "one")
    csv = tmp_path / "submissions" / "one.csv"
    csv.parent.mkdir()
    csv.write_text("id,label\n")
    record_submission(csv, {"submitted_at": "2026-01-01", "public_score": "0.87", "runs": [str(run.path)]})
    (row,) = leaderboard("digits", runs=tmp_path / "runs", submissions=csv.parent).flat_rows()
    assert row["public_score"] == "0.87"


def test_a_run_that_was_really_trained(digits_runs: Path, tmp_path: Path) -> None:
    """With itself under another name: the same answers, so that no row speaks for either."""
    copy = shutil.copytree(digits_runs / "digits" / "deeper-1", tmp_path / "digits" / "copy")
    compared = compare_runs(digits_runs / "digits" / "deeper-1", copy)
    run = RunDirectory(copy)
    assert compared.runs[0].class_names == tuple("0123456789")
    assert compared.runs[0].outline.score == run.read_metrics()["score"]
    assert make_metric("accuracy").show(compared.runs[0].outline.best_class_accuracy or 0).endswith("%")
    assert all((pair.paired.difference, pair.p, pair.changes) == (0, 1, ()) for pair in compared.pairs)
