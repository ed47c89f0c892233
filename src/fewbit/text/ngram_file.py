"""A compact form of n-gram models: the arrays of the trie in a safetensors container, logarithms as 16-bit codes.

A logarithm is exact to half a step, where a step is the range of its array over 65534 (about 0.0002 for ln P). Symbols
and counts of children take 8, 16 or 32 bits, as the largest one requires.
"""

import json
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from fewbit.errors import DataError
from fewbit.text.ngram import LN_NEVER, SPECIAL, Floats, Level, Ngram

KEY, VERSION = "fewbit-ngram", 1
STEPS = 65534
NEVER = 65535
"""The code of probability 0."""
MOST_HEADER = 1 << 28


def ngram_to_bytes(model: Ngram) -> bytes:
    """Convert a model to bytes; equal models give equal bytes.

    Examples:
        >>> from fewbit.text import kneser_ney
        >>> data = ngram_to_bytes(kneser_ney(["abab"], order=2))
        >>> ngram_from_bytes(data).order
        2
    """
    children = np.diff(model.first)
    contexts = int(np.flatnonzero((children > 0) | (model.ln_backoff != 0)).max()) + 1
    p, *p_grid = _codes(model.ln_p.astype(np.float64))
    backoff, *backoff_grid = _codes(model.ln_backoff[:contexts].astype(np.float64))
    described = {
        "version": VERSION,
        "order": model.order,
        "symbols": list(model.symbols),
        "p": p_grid,
        "backoff": backoff_grid,
    }
    tensors = {
        "symbol": _narrow(model.symbol),
        "children": _narrow(children[:contexts]),
        "p": p,
        "backoff": backoff,
    }
    return save(tensors, {KEY: json.dumps(described, sort_keys=True)})


def ngram_from_bytes(data: bytes, where: str = "the bytes") -> Ngram:
    """Read a model that `ngram_to_bytes` wrote; `where` names the bytes in messages.

    Raises:
        DataError: the bytes are damaged, have a newer version, or contain no model.

    Examples:
        >>> from fewbit.text import kneser_ney
        >>> ngram_from_bytes(ngram_to_bytes(kneser_ney(["abab"], order=2))).symbols[3:]
        ('a', 'b')
    """
    try:
        header = json.loads(data[8 : 8 + min(int.from_bytes(data[:8], "little"), MOST_HEADER)])
        described = json.loads(header["__metadata__"][KEY])
        if described["version"] != VERSION:
            raise DataError(
                f"an n-gram model of version {described['version']}; this fewbit reads version {VERSION}, so update it"
            )
        entries = deserialize(data)  # type: ignore[no-untyped-call]
        return _model(described, {name: _array(entry) for name, entry in entries})
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    except (SafetensorError, KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(f"{where}: no n-gram model, or damaged: {error!r}") from error


def _model(described: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Ngram:
    symbols, order = described["symbols"], int(described["order"])
    symbol, children = arrays["symbol"].astype(np.int64), arrays["children"].astype(np.int64)
    nodes, contexts = len(symbol), len(children)
    ln_p, ln_backoff = _values(arrays["p"], *described["p"]), np.zeros(nodes)
    ln_backoff[:contexts] = _values(arrays["backoff"], *described["backoff"])
    if tuple(symbols[:3]) != SPECIAL or len(set(symbols)) != len(symbols) or len(ln_p) != nodes:
        raise DataError("the n-gram model is damaged, symbols or probabilities are not those of its grams")
    if children.sum() != nodes - 1 or symbol.max() >= len(symbols) or children[0] != len(symbols):
        raise DataError("the n-gram model is damaged, the counts of its grams do not add up")
    parent = np.concatenate([[-1], np.repeat(np.arange(contexts), children)])
    if (parent[1:] >= np.arange(1, nodes)).any() or (np.diff(parent * len(symbols) + symbol)[1:] <= 0).any():
        raise DataError("the n-gram model is damaged, its grams are not in order")
    levels, start, before = [], 1, 0
    while start < nodes:
        stop = start + int(np.count_nonzero((parent >= before) & (parent < start)))
        at = slice(start, stop)
        levels.append(Level(parent[at] - before, symbol[at], ln_p[at], ln_backoff[at]))
        start, before = stop, start
    if len(levels) != order:
        raise DataError(f"the n-gram model is damaged, its grams have up to {len(levels)} symbols, not {order}")
    return Ngram.build(symbols, levels)


def _codes(values: Floats) -> tuple[NDArray[np.uint16], float, float]:
    """Codes, the value of code 0, and the step between two codes."""
    some = values > LN_NEVER + 1
    low = float(values[some].min())
    step = float(values[some].max() - low) / STEPS or 1.0
    return np.where(some, np.rint((values - low) / step), NEVER).astype(np.uint16), low, step


def _values(codes: NDArray[Any], low: float, step: float) -> Floats:
    return cast(Floats, np.where(codes == NEVER, LN_NEVER, low + step * codes.astype(np.float64)))


def _narrow(numbers: NDArray[Any]) -> NDArray[Any]:
    most = int(numbers.max(initial=0))
    return numbers.astype(np.uint8 if most < 1 << 8 else np.uint16 if most < 1 << 16 else np.uint32)


def _array(entry: dict[str, Any]) -> NDArray[Any]:
    kinds = {"U8": np.uint8, "U16": np.uint16, "U32": np.uint32}
    return np.frombuffer(entry["data"], np.dtype(kinds[entry["dtype"]]).newbyteorder("<")).reshape(entry["shape"])
