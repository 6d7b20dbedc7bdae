"""Probabilities and labels -> numbers."""
