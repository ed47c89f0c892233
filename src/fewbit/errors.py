"""Every error that fewbit raises on purpose.

    FewbitError
      +-- ArgumentError        an argument is out of range, of the wrong kind, or does not fit another one
      +-- FormatError          codes, packing or a spec string are not of their format
      +-- QuantizationError    a tensor cannot be quantized as asked
      +-- SelectionError       a pattern matched nothing
      +-- PruningError         a network, or a part of it, cannot be pruned as asked
      +-- GraphError           a graph of nodes and edges cannot be run as it is drawn
      +-- LoweringError        a network, or a part of it, has no meaning as a Program
      +-- FileFormatError      a *.fewbit file is not what it should be
      +-- TargetError          an instruction set, or the native library, is not available here
      +-- AudioError           sound that cannot be read or used
      +-- DecodeError          a decoder was given what it cannot decode
      +-- DataError            a data set or its folder is not as described
      +-- ServerError          a setting of the server, or what a client sends it, is not as documented
      +-- MissingExtraError    an optional library is needed; the message names the extra

A message says where, what was seen, what was wanted, and what to do.
"""

from typing import Self

__all__ = [
    "ArgumentError",
    "AudioError",
    "DataError",
    "DecodeError",
    "FewbitError",
    "FileFormatError",
    "FormatError",
    "GraphError",
    "LoweringError",
    "MissingExtraError",
    "PruningError",
    "QuantizationError",
    "SelectionError",
    "ServerError",
    "TargetError",
]


class FewbitError(Exception):
    """Root of all errors raised on purpose by fewbit.

    Examples:
        >>> import fewbit
        >>> try:
        ...     fewbit.load("nothing.fewbit")
        ... except fewbit.FewbitError as error:
        ...     print(error)
        nothing.fewbit: there is no such file
    """


class ArgumentError(FewbitError, ValueError):
    """An argument is out of range, of the wrong kind, or does not fit another one."""


class FormatError(FewbitError, ValueError):
    """Codes, packed bytes or a spec string do not fit their format."""


class QuantizationError(FewbitError, ValueError):
    """A tensor cannot be quantized as asked (NaN, infinite, wrong shape, not calibrated)."""


class PruningError(FewbitError, ValueError):
    """A network, or a part of it, cannot be pruned as asked; the message names the layer and the reason."""


class SelectionError(FewbitError, LookupError):
    """A pattern matched no name; the message lists the names there are."""


class GraphError(FewbitError, ValueError):
    """A graph cannot be run as it is drawn (unknown node, sizes that differ, a loop without delay)."""


class LoweringError(FewbitError, ValueError):
    """A network has no integer Program; the message names the layer and the way out."""


class FileFormatError(FewbitError, ValueError):
    """A packed file cannot be read: one sentence for each fault."""


class TargetError(FewbitError, RuntimeError):
    """The native library, or the requested target, is not available on this machine; the message lists what is."""


class AudioError(FewbitError, ValueError):
    """Sound that cannot be read or used (missing, damaged, NaN, wrong shape)."""


class DecodeError(FewbitError, ValueError):
    """A decoder was given what it cannot decode (wrong width, NaN)."""


class DataError(FewbitError, ValueError):
    """A data set or its folder is not as described."""


class ServerError(FewbitError, ValueError):
    """A setting of the server, or what a client sends it, is not as documented."""


class MissingExtraError(FewbitError, ImportError):
    """An optional library is not installed; the message names the extra that brings it."""

    @classmethod
    def for_extra(cls, extra: str, need: str, hint: str = "") -> Self:
        """The error that says what needs which library (`need`), and how the extra is installed.

        Examples:
            >>> print(MissingExtraError.for_extra("plot", "pictures need matplotlib"))
            pictures need matplotlib; install the extra plot: pip install 'fewbit[plot]', or '.[plot]' in a clone
        """
        install = f"install the extra {extra}: pip install 'fewbit[{extra}]', or '.[{extra}]' in a clone"
        return cls(f"{need}; {install}{f' ({hint})' if hint else ''}")
