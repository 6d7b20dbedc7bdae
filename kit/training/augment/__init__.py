"""Augmentations on whole batches, in the backend's own operations. A file in this package is found by itself."""

from kit.training.augment.catalog import AUGMENTATIONS, augmentation

__all__ = ["AUGMENTATIONS", "augmentation"]
