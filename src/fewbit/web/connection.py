"""One WebSocket, with three tasks: one reads, one runs the sound through the session, one writes the answers."""

import asyncio
import json
import logging
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from fewbit.errors import FewbitError
from fewbit.web.hub import Answer, Hub, Stream
from fewbit.web.protocol import CLOSE_CODES, Ask, Fault, Message, Refused, Start, read_message

CLOSING_SECONDS = 2.0
"""Time limit for telling a client why its connection is closed; it may not read the message."""

log = logging.getLogger(__name__)


class Connection:
    """A client, from its first message to the close.

    Both queues are bounded: the server stops reading from a client that sends too fast, and drops a client that does
    not read.
    """

    def __init__(self, socket: WebSocket, hub: Hub) -> None:
        self._socket, self._hub = socket, hub
        self._work, self._room = asyncio.Event(), asyncio.Event()
        self._answers: asyncio.Queue[Answer | None] = asyncio.Queue()

    async def run(self) -> None:
        """Serve the client until its connection ends, for whatever reason."""
        try:
            await self._socket.accept()
            with self._hub.place():
                await self._listen()
            await self._socket.close(1000, "end of stream")
        except WebSocketDisconnect:
            pass
        except Fault as fault:
            await self._refuse(fault)
        except FewbitError as error:
            await self._refuse(Fault(Refused.FAILED, str(error)))
        except Exception:
            log.exception("a stream failed")
            await self._refuse(Fault(Refused.FAILED, "the server failed; see its log"))

    async def _listen(self) -> None:
        start = await self._receive()
        if not isinstance(start, Start):
            raise Fault(
                Refused.MESSAGE, 'the first message must be JSON such as {"type": "start", "sample_rate": 16000}'
            )
        stream = self._hub.open(start)
        self._say([{"event": "ready", "sample_rate": start.sample_rate}])
        if start.keywords:
            self._say(stream.watch(start.keywords))
        try:
            async with asyncio.TaskGroup() as tasks:
                for part in (self._read(stream), self._hear(stream), self._write()):
                    tasks.create_task(part)
        except ExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _receive(self) -> Message:
        limits = self._hub.limits
        try:
            async with asyncio.timeout(limits.idle_seconds):
                received = await self._socket.receive()
        except TimeoutError:
            raise Fault(Refused.IDLE, f"no message for {limits.idle_seconds:g} seconds") from None
        if received["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(received.get("code", 1005))
        text, data = received.get("text"), received.get("bytes")
        return read_message(data or b"" if text is None else text, limits)

    async def _read(self, stream: Stream) -> None:
        message: Message = b""
        while message is not Ask.END:
            while stream.full:  # reading stops, so TCP slows the client down
                self._room.clear()
                await self._room.wait()
            message = await self._receive()
            if isinstance(message, Start):
                raise Fault(Refused.MESSAGE, "the stream has already started; open another connection")
            stream.put(message)
            self._work.set()

    async def _hear(self, stream: Stream) -> None:
        while not stream.ended:
            await self._work.wait()
            self._work.clear()
            self._say(await self._hub.turn(stream))
            self._room.set()
        self._answers.put_nowait(None)

    async def _write(self) -> None:
        while (answer := await self._answers.get()) is not None:
            await self._socket.send_text(json.dumps(answer, ensure_ascii=False))

    def _say(self, answers: list[Answer]) -> None:
        waiting, limit = self._answers.qsize(), self._hub.limits.outgoing
        if waiting > limit:  # checked before the answers of a block are added, because a long block may have many
            raise Fault(Refused.SLOW_READER, f"{waiting} events wait to be read, more than the {limit} allowed")
        for answer in answers:
            self._answers.put_nowait(answer)

    async def _refuse(self, fault: Fault) -> None:
        message: dict[str, Any] = {"event": "error", "code": fault.why.value, "message": str(fault)}
        try:
            async with asyncio.timeout(CLOSING_SECONDS):
                await self._socket.send_text(json.dumps(message, ensure_ascii=False))
                # The reason in a close frame may have at most 123 bytes.
                await self._socket.close(CLOSE_CODES[fault.why], str(fault).encode()[:120].decode(errors="ignore"))
        except (TimeoutError, WebSocketDisconnect, RuntimeError):
            pass  # the client has gone, or does not read
