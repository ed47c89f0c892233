"""How the command line prints: tables for people on standard output, plain JSON for machines."""

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fewbit.cli.network_table import network_lines
from fewbit.decode import Event, Final, Keyword, Label, Partial
from fewbit.program import Cost, Program
from fewbit.program.overview import Overview
from fewbit.streams import Transcript

console = Console()
errors = Console(stderr=True)


def print_json(value: Any) -> None:
    """Print a value as JSON on one line, without colours or wrapping."""
    print(json.dumps(value, allow_nan=False), flush=True)


def say(text: str, style: str = "") -> None:
    """Print a line for people; `text` is not interpreted as markup."""
    console.print(Text(text, style), soft_wrap=True)


def print_error(message: str, notes: Sequence[str] = ()) -> None:
    """Print an error and its notes on standard error."""
    errors.print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)
    for note in notes:
        errors.print(Text(f"  {note}"), soft_wrap=True)


def print_note(message: str) -> None:
    """Print a warning on standard error."""
    errors.print(Text.assemble(("note: ", "bold yellow"), message), soft_wrap=True)


def print_network(program: Program, cost: Cost, seen: Overview, title: str, expand_blocks: bool = False) -> None:
    """Print a packed network: its inputs and outputs, then its ops.

    expand_blocks: show repeated blocks in full.
    """
    say(title, "bold")
    for line, style in network_lines(program.graph, cost, seen, max(console.width, 80), expand_blocks):
        say(line, style)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str | float | None]]) -> None:
    """Print values in columns. Numbers are right-aligned, ``None`` is blank, cells are never cut, headings wrap."""
    table = Table(title=Text(title), title_justify="left")
    needed = 1
    cells = [max([len(_cell(row[place])) for row in rows], default=0) for place in range(len(columns))]
    words = [max(len(word) for word in column.split() or [""]) for column in columns]
    spare = console.width - 1 - sum(max(sizes) + 3 for sizes in zip(cells, words, strict=True))
    for place, column in enumerate(columns):
        numeric = all(isinstance(row[place], int | float | None) for row in rows)
        least = max(min(cells[place], 40), words[place])
        # rich takes from the widest column, so that headings would not wrap beside long cells
        room = min(max(spare, 0), max(len(column) - least, 0))
        most = least + room if cells[place] <= least else None
        spare -= room
        table.add_column(Text(column), justify="right" if numeric else "left", min_width=least, max_width=most)
        needed += least + 3
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    console.print(table, width=max(console.width, needed), crop=False)


def _cell(value: str | float | None) -> str:
    if value is None:
        return ""
    return f"{0.0 if abs(value) < 1e-6 else value:,.4g}" if isinstance(value, float) else f"{value}"


def print_event(event: Event) -> None:
    """Print an event. A terminal shows partial text in place until the final text replaces it."""
    live = console.is_terminal
    match event:
        case Partial(text=text, stable=stable):
            if live:
                first = max(0, len(text) - max(8, console.width - 1))
                settled, guess = text[first:stable], text[max(first, stable) :]
                print(f"\r\033[K{settled}\033[2m{guess}\033[0m", end="", flush=True)
        case Final(text=text, start=start, end=end):
            if live:
                print("\r\033[K", end="")
            console.print(Text.assemble((f"{start:8.2f} - {end:6.2f} s  ", "cyan"), text))
        case Keyword(word=word, start=start, end=end, score=score):
            if live:
                print("\r\033[K", end="")
            console.print(Text.assemble((f"{start:8.2f} - {end:6.2f} s  ", "cyan"), (word, "bold"), f" ({score:.2f})"))
        case Label(name=name, start=start, end=end, prob=prob):
            console.print(Text.assemble((f"{start:8.2f} - {end:6.2f} s  ", "cyan"), f"{name} ({prob:.2f})"))


def print_transcript(heard: Transcript) -> None:
    """Print the figures of a transcript."""
    console.print(
        f"[dim]{heard.audio_seconds:.1f} s of sound, real-time factor {heard.real_time_factor:.3f}, "
        f"{heard.latency_ms:.1f} ms per chunk[/]",
        highlight=False,
    )


def print_rate(tokens: int, seconds: float, ended: bool) -> None:
    """Print how fast text was written, on standard error: standard output is the text alone.

    ended: the network ended the text.
    """
    speed = f", {tokens / seconds:,.0f} tokens/s, {1e6 * seconds / tokens:,.1f} µs a token" if tokens else ""
    errors.print(Text(f"{tokens:,} tokens{speed}{'; the text ended' if ended else ''}", "dim"), soft_wrap=True)
