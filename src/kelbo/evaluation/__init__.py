"""Judging a model on a test set."""
