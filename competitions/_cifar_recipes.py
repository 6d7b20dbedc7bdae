"""Recipes for CIFAR-10 and CIFAR-100: kit's own, and those of four studies that people published as notebooks.

A recipe named like a model is that model's default, and a name that goes on is a variant of it. Recipes of the models
that a study brought are as it published them, on the data that it had.
"""

from __future__ import annotations

from typing import Any

from kit.data.claims import Claim, NamedRecipes

_TWO_CORES = "2 cores, AMX"
_WITHOUT_AMX = "2 cores, AVX-512"
_BUSY = "measured on a busy machine"
_JPEG = "on 5,000 of the official test images; all pixels were JPEG once"

_OWN = {
    "split": "holdout_90_10",  # the official test images are labelled, and scored once at the end
    "epochs": 15,
    "batch_size": 128,
    "optimizer": "adamax",
    "learning_rate": 6e-3,  # per batch of 128
    "schedule": "warmup(1)|cosine",
    "augment": "flip|shift(height=2, width=2)",
    "normalization": "standardize",
}
_SPEED = {
    "batch_size": 256,
    "optimizer": "muon",
    "learning_rate": 0.012,  # per batch of 256; chosen together with the decay
    "weight_decay": 0.3,
    "schedule": "warmup(1)|cosine",
    "normalization": "standardize",
    "label_smoothing": 0.1,
}
_FAST = {
    "model": "speed_net(widths=(64, 128, 256))",
    **_SPEED,
    "split": "holdout_90_10",
    "epochs": 3,
    "schedule": "warmup(0.6)|cosine",
    "augment": "flip|pad_crop(2, 'reflect')",
    "tta": "flip",
}
_BEST = {
    "model": "speed_net",
    **_SPEED,
    "split": "first_rows(49000)",  # few to validate on: nothing is chosen by them, and the official test is labelled
    "epochs": 16,
    "augment": "flip|pad_crop(2, 'reflect')",
    "tta": "flip",
}
_BEST_ON_CIFAR10 = {
    "claim": Claim(
        score=0.9088,
        rows=5_000,
        seeds=(0,),
        minutes=35.8,
        machine=_WITHOUT_AMX,
        note=f"{_JPEG}; the last layer then started from random weights",
    ),
    **_BEST,
}
_DEEPER_ON_CIFAR10 = {
    "claim": Claim(score=0.7858, rows=5_000, seeds=(0,), minutes=4.2, machine=_TWO_CORES, note=f"{_JPEG}; {_BUSY}"),
    "model": "deeper",
    **_OWN,
}

_AT_224_PIXELS = {
    "weights": "imagenet",
    "split": "holdout_80_20",
    "epochs": 12,
    "batch_size": 16,
    "optimizer": "sgd",
    "learning_rate": 1e-3,
    "schedule": "constant",
    "augment": "brightness(0.1)|affine(rotate=0, zoom=0, height=0.1, width=0.1)|flip",
    "normalization": "none",  # the network's own is part of the model
    "keep": "best",
    "monitor": "loss",
    "plateau": "reduce(0.3, patience=1, minimum=0.01)",  # down to a rate of 1e-5
    "patience": 2,
}

CIFAR10: NamedRecipes = {
    "fast": {
        "claim": Claim(score=0.8490, rows=5_000, seeds=(0,), minutes=4.1, machine=_WITHOUT_AMX, note=_JPEG),
        **_FAST,
    },
    "best": _BEST_ON_CIFAR10,
    "speed_net": _BEST_ON_CIFAR10,
    "deeper": _DEEPER_ON_CIFAR10,
    "brief": {
        "claim": Claim(
            score=0.7188, rows=5_000, seeds=(0,), minutes=8.4, machine="1 core, AMX", note=f"{_JPEG}; {_BUSY}"
        ),
        "model": "brief",
        **_OWN,
    },
    "custom_vgg": {
        "claim": Claim(score=0.8456, rows=5_000, seeds=(0,), minutes=8.6, machine=_TWO_CORES, note=_JPEG),
        "model": "custom_vgg(momentum=0.9)",
        **_OWN,
        "epochs": 12,
        "learning_rate": 4e-3,  # per batch of 128
        "augment": "flip|pad_crop(4, 'reflect')",
        "label_smoothing": 0.1,
    },
    "model_s": {
        "claim": Claim(
            score=0.8056,
            rows=5_000,
            seeds=(0,),
            minutes=118,
            machine="1 core, AMX",
            published=0.834,
            note=f"{_JPEG}; with --precision float32, {_BUSY}; on files other than folders train1 .. train5, the "
            "split is holdout_80_20",
        ),
        "model": "model_s",
        "split": "group_folders('train2')",
        "epochs": 40,
        "batch_size": 32,
        "optimizer": "rmsprop",
        "learning_rate": 1e-3,
        "schedule": "constant",
        "normalization": "rescale",
        "keep": "best",
        "monitor": "loss",
        "plateau": "reduce(0.1, patience=4)",
        "patience": 8,
    },
    "vgg16_224": {"claim": Claim(published=0.8893), "model": "vgg16_224", **_AT_224_PIXELS},
    "resnet50_224": {"claim": Claim(published=0.9230), "model": "resnet50_224", **_AT_224_PIXELS},
}


