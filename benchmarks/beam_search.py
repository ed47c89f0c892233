"""Speed, memory and errors of the tree beam search against its peers, with language models, in one run.

    python -m benchmarks.beam_search --install                     # once: the peers, in build/decoder-peers-venv
    FEWBIT_DATA=... python -m benchmarks.beam_search --out build/benchmarks [--results docs/results]

Scores are made up (`synthetic_speech.py`) of text: WikiText-2's test part, and a novel with words that no model has
seen. All decoders get the same scores and language models from the same counts, a 6-gram of characters and a 3-gram of
words of 2.6 million characters of WikiText-2's training part; "network" is a ternary hierarchical LSTM of letters,
trained on the same text, which no peer can take. Weights are tuned for each decoder by the same rule on a
stream of its validation part. Each decoder runs in a process of its own, one thread; rounds go around all of them, and
the quickest is kept, in processor seconds, because the machine may be shared.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
import venv
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.beam_decoders import CHUNK, DECODERS
from studies.speech.synthetic_speech import speak

ROOT = Path(__file__).parent.parent
ENVIRONMENT = ROOT / "build" / "decoder-peers-venv"
MODELS = ROOT / "build" / "decoder-models"
PEERS = ("numpy", "fast-ctc-decode==0.3.7", "flashlight-text==0.0.7", "ctc-beam-decoder==0.2.0")
CORPUS = 2_600_000
"""Characters that the language models learn from."""
NOVEL = ("[The Wisdom of Father Brown by G. K. Chesterton 1914]", "[The Parent's Assistant, by Maria Edgeworth]")
KINDS = ("none", "char", "network", "word", "char+word", "network+word")


def prepare(folder: Path) -> None:
    """Texts and language models for all decoders; done once, in half an hour because of the network."""
    if (folder / "char.fewbit").exists():
        return
    from fewbit.data.corpora import read_text
    from fewbit.data.letters import to_letters
    from fewbit.text import kneser_ney, ngram_to_bytes, write_arpa

    home = Path(os.environ["FEWBIT_DATA"])
    parts = {name: read_text(home / f"wikitext2/{name}.txt.xz") for name in ("train", "valid", "test")}
    books = read_text(home / "english_books/books.txt.xz")
    start, stop = (books.index(line) for line in NOVEL)
    parts["novel"] = books[start + len(NOVEL[0]) : stop]
    texts = {name: to_letters(text).lower() for name, text in parts.items()}
    texts["train"] = texts["train"][:CORPUS].rsplit(" ", 1)[0]
    folder.mkdir(parents=True, exist_ok=True)
    words = texts["train"].split()
    models = {"char": kneser_ney([texts["train"]], 6), "word": kneser_ney([words], 3)}
    for name, model in models.items():
        (folder / f"{name}.ngram").write_bytes(ngram_to_bytes(model))
        write_arpa(model, folder / f"{name}.arpa")
    (folder / "words.txt").write_text("\n".join(sorted(set(words))), encoding="utf-8")
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "studies.speech.letter_network", "--folder", str(folder)], cwd=ROOT, check=True
    )


def heard(folder: Path, part: str, seconds: int, seed: int) -> tuple[Any, str]:
    """Scores of a piece of a text, and what was said."""
    text = (folder / f"{part}.txt").read_text(encoding="utf-8")
    begin = text.index(" ", int(np.random.default_rng(seed).integers(len(text) - 40 * seconds))) + 1
    return speak(text[begin : begin + 30 * seconds], seed=seed, frames=100 * seconds)


def distance(a: Any, b: Any) -> int:
    """Edits between two rows of words or letters."""
    names: dict[Any, int] = {}
    codes = np.array([names.setdefault(c, len(names)) for c in b])
    row = np.arange(len(b) + 1)
    for i, one in enumerate(a, 1):
        least = np.minimum(row[:-1] + (codes != names.get(one, -1)), row[1:] + 1)
        row = np.minimum.accumulate(np.concatenate([[i], least]) - np.arange(len(b) + 1)) + np.arange(len(b) + 1)
    return int(row[-1])


def word_errors(said: str, text: str) -> float:
    return 100 * distance(said.split(), text.split()) / len(said.split())


def peak_mb(reset: bool = False) -> float:
    """The most memory that this process held, since the last reset (Linux)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def tuned(name: str, lm: str, width: int, seconds: int) -> dict[str, Any]:
    """The settings with the fewest wrong words on the validation stream, and the errors on the other streams."""
    make, kinds = DECODERS[name]
    grid = kinds[lm]
    tried = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    scores, said = heard(MODELS, "valid", min(60, seconds), 0)
    if len(tried) > 1:
        rates = [word_errors(said, make(MODELS, width, lm, settings)[0](scores)) for settings in tried]
        tried = [tried[int(np.argmin(rates))]]
    decode, _ = make(MODELS, width, lm, tried[0])
    result: dict[str, Any] = {"settings": tried[0]}
    for part in ("test", "novel"):
        streams = [heard(MODELS, part, seconds, seed) for seed in (1, 2, 3)]
        texts = [" ".join(decode(scores).split()) for scores, _ in streams]
        truth = " ".join(said for _, said in streams)
        result[f"{part}_wer"] = round(word_errors(truth, " ".join(texts)), 2)
        known = set((MODELS / "words.txt").read_text(encoding="utf-8").split())
        result[f"{part}_unseen"] = round(100 * float(np.mean([word not in known for word in truth.split()])), 2)
    return result


