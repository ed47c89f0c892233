"""The protocol by which a public model learns from private ones: the mean comes out, and nothing else."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from fewbit.distill import GeneratedText, LabelDevice, LabelRequest, SharedLabels, SoftLabels
from fewbit.errors import ArgumentError, DataError
from fewbit.models import CharLM
from fewbit.train import TruncatedBPTT, fit

CLASSES = 5
NAMES = ("ann", "bob", "cy", "di")


def personal(seed: int) -> CharLM:
    torch.manual_seed(seed)
    return CharLM(CLASSES, 8, 1)


def devices(masked: bool = False, count: int = 3) -> list[LabelDevice]:
    names = NAMES[:count]
    shared = {pair: f"{pair} trust each other".encode() for pair in itertools.combinations(names, 2)}

    def secrets(name: str) -> dict[str, bytes]:
        return {other: shared[min(name, other), max(name, other)] for other in names if other != name}

    return [LabelDevice(personal(i), name, secrets(name) if masked else None) for i, name in enumerate(names)]


def text() -> Tensor:
    return torch.randint(CLASSES, (2, 6), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("masked", [False, True])
def test_the_mean_is_that_of_all_personal_models_over_carried_text(masked):
    shared = SharedLabels(devices(masked), CLASSES, masked=masked)
    x = text()
    first, state = shared(x[:, :4])
    second, _ = shared(x[:, 4:], state)
    wanted = torch.stack([torch.softmax(personal(i)(x)[0], -1) for i in range(3)]).mean(0)
    torch.testing.assert_close(torch.cat([first, second], 1).exp(), wanted, atol=1e-5, rtol=1e-4)
    again, _ = shared(x[:, :4])
    torch.testing.assert_close(again, first)  # new streams: devices have forgotten the text before


def test_a_masked_answer_tells_nothing_and_never_the_same_twice():
    device = devices(masked=True)[0]
    request = LabelRequest(torch.zeros(64, 64, dtype=torch.long), True, 0)
    first, second = device(request), device(request._replace(number=1))
    for answer in (first, second):
        share = answer.double() / 2**32
        assert abs(float(share.mean()) - 0.5) < 0.01
        assert abs(float(share.var()) - 1 / 12) < 0.002
    pair = torch.stack([first.flatten(), second.flatten()]).double()
    assert abs(float(torch.corrcoef(pair)[0, 1])) < 0.03


@pytest.mark.parametrize("fault", ["not finite", "negative", "rows do not sum to 1", "of another shape"])
def test_a_bad_answer_is_left_out_with_a_message(fault):
    good = devices()

    def bad(request: LabelRequest) -> Tensor:
        answer = devices()[0](request)
        if fault == "of another shape":
            return answer[..., :-1]
        answer[0, 0, 0] = {"not finite": torch.nan, "negative": -0.1, "rows do not sum to 1": 3.0}[fault]
        return answer

    with pytest.warns(RuntimeWarning, match=f"1 of 4 answers left out: {fault}"):
        found, _ = SharedLabels([bad, *good], CLASSES)(text())
    assert torch.equal(found, SharedLabels(devices(), CLASSES)(text())[0])
    with (
        pytest.warns(RuntimeWarning, match="1 of 3 answers"),
        pytest.raises(DataError, match="2 good answers are fewer than least=3; nothing is released"),
    ):
        SharedLabels([bad, *devices(count=2)], CLASSES)(text())


def test_too_few_devices_are_refused():
    with pytest.raises(ArgumentError, match="2 devices are fewer than least=3"):
        SharedLabels(devices(count=2), CLASSES)
    with pytest.raises(ArgumentError, match="least=1 would release the answer of one device"):
        SharedLabels(devices(), CLASSES, least=1)
    with pytest.raises(ArgumentError, match="masks work for fewer than 4096 devices, not 4096"):
        SharedLabels(devices() * 1365 + devices()[:1], CLASSES, masked=True)


def test_masks_that_do_not_cancel_are_refused():
    with pytest.raises(DataError, match="the sum of the masked answers is not a distribution: a device is missing"):
        SharedLabels(devices(masked=True, count=4)[:3], CLASSES, masked=True)(text())
    with pytest.raises(DataError, match="an answer is not masked"):
        SharedLabels([*devices(masked=True), devices()[0]], CLASSES, masked=True)(text())
    with pytest.raises(ArgumentError, match="'ann' has a secret with itself"):
        LabelDevice(personal(0), "ann", {"ann": b""})


def test_a_mask_is_used_once():
    asked = devices(masked=True)
    shared = SharedLabels(asked, CLASSES, masked=True)
    shared(text())
    with pytest.raises(ArgumentError, match="request 0 was answered before, so its mask is used up"):
        asked[0](LabelRequest(text(), True, 0))
    shared(text())


def test_nothing_of_an_answer_is_kept_or_shown():
    answers: list[Tensor] = []

    def told(device: LabelDevice) -> Any:
        def ask(request: LabelRequest) -> Tensor:
            answers.append(device(request))
            return answers[-1]

        return ask

    shared = SharedLabels([told(device) for device in devices()], CLASSES)
    released, _ = shared(text())
    assert set(vars(shared)) == {"devices", "classes", "least", "masked", "asked"}
    assert all(released.data_ptr() != answer.data_ptr() for answer in answers)
    assert "tensor" not in repr(devices()[0]) + repr(shared)


@pytest.mark.parametrize("masked", [False, True])
def test_a_public_model_comes_nearer_to_the_mean_of_private_ones(masked):
    """It writes the text itself, so no private model ever writes any."""
    student = personal(9)
    shared = SharedLabels(devices(masked), CLASSES, masked=masked)
    generated = GeneratedText(shared, student=student, mix=0.0, streams=8, steps=16, count=60)
    x = torch.randint(CLASSES, (8, 40), generator=torch.Generator().manual_seed(1))
    wanted = torch.stack([torch.softmax(personal(i)(x)[0], -1) for i in range(3)]).mean(0).detach()

    def distance() -> float:
        with torch.no_grad():
            return float((wanted * (wanted.log() - torch.log_softmax(student(x)[0], -1))).sum(-1).mean())

    before = distance()
    fit(TruncatedBPTT(student), generated, SoftLabels(), epochs=1, lr=0.01, optimizer=torch.optim.Adam, progress=False)
    assert distance() < 0.2 * before
    assert shared.asked == 60  # once for each batch
