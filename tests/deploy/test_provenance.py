import json
import logging
from pathlib import Path

import pytest

from kit.deploy.provenance import (
    latest_submissions,
    provenance_file,
    read_provenance,
    record_submission,
    runs_of,
    write_provenance,
)
from kit.errors import SubmissionError
from kit.files import file_hash
from kit.version import __version__

CSV = Path("run.csv")
MODELS = [{"run": "runs/digits/a"}, {"run": "runs/digits/b"}, {"run": "runs/digits/a"}, {"file": "m.onnx", "run": None}]


@pytest.fixture(autouse=True)
def _csv() -> None:
    CSV.write_text("id,target\n1,1\n")


def test_a_json_of_the_same_name_says_what_made_a_csv(caplog: pytest.LogCaptureFixture) -> None:
    assert read_provenance(CSV) is None
    write_provenance(CSV, {"competition": "digits", "rows": 1, "models": MODELS})
    facts = json.loads(Path("run.json").read_text())
    assert facts == read_provenance(CSV)
    assert facts.pop("time").endswith("+00:00")
    assert facts == {
        "csv": "run.csv", "sha256": file_hash(CSV), "kit_version": __version__,
        "competition": "digits", "rows": 1, "models": MODELS, "submissions": [],
    }  # fmt: skip
    assert runs_of(facts) == ["runs/digits/a", "runs/digits/b"]
    assert not caplog.records


def test_names() -> None:
    assert [str(provenance_file(Path(name))) for name in ("a/x.csv", "x.CSV", "x.txt", "x", "x.json", "a.b.csv")] == [
        "a/x.json", "x.json", "x.txt.json", "x.json", "x.json.json", "a.b.json",
    ]  # fmt: skip


def test_a_csv_that_was_changed_since_is_told(caplog: pytest.LogCaptureFixture) -> None:
    write_provenance(CSV, {"competition": "digits", "models": MODELS})
    CSV.write_text("id,target\n1,2\n")
    with caplog.at_level(logging.WARNING, "kit"):
        assert (read_provenance(CSV) or {})["competition"] == "digits"
    assert caplog.messages == ["run.csv was changed after run.json was written: what made it is not known"]


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "{}", "null", "\udcff", '{"csv": 1, "sha256": "a"}', '{"csv": "a", "sha256": "b", "models": [1]}'],
)
def test_somebody_elses_json_is_told_and_never_replaced(content: str) -> None:
    Path("run.json").write_text(content, errors="surrogateescape")
    for act in (
        lambda: read_provenance(CSV),
        lambda: write_provenance(CSV, {}),
        lambda: record_submission(CSV, {"submitted_at": "2030"}),
    ):
        with pytest.raises(
            SubmissionError, match=r"^run.json is damaged, or is not what kit writes beside a CSV: move"
        ):
            act()
    assert Path("run.json").read_text(errors="surrogateescape") == content
    assert latest_submissions(Path()) == {}


def test_submissions_are_kept_when_the_csv_is_written_anew() -> None:
    record_submission(CSV, {"submitted_at": "2030-01-01", "status": "pending"})
    record_submission(CSV, {"submitted_at": "2030-01-02", "status": "pending"})
    record_submission(CSV, {"submitted_at": "2030-01-01", "status": "complete"})
    write_provenance(CSV, {"competition": "digits"})
    facts = read_provenance(CSV) or {}
    assert facts["competition"] == "digits"
    assert [(each["submitted_at"], each["status"]) for each in facts["submissions"]] == [
        ("2030-01-02", "pending"),
        ("2030-01-01", "complete"),
    ]


def test_the_latest_submission_of_each_run() -> None:
    other = Path("other.csv")
    other.write_text("")
    record_submission(CSV, {"submitted_at": "2030-01-02", "runs": ["runs/digits/a"], "public_score": 0.2})
    record_submission(other, {"submitted_at": "2030-01-01", "runs": ["runs/digits/a", "runs/digits/b"]})
    record_submission(other, {"submitted_at": "2030-01-03", "runs": "torn"})
    Path("torn.json").write_text("{")
    found = latest_submissions(Path())
    assert {path.name: entry["submitted_at"] for path, entry in found.items()} == {"a": "2030-01-02", "b": "2030-01-01"}
    assert all(path.is_absolute() for path in found)
    assert latest_submissions(Path("nowhere")) == {}
