"""Architectures, one family a file. A file in this package is found by itself and registers its models."""

from kit.models.catalog import MODELS, Reference

__all__ = ["MODELS", "Reference"]
