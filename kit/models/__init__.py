"""Architectures, one family a file. A file in this package is found by itself and registers its models."""

from kit.models.catalog import MODELS, Reference
from kit.registry import discover

__all__ = ["MODELS", "Reference"]

discover(__name__, __path__)
