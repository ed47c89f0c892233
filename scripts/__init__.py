"""Chores of the repository, run from its root by ``python -m scripts.NAME``."""
