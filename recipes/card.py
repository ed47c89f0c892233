"""The card that lies beside a packed network: a text with figures that are counted in the file."""

from pathlib import Path
from typing import Any

from fewbit.program import cost, load


def write_card(packed: str | Path, card: str, **figures: Any) -> Path:
    """Write `card` as ``name.md`` beside ``name.fewbit``.

    Args:
        packed: the network. Its name, mels, stride, weights, file_bytes, header_bytes and macs have places in the card.
        card: text with places in braces.
        figures: what goes into all other places.
    """
    packed = Path(packed)
    network = load(packed)
    counted = cost(network)
    text = card.format(
        name=packed.stem,
        mels=(network.features or {}).get("mels"),
        stride=network.stride,
        weights=counted.weights,
        file_bytes=counted.file_bytes,
        header_bytes=counted.header_bytes,
        macs=counted.macs,
        **figures,
    )
    path = packed.with_suffix(".md")
    path.write_text(text, encoding="utf-8")
    return path
