"""Text from packed language models: laws of generation, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fewbit.errors import ArgumentError, DecodeError
from fewbit.formats import Int, PerRow
from fewbit.formats import pack as pack_codes
from fewbit.lower import pack
from fewbit.models import CharLM, Decoder
from fewbit.native import targets
from fewbit.passes import Quantize, compress
from fewbit.program import Program, ops
from fewbit.program.numerics import INT16, Rescale
from fewbit.streams import TextGenerator
from fewbit.text import Alphabet

LETTERS = Alphabet(tuple("abcdefghi"))
CLASSES = LETTERS.classes
WINDOW = 6
MODELS = {
    "decoder": lambda: Decoder(CLASSES, 16, 2, 2, style="llama", window=WINDOW),
    "lstm": lambda: CharLM(CLASSES, 12),
    "one-hot": lambda: CharLM(CLASSES, 12, cell="gru", one_hot=True),
}


def packed(model, alphabet=LETTERS) -> Program:
    x = [torch.randint(CLASSES, (4, 24), generator=torch.Generator().manual_seed(1))]
    weights = {"*embedding": "int8", "*": "ternary"} if isinstance(model, Decoder) else "ternary"
    return pack(compress(model, Quantize(weights, "int8", calibration=x)).eval(), example=x, alphabet=alphabet)


@pytest.fixture(scope="module", params=MODELS)
def ending(request) -> Program:
    """A network of each kind, without training."""
    torch.manual_seed(0)
    return packed(MODELS[request.param]())


@pytest.fixture(scope="module")
def program(ending) -> Program:
    """The same, and it never ends a text: class 0 has the lowest score."""
    return endless(ending)


def endless(program: Program) -> Program:
    head = program.ops[-1]
    bias = head.bias.copy()
    bias[0] = -(1 << 28)
    return replace(program, ops=(*program.ops[:-1], replace(head, bias=bias)))


def table_network(rows, alphabet) -> Program:
    """Its scores after each class are 100 / 1024 times those of `rows`."""
    codes = np.asarray(rows)
    table = ops.Matrix(*codes.shape, Int(8), "bits", PerRow(), pack_codes(codes, Int(8)))
    return Program((ops.Lookup("table", table, Rescale(np.array([100]), 0, *INT16)),), alphabet=alphabet.to_dict())


def frames(program, symbols):
    return np.eye(CLASSES)[symbols] if program.inputs > 1 else np.array(symbols)[:, None]


@pytest.mark.parametrize("prompt", ["", "a", "badcafe" * 30])
@pytest.mark.parametrize("ends", [True, False])
def test_generation_is_the_whole_text_sampled_at_each_place(program, ending, prompt, ends) -> None:
    network, temperature, lengths = (ending, 1.0, []) if ends else (program, 0.2, [])
    for seed in range(8):
        pieces = TextGenerator(network).generate(prompt, tokens=60, temperature=temperature, top_p=0.9, seed=seed)
        text = "".join(pieces)
        whole = frames(network, [0, *LETTERS.encode(prompt + text)])
        scores, _ = network.step(whole, network.init_state())
        random = np.random.default_rng(seed)
        drawn = [drawn_from(row, temperature, random.random()) for row in scores[len(prompt) :][:60]]
        assert LETTERS.encode(text) == [number for number in drawn if number]
        assert len(text) == 60 or drawn.index(0) == len(text)
        lengths.append(len(text))
    assert (min(lengths) < 60) == ends


def drawn_from(row, temperature, chance):
    chances = np.exp((row - row.max()) / 1024 / temperature)
    order = np.argsort(-chances, kind="stable")
    sums = np.cumsum(chances[order] / chances.sum())
    kept = 1 + int((sums < 0.9).sum())
    return int(order[(sums[:kept] <= chance * sums[kept - 1]).sum()])


def test_any_split_of_a_text_into_prompt_and_rest_gives_the_same_text(program) -> None:
    writer = TextGenerator(program)
    text = "".join(writer.generate("cab", tokens=100, temperature=0.0))
    for cut in (1, 40, 61, 99):
        assert "".join(writer.generate("cab" + text[:cut], tokens=100 - cut, temperature=0.0)) == text[cut:]


def test_without_chance_each_token_is_the_argmax_of_a_step(program) -> None:
    found = "".join(TextGenerator(program).generate("bad", tokens=40, temperature=0, top_p=0.2, seed=3))
    scores, state = program.step(frames(program, [0, 2, 1, 4]), program.init_state())
    for token in found:
        best = int(scores[-1].argmax())
        assert token == LETTERS.tokens[best - 1]
        scores, state = program.step(frames(program, [best]), state)


def test_a_seed_is_a_text_on_every_target(program, monkeypatch) -> None:
    def texts(target):
        monkeypatch.setenv("FEWBIT_TARGET", target)
        writer = TextGenerator(replace(program))
        return ["".join(writer.generate("abc", tokens=150, temperature=0.5, seed=seed)) for seed in range(3)]

    wanted = texts("reference")
    assert len(set(wanted)) == 3
    assert {target: texts(target) for target in targets()} == dict.fromkeys(targets(), wanted)


def test_generators_that_take_turns_do_not_disturb_each_other(program) -> None:
    writer, other = TextGenerator(program), TextGenerator(program)
    alone = ["".join(writer.generate(prompt, tokens=30, seed=2)) for prompt in ("a", "gig")]
    turns = zip(writer.generate("a", tokens=30, seed=2), other.generate("gig", tokens=30, seed=2), strict=True)
    assert ["".join(column) for column in zip(*turns, strict=True)] == alone


@pytest.mark.parametrize("target", ["reference", *targets()[-1:]])
def test_memory_does_not_grow_with_the_text(program, monkeypatch, target) -> None:
    monkeypatch.setenv("FEWBIT_TARGET", target)
    sizes, step = [], Program.step

    def measured(self, x, state, last=False):
        y, after = step(self, x, state, last)
        sizes.append(numbers(after))
        return y, after

    monkeypatch.setattr(Program, "step", measured)
    assert sum(1 for _ in TextGenerator(replace(program)).generate("a", tokens=400)) == 400
    assert len(sizes) == 401
    assert max(sizes) == max(sizes[: 2 * WINDOW])


def numbers(state) -> int:
    if isinstance(state, list | tuple):
        return sum(numbers(part) for part in state)
    return int(np.size(state))


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_draws_follow_the_softmax(temperature) -> None:
    scores = np.array([4, 12, 10, 2, -3])
    writer = TextGenerator(table_network([scores] * 5, Alphabet(tuple("abcd"))))
    texts = ["".join(writer.generate(tokens=1, temperature=temperature, seed=seed)) for seed in range(4000)]
    wanted = np.exp(scores * 100 / 1024 / temperature)
    wanted *= len(texts) / wanted.sum()
    counts = np.array([texts.count(token) for token in ("", *"abcd")])  # without a token, the text ends
    chi_square = ((counts - wanted) ** 2 / wanted).sum()
    assert chi_square < 18.47  # 4 degrees of freedom: one set of seeds in 1000 is above


def test_only_the_smallest_set_is_drawn_from() -> None:
    writer = TextGenerator(table_network([[-127, 12, 8, 0, -8]] * 5, Alphabet(tuple("abcd"))))
    chances = np.exp(np.array([12, 8, 0, -8]) * 100 / 1024)
    reached = np.cumsum(chances) / chances.sum()

    def drawn(top_p):
        return set("".join(writer.generate(tokens=300, top_p=top_p)))

    assert [drawn(top_p) for top_p in reached - 0.01] == [{"a"}, {"a", "b"}, {"a", "b", "c"}, {"a", "b", "c", "d"}]
    assert drawn(reached[0] + 0.01) == {"a", "b"}


def test_class_0_begins_and_ends_a_text() -> None:
    # c begins, then come a, b and the end.
    rows = [[0, 0, 0, 99], [0, 0, 99, 0], [99, 0, 0, 0], [0, 99, 0, 0]]
    writer = TextGenerator(table_network(rows, Alphabet(("a", "b", "c"))))
    assert "".join(writer.generate(tokens=6, temperature=0)) == "cab"
    assert "".join(writer.generate(tokens=2, temperature=0)) == "ca"
    assert list(writer.generate("a", tokens=9, temperature=0)) == ["b"]
    assert list(writer.generate("b", tokens=9, temperature=0)) == []


def test_the_text_of_a_seed_stays_what_it_was() -> None:
    rows = [[-127, *np.random.default_rng(row).integers(-12, 12, 9)] for row in range(10)]
    writer = TextGenerator(table_network(rows, LETTERS))
    text = "".join(writer.generate(tokens=40, temperature=0.7, top_p=0.9, seed=1))
    assert text == "bbaahhgdbacahgdbahdgfebbbggdffgagfbdfgdf"


def test_words_are_joined_as_the_alphabet_says() -> None:
    rows = [[0, 0, 99], [0, 0, 99], [0, 99, 0]]
    writer = TextGenerator(table_network(rows, Alphabet(("one", "two"), joiner=" ")))
    assert "".join(writer.generate(tokens=3, temperature=0)) == "two one two"
    assert list(writer.generate("one", tokens=2, temperature=0)) == [" two", " one"]
    assert list(writer.generate("one ", tokens=2, temperature=0)) == ["two", " one"]


def test_a_table_of_positions_ends_the_text() -> None:
    torch.manual_seed(0)
    writer = TextGenerator(endless(packed(Decoder(CLASSES, 16, 2, 1, context=24))))
    assert len("".join(writer.generate("abc", tokens=21))) == 21  # 24 were read: class 0, the prompt, all but the last
    pieces = writer.generate("abc", tokens=22)
    assert len([next(pieces) for _ in range(21)]) == 21
    with pytest.raises(DecodeError, match="longer than the network's table of positions"):
        next(pieces)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": 0}, "tokens=0, wanted how many"),
        ({"tokens": 1.5}, "tokens=1.5, wanted how many"),
        ({"temperature": -1.0}, "temperature=-1.0, wanted"),
        ({"temperature": float("nan")}, "temperature=nan, wanted"),
        ({"top_p": 0.0}, "top_p=0.0, wanted"),
        ({"top_p": 1.5}, "top_p=1.5, wanted"),
        ({"seed": -1}, "seed=-1, wanted"),
    ],
)
def test_wrong_numbers_are_refused_before_the_first_token(change, message) -> None:
    writer = TextGenerator(table_network(np.eye(3, dtype=int), Alphabet(("a", "b"))))
    with pytest.raises(ArgumentError, match=message):
        writer.generate(**{"tokens": 5} | change)


def test_what_the_alphabet_lacks_is_named() -> None:
    writer = TextGenerator(table_network(np.eye(3, dtype=int), Alphabet(("a", "b"))))
    with pytest.raises(DecodeError, match=r"not in the alphabet: \['x', 'y'\]; it has \['a', 'b'\]"):
        writer.generate("abxay", tokens=5)


def test_networks_that_write_no_text_are_refused(listener) -> None:
    good = table_network(np.eye(3, dtype=int), Alphabet(("a", "b")))
    with pytest.raises(ArgumentError, match=r"packed without an alphabet.*alphabet=Alphabet\(\.\.\.\)"):
        TextGenerator(replace(good, alphabet=None))
    with pytest.raises(ArgumentError, match="hears sound"):
        TextGenerator(listener)
    with pytest.raises(ArgumentError, match=r"wanted 4 scores .* got 4 scores in 1 result.* for 8 features"):
        TextGenerator(replace(listener, features=None))
    with pytest.raises(ArgumentError, match=r"for 1 symbol\(s\) of 4"):
        TextGenerator(table_network(np.eye(4, 3, dtype=int), Alphabet(("a", "b"))))
    (table,) = good.ops
    pair = replace(good, ops=(replace(table, places=2), ops.Take("half", np.arange(1, 4))))
    with pytest.raises(ArgumentError, match=r"for 2 symbol\(s\) of 3"):
        TextGenerator(pair)


def test_networks_that_answer_late_are_refused() -> None:
    letters = Alphabet(("a", "b")).to_dict()
    for window, message in (((2, 2, 0), "for 2 symbols at a time"), ((3, 1, 1), "1 symbols late")):
        size, stride, left = window
        (table,) = table_network(np.eye(3, dtype=int), Alphabet(("a", "b"))).ops
        late = ops.Pool("late", 0, 3, size, stride, Rescale(np.array([1]), 0, *INT16), left=left)
        with pytest.raises(ArgumentError, match=message):
            TextGenerator(Program((table, late), alphabet=letters))


def test_networks_that_need_their_whole_input_are_refused() -> None:
    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.head = torch.nn.Embedding(CLASSES, 8), torch.nn.Linear(16, CLASSES)
            self.both = torch.nn.GRU(8, 8, bidirectional=True, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.both(self.embedding(x))[0])

    with pytest.raises(DecodeError, match="needs the whole input at once"):
        TextGenerator(packed(Whole()))
