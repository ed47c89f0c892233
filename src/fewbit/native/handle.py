"""Ownership of objects that the native library made."""

from collections.abc import Callable
from typing import Any, NoReturn

from fewbit.errors import TargetError
from fewbit.native.library import last_error


class Handle:
    """Owns one object of the native library, and frees it once.

    It holds the function that frees the object, so freeing works while the interpreter shuts down, too.

    Args:
        address: what the library returned; 0 or ``None`` is its refusal.
        free: the function of the library that frees the object.
        needs: objects that the object reads, kept alive as long as it lives.
        refusal: what the error message says before the message of the library.

    Raises:
        TargetError: the library refused to make the object.
    """

    __slots__ = ("_free", "_needs", "address")

    def __init__(self, address: int | None, free: Callable[[int], Any], *needs: object, refusal: str = "") -> None:
        if not address:
            raise TargetError(f"{refusal}: {last_error()}" if refusal else last_error())
        self.address, self._free, self._needs = address, free, needs

    def __del__(self) -> None:
        address, self.address = getattr(self, "address", 0), 0
        if address:
            self._free(address)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Neither copy nor pickle: two owners would free the object twice."""
        raise TargetError("an object of the native library cannot be copied or pickled; copy what it was made from")
