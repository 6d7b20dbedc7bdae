"""Whether the same training gives the same bits, for a small model of every family, on a machine that is busy.

Three processes at once train all of them on noise, as kit would by itself, and three more with ``--deterministic``.
Within each three, all weights must be equal bit for bit.

    python -m bench.repeats [--processes 3] [--save]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.inputs import noise
from bench.pairs import ROOT, Report

ROWS, CLASSES = 256, 4
FAMILIES = {  # at 32 pixels but for those that enlarge
    "brief": {},
    "deeper": {},
    "weak_cnn": {},
    "preactivation_cnn": {},
    "tunable_cnn": {},
    "model_s": {},
    "baseline": {},
    "conv2d": {},
    "custom_vgg": {},
    "custom_vgg16": {},
    "custom_resnet10": {},
    "custom_resnet34_dropout": {},
    "speed_net(widths=(16, 32))": {"optimizer": "muon"},
    "wide_resnet(width=1, dropout=0.1)": {"optimizer": "sgd(momentum=0.9)", "learning_rate": 0.05},
    "backbone('VGG16', size=32)": {},
    "backbone('ResNet50', size=32, train_blocks=-1)": {},
    "backbone('DenseNet121', size=32, train_blocks=-1)": {},
    "backbone('MobileNetV2', size=32, train_blocks=-1)": {},
    "backbone('EfficientNetV2B0', size=32, train_blocks=-1)": {},
    "backbone('ConvNeXtTiny', size=32, train_blocks=-1)": {},
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--processes", type=int, default=3, help="that train at once, by default 3")
    options.add_argument("--save", action="store_true", help="write bench/results/repeats.json")
    options.add_argument("--child", choices=("default", "deterministic"), help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.child:
        return _train_all(asked.child == "deterministic")
    report = Report("repeats", "the same training, again", f"{ROWS} images of noise, 32x32x3, {CLASSES} classes")
    told = {how: _at_once(how, asked.processes) for how in ("default", "deterministic")}
    rows = [[family, *(cell for how in told for cell in _verdict(family, told[how]))] for family in FAMILIES]
    title = f"weights of {asked.processes} processes at once, two epochs with elastic and CutMix"
    report.table(title, ["model", "default", "s", "--deterministic", "s"], rows)
    report.finish(asked.save)
    if any("DIFFERENT" in row for row in rows):
        sys.exit(1)


def _at_once(how: str, processes: int) -> list[dict[str, list[float | str]]]:
    """What each process says: the hash and the seconds of every family."""
    command = [sys.executable, "-m", "bench.repeats", "--child", how]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    running = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(processes)
    ]
    said = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        sys.exit("bench: a training failed, its error is above")
    return [json.loads(text.splitlines()[-1]) for text in said]


def _verdict(family: str, told: list[dict[str, list[float | str]]]) -> tuple[str, str]:
    hashes, seconds = zip(*(process[family] for process in told), strict=True)
    return "equal" if len(set(hashes)) == 1 else "DIFFERENT", f"{np.median(seconds):.1f}"


def _train_all(deterministic: bool) -> None:
    from kit.training.events import Listener
    from kit.training.fold_directory import FoldDirectory
    from kit.training.preparation import Task
    from kit.training.recipe import Recipe
    from kit.training.switches import resolve_switches
    from kit.training.trainer import train_fold
    from kit.training.weights import load_classifier

    images, fold = noise(ROWS, CLASSES)
    told = {}
    for family, options in FAMILIES.items():
        recipe = Recipe(
            **{
                "competition": "noise",
                "model": family,
                "epochs": 2,
                "batch_size": 32,
                "learning_rate": 1e-3,
                "augment": "flip|elastic((2, 3), sigma=2)|cutmix",
                "deterministic": deterministic,
                **options,
            }
        )
        with tempfile.TemporaryDirectory() as scratch:
            directory = FoldDirectory(Path(scratch))
            switches = resolve_switches(recipe.precision, deterministic)
            started = time.perf_counter()
            train_fold(images, Task(recipe, switches, 0, fold, CLASSES, directory), Listener())
            seconds = time.perf_counter() - started
            content = b"".join(array.tobytes() for array in load_classifier(directory, "last").get_weights())
        told[family] = [hashlib.sha256(content).hexdigest(), seconds]
    print(json.dumps(told))


if __name__ == "__main__":
    main()
