"""``fewbit serve`` from the shell."""

import signal
import socket
import subprocess
import sys
import time
from urllib.error import URLError
from urllib.request import urlopen

import pytest

import fewbit
from fewbit.cli.main import main
from fewbit.errors import ArgumentError


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_it_serves_until_interrupted(port: int) -> None:
    try:
        fewbit.pretrained("digits")
    except ArgumentError as error:
        pytest.skip(str(error))
    code = "from fewbit.cli.main import entry; entry()"
    command = [sys.executable, "-c", code, "serve", "digits", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        end = time.monotonic() + 60
        while True:
            try:
                with urlopen(f"http://127.0.0.1:{port}/") as page:
                    assert b"<title>fewbit</title>" in page.read()
                break
            except URLError:
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0
    assert said == f"digits.fewbit at http://127.0.0.1:{port} - press Ctrl-C to stop\n"


def test_an_address_that_is_taken_is_said(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", port)):
        assert main(["serve", "digits", "--port", str(port)]) == 1
    assert "ddress already in use" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--streams", "0"], ["--workers", "0"], ["--port", "70000"]])
def test_options_out_of_range_are_usage_errors(options: list[str]) -> None:
    assert main(["serve", *options]) == 2
