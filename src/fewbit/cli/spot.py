"""``fewbit spot``: report the words of a list in files or at the microphone."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

import fewbit
from fewbit.cli.each_file import each_file
from fewbit.cli.output import print_error, print_event, print_json, print_note, print_transcript, say
from fewbit.cli.packed import HELP, SHIPPED, Sounds, network_and_sounds
from fewbit.decode import KeywordList, KeywordSpotter, to_dict
from fewbit.errors import DecodeError
from fewbit.features import Samples, read_audio
from fewbit.shipped import find
from fewbit.streams import alphabet_of, frame_seconds, front_end
from fewbit.text import Alphabet


def spot(
    files: Sounds = None,
    keywords: Annotated[
        Path | None,
        typer.Option(
            help="Text file: one word or phrase per line, optionally followed by its threshold; # starts a comment. "
            "Default, for networks whose classes are words: all of them."
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help=HELP, show_default=SHIPPED)] = None,
    threshold: Annotated[float, typer.Option(help="Score that a word must reach, above 0 and below 1.")] = 0.5,
    mic: Annotated[bool, typer.Option("--mic", help="Listen to the microphone until interrupted.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines: a line for each word.")] = False,
    chunk: Annotated[float, typer.Option(min=0.001, max=10, help="Seconds of sound for each step.")] = 0.1,
) -> None:
    """Report the words of a list, chunk by chunk. The list is reloaded when its file is edited."""
    name, sounds = network_and_sounds(files, model)
    network = fewbit.load(find(name))
    words = _all_words(alphabet_of(network)) if keywords is None else KeywordList.read(keywords, alphabet_of(network))
    spotter = KeywordSpotter(words, frame_seconds(network), threshold=threshold)
    sample_rate = front_end(network).sample_rate
    sources: list[tuple[str, Iterable[Samples]]] = [
        (str(path), read_audio(path, sample_rate, chunk)) for path in sounds
    ]
    if mic:
        sources.append(("microphone", fewbit.microphone(sample_rate, chunk)))
    if not sources:
        raise typer.BadParameter("give at least one sound file, or --mic")
    if not words.words:
        print_note(f"{keywords or name}: the list has no words, so none will be reported")

    def listen(source: tuple[str, Iterable[Samples]]) -> None:
        name, chunks = source

        def on_event(event: Any) -> None:
            print_json({"file": name} | to_dict(event)) if json else print_event(event)

        if not json:
            say(name, style="bold")
        heard = fewbit.stream(network, _followed(chunks, words), decoder=spotter, on_event=on_event)
        if not json:
            print_transcript(heard)

    each_file(sources, listen)


def _all_words(alphabet: Alphabet) -> KeywordList:
    """All words of an alphabet of whole words. Tokens without letters, such as that of unknown words, are left out."""
    if not alphabet.joiner:
        raise typer.BadParameter(
            "this network spells words, so name those to report: --keywords words.txt, one per line"
        )
    return KeywordList(alphabet, [token for token in alphabet.tokens if any(map(str.isalnum, token))])


def _followed(chunks: Iterable[Samples], words: KeywordList) -> Iterator[Samples]:
    """The chunks. Before each, the list is reloaded if its file has changed; a faulty file leaves it as it was."""
    for chunk in chunks:
        try:
            words.refresh()
        except (DecodeError, OSError) as error:
            print_error(f"{error}; the list stays as it was")
        yield chunk
