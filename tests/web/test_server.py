"""The server over real sockets: what clients say and do, well and badly."""

import json
import logging
import re
import socket
import threading
import time
from contextlib import suppress
from dataclasses import replace
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest
from starlette.testclient import TestClient
from websockets.exceptions import ConnectionClosed, InvalidStatus

from fewbit.decode import Keyword, to_dict
from fewbit.errors import DecodeError, ServerError
from fewbit.streams import Session
from fewbit.web import Limits, app, connection, serve
from fewbit.web import server as web_server
from tests.web.web_server import RATE, Server, read_all, running, to_pcm, wait_until

START = json.dumps({"type": "start", "sample_rate": RATE})


def alone(listener, samples, rate=RATE):
    """What a session hears, as the server would say it."""
    session = Session(listener, sample_rate=rate)
    events = session.step(samples) + session.finish()
    return [json.loads(json.dumps(to_dict(event))) for event in events]


def said(events):
    return [event for event in events if event["event"] not in ("ready", "stats")]


def refused(server: Server, *messages: str | bytes) -> tuple[dict, int, str]:
    """The last event, the close code and its reason after messages that are not taken."""
    with server.connect() as client:
        for message in messages:
            client.send(message)
        events = read_all(client)
        wait_until(lambda: server.streams == 0)
        return events[-1], client.close_code, client.close_reason


@pytest.mark.parametrize("chunk", [160, 801, 16_000])
def test_the_server_says_what_a_session_says(server, listener, noise, chunk) -> None:
    events = server.hear(noise, chunk)
    assert events[0] == {"event": "ready", "sample_rate": RATE}
    wanted = alone(listener, noise)
    assert len(wanted) > 20
    assert said(events) == wanted
    assert events[-1]["event"] == "stats"
    assert events[-1]["time"] == 2.0
    assert server.streams == 0


def test_other_rates_are_resampled(server, listener) -> None:
    pcm = np.random.default_rng(1).integers(-16_000, 16_000, 44_100)
    samples = (pcm / 32768).astype(np.float32)
    assert said(server.hear(samples, 4_410, sample_rate=44_100)) == alone(listener, samples, 44_100)


