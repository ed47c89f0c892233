"""A server on a free port, in a thread of the test."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from fewbit.web.server import configuration

RATE = 8000


class Server:
    """A running application; `streams` tells how many places are taken."""

    def __init__(self, application: Starlette, port: int, connections: Collection[Any]) -> None:
        self.application, self.port, self.connections = application, port, connections
        self.http = f"http://127.0.0.1:{port}"
        self.url = f"ws://127.0.0.1:{port}/stream"

    @property
    def streams(self) -> int:
        return self.application.state.hub.taken

    def connect(self, **options: Any) -> Any:
        return connect(self.url, compression=None, proxy=None, ping_interval=None, **{"close_timeout": 1} | options)

    def hear(self, samples: np.ndarray, chunk: int = 800, **start: Any) -> list[dict[str, Any]]:
        """All events of a sound that is sent in chunks and ended."""
        with self.connect() as client:
            client.send(json.dumps({"type": "start", "sample_rate": RATE} | start))
            pcm = to_pcm(samples)
            with contextlib.suppress(ConnectionClosed):  # a server that closes early has said why
                for begin in range(0, len(pcm), 2 * chunk):
                    client.send(pcm[begin : begin + 2 * chunk])
                client.send('{"type": "end"}')
            return read_all(client)


def to_pcm(samples: np.ndarray) -> bytes:
    return np.rint(samples * 32768).clip(-32768, 32767).astype("<i2").tobytes()


def read_all(client: Any) -> list[dict[str, Any]]:
    """Events until the server closes."""
    events = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            events.append(json.loads(client.recv(timeout=20)))
    return events


def wait_until(condition: Any, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


@contextmanager
def running(application: Starlette, send_buffer: int | None = None) -> Iterator[Server]:
    listener = socket.socket()
    if send_buffer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)  # accepted sockets inherit it
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = uvicorn.Server(configuration(application, "127.0.0.1", port, log_level="critical"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield Server(application, port, server.server_state.connections)
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
