"""``fewbit spot``: hear the words of a list in files or at the microphone."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

import fewbit
from fewbit.cli.each_file import each_file
from fewbit.cli.output import print_error, print_event, print_json, print_note, print_transcript, say
from fewbit.cli.packed import HELP
from fewbit.decode import KeywordList, KeywordSpotter, to_dict
from fewbit.errors import DecodeError
from fewbit.features import Samples, read_audio
from fewbit.shipped import find
from fewbit.streams import alphabet_of, frame_seconds, front_end
from fewbit.text import Alphabet


def spot(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE...", help="Sound files: wav, flac, ogg and others.")
    ] = None,
    keywords: Annotated[
        Path | None,
        typer.Option(
            help="Text file: a word on each line, a threshold behind it or none, # for comments. A network of whole "
            "words listens for all of its own without."
        ),
    ] = None,
    model: Annotated[str, typer.Option(help=HELP)] = "an4",
    threshold: Annotated[float, typer.Option(help="Score above 0 and below 1 that a word must reach.")] = 0.5,
    mic: Annotated[bool, typer.Option("--mic", help="Listen to the microphone until interrupted.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines: a line for each word heard.")] = False,
    chunk: Annotated[float, typer.Option(min=0.001, max=10, help="Seconds of sound for each step.")] = 0.1,
) -> None:
    """Listen for the words of a list, chunk by chunk. The file of the list may be edited while this runs."""
    network = fewbit.load(find(model))
    words = _all_words(alphabet_of(network)) if keywords is None else KeywordList.read(keywords, alphabet_of(network))
    spotter = KeywordSpotter(words, frame_seconds(network), threshold=threshold)
    sample_rate = front_end(network).sample_rate
    sources: list[tuple[str, Iterable[Samples]]] = [
        (str(path), read_audio(path, sample_rate, chunk)) for path in files or []
    ]
    if mic:
        sources.append(("microphone", fewbit.microphone(sample_rate, chunk)))
    if not sources:
        raise typer.BadParameter("give at least one sound file, or --mic")
    if not words.words:
        print_note(f"{keywords or model}: no words; nothing is listened for yet")

    def listen(source: tuple[str, Iterable[Samples]]) -> None:
        name, chunks = source

        def on_event(event: Any) -> None:
            print_json({"file": name} | to_dict(event)) if json else print_event(event)

        if not json:
            say(name, style="bold")
        heard = fewbit.stream(_followed(chunks, words), network, decoder=spotter, on_event=on_event)
        if not json:
            print_transcript(heard)

    each_file(sources, listen)


def _all_words(alphabet: Alphabet) -> KeywordList:
    """All words of an alphabet of whole words; a token without letters, as for any other word, is none."""
    if not alphabet.joiner:
        raise typer.BadParameter("say what to listen for: --keywords words.txt, a word on each line")
    return KeywordList(alphabet, [token for token in alphabet.tokens if any(map(str.isalnum, token))])


def _followed(chunks: Iterable[Samples], words: KeywordList) -> Iterator[Samples]:
    """The chunks; before each the list is read again if its file has changed. A mistake in it leaves the list as is."""
    for chunk in chunks:
        try:
            words.refresh()
        except (DecodeError, OSError) as error:
            print_error(f"{error}; the list stays as it was")
        yield chunk
