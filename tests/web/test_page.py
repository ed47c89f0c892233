"""The page in a real browser: digits are said into its microphone, and appear."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

import fewbit as fb
from fewbit.data import spoken_digits
from fewbit.web import app
from tests.web.web_server import Server, running
from tests.web.webdriver import BROWSER, DRIVER, Browser, chromium

pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason="chromium and chromedriver are not installed")
TEXT = 'return [...document.querySelectorAll("#finals p")].map((p) => p.lastChild.data).join(" ")'


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    digits = spoken_digits()
    samples, text = digits.stream(digits.test[0:60:12], seed=3)
    path = tmp_path_factory.mktemp("sound") / "digits.wav"
    second = np.zeros(digits.sample_rate, np.float32)
    soundfile.write(path, np.concatenate([second, samples, second]), digits.sample_rate, subtype="PCM_16")
    return path, text


@pytest.fixture(scope="module")
def page(spoken: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Browser, Server]]:
    program = fb.load(fb.pretrained("digits"))
    profile = tmp_path_factory.mktemp("profile")
    with running(app(program, name="digits")) as server, chromium(profile, spoken[0]) as browser:
        browser.open(server.http)
        yield browser, server


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the page does not show it"
        time.sleep(0.1)


def test_what_is_said_into_the_microphone_appears(page: tuple[Browser, Server], spoken: tuple[Path, str]) -> None:
    browser, server = page
    words = spoken[1].split()
    browser.run('document.querySelector("#word").value = arguments[0]', words[1])
    browser.click("#add button")
    browser.click("#microphone")
    heard = 'return Number(document.querySelector("#heard").textContent.split(":")[1] ?? 0)'
    wait_for(lambda: browser.run(heard) >= 7)  # all of the file
    # A machine that is busy gives the browser a microphone with gaps, so one word may be misheard.
    assert fb.wer([spoken[1]], [browser.run(TEXT)]) <= 0.2
    assert server.streams == 1
    assert browser.run(f'return document.querySelector("#lights [data-word={words[1]}]").className') == "lit"
    assert browser.run('return document.querySelector("#latency").textContent').endswith(" ms")
    assert browser.run('return document.querySelector("#size").textContent') == "25.3 kB"
    browser.click("#microphone")
    wait_for(lambda: server.streams == 0)
    # The server counts the stream as over a moment before the page does.
    wait_for(lambda: browser.run('return document.querySelector("#microphone-text").textContent') == "Listen")
    assert browser.run('return document.querySelector("#trouble").hidden')
    assert browser.log() == []  # nothing that the content policy forbids, no file that is not there


def test_a_file_is_streamed_as_well(page: tuple[Browser, Server], spoken: tuple[Path, str]) -> None:
    browser, server = page
    before = browser.run(TEXT)
    browser.choose_file("#file", spoken[0])
    wait_for(lambda: server.streams == 1)
    wait_for(lambda: server.streams == 0)  # it ends by itself
    assert browser.run(TEXT)[len(before) :].split() == spoken[1].split()
