"""Labels that models give: of a teacher to its student, of sure predictions to test images."""

from pathlib import Path

import numpy as np
import pytest

import kit
import kit.api
from kit.data.images import Competition
from kit.training.runs import RunDirectory


@pytest.fixture
def teacher(tiny: Competition) -> RunDirectory:
    return kit.train("tiny", folds=3, epochs=4, name="teacher")


def test_a_teacher_is_learned_from_where_it_had_not_seen_the_image(tiny: Competition, teacher: RunDirectory) -> None:
    from kit.planning import plan_training

    plan = plan_training("tiny", distill=str(teacher.path), distill_share=0.25)
    with np.load(teacher.path / "out_of_fold.npz") as out_of_fold:
        soft = dict(zip(out_of_fold["ids"].tolist(), out_of_fold["probabilities"], strict=True))
    images = plan.images
    for row in (0, 7, 89):
        expected = 0.75 * np.eye(3)[images.labels[row]] + 0.25 * soft[images.ids[row].item()]  # type: ignore[index]
        np.testing.assert_allclose(images.targets[row], expected, atol=1e-6)  # type: ignore[index]
    student = kit.train("tiny", distill=str(teacher.path), epochs=4, name="student")
    assert student.read_metrics()["validation"]["selected"]  # the teacher has seen those rows
    assert student.read_metrics()["validation"]["accuracy"] > 0.6
    part = kit.train("tiny", split="stratified_kfold(3)", fold=0, epochs=1, name="part")
    with pytest.raises(kit.KitError, match=r"has out-of-fold probabilities of 30 of 90 images: a teacher needs"):
        kit.train("tiny", distill=str(part.path))
    with pytest.raises(
        kit.KitError, match=r"student has no out-of-fold .*no finished cross-validation: train a teacher wi"
    ):
        kit.train("tiny", distill=str(student.path))
    with pytest.raises(kit.KitError, match=r"is a run of tiny, expected one of digits"):
        kit.train("digits", distill=str(teacher.path))


def test_test_images_that_a_model_is_sure_of_train_and_validate_nothing(
    tiny: Competition, teacher: RunDirectory
) -> None:
    from kit.planning import plan_training

    kit.predict(teacher, out="probabilities.csv", probabilities=True)
    header, *rows = (line.split(",") for line in Path("probabilities.csv").read_text().splitlines())
    assert header == ["id", "42", "3", "7"]
    tops = sorted(max(map(float, row[1:])) for row in rows)
    confidence = (tops[9] + tops[10]) / 2
    sure = sum(top >= confidence for top in tops)
    assert 0 < sure < 30
    both = plan_training("tiny", pseudo_labels="probabilities.csv", distill=str(teacher.path), distill_share=1.0)
    soft = {row[0]: np.array(row[1:], float) for row in rows}
    told = both.images.targets[90:]  # type: ignore[index]
    assert all(min(np.abs(target - each).max() for each in soft.values()) < 1e-5 for target in told)
    plan = plan_training("tiny", pseudo_labels="probabilities.csv", confidence=confidence)
    (fold,) = plan.folds
    assert len(plan.images) == 90 + sure
    assert set(range(90, 90 + sure)) <= set(fold.train.tolist())
    assert max(fold.validation.max(), fold.test.max()) < 90
    run = kit.train("tiny", pseudo_labels="probabilities.csv", confidence=confidence, epochs=2, name="run")
    assert run.read_metrics()["validation"]["rows"] == 9
    assert run.read_metrics()["validation"]["selected"]  # the teacher has learned those labels
    kit.api.resume(run)
    kit.api.report(run)
    with pytest.raises(kit.KitError, match=r"no image has a probability of 1 or more: lower --confidence"):
        kit.train("tiny", pseudo_labels="probabilities.csv", confidence=1)
    kit.predict(teacher, out="labels.csv")
    with pytest.raises(kit.KitError, match=r"labels.csv: the header is id,target, expected id,42,3,7"):
        kit.train("tiny", pseudo_labels="labels.csv")
