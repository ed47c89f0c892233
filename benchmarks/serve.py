"""How many streams one server process carries in real time, and what a thousand connects leave behind.

    python -m benchmarks.serve --out build/benchmarks [--results docs/results]

For each model starts `fewbit serve` and sends it the shipped digits in real time over N connections at once.
Behind every chunk each client asks for figures, which are answered when the chunk has been heard: the latency is the
time from the moment when the chunk was due to that answer, so a server that falls behind, or holds the client back,
shows as well. Writes `serve.json`, for each model: percentiles of the latency, chunks that were never answered,
connections that broke, cores that the server used; the knee (the most streams of which 99 % of the chunks were answered
within `--bound`); and the server's memory before and after a thousand connects. The clients run on the same machine and
take their share of it.
"""

import argparse
import asyncio
import json
import os
import random
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from fewbit.data import spoken_digits
from studies.evidence.machine import describe

SETTLE_SECONDS = 12.0
"""After which a server has forgotten connections that are over."""


@dataclass
class Server:
    """`fewbit serve` in a process of its own."""

    process: "subprocess.Popen[bytes]"
    port: int

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/stream"

    def memory_mb(self) -> float:
        """Resident memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return round(int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024, 1)

    def cpu_seconds(self) -> float:
        """Time spent on all cores since the start."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Stream:
    """What one client saw."""

    latencies: list[float] = field(default_factory=list)
    sent: int = 0
    broken: bool = False


STREAMS = {"digits": [1, 20, 50, 100, 150, 200], "an4": [1, 5, 10, 20, 30, 40, 60]}
"""Model -> how many streams at once are tried."""


def start_server(model: str, workers: int, streams: int) -> Server:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "from fewbit.cli.main import entry; entry()"
    options = ["--port", str(port), "--workers", str(workers), "--streams", str(streams)]
    process = subprocess.Popen([sys.executable, "-c", code, "serve", model, *options], stdout=subprocess.DEVNULL)
    for _ in range(600):
        try:
            urlopen(f"http://127.0.0.1:{port}/health").close()
            return Server(process, port)
        except OSError:
            time.sleep(0.1)
    process.kill()
    raise SystemExit("the server does not start")


async def stream(url: str, chunks: list[bytes], seconds: float, sample_rate: int, keywords: list[str]) -> Stream:
    """Send chunks of `seconds` when they are due; every one is answered by figures."""
    seen = Stream()
    due: list[float] = []
    await asyncio.sleep(random.uniform(0, 1))
    try:
        async with connect(url, compression=None, proxy=None, ping_interval=None, open_timeout=60) as client:
            await client.send(json.dumps({"type": "start", "sample_rate": sample_rate, "keywords": keywords}))

            async def send() -> None:
                start = time.perf_counter()
                for index, chunk in enumerate(chunks, 1):
                    due.append(start + index * seconds)  # a chunk can be sent when its last sample has been heard
                    await asyncio.sleep(due[-1] - time.perf_counter())
                    await client.send(chunk)
                    await client.send('{"type": "stats"}')
                    seen.sent += 1

            sending = asyncio.create_task(send())
            async for message in client:
                event = json.loads(message)
                if event["event"] == "stats":  # all chunks up to that time have been heard
                    heard = round(event["time"] / seconds)
                    seen.latencies += [time.perf_counter() - moment for moment in due[len(seen.latencies) : heard]]
                if len(seen.latencies) == len(chunks):
                    break
            await sending
    except (WebSocketException, OSError):
        seen.broken = True
    return seen


async def load(
    server: Server, count: int, chunks: list[bytes], seconds: float, sample_rate: int, words: list[str]
) -> Any:
    """`count` streams at once."""
    cpu, begin = server.cpu_seconds(), time.perf_counter()
    streams = await asyncio.gather(*(stream(server.url, chunks, seconds, sample_rate, words) for _ in range(count)))
    cores = (server.cpu_seconds() - cpu) / (time.perf_counter() - begin)
    latencies = np.array([latency for one in streams for latency in one.latencies] or [np.inf]) * 1e3
    found = dict(zip(("p50", "p95", "p99", "max"), np.quantile(latencies, [0.5, 0.95, 0.99, 1]), strict=True))
    return {
        "streams": count,
        "latency_ms": {name: round(float(value), 1) for name, value in found.items()},
        "chunks": count * len(chunks),
        "never_answered": count * len(chunks) - sum(len(one.latencies) for one in streams),
        "broken_connections": sum(one.broken for one in streams),
        "server_cores": round(cores, 3),
        "server_memory_mb": server.memory_mb(),
        "load": [round(number, 2) for number in os.getloadavg()],
    }  # fmt: skip


async def connects(server: Server, count: int, chunk: bytes, sample_rate: int) -> None:
    """`count` short streams, ten at a time; every third client leaves without a word."""
    places = asyncio.Semaphore(10)

    async def one(index: int) -> None:
        async with places, connect(server.url, compression=None, proxy=None, open_timeout=60) as client:
            await client.send(json.dumps({"type": "start", "sample_rate": sample_rate}))
            await client.send(chunk)
            if index % 3:
                await client.send('{"type": "end"}')
                async for _ in client:
                    pass
            else:
                client.transport.abort()

    await asyncio.gather(*(one(index) for index in range(count)), return_exceptions=True)


