"""The server: the page, the description of the network, and the WebSocket."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from fewbit.decode import Decoder
from fewbit.errors import ServerError
from fewbit.program import Program, cost
from fewbit.streams import Network, front_end
from fewbit.web.connection import Connection
from fewbit.web.hub import Hub
from fewbit.web.protocol import Limits
from fewbit.web.security import OriginCheck, secure
from fewbit.web.spotter import Spotter

STATIC = Path(__file__).parent / "static"
LOCAL = ("127.0.0.1", "localhost", "::1")
ABORT_SECONDS = 10.0
"""Time for a client to receive its last messages after its connection has ended."""


def app(
    network: Network,
    *,
    name: str = "network",
    decoder: Callable[[], Decoder] | None = None,
    keywords: Spotter | None = None,
    limits: Limits | None = None,
    workers: int = 1,
    origins: Sequence[str] = (),
    hosts: Sequence[str] | None = None,
) -> Starlette:
    """An ASGI application: ``/`` the page, ``/network`` its description, ``/stream`` the WebSocket, ``/health``.

    Args:
        network: usually a `Program`; all streams share it.
        name: name of the network, for the page.
        decoder: creates the text decoder of a stream; default greedy CTC.
        keywords: creates a decoder that watches for a list of words; default `keyword_spotter`.
        limits: limits of one client.
        workers: threads that run the network.
        origins: origins of other web pages that may connect, such as ``https://example.org``.
        hosts: allowed values of the ``Host`` header; default any.

    Raises:
        DecodeError: the network has no features.
        ServerError: an argument is out of range.

    Examples:
        >>> import fewbit as fb
        >>> from starlette.testclient import TestClient
        >>> client = TestClient(app(fb.load(fb.pretrained("digits")), name="digits"))
        >>> client.get("/network").json()["sample_rate"]
        8000
    """
    hub = Hub(network, decoder=decoder, keywords=keywords, limits=limits, workers=workers)
    check = OriginCheck(origins)
    about = _describe(network, name) | {"keywords": hub.spotter is not None}

    async def stream(client: WebSocket) -> None:
        if check.allows(client.headers):
            await Connection(client, hub).run()
        else:
            await client.close(1008)  # before accepting, so the client gets status 403

    async def describe(_: Request) -> JSONResponse:
        return JSONResponse(about)

    async def health(_: Request) -> JSONResponse:
        return JSONResponse({"status": "ok", "streams": hub.taken})

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        hub.close()

    routes = [
        WebSocketRoute("/stream", stream),
        Route("/network", describe),
        Route("/health", health),
        Mount("/", StaticFiles(directory=STATIC, html=True)),
    ]
    application = Starlette(routes=routes, lifespan=lifespan)
    secure(application, hosts)
    application.state.hub = hub
    return application


def serve(
    network: Network,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    certificate: str | Path | None = None,
    key: str | Path | None = None,
    log_level: str = "warning",
    **options: Any,
) -> None:
    """Serve `network` until interrupted.

    Args:
        network: usually a `Program`.
        host, port: address to listen on; the default accepts connections from this machine only.
        certificate, key: PEM files for https, without which browsers give the microphone to local pages only.
        log_level: that of uvicorn.
        options: those of `app`. On a local address, `hosts` defaults to the local names.

    Raises:
        ServerError: an option is out of range.
        OSError: the address is in use.

    Examples:
        >>> import fewbit as fb
        >>> serve(fb.load(fb.pretrained("digits")), port=8080)  # doctest: +SKIP
    """
    if host in LOCAL:
        options.setdefault("hosts", LOCAL)
    config = configuration(app(network, **options), host, port, certificate, key, log_level)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Opened here, because uvicorn would exit the process if the address is in use.
    with socket.create_server((host, port), family=family) as listener, suppress(KeyboardInterrupt):
        uvicorn.Server(config).run([listener])


def configuration(
    application: Starlette,
    host: str,
    port: int,
    certificate: str | Path | None = None,
    key: str | Path | None = None,
    log_level: str = "warning",
) -> uvicorn.Config:
    """The configuration of uvicorn for the application."""
    if not 0 <= port <= 65_535:
        raise ServerError(f"port must lie in 0..65535, not {port}")
    return uvicorn.Config(
        application,
        host=host,
        port=port,
        ws=Protocol,
        # Twice the limit, so that most clients get an error message; larger messages cut the connection unread.
        ws_max_size=2 * application.state.hub.limits.message_bytes,
        # Streams send often, and a client that the server has stopped reading could not answer in time.
        ws_ping_interval=None,
        ws_per_message_deflate=False,  # sound does not compress
        ssl_certfile=certificate,
        ssl_keyfile=key,
        log_level=log_level,
        server_header=False,
        timeout_graceful_shutdown=2,
    )


class Protocol(WebSocketsSansIOProtocol):
    """Uvicorn's WebSocket with a time limit for clients that do not receive their last messages."""

    async def run_asgi(self) -> None:
        """Run the application for one connection, then close it after a delay."""
        try:
            await super().run_asgi()
        finally:
            asyncio.get_running_loop().call_later(ABORT_SECONDS, self.transport.abort)


def _describe(network: Network, name: str) -> dict[str, Any]:
    about: dict[str, Any] = {"name": name, "sample_rate": front_end(network).sample_rate}
    tokens = (network.alphabet or {}).get("tokens")
    about["tokens"] = list(tokens) if tokens else []
    if isinstance(network, Program):
        size = cost(network)
        about |= {"bytes": size.file_bytes, "weights": size.weights, "weight_bytes": size.weight_bytes}
    return about
