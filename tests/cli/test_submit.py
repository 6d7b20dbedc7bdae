"""kit submit and kit data download, with a program on PATH that says what ``kaggle`` says in each case."""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kit.deploy.provenance import write_provenance
from tests import layouts
from tests.cli.test_commands import fashion_files, kit

FILE = Path("submissions/run.csv")
JSON = Path("submissions/run.json")
SLUG = "five-clothes"
SUCCESS = "echo 'Submission ref: 41'; echo 'Successfully submitted to Five Clothes'"
HEADER = "ref,fileName,date,description,status,publicScore,privateScore"
DONE = f"echo {HEADER}; echo '41,run.csv,2031-01-01 10:00:00,first,SubmissionStatus.COMPLETE,0.93125,'"
AUTH_HELP = (
    "printf 'Authentication required to call the Kaggle API.\\n\\nFirst, you will need a Kaggle account.\\n'; exit 1"
)
CREDENTIALS = "create a token at https://www.kaggle.com/settings/api and put it into ~/.kaggle/access_token (chmod 600)"

FakeKaggle = Callable[..., None]
Printed = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _submission(monkeypatch: pytest.MonkeyPatch) -> None:
    """A valid CSV of five-class Fashion-MNIST with its files, no pauses, and no program of the machine's own."""
    fashion_files(Path("data"))
    FILE.parent.mkdir()
    FILE.write_text("id,target\n" + "".join(f"{i},{i % 5 + 1}\n" for i in range(12)))
    for name in [name for name in os.environ if name.startswith("KAGGLE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    monkeypatch.setattr("kit.deploy.kaggle.FIRST_PAUSE", 0.01)


@pytest.fixture
def fake_kaggle(monkeypatch: pytest.MonkeyPatch) -> FakeKaggle:
    """Put a ``kaggle`` on PATH: a shell script for each of its commands, which also notes how it was called."""

    def put(submit: str = SUCCESS, submissions: str = DONE, download: str = "exit 9") -> None:
        commands = "".join(
            f"{name})\n{script}\n;;\n"
            for name, script in (("submit", submit), ("submissions", submissions), ("download", download))
        )
        path = Path("bin/kaggle").absolute()
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\nfor word; do echo "$word"; done >> calls.txt\ncase "$2" in\n{commands}esac\n')
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")

    return put


def calls() -> list[str]:
    return Path("calls.txt").read_text().splitlines() if Path("calls.txt").exists() else []


def entries() -> list[dict]:
    return json.loads(JSON.read_text())["submissions"] if JSON.exists() else []


SUBMIT = ["submit", FILE, "-m", "first", "--competition", SLUG, "--against", "fashion_mnist"]


# --- check ------------------------------------------------------------------------------------------------


def test_check_of_anybodys_csv(monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
    assert kit("submit", FILE, "--check", "--against", "fashion_mnist", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == "valid   12 rows in submissions/run.csv, against the test ids of fashion_mnist\n"
    shutil.move("data", "files")
    words = ["--check", "--against", "fashion_mnist", "--data", "files", "--json"]
    assert kit("submit", FILE, *words, monkeypatch=monkeypatch) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 12
    assert not JSON.exists()


def test_check_of_what_kit_wrote_needs_no_words(monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
    write_provenance(FILE, {"competition": "fashion_mnist", "models": [{"run": "runs/gone"}]})
    assert kit("submit", FILE, "--check", monkeypatch=monkeypatch) == 0
    FILE.write_text(FILE.read_text().replace("3,4\n", "3,4.0\n"))
    assert kit("submit", FILE, "--check", monkeypatch=monkeypatch) == 2
    assert capsys.readouterr().err.splitlines() == [
        "kit: submissions/run.csv was changed after submissions/run.json was written: what made it is not known",
        "kit: submissions/run.csv: 1 labels are written with a decimal point, such as '4.0' in line 5, expected '4'; "
        "it can score 0 without any error: write integers, as by astype(int)",
    ]


def test_the_sample_decides_a_check_also_where_the_test_set_differs(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    Path("data/sample_submission.csv").write_text("Id,Label\n0,1\n77,1\n")
    FILE.write_text("Id,Label\n77,1\n0,5\n")
    words = ["submit", FILE, "--check", "--against", "fashion_mnist"]
    assert kit(*words, monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr()
    assert "2 rows in submissions/run.csv, against data/sample_submission.csv of fashion_mnist" in printed.out
    assert printed.err == (
        "kit: data/sample_submission.csv: the ids are not the test set's: 11 missing (1, 2, 3, 4, 5); 1 unknown (77); "
        "the sample decides\n"
    )
    Path("data/fashion_mnist_dataset_kaggle.npy").write_bytes(b"torn")
    assert kit(*words, monkeypatch=monkeypatch) == 0
    assert "the test images cannot be read, data/sample_submission.csv decides alone" in capsys.readouterr().err


BAD_WORDS = [
    ([FILE], "say what to do with submissions/run.csv: --check it, submit it with -m MESSAGE, or --wait"),
    ([FILE, "--check", "-m", "x"], "--check submits nothing: leave out -m and --wait"),
    ([FILE, "--check"], "name one of kit's with --against, as there is no submissions/run.json that does"),
    ([FILE, "--check", "--against", "fashon_mnist"], "unknown competition 'fashon_mnist': did you mean 'fashion_mnist'"),
    ([FILE, "--check", "--against", "fashion_mnist", "--data", "nowhere"], "--data nowhere does not exist"),
    (["gone.csv", "--check"], "gone.csv is not there: name the CSV to submit"),
    (["data", "-m", "x"], "data is no file: name the CSV to submit"),
    ([FILE, "-m", " ", "--competition", SLUG], "--message is empty"),
    ([FILE, "-m", "x"], "to which competition on Kaggle is not known: name it with --competition"),
    ([FILE, "-m", "x", "--competition", "-f"], "--competition '-f': expected a competition's name on Kaggle"),
    ([FILE, "--wait"], "submissions/run.csv was not submitted from here: submit it with -m MESSAGE"),
    ([FILE, "--wait", "--time-limit", "soon"], "--time-limit 'soon': expected a time such as"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "message"), BAD_WORDS)
def test_mistakes(
    words: list, message: str, monkeypatch: pytest.MonkeyPatch, capsys: Printed, fake_kaggle: FakeKaggle
) -> None:
    fake_kaggle()
    assert kit("submit", *words, monkeypatch=monkeypatch) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert not calls()
    assert not JSON.exists()


# --- submit -----------------------------------------------------------------------------------------------


def test_submit_and_wait(monkeypatch: pytest.MonkeyPatch, capsys: Printed, fake_kaggle: FakeKaggle) -> None:
    slow = "echo >> looks; case $(wc -l < looks) in 1) echo 'No submissions found';; "
    slow += f"2|3) {DONE.replace('COMPLETE,0.93125', 'PENDING,')};; *) {DONE};; esac"
    fake_kaggle(submissions=slow)
    write_provenance(FILE, {"competition": "fashion_mnist", "models": [{"run": "runs/fashion_mnist/deeper-1"}]})
    url = f"https://www.kaggle.com/competitions/{SLUG}/overview"
    assert kit("submit", FILE, "-m", "first", "--competition", url, "--wait", monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr()
    assert printed.out == "score   0.93125\n"
    assert printed.err == f"submitted submissions/run.csv to {SLUG}\nscore   pending\n"
    assert calls()[:6] == ["competitions", "submit", f"--file={FILE}", "--message=first", "-q", SLUG]
    assert calls()[6:] == ["competitions", "submissions", SLUG, "--csv"] * 4
    (entry,) = entries()
    assert entry.items() >= {
        "kaggle_competition": SLUG, "file": "run.csv", "message": "first", "ref": "41", "status": "complete",
        "public_score": 0.93125, "private_score": None, "runs": ["runs/fashion_mnist/deeper-1"],
    }.items()  # fmt: skip


def test_a_score_of_another_file_under_that_name_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed, fake_kaggle: FakeKaggle
) -> None:
    fake_kaggle()
    assert kit("submit", FILE, "-m", "first", "--competition", SLUG, monkeypatch=monkeypatch) == 0
    capsys.readouterr()
    with Path(FILE).open("a") as file:
        file.write("later,1\n")
    assert kit("submit", FILE, "--wait", monkeypatch=monkeypatch) == 0
    assert "run.csv is another file than was submitted as 'first': the score is of that one" in capsys.readouterr().err


def test_the_score_stands_beside_its_run(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed, fake_kaggle: FakeKaggle
) -> None:
    for name in ("one", "two"):
        Path("runs/fashion_mnist", name).mkdir(parents=True)
        Path("runs/fashion_mnist", name, "recipe.json").write_text("{}")
    fake_kaggle()
    write_provenance(FILE, {"competition": "fashion_mnist", "models": [{"run": "runs/fashion_mnist/one"}]})
    monkeypatch.setenv("KAGGLE_COMPETITION", SLUG)
    assert kit("submit", FILE, "-m", "first", "--data", "data", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == "next    kit submit submissions/run.csv --wait\n"
    Path("submissions/torn.json").write_text("{")
    for word, words in (("pending", []), ("0.93125", ["--wait"])):
        assert not words or kit("submit", FILE, *words, monkeypatch=monkeypatch) == 0
        capsys.readouterr()
        assert kit("runs", monkeypatch=monkeypatch) == 0
        header, *lines = capsys.readouterr().out.splitlines()
        assert header.split()[-1] == "submitted"
        assert {line.split()[0]: line.split()[-1] for line in lines} == {
            "runs/fashion_mnist/one": word,
            "runs/fashion_mnist/two": "-",
        }
    assert kit("runs", "--submissions", "elsewhere", "--json", monkeypatch=monkeypatch) == 0
    assert [row["submitted"] for row in json.loads(capsys.readouterr().out)] == [None, None]


def test_an_invalid_csv_is_not_submitted(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed, fake_kaggle: FakeKaggle
) -> None:
    fake_kaggle()
    FILE.write_text("id,target\n")
    assert kit(*SUBMIT, monkeypatch=monkeypatch) == 2
    assert "12 missing" in capsys.readouterr().err
    assert not calls()


def test_what_cannot_be_checked_is_submitted_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed, fake_kaggle: FakeKaggle
) -> None:
    fake_kaggle()
    words = ["submit", FILE, "-m", "first", "--competition", SLUG]
    assert kit(*words, monkeypatch=monkeypatch) == 0
    assert "run.csv cannot be checked: --against would say which competition of kit's" in capsys.readouterr().err
    write_provenance(FILE, {"competition": "csv"})
    shutil.rmtree("data")
    assert kit(*words, monkeypatch=monkeypatch) == 0
    assert "run.csv cannot be checked: there is no data/csv or data: put the comp" in capsys.readouterr().err
    assert [entry["runs"] for entry in entries()] == [[], []]


OUTCOMES = [
    # what the program does; what kit says
    ("echo 'Could not submit to competition'", "the kaggle program failed, it said 'Could not submit to competition'"),
    ("echo 'Warning: Looks like you are using an outdated API Version'", "the kaggle program failed, it said 'nothing'"),
    ("echo 'Successfully submitted to Five Clothes'; exit 1", "the kaggle program failed, it said"),
    (AUTH_HELP, "the kaggle program has no credentials that Kaggle takes: " + CREDENTIALS),
    ("echo 'OSError: Could not find kaggle.json.' >&2; exit 1", "the kaggle program has no credentials"),
    ("echo '401 - Unauthorized'", "Kaggle refused your credentials (401): " + CREDENTIALS),
    ("echo '403 Client Error: Forbidden for url: x' >&2; exit 1", f"(403): join it and accept its rules at https://www.kaggle.com/competitions/{SLUG}/rules"),
    ("echo 'You must accept this competition'\"'\"'s rules before you can submit.' >&2; exit 1", "accept its rules at"),
    ("echo 'Could not find competition - please verify that you entered the correct competition ID'", f"Kaggle has no competition {SLUG}, or it takes no more submissions (404)"),
    ("echo '404 Client Error: Not Found for url: x' >&2; exit 1", f"Kaggle has no competition {SLUG}"),
    ("echo '429 Client Error: Too Many Requests for url: x' >&2; exit 1", "Kaggle takes no more for now (429)"),
    ("echo 'Your team has used its daily Submission allowance (5) today' >&2; exit 1", "the day's submissions are used up"),
    ("echo \"ConnectionError: HTTPSConnectionPool(host='www.kaggle.com', port=443): Max retries exceeded\" >&2; exit 1", "Kaggle cannot be reached: check the network"),
    ("echo '502 Server Error: Bad Gateway for url: x' >&2; exit 1", "Kaggle has a problem of its own: try again later"),
    (f"echo 'KeyError: {SLUG}' >&2; exit 1", f"it said 'KeyError: {SLUG}': run it alone to see more"),
]  # fmt: skip


@pytest.mark.parametrize(("script", "message"), OUTCOMES)
def test_what_was_not_submitted(
    script: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: Printed, fake_kaggle: FakeKaggle
) -> None:
    fake_kaggle(submit=script)
    assert kit(*SUBMIT, "--wait", monkeypatch=monkeypatch) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert "submissions" not in calls()
    assert not JSON.exists()


def test_a_program_that_is_not_there_or_does_not_run(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed, fake_kaggle: FakeKaggle
) -> None:
    assert kit(*SUBMIT, monkeypatch=monkeypatch) == 2
    assert capsys.readouterr().err == "kit: the kaggle program is not installed: pip install 'kit[kaggle]'\n"
    fake_kaggle()
    Path("bin/kaggle").write_text("#!/gone/python\n")
    assert kit(*SUBMIT, monkeypatch=monkeypatch) == 2
    assert "bin/kaggle: No such file or directory; install it again" in capsys.readouterr().err


def test_a_program_beside_python_is_found_too(monkeypatch: pytest.MonkeyPatch, fake_kaggle: FakeKaggle) -> None:
    fake_kaggle()
    monkeypatch.setattr(sys, "executable", str(Path("bin/python").absolute()))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert kit(*SUBMIT, monkeypatch=monkeypatch) == 0


def test_credentials_that_others_can_read_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed, fake_kaggle: FakeKaggle
) -> None:
    fake_kaggle(submit=f"echo 'Warning: Your Kaggle API key is readable by other users on this system!'; {SUCCESS}")
    assert kit(*SUBMIT, monkeypatch=monkeypatch) == 0
    assert "kit: your Kaggle credentials are readable by other users of this machine" in capsys.readouterr().err


# --- wait -------------------------------------------------------------------------------------------------


def test_without_a_number_the_newest_of_that_file_and_message_is_ours(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed, fake_kaggle: FakeKaggle
) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    rows = [
        ("other.csv", now, "a, first", "complete", "0.9"),
        ("run.csv", now, "another", "complete", "0.8"),
        ("run.csv", now, "a, first", "complete", "0.7"),
        ("run.csv", now - timedelta(minutes=5), "a, first", "complete", "0.6"),
    ]
    lines = [f'{name},{date},"{text}",{status},{score},' for name, date, text, status, score in rows]
    table = "\n".join(["Warning: outdated", HEADER.removeprefix("ref,"), *lines, "Next Page Token = abc"])
    fake_kaggle(submit="echo 'Successfully submitted to Five Clothes'", submissions=f"cat <<'END'\n{table}\nEND")
    words = [*SUBMIT[:3], "a,  first", *SUBMIT[4:]]
    assert kit(*words, "--wait", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == "score   0.7\n"

    old = [f'run.csv,{now - timedelta(days=2)},"a, first",complete,0.5,']
    fake_kaggle(submissions="\n".join([f"cat <<'END'\n{HEADER.removeprefix('ref,')}", *old, "END"]))
    assert kit(*words, "--wait", "--time-limit", "0.05s", monkeypatch=monkeypatch) == 2
    assert "run.csv has been submitted, but has no score after 0 s: 'kit submit" in capsys.readouterr().err


def test_a_submission_that_kaggle_cannot_score(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed, fake_kaggle: FakeKaggle
) -> None:
    fake_kaggle(submissions=DONE.replace("COMPLETE,0.93125", "ERROR,"))
    assert kit(*SUBMIT, "--wait", monkeypatch=monkeypatch) == 2
    assert (
        "kit: submissions/run.csv has been submitted, but Kaggle could not score it: "
        f"https://www.kaggle.com/competitions/{SLUG}/submissions says why" in capsys.readouterr().err
    )
    assert entries()[0]["status"] == "error"


def test_failures_that_pass_are_waited_out_and_others_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed, fake_kaggle: FakeKaggle
) -> None:
    fails = "echo '503 Server Error' >&2; exit 1"
    fake_kaggle(submissions=f"echo >> looks; [ $(wc -l < looks) -gt 1 ] || {{ {fails}; }}\n{DONE}")
    assert kit(*SUBMIT, "--wait", monkeypatch=monkeypatch) == 0
    assert "score   pending (Kaggle has a problem of its own: try again later)" in capsys.readouterr().err
    fake_kaggle(submissions="exec sleep 5")
    monkeypatch.setattr("kit.deploy.kaggle.ANSWER_SECONDS", 0.05)
    assert kit("submit", FILE, "--wait", "--time-limit", "0.01s", monkeypatch=monkeypatch) == 2
    assert "pending (Kaggle gave no answer within 0 s: check the network" in capsys.readouterr().err
    fake_kaggle(submissions=AUTH_HELP)
    assert kit("submit", FILE, "--wait", monkeypatch=monkeypatch) == 2
    assert "run.csv has been submitted, but its score cannot be asked for: the kaggle prog" in capsys.readouterr().err


def test_ctrl_c_while_waiting_says_that_it_was_submitted(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed, fake_kaggle: FakeKaggle
) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    fake_kaggle(submissions="echo 'No submissions found'")
    with monkeypatch.context() as patched:
        patched.setattr(time, "sleep", interrupt)
        assert kit(*SUBMIT, "--wait", monkeypatch=patched) == 130
    assert capsys.readouterr().err.splitlines()[-1] == (
        "kit: submissions/run.csv has been submitted, and is scored without you: "
        "'kit submit submissions/run.csv --wait' asks again"
    )
    fake_kaggle()
    assert kit("submit", FILE, "--wait", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == "score   0.93125\n"
    assert [entry["public_score"] for entry in entries()] == [0.93125]


@pytest.mark.skipif(signal.getsignal(signal.SIGINT) is not signal.default_int_handler, reason="Ctrl-C is ignored here")
def test_ctrl_c_while_sending_says_that_nobody_knows(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed, fake_kaggle: FakeKaggle
) -> None:
    fake_kaggle(submit="kill -INT $PPID; exec sleep 20")
    assert kit(*SUBMIT, monkeypatch=monkeypatch) == 130
    assert (
        "interrupted while submissions/run.csv was sent: whether Kaggle took it is told by" in capsys.readouterr().err
    )
    assert not JSON.exists()


def test_a_submission_that_cannot_be_recorded_is_still_told(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed, fake_kaggle: FakeKaggle
) -> None:
    fake_kaggle(submit=f"mkdir {JSON}; {SUCCESS}")
    assert kit(*SUBMIT, "--wait", monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr()
    assert "run.csv has been submitted, but that cannot be recorded beside it: " in printed.err
    assert printed.out == "score   0.93125\n"


# --- download ---------------------------------------------------------------------------------------------


def test_download_and_what_comes_next(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed, fake_kaggle: FakeKaggle
) -> None:
    layouts.table_and_images(Path("files"))
    shutil.make_archive("served", "zip", "files")
    fake_kaggle(download='printf "\\r 50%%|#####  |\\r100%%|#######|\\n" >&2; cp served.zip "$5/$3.zip"')
    assert kit("data", "download", f"https://www.kaggle.com/c/{SLUG}", "--data", "new", monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == (
        f"next   kit train csv --data new/{SLUG}.zip  (or folder, or pixels: 'kit competitions csv' tells what one reads)"
    )
    assert printed.err == ""
    assert calls()[:4] == ["competitions", "download", SLUG, "-p"]
    assert [path.name for path in Path("new").iterdir()] == [f"{SLUG}.zip"]
    assert kit("data", "check", "csv", "--data", f"new/{SLUG}.zip", monkeypatch=monkeypatch) == 0
    capsys.readouterr()

    Path(f"new/{SLUG}.zip").write_bytes(b"mine")
    assert kit("data", "download", SLUG, "--data", "new", monkeypatch=monkeypatch) == 2
    assert f"new/{SLUG}.zip is there already: read it with --data new/{SLUG}.zip, or" in capsys.readouterr().err
    assert Path(f"new/{SLUG}.zip").read_bytes() == b"mine"
    assert kit("data", "download", SLUG, "--data", "new", "--overwrite", monkeypatch=monkeypatch) == 0
    assert Path(f"new/{SLUG}.zip").read_bytes() == Path("served.zip").read_bytes()

    fake_kaggle(download='cp served.zip "$5/$3.zip"')
    assert kit("data", "download", "fashion-mnist", "--data", "new", monkeypatch=monkeypatch) == 0
    assert "next   kit train fashion_mnist --data new/fashion-mnist.zip" in capsys.readouterr().out


BAD_DOWNLOADS = [
    ('head -c 99 served.zip > "$5/$3.zip"', "five-clothes.zip came damaged: download it again"),
    ('echo half > "$5/$3.zip"; echo "403 - Forbidden"; exit 1', "accept its rules at https://www.kaggle.com/comp"),
    ('cp served.zip "$5/$3.7z"', "five-clothes comes as five-clothes.7z, expected a .zip: run the kaggle program"),
    ("echo '404 - Not Found'", "Kaggle has no competition five-clothes"),
    ("echo 'Could not find kaggle.json' >&2; exit 1", "no credentials that Kaggle takes"),
    ("echo '429 - Too Many Requests'", "Kaggle takes no more for now (429)"),
]


@pytest.mark.parametrize(("script", "message"), BAD_DOWNLOADS)
def test_a_download_that_fails_leaves_nothing_behind(
    script: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: Printed, fake_kaggle: FakeKaggle
) -> None:
    shutil.make_archive("served", "zip", "data")
    fake_kaggle(download=script)
    assert kit("data", "download", SLUG, "--data", "new", monkeypatch=monkeypatch) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert not Path("new").exists()


def test_no_entry_of_a_json_reaches_the_program_as_an_option(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed, fake_kaggle: FakeKaggle
) -> None:
    fake_kaggle()
    write_provenance(FILE, {})
    entry = {"kaggle_competition": "--help", "file": "run.csv", "message": "first", "submitted_at": "soon"}
    JSON.write_text(json.dumps(json.loads(JSON.read_text()) | {"submissions": [entry]}))
    assert kit("submit", FILE, "--wait", monkeypatch=monkeypatch) == 2
    assert "--competition '--help': expected a competition's name" in capsys.readouterr().err
    assert not calls()
