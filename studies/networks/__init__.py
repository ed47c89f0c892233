"""Networks that others wrote and trained, read from the wheels in which they are given away.

One file for each, with a function ``load() -> Network``.
"""
