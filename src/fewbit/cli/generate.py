"""``fewbit generate``: write text with a packed language model."""

import time
from typing import Annotated

import typer

import fewbit
from fewbit.cli.output import print_json, print_rate
from fewbit.cli.packed import Packed
from fewbit.shipped import find
from fewbit.streams import TextGenerator


def generate(
    file: Packed,
    prompt: Annotated[
        str, typer.Option(help="Text that is continued, in symbols of the network's alphabet or byte pairs.")
    ] = "",
    tokens: Annotated[int, typer.Option(help="Most symbols that follow; the network may end the text before.")] = 200,
    temperature: Annotated[
        float, typer.Option(help="0 takes the likeliest symbol; above 1 flattens the distribution.")
    ] = 1.0,
    top_p: Annotated[
        float, typer.Option(help="Draw from the smallest set of symbols whose probability reaches this.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of the draws; the same seed gives the same text everywhere.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Continue a text with a packed language model, symbol by symbol, and say how fast."""
    writer = TextGenerator(fewbit.load(find(file)))
    pieces = writer.generate(prompt, tokens=tokens, temperature=temperature, top_p=top_p, seed=seed)
    if not json:
        print(prompt, end="", flush=True)
    found: list[str] = []
    seconds = 0.0
    try:
        while True:
            start = time.perf_counter()  # the time of printing is not the network's
            piece = next(pieces, None)
            seconds += time.perf_counter() - start
            if piece is None:
                break
            found.append(piece)
            if not json:
                print(piece, end="", flush=True)
    finally:  # an error, or an interruption, has a line of its own
        if not json:
            print()
    ended = len(found) < tokens
    if not json:
        print_rate(len(found), seconds, ended)
        return
    about = {"file": file, "prompt": prompt, "text": "".join(found), "tokens": len(found), "ended": ended, "seed": seed}
    each = 1e6 * seconds / len(found) if found else None
    print_json(about | {"tokens_per_second": len(found) / seconds, "us_per_token": each})
