"""Character language models as packed networks in the beam search."""

import numpy as np
import pytest
import torch

from fewbit.data import LETTERS
from fewbit.decode import NetworkScorer, TreeBeam
from fewbit.errors import LoweringError
from fewbit.lower import pack
from fewbit.models import CharLM, HierarchicalLM
from fewbit.nn import LSTM, OneHot
from fewbit.passes import Quantize, compress
from fewbit.program import Program

MODELS = {
    "hierarchical": lambda: HierarchicalLM(LETTERS.classes, 12),
    "direct": lambda: HierarchicalLM(LETTERS.classes, 12, words=1, direct=True),
    "flat": lambda: CharLM(LETTERS.classes, 12, one_hot=True),
}
TEXT = LETTERS.encode("THE CAT ISN'T THERE")


def quantized(name: str) -> tuple[torch.nn.Module, Program]:
    torch.manual_seed(0)
    model = MODELS[name]()
    x = torch.randint(LETTERS.classes, (4, 60))
    student = compress(model, Quantize({"head": "int8", "*": "ternary:row"}, "int8", calibration=[(x,)])).eval()
    return student, pack(student, alphabet=LETTERS)


@pytest.mark.parametrize("name", MODELS)
def test_a_packed_model_scores_texts_as_the_network_does(name) -> None:
    student, program = quantized(name)
    scorer = NetworkScorer(program)
    with torch.no_grad():
        wanted = student(torch.tensor([[0, *TEXT]]))[0][0, :, 1:].log_softmax(-1).numpy()
    state, row = scorer.start()
    rows = [row]
    for label in TEXT:
        (state,), ln = scorer.step([state], [label])
        rows.append(ln[0])
    assert np.abs(np.array(rows)[:, 1:] - wanted).max() < 0.02


def test_the_beam_search_gives_the_same_text_natively(monkeypatch) -> None:
    scores = np.random.default_rng(0).normal(0, 2, (60, LETTERS.classes))
    texts = []
    for target in ("reference", None):
        if target:
            monkeypatch.setenv("FEWBIT_TARGET", target)
        else:
            monkeypatch.delenv("FEWBIT_TARGET", raising=False)
        _, program = quantized("hierarchical")
        beam = TreeBeam(LETTERS, 0.02, NetworkScorer(program, 0.7), width=8)
        events, state = beam.step(scores, beam.init_state())
        texts.append([*events, *beam.finish(state)])
    assert texts[0] == texts[1]
    assert texts[0]


def test_a_hierarchy_whose_letters_do_not_start_anew_cannot_be_packed() -> None:
    model = HierarchicalLM(LETTERS.classes, 4, reset=False)
    x = torch.randint(LETTERS.classes, (2, 20))
    student = compress(model, Quantize("ternary", "int8", calibration=[(x,)])).eval()
    with pytest.raises(LoweringError, match="without reset has no integer op"):
        pack(student)


def test_symbols_in_the_middle_of_a_network_cannot_be_packed() -> None:
    class Sampler(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.ModuleList([OneHot(3), LSTM(3, 3), OneHot(3), torch.nn.Linear(3, 2)])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y, _ = self.layers[1](self.layers[0](x))
            return self.layers[3](self.layers[2](y.argmax(-1)))

    x = torch.randint(3, (2, 20))
    student = compress(Sampler(), Quantize("ternary", "int8", calibration=[(x,)])).eval()
    with pytest.raises(LoweringError, match=r"a choice .aten.argmax.default. has no integer op"):
        pack(student)
