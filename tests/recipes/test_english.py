"""The recogniser of English in the package, and the command that makes it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from fewbit.cli.main import main
from fewbit.data import An4, Clip, an4, data_folder, join, speech_batches
from fewbit.data.an4_speech import ALPHABET, RATE
from fewbit.decode import GreedyCTC, NetworkScorer, TreeBeam
from fewbit.errors import ArgumentError, DataError
from fewbit.lower import pack
from fewbit.models import HierarchicalLM, SpeechRNN
from fewbit.passes import Quantize, compress
from fewbit.program import load
from fewbit.shipped import pretrained
from fewbit.streams import KINDS, choose_decoder, settings_to_toml, stream, strongest
from fewbit.tasks import load_network
from fewbit.text import Alphabet, wer
from recipes import english_language
from recipes.english import CONTROL, FEATURES, FLOAT, TERNARY, EnglishRecipe, english
from recipes.english_card import write_english_card
from recipes.english_language import measure, searches, tune
from recipes.rounds import control_rounds, distilled, ternary_rounds
from scripts.write_measured import RESULTS, TABLE
from studies.evidence import read_study
from studies.speech.english_findings import SENTENCES

PACKED = pretrained("an4")
FOLDER = data_folder("an4")
needs_an4 = pytest.mark.skipif(FOLDER is None, reason="needs AN4 under FEWBIT_DATA")
TINY = EnglishRecipe(
    hidden=16, layers=1, rounds=1, epochs=1, retrain_epochs=1, examples=8, batch_size=4, seconds=3.0
)  # fmt: skip


def noise(seconds, name):
    rng = np.random.default_rng(len(name))
    return Clip((0.1 * rng.standard_normal(int(seconds * RATE))).astype(np.float32), "A B", "someone", name)


@pytest.fixture
def speech():
    spoken = tuple(noise(seconds, name) for seconds, name in ((0.7, "a"), (1.2, "bb"), (9.0, "too long")))
    return An4(train=spoken, dev=spoken[:1], test=spoken[:2])


def test_it_is_small_and_speaks_letters():
    assert PACKED.stat().st_size <= 1_000_000
    network = load(PACKED)
    assert network.alphabet == ALPHABET.to_dict()
    assert network.features == FEATURES.to_dict()
    assert strongest(PACKED) == KINDS[-1] == "char+word"


def test_each_kind_of_language_model_has_its_decoder():
    network = load(PACKED)
    assert isinstance(choose_decoder(network, PACKED, "none"), GreedyCTC)
    for kind in KINDS[1:]:
        decoder = choose_decoder(network, PACKED, kind)
        assert isinstance(decoder, TreeBeam)
        assert decoder.scorer is not None
    with pytest.raises(ArgumentError, match="lm must be one of none, char, word, char"):
        choose_decoder(network, PACKED, "bigram")


def test_a_packed_character_network_takes_the_place_of_counts(tmp_path) -> None:
    model = Path(shutil.copy(PACKED, tmp_path / "here.fewbit"))
    network = load(model)
    alphabet = Alphabet(**network.alphabet)
    x = torch.randint(alphabet.classes, (2, 30))
    untrained = HierarchicalLM(alphabet.classes, 4)
    letters = compress(untrained, Quantize("ternary", "int8", calibration=[(x,)])).eval()
    pack(letters, alphabet=alphabet).save(tmp_path / "here.char.fewbit")
    decoder = choose_decoder(network, model)
    assert isinstance(decoder, TreeBeam)
    assert isinstance(decoder.scorer, NetworkScorer)
    assert strongest(model) == "char"


def test_a_network_without_language_models_is_heard_without():
    digits = pretrained("digits")
    assert strongest(digits) == "none"
    with pytest.raises(DataError, match=r"no language model digits.char.ngram beside the network"):
        choose_decoder(load(digits), digits, "char")


def test_the_tuned_search_is_read_back_and_mistakes_in_it_are_named(tmp_path):
    for part in ("char", "word"):
        name = f".{part}.ngram"
        (tmp_path / f"my{name}").write_bytes(PACKED.with_suffix(name).read_bytes())
    model, network = tmp_path / "my.fewbit", load(PACKED)
    model.with_suffix(".toml").write_text(
        settings_to_toml("char", {"weight": 0.5, "insertion_bonus": 0.25, "width": 12})
    )
    decoder = choose_decoder(network, model, "char")
    assert isinstance(decoder, TreeBeam)
    assert (decoder.width, decoder.insertion_bonus) == (12, 0.25)
    model.with_suffix(".toml").write_text("[char]\nwidht = 3\n")
    with pytest.raises(DataError, match="widht"):
        choose_decoder(network, model, "char")


def test_examples_are_those_of_their_seed_and_as_long_as_asked(speech):
    batches = speech_batches(speech, FEATURES, examples=6, batch_size=3, seconds=3.0, seed=5, workers=0)
    again = speech_batches(speech, FEATURES, examples=6, batch_size=3, seconds=3.0, seed=5, workers=0)
    for one, other in zip(batches, again, strict=True):
        assert one.inputs.shape == (3, 300, FEATURES.mels)
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.targets, other.targets)
    assert batches.dataset.texts == ["A B", "A B"]  # an utterance that never fits is left out


def test_joining_says_where_each_utterance_is(speech):
    samples, spoken = join(speech.test, RATE, np.random.default_rng(0))
    for sentence, clip in zip(spoken, speech.test, strict=True):
        assert sentence.text == clip.text
        assert np.array_equal(samples[round(sentence.start * RATE) : round(sentence.end * RATE)], clip.samples)


def test_no_data_is_said(tmp_path):
    with pytest.raises(DataError, match=r"no manifest.tsv"):
        an4(tmp_path)


def batches_of(speech, seen):
    """Batches of a round; what is drawn goes into `seen`."""
    size = {"examples": 10, "batch_size": 1, "seconds": 2.0}

    def batches(i):
        loader = speech_batches(speech, FEATURES, **size, seed=7 + i)
        plain = loader.collate_fn

        def watched(examples):
            batch = plain(examples)
            seen.append(batch.inputs.sum().item())
            return batch

        loader.collate_fn = watched
        return loader

    return batches


def test_the_control_sees_the_batches_of_the_ternary_network_and_has_no_quantizers(speech):
    torch.manual_seed(0)
    teacher = SpeechRNN(FEATURES.mels, 8, 1, ALPHABET.classes, kernel=8, stride=4)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    seen, how = ([], []), distilled(2, 1e-3, 2.0)
    ternary = ternary_rounds(teacher, batches_of(speech, seen[0]), how, rounds=2, seed=3)
    control = control_rounds(teacher, batches_of(speech, seen[1]), how, rounds=2, seed=3)
    assert seen[0] == seen[1]
    assert len(set(seen[0])) == 8 + 2 * 2 * 10  # for the steps of signals, then in two epochs a round
    assert not any("quantizer" in name or "parametrizations" in name for name, _ in control.named_modules())
    assert any("quantizer" in name for name, _ in ternary.named_modules())
    assert not torch.equal(control.get_parameter("head.weight"), teacher.get_parameter("head.weight"))
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert len(control.get_parameter("rnn0.weight").unique()) > len(ternary.rnn0.weight.unique())


def test_no_rounds_of_retraining_are_refused():
    teacher = SpeechRNN(FEATURES.mels, 8, 1, ALPHABET.classes)
    for rounds in (ternary_rounds, control_rounds):
        with pytest.raises(DataError, match="rounds of retraining must be 1 or more, not 0"):
            rounds(teacher, lambda i: [], distilled(1, 1e-3, 2.0), rounds=0, seed=0)


def test_the_control_has_the_epochs_of_the_ternary_network():
    recipe = EnglishRecipe()
    assert [recipe.epochs_of(name) for name in (FLOAT, CONTROL, TERNARY)] == [120, 180, 180]


def test_each_network_is_searched_with_weights_of_its_own(speech, tmp_path, monkeypatch):
    for part in ("char", "word"):
        shutil.copy(PACKED.with_suffix(f".{part}.ngram"), tmp_path / f"an4.{part}.ngram")
    monkeypatch.setattr(english_language, "GRID", {"weight": (0.3,), "insertion_bonus": (0.1,), "unknown": (0.03,)})
    packed, own = Path(shutil.copy(PACKED, tmp_path)), tmp_path / "an4.float.toml"
    found = tune(load(packed), packed, speech.dev, own)
    assert not packed.with_suffix(".toml").exists()
    assert searches(own) == {kind: search for kind, (search, _) in found.items()}
    given = []

    def noted(network, model, lm, search):
        given.append(search)
        return choose_decoder(network, model, lm, search)

    monkeypatch.setattr(english_language, "choose_decoder", noted)
    measure(load(packed), packed, speech.dev, own)
    assert given == [None, *(search for search, _ in found.values())]
    with pytest.raises(DataError, match=r"other\.toml: no such file; `tune` writes it"):
        searches(tmp_path / "other.toml")


def test_the_card_has_the_rates_of_each_network_where_the_study_of_the_shipped_file_goes(tmp_path):
    packed = Path(shutil.copy(PACKED, tmp_path / "an4.fewbit"))
    card = write_english_card(packed, {FLOAT: {"none": (0.201, 0.093)}, TERNARY: {"none": (0.1863, 0.0842)}}, 67, 0)
    [table] = TABLE.findall(card.read_text())
    assert table[1] == "english-shipped; Error rates"
    assert TABLE.search(card.read_text())[0].splitlines()[2:6] == [
        "| network | language model | WER % | CER % |",
        "| --- | --- | ---: | ---: |",
        "| float | none | 20.1 | 9.3 |",
        "| ternary | none | 18.6 | 8.4 |",
    ]


@needs_an4
def test_no_speaker_is_in_two_parts():
    parts = an4(FOLDER)
    speakers = [{utterance.speaker for utterance in part} for part in (parts.train, parts.dev, parts.test)]
    assert len(set.union(*speakers)) == sum(map(len, speakers)) == 84
    assert len(parts.train) + len(parts.dev) == 948
    assert len(parts.test) == 130


@needs_an4
@pytest.mark.slow
def test_it_understands_people_it_has_never_heard():
    rates = measure(load(PACKED), PACKED, an4(FOLDER).test)
    told = read_study(RESULTS / "english-shipped.json").rows["rates"]
    told = {row["lm"]: (row["wer"], row["cer"]) for row in told if row["where"] == SENTENCES}
    assert told == {lm: pytest.approx([100 * rate for rate in found], abs=0.006) for lm, found in rates.items()}
    assert rates["char+word"][0] < 0.10
    assert rates["char+word"][0] < rates["char"][0] < rates["none"][0]


@needs_an4
def test_the_command_prints_what_the_session_hears(tmp_path, capsys):
    spoken = an4(FOLDER).test[:3]
    files = []
    for utterance in spoken:
        files.append(str(tmp_path / f"{utterance.name}.flac"))
        soundfile.write(files[-1], utterance.samples, RATE)
    assert main(["stream", *files, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    network = load(PACKED)
    wanted = [stream(network, file, decoder=choose_decoder(network, PACKED)).text for file in files]
    assert [line["text"] for line in lines] == wanted
    assert wer([utterance.text for utterance in spoken], wanted) < 0.5


@needs_an4
@pytest.mark.slow
def test_the_command_trains_from_scratch(tmp_path):
    rows = (FOLDER / "manifest.tsv").read_text().splitlines()
    few = [rows[0], *rows[1:950:40], *rows[-4:]]
    few = [row if row is rows[0] else f"{FOLDER}/{row}" for row in few]
    (tmp_path / "manifest.tsv").write_text("\n".join(few))
    rates = english(tmp_path, tmp_path / "out", recipe=TINY, checkpoint=tmp_path / "check")
    assert set(rates) == {"float", "ternary"}
    assert set(rates["ternary"]) == set(KINDS)
    assert not (tmp_path / "out" / "an4.float-control.safetensors").exists()
    packed = tmp_path / "out" / "an4.fewbit"
    assert load(packed).recipe["english"]["hidden"] == 16
    assert strongest(packed) == "char+word"
    again = english(tmp_path, tmp_path / "out", recipe=TINY, checkpoint=tmp_path / "check", control=True)
    assert list(again) == ["float", "float, trained on", "ternary"]
    for word, epochs in (("float", 1), ("float-control", 3)):
        assert load_network(tmp_path / "out" / f"an4.{word}.safetensors", SpeechRNN.of).recipe["epochs"] == epochs
        assert set(searches(tmp_path / "out" / f"an4.{word}.toml")) == set(KINDS[1:])