def test_many_streams_at_once_hear_what_each_hears_alone(listener) -> None:
    sounds = [(np.random.default_rng(seed).integers(-16_000, 16_000, RATE) / 32768).astype("f4") for seed in range(6)]
    found = [[] for _ in sounds]
    with running(app(listener, workers=2)) as server:

        def hear(place: int) -> None:
            found[place] = said(server.hear(sounds[place], 300))

        threads = [threading.Thread(target=hear, args=(place,)) for place in range(len(sounds))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [alone(listener, sound) for sound in sounds]
    assert found[0] != found[1]


def test_figures_come_when_asked_after_the_sound_before(server, noise) -> None:
    with server.connect() as client:
        client.send(START)
        client.send(to_pcm(noise[:4000]))
        client.send('{"type": "stats"}')
        events = []
        while not events or events[-1]["event"] != "stats":
            events.append(json.loads(client.recv(timeout=10)))
        assert events[-1]["time"] == 0.5
        assert events[-1]["latency_ms"] > 0
        assert events[-1]["real_time_factor"] > 0


@pytest.mark.parametrize(
    ("messages", "code", "message"),
    [
        (["hello"], "message", "a text message is not JSON; sound goes into binary messages"),
        ([bytes(100)], "message", 'the first message must be JSON such as {"type": "start", "sample_rate": 16000}'),
        (
            ['{"type": "end"}'],
            "message",
            'the first message must be JSON such as {"type": "start", "sample_rate": 16000}',
        ),
        (
            ['{"type": "start", "sample_rate": 1000000}'],
            "message",
            "start: sample_rate must be a whole number in 8000..96000, not 1000000",
        ),
        ([START, START], "message", "the stream has already started; open another connection"),
        ([START, b"\1"], "message", "sound is 16-bit samples, so wanted an even number of bytes, got 1"),
        ([START, "\0\xff{"], "message", "a text message is not JSON; sound goes into binary messages"),
        ([START, bytes(300_000)], "too_large", "a message has 300,000 bytes, more than the 262,144 allowed"),
    ],
)
def test_what_breaks_the_protocol_is_said_and_ends_the_stream(server, messages, code, message) -> None:
    event, close_code, reason = refused(server, *messages)
    assert event == {"event": "error", "code": code, "message": message}
    assert close_code == {"message": 1007, "too_large": 1009}[code]
    assert reason == message


def test_a_huge_message_is_cut_unread(server) -> None:
    with server.connect(max_size=None) as client:
        client.send(START)
        with suppress(ConnectionClosed):
            client.send(bytes(8 << 20))
        read_all(client)
        assert client.close_code in (1009, 1006)  # it may still be sending when the line is cut
    wait_until(lambda: server.streams == 0)


def test_bytes_that_are_no_websocket_are_refused(server, noise, listener) -> None:
    for garbage in (b"\0\xff" * 500, b"GET /stream HTTP/1.1\r\n\r\n", START.encode() * 100 + b"\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", server.port)) as raw:
            raw.sendall(garbage)
            raw.settimeout(10)
            assert raw.recv(100)[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 404", b"HTTP/1.1 405", b"")
    assert said(server.hear(noise)) == alone(listener, noise)


@pytest.mark.parametrize("rude", [True, False])
def test_a_client_that_leaves_in_the_middle_leaves_nothing(server, noise, listener, rude) -> None:
    with server.connect() as client:
        client.send(START)
        client.send(to_pcm(noise[:9_001]))
        client.recv(timeout=10)
        if rude:
            client.socket.shutdown(socket.SHUT_RDWR)
    wait_until(lambda: server.streams == 0)
    assert said(server.hear(noise)) == alone(listener, noise)


def test_two_hundred_quick_connects_leave_nothing(server, noise, listener) -> None:
    for index in range(200):
        with server.connect() as client:
            if index % 2:
                client.send(START)
            if index % 4 < 2:
                client.socket.shutdown(socket.SHUT_RDWR)
    wait_until(lambda: server.streams == 0)
    wait_until(lambda: threading.active_count() < 20)
    assert said(server.hear(noise)) == alone(listener, noise)


def test_a_client_that_sends_fast_is_held_back_and_loses_nothing(listener) -> None:
    limits = Limits(waiting_seconds=0.1)
    samples = (np.random.default_rng(3).integers(-16_000, 16_000, 20 * RATE) / 32768).astype(np.float32)
    with running(app(listener, limits=limits)) as server:
        assert said(server.hear(samples, 400)) == alone(listener, samples)


class Slow:
    """A network that takes its time."""

    def __init__(self, inner, seconds):
        self.inner, self.seconds = inner, seconds
        self.features, self.alphabet, self.stride = inner.features, inner.alphabet, inner.stride

    def init_state(self):
        return self.inner.init_state()

    def step(self, x, state):
        time.sleep(self.seconds)
        return self.inner.step(x, state)


def test_a_network_that_is_too_slow_holds_its_clients_back(listener) -> None:
    limits = Limits(waiting_seconds=0.1, message_bytes=2_000)
    application = app(Slow(listener, 0.2), limits=limits)
    with running(application) as server, server.connect() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        client.socket.settimeout(0.5)
        client.send(START)
        sent = 0
        with suppress(TimeoutError):
            while sent < 20_000:  # far more than the sockets hold
                client.socket.send(frame(bytes(1_600)))
                sent += 1
        assert sent < 20_000
        client.socket.close()


def frame(payload: bytes) -> bytes:
    """A binary message of a client, masked with zeros."""
    return b"\x82\xfe" + len(payload).to_bytes(2, "big") + bytes(4) + payload


def test_a_client_that_does_not_read_is_dropped_and_holds_nobody_up(listener, noise, monkeypatch) -> None:
    monkeypatch.setattr(connection, "CLOSING_SECONDS", 0.2)
    monkeypatch.setattr(web_server, "ABORT_SECONDS", 0.2)
    application = app(listener, limits=Limits(outgoing=20))
    with running(application, send_buffer=4_096) as server, server.connect(max_queue=1, close_timeout=0.1) as deaf:
        deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        deaf.send(START)
        wait_until(lambda: server.streams == 1)
        for _ in range(400):
            try:
                deaf.send(to_pcm(noise[:8_000]))
            except ConnectionClosed:
                break
            if server.streams == 0:
                break
        assert said(server.hear(noise)) == alone(listener, noise)
        wait_until(lambda: server.streams == 0)
        wait_until(lambda: not server.connections)  # though it still reads nothing


def test_more_streams_than_places_are_refused(listener) -> None:
    with running(app(listener, limits=Limits(streams=2))) as server, server.connect():
        with server.connect():
            wait_until(lambda: server.streams == 2)
            with server.connect() as third:
                (event,) = read_all(third)
                assert event["code"] == "busy"
                assert event["message"] == "all 2 places are taken; try again later"
                assert third.close_code == 1013
        wait_until(lambda: server.streams == 1)
        with server.connect() as fourth:
            fourth.send(START)
            assert json.loads(fourth.recv(timeout=10))["event"] == "ready"


@pytest.mark.parametrize("messages", [[], [START], [START, bytes(100)]])
def test_a_silent_client_is_let_go(listener, messages) -> None:
    with running(app(listener, limits=Limits(idle_seconds=0.2))) as server:
        event, code, _ = refused(server, *messages)
    assert event == {"event": "error", "code": "idle", "message": "no message for 0.2 seconds"}
    assert code == 1008


def test_pages_of_others_are_refused(listener) -> None:
    with running(app(listener, origins=["https://friend.example"])) as server:
        own = f"http://127.0.0.1:{server.port}"
        for origin in (own, "https://friend.example", "https://FRIEND.example", None):
            with server.connect(origin=origin):
                pass
        for origin in ("https://evil.example", "http://127.0.0.1:1", "null", "https://friend.example.evil.example"):
            with pytest.raises(InvalidStatus, match="403"), server.connect(origin=origin):
                pass


def test_a_name_that_is_not_the_servers_is_refused(listener) -> None:
    with running(app(listener, hosts=["localhost", "127.0.0.1", "::1"])) as server:
        urlopen(f"{server.http}/health").close()
        with pytest.raises(HTTPError, match="400") as status:
            urlopen(Request(f"{server.http}/", headers={"Host": f"evil.example:{server.port}"}))
        status.value.close()
        with socket.create_connection(("127.0.0.1", server.port)) as raw:
            raw.sendall(
                b"GET /stream HTTP/1.1\r\nHost: evil.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            assert raw.recv(12) == b"HTTP/1.1 400"


@pytest.mark.parametrize(
    ("host", "status"),
    [("[::1]:8000", 200), ("[::1]", 200), ("LOCALHOST:1", 200), ("[::1", 400), ("[::2]", 400), ("", 400)],
)
def test_names_are_compared_without_port_and_case(listener, host, status) -> None:
    client = TestClient(app(listener, hosts=["localhost", "::1"]))
    answer = client.get("/health", headers={"Host": host})
    assert answer.status_code == status
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


class Watch:
    """Says a word whenever its letter is the best class."""

    def __init__(self, words, before):
        if "x" in words:
            raise DecodeError("keyword 'x': the alphabet has no 'x'")
        self.words = {"abc".index(word) + 1: word for word in words}

    def init_state(self):
        return 0

    def step(self, scores, state):
        best = scores.argmax(axis=1).tolist()
        found = [(self.words[b], (state + i) * 0.02) for i, b in enumerate(best) if b in self.words]
        return [Keyword(word, at, at, at, 1.0) for word, at in found], state + len(scores)

    def finish(self, state):
        return []


def test_keywords_are_watched_for_and_changed_while_the_text_goes_on(listener, noise) -> None:
    with running(app(listener, keywords=Watch)) as server, server.connect() as client:
        client.send(json.dumps({"type": "start", "sample_rate": RATE, "keywords": ["a"]}))
        client.send(to_pcm(noise[:8_000]))
        client.send('{"type": "keywords", "keywords": ["b", "x"]}')  # refused: "a" is still watched for
        client.send('{"type": "keywords", "keywords": ["b"]}')
        client.send(to_pcm(noise[8_000:]))
        client.send('{"type": "end"}')
        events = read_all(client)
    keywords = [event for event in events if event["event"] == "keyword"]
    assert {event["word"] for event in keywords if event["time"] < 0.95} == {"a"}
    assert {event["word"] for event in keywords if event["time"] > 1.0} == {"b"}
    assert [event["keywords"] for event in events if event["event"] == "keywords"] == [["a"], ["b"]]
    assert [event for event in events if event["event"] == "error"] == [
        {"event": "error", "code": "keywords", "message": "keyword 'x': the alphabet has no 'x'"}
    ]
    text = [event for event in said(events) if event["event"] in ("partial", "final")]
    assert text == alone(listener, noise)


def test_a_server_without_keywords_says_so_and_goes_on(listener, noise) -> None:
    with running(app(replace(listener, alphabet=None), decoder=lambda: Session(listener).decoder)) as server:
        events = said(server.hear(noise, keywords=["a"]))
    error = {"event": "error", "code": "keywords", "message": "this server does not watch for keywords"}
    assert events == [error, *alone(listener, noise)]


def test_a_network_that_fails_is_said_without_its_secrets(listener, noise, caplog) -> None:
    class Broken(Slow):
        def step(self, x, state):
            raise RuntimeError("a secret")

    caplog.set_level(logging.CRITICAL + 1, "fewbit.web")
    with running(app(Broken(listener, 0))) as server:
        events = server.hear(noise)
        assert events[-1] == {
            "event": "error", "code": "failed", "message": "the server failed; see its log",
        }  # fmt: skip
        wait_until(lambda: server.streams == 0)


def test_the_page_and_what_it_asks(server, listener) -> None:
    for path, kind in [
        ("/", "text/html"),
        ("/app.js", "text/javascript"),
        ("/worklet.js", "text/javascript"),
        ("/style.css", "text/css"),
        ("/icon.svg", "image/svg+xml"),
    ]:
        with urlopen(server.http + path) as answer:
            text = answer.read().decode()
            assert answer.headers.get_content_type() == kind
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            # Nothing comes from elsewhere, nothing is written inline.
            assert not re.findall(r"(?:src|href|url)\s*[=(]\s*['\"]?https?:", text)
            assert not re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)", text)
    with urlopen(f"{server.http}/network") as answer:
        about = json.load(answer)
    assert about | {"bytes": 0, "weight_bytes": 0} == {
        "name": "network", "sample_rate": RATE, "tokens": ["a", "b", "c"], "weights": 352, "keywords": True,
        "bytes": 0, "weight_bytes": 0,
    }  # fmt: skip
    with urlopen(f"{server.http}/health") as answer:
        assert json.load(answer) == {"status": "ok", "streams": 0}
    with pytest.raises(HTTPError, match="404") as status:
        urlopen(f"{server.http}/../server.py")
    status.value.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers must lie in 1..256, not 0"),
        ({"origins": ["friend.example"]}, "origins: wanted such as https://example.org, not 'friend.example'"),
        ({"port": 70_000}, "port must lie in 0..65535, not 70000"),
    ],
)
def test_options_have_ranges(listener, options, message) -> None:
    with pytest.raises(ServerError, match=f"^{re.escape(message)}$"):
        serve(listener, **options)


def test_a_network_that_does_not_say_what_it_hears_is_not_served(listener) -> None:
    with pytest.raises(DecodeError, match="packed without features"):
        app(replace(listener, features=None))
