"""Error rates of recognisers of English on AN4's test speakers, as a person would use them.

    FEWBIT_DATA=... python -m studies.speech.english --out build/benchmarks [--results docs/results] [FOLDER ...]

Every FOLDER holds what ``python -m recipes english --seed N --out FOLDER`` left, for a figure over several
seeds, with the float network beside the ternary one. Without any, the recogniser in the package is measured. Word and
character error rates with each language model, sentence by sentence and as one endless stream without reset.
"""

import argparse
import json
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from fewbit import load
from fewbit.analysis.report import Table
from fewbit.data import an4, data_folder, join
from fewbit.data.an4_speech import ALPHABET, RATE
from fewbit.decode import text_of
from fewbit.models import TorchStream, load_model
from fewbit.program.numerics import Q10
from fewbit.shipped import find
from fewbit.streams import KINDS, Network, choose_decoder, front_end
from fewbit.text import cer, wer
from recipes.english import FEATURES
from recipes.english_language import measure
from studies.evidence import Study, spread

CHUNK = RATE // 10
GAP = 0.3, 0.8  # seconds between two sentences
SENTENCES, STREAM = "sentence by sentence", "one endless stream"


def endless(network: Network, path: Path, samples: Any, said: str) -> dict[str, tuple[float, float]]:
    """Error rates of one stream without reset, for each kind of language model."""
    features, scores = front_end(network), []
    waiting, state = features.init_state(), network.init_state()
    for i in range(0, len(samples), CHUNK):
        frames, waiting = features.step(samples[i : i + CHUNK], waiting)
        new, state = network.step(frames, state)
        scores.append(new / Q10)
    found = {}
    for kind in KINDS:
        decoder = choose_decoder(network, path, kind)
        events, after = [], decoder.init_state()
        for chunk in scores:
            told, after = decoder.step(chunk, after)
            events += told
        text = text_of([*events, *decoder.finish(after)])
        found[kind] = (round(wer([said], [text]), 4), round(cer([said], [text]), 4))
    return found


def networks(folder: Path | None) -> tuple[Path, dict[str, Network]]:
    """The packed file of a training, and its networks by name."""
    path = find("an4") if folder is None else folder / "an4.fewbit"
    found: dict[str, Network] = {"ternary": load(path)}
    if folder is not None:
        model = load_model(folder / "an4.float.safetensors").model
        found = {"float": TorchStream(model, FEATURES, ALPHABET)} | found
    return path, found


def rates(folders: list[Path | None]) -> list[dict[str, Any]]:
    """Rows of ``seed, network, where, lm, wer, cer``."""
    home = data_folder("an4")
    if home is None:
        raise SystemExit("needs AN4 under FEWBIT_DATA")
    test = an4(home).test
    samples, spoken = join(test, RATE, np.random.default_rng(0), GAP)
    said = " ".join(sentence.text for sentence in spoken)
    rows = []
    for seed, folder in enumerate(folders):
        path, found = networks(folder)
        for name, network in found.items():
            parts = {SENTENCES: measure(network, path, test), STREAM: endless(network, path, samples, said)}
            rows += [
                {"seed": seed, "bytes": path.stat().st_size, "network": name, "where": where, "lm": kind}
                | {"wer": 100 * word, "cer": 100 * character}
                for where, kinds in parts.items()
                for kind, (word, character) in kinds.items()
            ]
            print(json.dumps(rows[-2 * len(KINDS) :]))
    return rows


def pick(rows: list[dict[str, Any]], key: str, **where: Any) -> list[float]:
    """One figure of all rows with these values, in the order of the seeds."""
    return [row[key] for row in rows if all(row[name] == value for name, value in where.items())]


def study(rows: list[dict[str, Any]], command: str) -> Study:
    names = list(dict.fromkeys(row["network"] for row in rows))
    seeds = tuple(dict.fromkeys(row["seed"] for row in rows))
    best = {"lm": KINDS[-1], "network": "ternary"}
    sentences, stream = (pick(rows, "wer", where=where, **best) for where in (SENTENCES, STREAM))
    size = round(mean(pick(rows, "bytes", **best)))
    findings = [
        f"Ternary, {size:,} bytes: {spread(sentences, 1)} % of the words wrong sentence by sentence and "
        f"{spread(stream, 1)} % in one endless stream without reset, with characters and words."
    ]
    if "float" in names:
        floats = pick(rows, "wer", network="float", lm=KINDS[-1], where=SENTENCES)
        more = [a - b for a, b in zip(sentences, floats, strict=True)]
        findings.append(f"Ternary minus float, sentence by sentence with both: {spread(more, 1)} points.")
    cells = [
        (name, where, kind, *(spread(pick(rows, key, network=name, where=where, lm=kind), 1) for key in ("wer", "cer")))
        for name in names
        for where in (SENTENCES, STREAM)
        for kind in KINDS
    ]
    return Study(
        number="",
        name="english",
        title="The recogniser of English",
        claim="",
        verdict="no claim",
        findings=tuple(findings),
        setting=(
            "130 sentences of 10 speakers of AN4 who were never trained on; weights of the language models were tuned "
            "on 7 training speakers held out. The recogniser in the package is that of seed 0."
        ),
        command=command,
        seeds=seeds,
        tables=(Table("Error rates", ("network", "", "language model", "WER %", "CER %"), tuple(cells)),),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", metavar="FOLDER", type=Path, nargs="*")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--results", type=Path)
    arguments = parser.parse_args()
    rows = rates(arguments.folders or [None])
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "english.json").write_text(json.dumps(rows, indent=1) + "\n")
    if arguments.results:
        folders = "".join(f" SEED{i}" for i in range(len(arguments.folders)))
        study(rows, f"python -m studies.speech.english --out build/benchmarks --results docs/results{folders}").save(
            arguments.results
        )


if __name__ == "__main__":
    main()
