"""``fewbit serve``: a packed network behind a page in the browser and a WebSocket."""

from pathlib import Path
from typing import Annotated

import typer

import fewbit
from fewbit.cli.output import say
from fewbit.cli.packed import HELP
from fewbit.shipped import find
from fewbit.streams import KINDS, choose_decoder


def serve(
    model: Annotated[str, typer.Argument(metavar="FILE", help=HELP)] = "an4",
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 accepts other machines.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port to listen on.")] = 8000,
    lm: Annotated[
        str | None,
        typer.Option(help=f"Language model beside the network: {', '.join(KINDS)}.", show_default="the strongest"),
    ] = None,
    threshold: Annotated[float, typer.Option(help="Score that a keyword must reach, above 0 and below 1.")] = 0.5,
    streams: Annotated[int, typer.Option(min=1, help="Maximum number of concurrent streams.")] = 40,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Threads that run the network.")] = 1,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="Origin of another web page that may connect, such as https://example.org; repeat for more."),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="Certificate as a PEM file; the server then uses https.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Private key of the certificate as a PEM file.")] = None,
) -> None:
    """Serve a web page that listens to the microphone, and a WebSocket for other clients, until interrupted."""
    from fewbit.web import Limits, keyword_spotter
    from fewbit.web import serve as run

    path = find(model)
    network = fewbit.load(path)
    decoder = choose_decoder(network, path, lm)
    spotter = keyword_spotter(network, threshold)
    scheme, shown = "https" if certificate else "http", f"[{host}]" if ":" in host else host
    say(f"{path.name} at {scheme}://{shown}:{port} - press Ctrl-C to stop")
    run(
        network,
        name=path.stem,
        host=host,
        port=port,
        decoder=lambda: decoder,  # all its state is in the streams
        keywords=spotter,
        limits=Limits(streams=streams),
        workers=workers,
        origins=origin or (),
        certificate=certificate,
        key=key,
    )
