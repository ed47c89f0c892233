"""Error rates of recognisers of English on AN4's test speakers, over several trainings.

    FEWBIT_DATA=... python -m studies.speech.english --out build/benchmarks --results docs/results FOLDER ...
    python -m studies.speech.english --results docs/results

Every FOLDER holds what ``python -m recipes english --control --seed N --out FOLDER`` left: the ternary network, the
float network that it began with, and the float network trained on as long, each with a search of its own. Word and
character error rates with each language model, sentence by sentence and as one endless stream without reset. Without a
FOLDER the study is written anew from its file, for trainings that are gone. The recogniser in the package is measured
by `english_shipped`.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fewbit import load
from fewbit.data import Clip, an4, data_folder, join
from fewbit.data.an4_speech import ALPHABET, RATE
from fewbit.decode import text_of
from fewbit.models import SpeechRNN, TorchStream
from fewbit.program.numerics import Q10
from fewbit.streams import KINDS, Network, choose_decoder, front_end
from fewbit.tasks import load_network
from fewbit.text import cer, wer
from recipes.english import BESIDE, FEATURES, TERNARY, EnglishRecipe
from recipes.english_language import measure, searches
from studies.evidence import read_study
from studies.speech.english_findings import SENTENCES, STREAM, from_tables, study

CHUNK = RATE // 10
GAP = 0.3, 0.8  # seconds between two sentences
Row = dict[str, Any]


@dataclass(frozen=True)
class Trained:
    """A network of a training, with all its epochs, and the file of its own search, if it has one."""

    network: Network
    epochs: int
    settings: Path | None


def spoken_by_test_speakers() -> tuple[Clip, ...]:
    """The sentences of AN4's test speakers."""
    home = data_folder("an4")
    if home is None:
        raise SystemExit("needs AN4 under FEWBIT_DATA")
    return an4(home).test


def both_ways(network: Network, path: Path, test: Sequence[Clip], settings: Path | None = None) -> list[Row]:
    """Rows of ``where, lm, wer, cer`` in %.

    Args:
        network: that hears.
        path: packed network beside which the language models lie.
        test: sentences.
        settings: of the search; default those beside `path`.
    """
    parts = {SENTENCES: measure(network, path, test, settings), STREAM: endless(network, path, test, settings)}
    return [
        {"where": where, "lm": kind, "wer": round(100 * word, 2), "cer": round(100 * character, 2)}
        for where, kinds in parts.items()
        for kind, (word, character) in kinds.items()
    ]


def endless(
    network: Network, path: Path, test: Sequence[Clip], settings: Path | None = None
) -> dict[str, tuple[float, float]]:
    """Error rates of one stream of all sentences without reset, for each kind of language model."""
    samples, spoken = join(test, RATE, np.random.default_rng(0), GAP)
    said = " ".join(sentence.text for sentence in spoken)
    features, scores = front_end(network), []
    waiting, state = features.init_state(), network.init_state()
    for i in range(0, len(samples), CHUNK):
        frames, waiting = features.step(samples[i : i + CHUNK], waiting)
        new, state = network.step(frames, state)
        scores.append(new / Q10)
    chosen = searches(settings) if settings else {}
    found = {}
    for kind in KINDS:
        decoder = choose_decoder(network, path, kind, chosen.get(kind))
        events, after = [], decoder.init_state()
        for chunk in scores:
            told, after = decoder.step(chunk, after)
            events += told
        text = text_of([*events, *decoder.finish(after)])
        found[kind] = (round(wer([said], [text]), 4), round(cer([said], [text]), 4))
    return found


def networks(folder: Path) -> tuple[Path, int, dict[str, Trained]]:
    """The packed file of a training, its seed, and its networks by name; a control only where it was trained."""
    path = folder / "an4.fewbit"
    packed = load(path)
    recipe = EnglishRecipe(**packed.recipe["english"])
    found = {}
    for name, word in BESIDE.items():
        weights, settings = (folder / f"an4.{word}.{ending}" for ending in ("safetensors", "toml"))
        if weights.is_file():
            network = TorchStream(load_network(weights, SpeechRNN.of).model, FEATURES, ALPHABET)
            found[name] = Trained(network, recipe.epochs_of(name), settings if settings.is_file() else None)
    found[TERNARY] = Trained(packed, recipe.epochs_of(TERNARY), folder / "an4.toml")
    return path, int(packed.recipe["seed"]), found


def rates(folders: Sequence[Path]) -> list[Row]:
    """Rows of ``seed, bytes, network, epochs, own_search, where, lm, wer, cer``."""
    test, rows = spoken_by_test_speakers(), list[Row]()
    for folder in folders:
        path, seed, found = networks(folder)
        for name, one in found.items():
            told: dict[str, Any] = {"seed": seed, "bytes": path.stat().st_size, "network": name, "epochs": one.epochs}
            told["own_search"] = one.settings is not None
            rows += [told | row for row in both_ways(one.network, path, test, one.settings)]
            print(json.dumps(rows[-2 * len(KINDS) :]))
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", metavar="FOLDER", type=Path, nargs="*")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--results", type=Path)
    arguments = parser.parse_args(argv)
    if not arguments.folders:
        if arguments.results is None:
            parser.error("give a FOLDER, or --results with the file of the study")
        old = read_study(arguments.results / "english.json")
        (study(old.rows["rates"], old) if old.rows else from_tables(old)).save(arguments.results)
        return
    rows = rates(arguments.folders)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "english.json").write_text(json.dumps(rows, indent=1) + "\n")
    if arguments.results:
        study(rows).save(arguments.results)


if __name__ == "__main__":
    main()
