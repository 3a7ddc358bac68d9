"""Trained tokens that ship with the package: one folder a model."""
