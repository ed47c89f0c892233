"""Speed and memory of the tree beam search against its peers, in one run.

    python benchmarks/beam_search.py --install              # once: the peers, in build/decoder-peers-venv
    python benchmarks/beam_search.py --out build/benchmarks [--seconds 100] [--rounds 5]

Scores are synthetic (`synthetic_speech.py`) of words drawn at random with the letters of a text, or of the text itself
with FEWBIT_DATA. Each decoder runs in a process of its own, one thread; rounds go around all of them, and the quickest
is kept, in processor seconds, because the machine may be shared. `beam_search.json` has frames a second, the growth of
memory in MB, the character error rate, and for decoders with a streaming interface the milliseconds that a chunk of
100 ms takes. With FEWBIT_DATA also with language models.
"""

import argparse
import json
import lzma
import os
import re
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from synthetic_speech import LETTERS, speak

ROOT = Path(__file__).parent.parent
ENVIRONMENT = ROOT / "build" / "decoder-peers-venv"
PEERS = ("numpy", "fast-ctc-decode==0.3.7", "flashlight-text==0.0.7")
CHUNK = 10
"""Frames, which are 100 ms."""
CORPUS = 1_500_000
"""Characters that the language models learn from."""
Decode = Callable[[Any], str]


def corpus(part: str, size: int) -> str:
    """The first `size` characters of a part of WikiText-2, letters and spaces only."""
    with lzma.open(Path(os.environ["FEWBIT_DATA"]) / "wikitext2" / f"{part}.txt.xz", "rt") as file:
        raw = file.read(2 * size).lower()
    return " ".join("".join(c if c in LETTERS else " " for c in raw).split())[:size]


