"""A student of generated text sees no real text, and spells out nothing that its teacher knows by heart."""

import gc
import lzma
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from fewbit.data import TextStreams, english_books
from fewbit.distill import GeneratedText, SoftLabels
from fewbit.models import CharLM
from fewbit.train import CrossEntropy, TruncatedBPTT, fit


def reachable(*roots: Any) -> Iterator[Any]:
    """Everything that objects refer to, but for modules, types and functions of the library."""
    seen: set[int] = set()
    todo = list(roots)
    while todo:
        one = todo.pop()
        if id(one) in seen or isinstance(one, type) or type(one).__name__ in ("module", "builtin_function_or_method"):
            continue
        seen.add(id(one))
        yield one
        if type(one).__name__ == "function":
            todo += [cell.cell_contents for cell in one.__closure__ or ()]
        else:
            todo += gc.get_referents(one)


def test_the_student_sees_no_real_text(tmp_path):
    path = tmp_path / "books.txt.xz"
    path.write_bytes(lzma.compress("\n\n".join(["It was the best of times, it was the worst."] * 2100).encode()))
    real = TextStreams(english_books(tmp_path).train, streams=8, steps=16)
    teacher = CharLM(29, 12, 1)
    real_batches = [batch for batch, _ in zip(real, range(10), strict=False)]
    fit(TruncatedBPTT(teacher), real_batches, CrossEntropy(), epochs=1, progress=False)
    path.unlink()
    student, objective = TruncatedBPTT(CharLM(29, 12, 1)), SoftLabels()
    text = GeneratedText(teacher, streams=8, steps=16, count=5)
    fit(student, text, objective, epochs=1, progress=False)
    tensors = [one for one in reachable(text, student, objective) if isinstance(one, Tensor)]
    held = {one.untyped_storage().data_ptr() for one in tensors}
    assert any(one is teacher.get_submodule("head").weight for one in tensors)  # the walk does find what is held
    assert real.text.untyped_storage().data_ptr() not in held
    assert not {x.untyped_storage().data_ptr() for pair in real_batches for x in pair} & held
    assert not [one for one in reachable(text, student, objective) if one is real or one == str(path)]


def test_a_string_known_by_heart_is_spelled_out_by_the_teacher_and_not_by_the_student():
    secret = [1, 2, 3, 4, 3, 2, 1, 4]
    private = torch.full((5, 5, 5), -4.0)  # scores by the last two symbols: class 0 begins the secret
    for before, last, following in zip([0, 0, *secret], [0, *secret], secret, strict=False):
        private[before, last, following] = 4.0

    class Pairs(nn.Module):
        def __init__(self, scores: Tensor) -> None:
            super().__init__()
            self.scores = nn.Parameter(scores)

        def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
            first = torch.zeros_like(x[:, :1]) if state is None else state
            return self.scores[torch.cat([first, x[:, :-1]], 1), x], x[:, -1:]

    def spelled(**arguments: Any) -> int:
        (batch,) = GeneratedText(Pairs(private), streams=64, steps=32, count=1, **arguments)
        return int((batch.inputs.unfold(1, 8, 1) == torch.tensor(secret)).all(-1).sum())

    by_teacher, by_student = spelled(), spelled(student=Pairs(torch.zeros(5, 5, 5)), mix=0.0)
    assert by_teacher > 50
    assert by_student == 0