def measured(name: str, lm: str, width: int, seconds: int, settings: dict[str, float]) -> dict[str, Any]:
    """One round of one decoder, in this process."""
    scores, _ = heard(MODELS, "test", seconds, 1)
    decode, stream = DECODERS[name][0](MODELS, width, lm, settings)
    decode(scores[:100])
    before = peak_mb(reset=True)
    begin = time.process_time()
    decode(scores)
    result = {"frames_per_second": len(scores) / (time.process_time() - begin), "memory_mb": peak_mb() - before}
    if stream is not None:
        result["chunk_ms"] = 1e3 * stream(scores) / (len(scores) / CHUNK)
    return result


def race(names: list[str], width: int, seconds: int, count: int) -> list[dict[str, Any]]:
    """Every decoder with every kind of language model that it takes."""
    rows: list[dict[str, Any]] = []
    for name in names:
        for lm in DECODERS[name][1]:
            found = one(name, "tuned", lm, width, seconds)
            if found is not None:
                rows.append({"decoder": name, "lm": lm, "width": width, **found})
    for _ in range(count):
        for row in rows:
            now = one(row["decoder"], "measured", row["lm"], width, seconds, row["settings"]) or {}
            for key, value in now.items():
                better = max if key == "frames_per_second" else min
                row[key] = better(row[key], value) if key in row else value
    return rows


def one(name: str, what: str, *arguments: Any) -> dict[str, Any] | None:
    """`tuned` or `measured` in a process of its own."""
    python = sys.executable if name.startswith("fewbit") else str(ENVIRONMENT / "bin" / "python")
    if not Path(python).exists():
        return None
    command = [python, "-m", "benchmarks.beam_search", "--one", json.dumps([what, name, *arguments])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode != 0:
        print(f"{name}, {arguments}: {done.stderr.splitlines()[-1:]}", file=sys.stderr)
        return None
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(name, what, arguments, found, flush=True)
    return found


def save(rows: list[dict[str, Any]], seconds: int, folder: Path) -> None:
    """The results as a study."""
    from fewbit.analysis.report import Table
    from studies.evidence import Study

    order = sorted(rows, key=lambda row: (KINDS.index(row["lm"]), row["decoder"]))
    cells = tuple(
        (
            row["lm"],
            row["decoder"],
            f"{row['frames_per_second']:,.0f}",
            f"{row['chunk_ms']:.2f}" if "chunk_ms" in row else "no stream",
            f"{row['memory_mb']:.0f}",
            f"{row['test_wer']:.1f}",
            f"{row['novel_wer']:.1f}",
        )
        for row in order
    )
    findings = []
    for lm in KINDS:
        mine = next(row for row in order if row["decoder"] == "fewbit" and row["lm"] == lm)
        others = [row for row in order if not row["decoder"].startswith("fewbit") and row["lm"] == lm]
        told = [
            f"{mine['frames_per_second'] / row['frames_per_second']:.1f} times as fast as {row['decoder']}"
            f"{'' if 'chunk_ms' in row else ', which takes whole recordings only'}"
            for row in others
        ]
        findings.append(
            f"Language model {lm}: {mine['frames_per_second']:,.0f} frames a second, "
            f"{mine['test_wer']:.1f} % of the words wrong, {mine['novel_wer']:.1f} % in the novel"
            + (f"; {'; '.join(told)}." if told else "; no other decoder supports this.")
        )
    width = rows[0]["width"]
    columns = (
        "language model",
        "decoder",
        "frames a second",
        "ms for 100 ms",
        "memory grows by MB",
        "WER %",
        "novel, WER %",
    )
    Study(
        number="",
        name="beam-search",
        title="The beam search beside other decoders",
        claim="",
        verdict="no claim",
        findings=tuple(findings),
        setting=(
            f"Made-up scores of {seconds} s of WikiText-2's test text (3 streams for errors; "
            f"{rows[0]['test_unseen']} % of the words unseen) and of a novel ({rows[0]['novel_unseen']} % unseen), "
            f"beam of {width}, one thread, processor time. The same counts of characters (6-grams) and words (3-grams) "
            "for all; network: a ternary hierarchical LSTM of the same text; "
            "weights tuned for each on a validation stream. The made-up errors do not depend on each other: "
            "the order of the error rates counts, not their size."
        ),
        command="python -m benchmarks.beam_search --out build/benchmarks --results docs/results",
        seeds=(1, 2, 3),
        tables=(Table(f"Beam of {width}", columns, cells),),
    ).save(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--seconds", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--width", type=int, default=100)
    parser.add_argument("--install", action="store_true", help="make the environment of the peers first")
    parser.add_argument("--only", nargs="*", default=list(DECODERS), help="decoders, by their names")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        what, *rest = json.loads(arguments.one)
        print(json.dumps(tuned(*rest) if what == "tuned" else measured(*rest)))
        return
    if arguments.install:
        venv.create(ENVIRONMENT, with_pip=True)
        pip = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([*pip, *PEERS], check=True)
    if "FEWBIT_DATA" not in os.environ:
        raise SystemExit("needs WikiText-2 and English books under FEWBIT_DATA")
    from studies.evidence.machine import describe

    prepare(MODELS)
    rows = race(arguments.only, arguments.width, arguments.seconds, arguments.rounds)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        result = {"machine": describe(), "seconds": arguments.seconds, "rounds": arguments.rounds, "rows": rows}
        (arguments.out / "beam_search.json").write_text(json.dumps(result, indent=1) + "\n")
    if arguments.results:
        save(rows, arguments.seconds, arguments.results)


if __name__ == "__main__":
    main()