def text_for(seconds: int) -> str:
    """Text that takes longer to say: WikiText-2's test part if there is one, else words of random letters."""
    size = 30 * seconds
    if "FEWBIT_DATA" in os.environ:
        return corpus("test", size)
    rng = np.random.default_rng(0)
    letters = list("etaoinshrdlucmfwypvbgk")
    return " ".join("".join(rng.choice(letters, rng.integers(1, 9))) for _ in range(size // 5))[:size]


def language_model(words: bool) -> Any:
    """A character 6-gram of a part of WikiText-2's training text, with a word 3-gram or without; weights not tuned."""
    from fewbit.decode.ngram_scorer import CharNgram, Together, WordNgram
    from fewbit.text import Alphabet
    from fewbit.text.smoothing import kneser_ney

    alphabet, text = Alphabet(tuple(LETTERS)), corpus("train", CORPUS).split()
    lines = [text[i : i + 20] for i in range(0, len(text), 20)]
    letters = CharNgram(kneser_ney([" ".join(line) + " " for line in lines], 6), alphabet)
    return Together(letters, WordNgram(kneser_ney(lines, 3), alphabet, 1.0)) if words else letters


def fewbit_beam(width: int, **options: Any) -> tuple[Decode, Callable[[Any], float]]:
    from fewbit.decode import TreeBeam, text_of
    from fewbit.text import Alphabet

    decoder = TreeBeam(Alphabet(tuple(LETTERS)), 0.01, width=width, **options)

    def decode(scores: Any) -> str:
        events, state = decoder.step(scores, decoder.init_state())
        return text_of(events + decoder.finish(state))

    def stream(scores: Any) -> float:
        state, begin = decoder.init_state(), time.process_time()
        for i in range(0, len(scores), CHUNK):
            _, state = decoder.step(scores[i : i + CHUNK], state)
        return time.process_time() - begin

    return decode, stream


def fast_ctc_decode(width: int) -> tuple[Decode, None]:
    import fast_ctc_decode as peer  # type: ignore[import-not-found, unused-ignore]

    alphabet = "_" + LETTERS
    return lambda scores: str(
        peer.beam_search(np.exp(scores), alphabet, beam_size=width, beam_cut_threshold=0.001)[0]
    ), None


def flashlight(width: int) -> tuple[Decode, Callable[[Any], float]]:
    import flashlight.lib.text.decoder as peer  # type: ignore[import-not-found, unused-ignore]

    def make() -> Any:
        options = peer.LexiconFreeDecoderOptions(
            beam_size=width,
            beam_size_token=len(LETTERS) + 1,
            beam_threshold=50.0,
            lm_weight=0.0,
            sil_score=0.0,
            log_add=True,
            criterion_type=peer.CriterionType.CTC,
        )
        return peer.LexiconFreeDecoder(options, peer.ZeroLM(), 1, 0, [])

    def text(tokens: list[int]) -> str:
        pairs = zip([-1, *tokens], tokens, strict=False)
        return "".join(LETTERS[k - 1] for before, k in pairs if k != before and k > 0)

    def decode(scores: Any) -> str:
        return text(list(make().decode(scores.ctypes.data, len(scores), len(LETTERS) + 1)[0].tokens))

    def stream(scores: Any) -> float:
        decoder, begin = make(), time.process_time()
        decoder.decode_begin()
        for i in range(0, len(scores), CHUNK):
            chunk = scores[i : i + CHUNK]
            decoder.decode_step(chunk.ctypes.data, len(chunk), len(LETTERS) + 1)
            decoder.get_best_hypothesis(0)
            decoder.prune(50)
        return time.process_time() - begin

    return decode, stream


DECODERS: dict[str, Callable[[], tuple[Decode, Callable[[Any], float] | None]]] = {
    "fewbit width 10": lambda: fewbit_beam(10),
    "fewbit width 100": lambda: fewbit_beam(100),
    "fewbit width 100, blank_skip 0.98": lambda: fewbit_beam(100, blank_skip=0.98),
    "fewbit width 100, characters": lambda: fewbit_beam(100, scorer=language_model(False), bonus=1.0),
    "fewbit width 100, characters and words": lambda: fewbit_beam(100, scorer=language_model(True), bonus=1.0),
    "fewbit width 500": lambda: fewbit_beam(500),
    "fast-ctc-decode width 10": lambda: fast_ctc_decode(10),
    "fast-ctc-decode width 100": lambda: fast_ctc_decode(100),
    "fast-ctc-decode width 500": lambda: fast_ctc_decode(500),
    "flashlight-text lexicon-free width 10": lambda: flashlight(10),
    "flashlight-text lexicon-free width 100": lambda: flashlight(100),
}


def error_rate(said: str, heard: str) -> float:
    """Character error rate, by edit distance."""
    a, b = " ".join(said.split()), " ".join(heard.split())
    row = np.arange(len(b) + 1)
    codes = np.array([ord(c) for c in b])
    for i, letter in enumerate(a, 1):
        least = np.minimum(row[:-1] + (codes != ord(letter)), row[1:] + 1)
        row = np.minimum.accumulate(np.concatenate([[i], least]) - np.arange(len(b) + 1)) + np.arange(len(b) + 1)
    return float(row[-1]) / len(a)


def peak_mb(reset: bool = False) -> float:
    """The most memory that this process held, since the last reset (Linux)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def measure(name: str, seconds: int) -> dict[str, Any]:
    """One round of one decoder, in this process."""
    scores, said = speak(text_for(seconds), seed=1, frames=100 * seconds)
    decode, stream = DECODERS[name]()
    decode(scores[:100])
    before = peak_mb(reset=True)
    begin, wall = time.process_time(), time.perf_counter()
    heard = decode(scores)
    cpu, wall = time.process_time() - begin, time.perf_counter() - wall
    grown = peak_mb() - before
    result = {
        "frames_per_second": len(scores) / cpu,
        "frames_per_second_wall": len(scores) / wall,
        "memory_mb": grown,
        "character_error_rate": error_rate(said, heard),
    }
    if stream is not None:
        part = scores[: 100 * min(seconds, 30)]
        result["chunk_ms"] = 1e3 * stream(part) / (len(part) / CHUNK)
    return result


def rounds(names: list[str], seconds: int, count: int) -> dict[str, dict[str, Any]]:
    """The best of `count` rounds of each decoder that can be imported."""
    found: dict[str, dict[str, Any]] = {}
    for _ in range(count):
        for name in names:
            python = sys.executable if name.startswith("fewbit") else str(ENVIRONMENT / "bin" / "python")
            if not Path(python).exists():
                continue
            command = [python, __file__, "--one", name, "--seconds", str(seconds)]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
            if done.returncode != 0:
                print(f"{name}: {done.stderr.splitlines()[-1:]}", file=sys.stderr)
                continue
            now = json.loads(done.stdout.splitlines()[-1])
            old = found.setdefault(name, now)
            for key, value in now.items():
                old[key] = max(old[key], value) if key.startswith("frames") else min(old[key], value)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seconds", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--install", action="store_true", help="make the environment of the peers first")
    parser.add_argument("--only", nargs="*", default=list(DECODERS), help="decoders, by their names")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments.seconds)))
        return
    if arguments.install:
        venv.create(ENVIRONMENT, with_pip=True)
        pip = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([*pip, *PEERS], check=True)
    from machine import describe

    results = rounds(arguments.only, arguments.seconds, arguments.rounds)
    result = {"machine": describe(), "seconds": arguments.seconds, "rounds": arguments.rounds, "decoders": results}
    text = json.dumps(result, indent=1)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "beam_search.json").write_text(text + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