_COURSE = {  # fifteen epochs are all there is
    "split": "middle_tenth",
    "epochs": 15,
    "batch_size": 128,
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "schedule": "constant",
    "normalization": "none",  # raw pixels, 0..255
}
_WEAK_CNN = {"model": "weak_cnn", **_COURSE, "keep": "best", "monitor": "accuracy"}

_STUDY = {
    "split": "first_rows(40000)",
    "epochs": 50,
    "batch_size": 64,
    "optimizer": "sgd(momentum=0.9)",
    "learning_rate": 0.01,
    "schedule": "constant",
    "normalization": "standardize",
    "keep": "best",
    "monitor": "accuracy",
    "patience": 10,
}
_STUDIED: dict[str, tuple[dict[str, Any], tuple[float, float, float]]] = {
    # What differs; the best validation accuracies published: plain, with basic augmentation, with CutMix.
    "baseline": ({"epochs": 100}, (0.210, 0.199, 0.184)),
    "conv2d": ({"epochs": 100}, (0.316, 0.316, 0.297)),
    "custom_vgg": ({}, (0.505, 0.492, 0.300)),
    "custom_vgg16": ({}, (0.563, 0.559, 0.523)),
    "custom_resnet10": ({}, (0.380, 0.381, 0.325)),
    "efficientnet_v2_b0": ({"weights": "imagenet"}, (0.578, 0.575, 0.568)),
}
_BASIC = "flip(probability=0.25)|pad_crop(2, probability=0.5)"
_CUTMIX = "cutmix(0.25)"
_EITHER = "the study changed half of the images, once; here each change is drawn for itself, in every epoch"
_NO_BAR = "the study's CutMix cells failed, or trained on a single batch: no bar"


def _studied(model: str) -> dict[str, dict[str, Any]]:
    changes, (plain, basic, cutmix) = _STUDIED[model]
    recipe = {"model": model, **_STUDY, **changes}
    return {
        model: {"claim": _validated(plain), **recipe},
        f"{model}_basic": {"claim": _validated(basic, _EITHER), **recipe, "augment": _BASIC},
        f"{model}_cutmix": {"claim": _validated(cutmix, _NO_BAR), **recipe, "augment": _CUTMIX},
    }


def _validated(published: float, note: str = "") -> Claim:
    return Claim(published=published, published_on="validation", note=note)


CIFAR100: NamedRecipes = {
    "fast": _FAST,
    "best": _BEST,
    "speed_net": _BEST,
    "deeper": {"model": "deeper", **_OWN},
    "brief": {"model": "brief", **_OWN},
    "weak_cnn": {"claim": Claim(published=0.4134), **_WEAK_CNN},
    "weak_cnn_cyclic": {
        "claim": Claim(published=0.4507, note="of the one epoch that validated best, not of an ensemble of snapshots"),
        **_WEAK_CNN,
        "schedule": "triangular(period=10)",
    },
    "weak_cnn_snapshots": {
        "model": "weak_cnn",
        **_COURSE,
        "schedule": "warm_restarts(period=3)",
        "keep": "snapshots",
        "snapshots": 5,
    },
    "preactivation_cnn": {
        "claim": Claim(published=0.3867),
        "model": "preactivation_cnn",
        **_COURSE,
        "schedule": "piecewise(((6, 0.1), (9, 0.01), (11, 0.001), (13, 0.0005)))",
        "keep": "best",
        "monitor": "loss",
        "patience": 3,
    },
    "tunable_cnn": {
        "claim": Claim(published=0.3796, note="of the setting that a search had found, which was not told"),
        "model": "tunable_cnn",
        **_COURSE,
    },
    **_studied("baseline"),
    **_studied("conv2d"),
    **_studied("custom_vgg"),
    "custom_vgg_l1": {"claim": _validated(0.439), "model": "custom_vgg(l1=5e-4)", **_STUDY},
    "custom_vgg_l2": {"claim": _validated(0.494), "model": "custom_vgg(l2=5e-4)", **_STUDY},
    **_studied("custom_vgg16"),
    "custom_vgg16_tuned": {
        "claim": Claim(published=0.6155, note="ten more epochs at a rate of zero are left out"),
        "model": "custom_vgg16(dense_l2=1.07e-3)",
        **_STUDY,
        "learning_rate": 2.23e-2,
        "schedule": "cosine",
    },
    **_studied("custom_resnet10"),
    "custom_resnet34_dropout": {"claim": _validated(0.359), "model": "custom_resnet34_dropout", **_STUDY},
    **_studied("efficientnet_v2_b0"),
}
