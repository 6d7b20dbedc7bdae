"""Thirty and more ways in which models, images and CSVs are wrong when it comes to predicting; each is one line."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from kit.cli.main import main

RUN = "one"
MODEL = "one/model.onnx"
PIXELS = np.zeros((3, 28, 28, 1), np.uint8)


def metadata(name: str, **values: str | None) -> None:
    """A model file that says something else of itself; None leaves it out."""
    model = onnx.load(MODEL)
    entries: dict[str, str | None] = {entry.key: entry.value for entry in model.metadata_props}
    entries |= values
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {key: value for key, value in entries.items() if value is not None})
    onnx.save(model, name)


def saved(name: str, array: np.ndarray) -> None:
    np.save(name, array)


def text(name: str, content: str | bytes) -> None:
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())


def edited(name: str, file: str, change: Callable[[dict], object]) -> None:
    """A copy of the run in which a JSON file is another."""
    shutil.copytree(RUN, name)
    values = json.loads(Path(name, file).read_text())
    change(values)
    Path(name, file).write_text(json.dumps(values))


def predicting(*words: str) -> list[str]:
    return ["predict", RUN, *words]


CASES: dict[str, tuple[list[str], Callable[[], object], str]] = {
    # models
    "no such file": (["predict", "gone.onnx"], lambda: None, "there is no model file gone.onnx: expected an .onnx file or a run directory"),
    "a directory that is no run": (["predict", "empty"], lambda: Path("empty").mkdir(), "empty is not a run: it has no recipe.json"),
    "a web page": (["predict", "m.onnx"], lambda: text("m.onnx", "<!doctype html>"), "m.onnx is not a model that can be loaded ("),
    "an empty file": (["predict", "m.onnx"], lambda: text("m.onnx", b""), "m.onnx is not a model that can be loaded ("),
    "half of a file": (["predict", "m.onnx"], lambda: text("m.onnx", Path(MODEL).read_bytes()[:9000]), "m.onnx is not a model that can be loaded ("),
    "of another program": (["predict", "m.onnx"], lambda: metadata("m.onnx", competition=None), "m.onnx was not exported by kit: its metadata lacks competition; use kit export"),
    "damaged metadata": (["predict", "m.onnx"], lambda: metadata("m.onnx", label_values="["), "m.onnx has damaged metadata: export it again"),
    "another competition": (["predict", MODEL, "m.onnx"], lambda: metadata("m.onnx", competition='"cifar10"'), f"{MODEL} and m.onnx cannot be averaged: their competition are digits and cifar10"),
    "another label set": (["predict", MODEL, "m.onnx"], lambda: metadata("m.onnx", label_values=json.dumps(list(range(1, 11)))), f"{MODEL} and m.onnx cannot be averaged: their label_values are (0, 1"),
    "fewer labels than outputs": (["predict", "m.onnx"], lambda: metadata("m.onnx", label_values="[1, 2]", class_names='["a", "b"]'), "m.onnx gives 10 probabilities an image, but its metadata has 2 label values"),
    "another input shape": (["predict", MODEL, "m.onnx"], lambda: metadata("m.onnx", input_shape="[32, 32, 3]"), "m.onnx takes images of (32, 32, 3) (height, width, channels), but the images are (28, 28, 1)"),
    "an unknown competition": (["predict", "m.onnx"], lambda: metadata("m.onnx", competition='"gone"'), "unknown competition 'gone'"),
    "a run without a model": (["predict", "bare"], lambda: (shutil.copytree(RUN, "bare"), Path("bare/scores.json").unlink()), "the run bare has no scored model: its training was cut off before its end"),
    "an unknown provider": (predicting("--provider", "tpu"), lambda: None, "unknown provider 'tpu': choose one of auto, cuda, tensorrt, openvino, cpu"),
    "a provider that is not installed": (predicting("--provider", "openvino"), lambda: None, "install onnxruntime-openvino instead of onnxruntime, or use --provider auto"),
    # images
    "no such input": (predicting("--input", "gone.npy"), lambda: None, "gone.npy: it cannot be read (No such file or directory)"),
    "a picture that is none": (predicting("--input", "p.png"), lambda: text("p.png", "hello"), "p.png: "),
    "half of a picture": (predicting("--input", "p.png"), lambda: (Image.fromarray(np.eye(64, dtype=np.uint8)).save("q.png"), text("p.png", Path("q.png").read_bytes()[:60]), Path("q.png").unlink()), "p.png: "),
    "another shape": (predicting("--input", "x.npy"), lambda: saved("x.npy", np.zeros((3, 32, 32, 3), np.uint8)), "x.npy: received shape (3, 32, 32, 3), the model takes (rows, 28, 28, 1)"),
    "channels first": (predicting("--input", "x.npy"), lambda: saved("x.npy", np.zeros((3, 1, 28, 28), np.uint8)), "its channels come first: save array.transpose(0, 2, 3, 1)"),
    "no rows": (predicting("--input", "x.npy"), lambda: saved("x.npy", PIXELS[:0]), "x.npy: received no images, expected at least one"),
    "not finite": (predicting("--input", "x.npy"), lambda: saved("x.npy", np.full(PIXELS.shape, np.nan)), "x.npy: row 0 holds values that are not finite, expected 0..255 or 0..1"),
    "standardised already": (predicting("--input", "x.npy"), lambda: saved("x.npy", PIXELS - 1.5), "x.npy: received values from -1.5 to -1.5 in rows 0 to 2, expected 0..255 or 0..1"),
    "words": (predicting("--input", "x.npy"), lambda: saved("x.npy", PIXELS.astype("U1")), "x.npy: received <U1 values, expected numbers 0..255 or 0..1"),
    "a torn array": (predicting("--input", "x.npy"), lambda: text("x.npy", b"\x93NUMPY\x01\x00"), "x.npy: it is no .npy of images, or damaged"),
    "an archive that is none": (predicting("--input", "x.npz"), lambda: text("x.npz", "hello"), "x.npz: it is no .npz of images, or damaged (File is not a zip file)"),
    "an archive without images": (predicting("--input", "x.npz"), lambda: np.savez("x.npz", y=np.arange(3)), "x.npz: received y (3,), expected one array of (rows, 28, 28, 1)"),
    "a folder without pictures": (predicting("--input", "empty"), lambda: Path("empty").mkdir(), "empty: there are no pictures in it; expected a picture, a folder or .zip"),
    "a table without paths": (predicting("--input", "t.csv"), lambda: text("t.csv", "a,b\n1,2\n"), "t.csv: none of its columns a, b holds paths of pictures, expected one such as 'path'"),
    "a table of pictures that are gone": (predicting("--input", "t.csv"), lambda: text("t.csv", "path\ngone.png\n"), "t.csv, line 2: there is no file 'gone.png' (path), expected the path of a picture"),
    "a file of another kind": (predicting("--input", "x.txt"), lambda: text("x.txt", "hello"), "x.txt: received a file that ends in '.txt', expected a picture, a folder or .zip of pictures"),
    # what is asked for
    "two kinds of images": (predicting("--input", "x.npy", "--data", "."), lambda: saved("x.npy", PIXELS), "--input and --data: name the images to predict, or the competition's files"),
    "two kinds of tables": (predicting("--probabilities", "--top", "3"), lambda: None, "--probabilities and --top are two kinds of table: choose one"),
    "more labels than there are": (predicting("--top", "11"), lambda: None, "--top is 11, expected 1 to 10, the number of labels"),
    "Parquet of labels": (predicting("--out", "x.parquet"), lambda: None, "Parquet holds probabilities, and a submission is a CSV: add --probabilities"),
    "a directory as output": (predicting("--out", "empty"), lambda: Path("empty").mkdir(), "--out empty is a directory: name a CSV file in it"),
    "an output below a file": (predicting("--out", "a/run.csv"), lambda: text("a", ""), "cannot write a/run.csv: a is a file, not a directory"),
    "an output beside a stranger's JSON": (predicting("--out", "mine.csv"), lambda: text("mine.json", "[]"), "mine.json is damaged, or is not what kit writes beside a CSV: move it away"),
    "a file of a run as output": (predicting("--out", f"{RUN}/history.csv"), lambda: None, "--out one/history.csv is a file that the run one needs, expected one of your own"),
    "arrays of a run as output": (predicting("--out", f"{RUN}/predictions.npz"), lambda: None, "--out one/predictions.npz is a file that the run one needs, expected one of your own"),
    "the input as output": (predicting("--input", "t.csv", "--out", "t.csv"), lambda: (Image.fromarray(np.eye(28, dtype=np.uint8)).save("p.png"), text("t.csv", "path\np.png\n")), "--out t.csv is the --input itself, which would be lost"),
    "no batch": (predicting("--batch-size", "0"), lambda: None, "--batch-size is 0, expected at least 1"),
    "far too many threads": (predicting("--threads", "100000"), lambda: None, "--threads is 100000, expected at most 512, or leave it out"),
    "unknown views": (predicting("--tta", "flop"), lambda: None, "unknown test-time augmentation 'flop': did you mean 'flip'?"),
    "views twice": (["predict", "m.onnx", "--tta", "flip"], lambda: metadata("m.onnx", tta='"flip"'), "m.onnx answers by flip itself: leave --tta out"),
    # ensembles
    "weights that are words": (predicting("--weights", "best"), lambda: None, "--weights is 'best', expected equal, oof, or a number a member such as 0.7,0.3"),
    "too many weights": (predicting("--weights", "1,2"), lambda: None, "--weights has 2 numbers for 1 members, expected one each"),
    "negative weights": (predicting(MODEL, "--weights=2,-1"), lambda: None, "--weights are 2.0, -1.0, expected numbers from 0 up, one above 0"),
    "an unknown mean": (predicting("--mean", "median"), lambda: None, "unknown mean 'median': choose one of arithmetic, geometric, vote"),
    "fitted weights of a file": (["predict", RUN, MODEL, "--weights", "oof"], lambda: None, f"{MODEL} is a model file, which has no out-of-fold answers: name its run instead"),
    "calibration of a file": (["predict", MODEL, "--calibrate"], lambda: None, f"{MODEL} is a model file, which has no out-of-fold answers: name its run instead"),
    "rows that chose": (["blend", RUN, "two"], lambda: edited("two", "metrics.json", lambda m: m["validation"].update(selected=True)), "two chose by the rows that it is scored on, so that they are not held out"),
    "other images": (["blend", RUN, "two"], lambda: edited("two", "recipe.json", lambda s: s["images"].update(hash="0")), "one and two were trained on different images or labels"),
    "a summary that lacks something": (["blend", RUN, "two"], lambda: edited("two", "metrics.json", lambda m: m["validation"].pop("selected")), "two/metrics.json is damaged"),
    "one run": (["blend", RUN], lambda: None, "received 1 runs to blend, expected two or more: name them"),
    "predictions that are torn": (["blend", RUN, "two"], lambda: (shutil.copytree(RUN, "two"), text("two/predictions.npz", "x")), "two/predictions.npz is damaged"),
}  # fmt: skip


@pytest.mark.parametrize("title", CASES)
def test_a_bad_prediction_is_one_line_and_writes_nothing(
    title: str, digits_runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(digits_runs / "digits" / "deeper-1", RUN)
    words, make, message = CASES[title]
    make()
    before = contents()
    monkeypatch.setattr(sys, "argv", ["kit", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    printed = capsys.readouterr()
    assert printed.err.startswith("kit: ")
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert stop.value.code == 2
    assert printed.out == ""
    assert contents() == before


def contents() -> dict[str, bytes]:
    """All files but the cache."""
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file() and path.parts[0] != "cache"}
