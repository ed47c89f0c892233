"""Small faults put into copies of the source, to see whether the tests notice: ``make mutants``.

`named` is the table of faults that once got past the tests, or that would change what a figure means; each of them has
to be killed. `python_faults` and `native_faults` make others by rule, and a seed chooses among them. The package stands
beside the other chores and not among the tests: it runs tests, and is tested itself in `tests/scripts`.
"""
