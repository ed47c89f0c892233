"""``fewbit stream``: listen to files or to the microphone and print the text."""

from pathlib import Path
from typing import Annotated, Any

import typer

import fewbit
from fewbit.cli.each_file import each_file
from fewbit.cli.output import print_event, print_json, print_note, print_transcript, say
from fewbit.cli.packed import HELP, SHIPPED, Sounds, network_and_sounds
from fewbit.decode import Decoder, Event, Keyword, KeywordList, KeywordSpotter, ParallelDecoders, to_dict
from fewbit.shipped import find
from fewbit.streams import KINDS, Network, alphabet_of, choose_decoder, frame_seconds, strongest


def stream(
    files: Sounds = None,
    model: Annotated[str | None, typer.Option(help=HELP, show_default=SHIPPED)] = None,
    lm: Annotated[
        str | None,
        typer.Option(help=f"Language model beside the network: {', '.join(KINDS)}.", show_default="the strongest"),
    ] = None,
    keywords: Annotated[
        Path | None, typer.Option(help="Also report the words of this text file, one per line.")
    ] = None,
    mic: Annotated[bool, typer.Option("--mic", help="Listen to the microphone until interrupted.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
    events: Annotated[bool, typer.Option("--events", help="With --json: also print a line for each event.")] = False,
    chunk: Annotated[float, typer.Option(min=0.001, max=10, help="Seconds of sound for each step.")] = 0.1,
) -> None:
    """Listen to files or to the microphone, chunk by chunk, and print the text as it grows."""
    name, sounds = network_and_sounds(files, model)
    sources: list[Any] = [*sounds]
    path = find(name)
    network = fewbit.load(path)
    if mic:
        sources.append(fewbit.microphone(fewbit.Session(network).sample_rate, chunk))
    if not sources:
        raise typer.BadParameter("give at least one sound file, or --mic")
    if events and not json:
        raise typer.BadParameter("--events goes with --json")
    decoder = _decoder(network, path, lm, keywords)

    def listen(source: Any) -> None:
        name = str(source) if isinstance(source, Path) else "microphone"

        def on_event(event: Event) -> None:
            if not json:
                print_event(event)
            elif events:
                print_json({"file": name} | to_dict(event))

        if not json:
            say(name, style="bold")
        heard = fewbit.stream(network, source, decoder=decoder, chunk_seconds=chunk, on_event=on_event)
        if not json:
            print_transcript(heard)
            return
        spotted = [to_dict(event) for event in heard.events if isinstance(event, Keyword)]
        print_json(
            {"file": name, "text": heard.text}
            | ({"keywords": spotted} if keywords else {})
            | {"audio_seconds": heard.audio_seconds, "real_time_factor": heard.real_time_factor}
        )

    each_file(sources, listen)


def _decoder(network: Network, path: Path, lm: str | None, keywords: Path | None) -> Decoder:
    text = choose_decoder(network, path, lm)
    alphabet = alphabet_of(network)
    if lm is None and not alphabet.joiner and strongest(path) == "none":
        stem = path.with_suffix("").name
        print_note(
            f"there is no language model beside {path}, so words will be misspelt; copy {stem}.char.ngram, "
            f"{stem}.word.ngram and {stem}.toml there if you have them, or say --lm none"
        )
    if keywords is None:
        return text
    words = KeywordList.read(keywords, alphabet)
    if not words.words:
        print_note(f"{keywords}: the list has no words, so none will be reported")
    seconds = frame_seconds(network)
    return ParallelDecoders(seconds, text=text, keywords=KeywordSpotter(words, seconds))