def measure(model: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """The server of one model: a thousand connects, then more and more streams at once."""
    digits = spoken_digits()
    samples, _ = digits.stream(digits.test)
    size = round(digits.sample_rate * arguments.chunk)
    pcm = (samples * 32767).astype("<i2")[: size * round(arguments.seconds / arguments.chunk)]
    chunks = [pcm[i : i + size].tobytes() for i in range(0, len(pcm) - size + 1, size)]
    counts = arguments.streams or STREAMS.get(model, STREAMS["an4"])
    server = start_server(model, arguments.workers, max(counts) + 20)
    try:
        asyncio.run(connects(server, 20, chunks[0], digits.sample_rate))  # warm
        time.sleep(SETTLE_SECONDS)
        before = server.memory_mb()
        begin = time.perf_counter()
        asyncio.run(connects(server, arguments.connects, chunks[0], digits.sample_rate))
        spent = time.perf_counter() - begin
        time.sleep(SETTLE_SECONDS)
        with urlopen(f"http://127.0.0.1:{server.port}/health") as answer:
            left = json.load(answer)["streams"]
        opened = {
            "connects": arguments.connects,
            "seconds": round(spent, 2),
            "memory_mb_before": before,
            "memory_mb_after": server.memory_mb(),
            "streams_left": left,
        }
        print(model, json.dumps(opened), flush=True)
        loads = []
        for count in counts:
            words = arguments.keywords
            loads.append(asyncio.run(load(server, count, chunks, arguments.chunk, digits.sample_rate, words)))
            print(json.dumps(loads[-1]), flush=True)
        time.sleep(SETTLE_SECONDS)
        within = [one["streams"] for one in loads if one["latency_ms"]["p99"] <= arguments.bound]
        return {
            "model": model,
            "connects": opened,
            "loads": loads,
            "most_streams_within_bound": max(within, default=0),
            "memory_mb_at_the_end": server.memory_mb(),
        }
    finally:
        server.process.terminate()
        server.process.wait(10)


def save(found: list[dict[str, Any]], arguments: argparse.Namespace, folder: Path) -> None:
    """The results as a study."""
    from fewbit.analysis.report import Table
    from studies.evidence import Study

    findings = [
        f"{one['model']}: {one['most_streams_within_bound']} streams at once: p99 latency is below "
        f"{arguments.bound:g} ms; {sum(row['never_answered'] for row in one['loads'])} of "
        f"{sum(row['chunks'] for row in one['loads'])} chunks were lost, "
        f"{sum(row['broken_connections'] for row in one['loads'])} connections broke. "
        f"{one['connects']['connects']:,} connections, a third dropped by the client: memory of "
        f"{one['connects']['memory_mb_before']} MB before, {one['connects']['memory_mb_after']} MB after, "
        f"{one['connects']['streams_left']} streams left."
        for one in found
    ]
    columns = ("model", "streams", "p50 (ms)", "p95", "p99", "most", "cores of the server", "its memory (MB)")
    rows = tuple(
        (
            one["model"],
            row["streams"],
            *(f"{row['latency_ms'][name]:.1f}" for name in ("p50", "p95", "p99", "max")),
            f"{row['server_cores']:.2f}",
            f"{row['server_memory_mb']:.0f}",
        )
        for one in found
        for row in one["loads"]
    )
    Study(
        number="",
        name="server",
        title="Many streams on one server",
        claim="",
        verdict="no claim",
        findings=tuple(findings),
        setting=(
            f"Spoken digits in real time, {arguments.seconds:g} s a stream in chunks of {arguments.chunk:g} s; "
            "the answer to a chunk against the moment when its last sample was due. One process serves; the clients "
            "run on the same machine and take their share of it."
        ),
        command="python -m benchmarks.serve --out build/benchmarks --results docs/results",
        seeds=(0,),
        tables=(Table("From a chunk to its answer", columns, rows),),
    ).save(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--models", nargs="+", default=list(STREAMS))
    parser.add_argument("--streams", type=int, nargs="+", help="how many at once; default by model")
    parser.add_argument("--chunk", type=float, default=0.1, help="seconds of sound in a message")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of each stream")
    parser.add_argument("--bound", type=float, default=200.0, help="milliseconds for an answer")
    parser.add_argument("--connects", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--keywords", nargs="*", default=[])
    arguments = parser.parse_args()
    found = [measure(model, arguments) for model in arguments.models]
    result = {
        "machine": describe(),
        "chunk_seconds": arguments.chunk,
        "bound_ms": arguments.bound,
        "workers": arguments.workers,
        "keywords": arguments.keywords,
        "models": found,
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "serve.json").write_text(json.dumps(result, indent=1) + "\n")
    if arguments.results:
        save(found, arguments, arguments.results)


if __name__ == "__main__":
    main()
