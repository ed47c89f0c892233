"""Checks of the settings of a frozen dataclass, by its own annotations."""

from fewbit.errors import ArgumentError, DataError
from fewbit.settings import keys_of


def check_arguments(settings: object) -> None:
    """Raise `ArgumentError` for a value that the check in its annotation refuses; None stands for "not given"."""
    for name, check in keys_of(type(settings)).checks.items():
        value = getattr(settings, name)
        if value is not None:
            try:
                check(value, f"{type(settings).__name__}: {name}")
            except DataError as error:
                raise ArgumentError(str(error)) from error
