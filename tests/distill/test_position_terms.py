"""What a teacher says of each position: the equations, and the same in small parts."""

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from fewbit.distill import entropies, label_losses, soft_terms

RANDOM = torch.Generator().manual_seed(0)
STUDENT, TEACHER = (2 * torch.randn(3, 7, 11, generator=RANDOM) for _ in range(2))
P = torch.softmax(TEACHER, -1)


def test_terms_are_those_of_the_equations():
    log = torch.log_softmax(STUDENT, -1)
    assert torch.allclose(soft_terms(STUDENT, TEACHER), -(P * log).sum(-1))
    cooler = -(torch.softmax(TEACHER / 3, -1) * torch.log_softmax(STUDENT / 3, -1)).sum(-1)
    assert torch.allclose(soft_terms(STUDENT, TEACHER, 3.0), cooler)
    assert torch.allclose(entropies(TEACHER), torch.distributions.Categorical(P).entropy(), atol=1e-6)
    labels = torch.randint(0, 11, (3, 7))
    assert torch.allclose(label_losses(TEACHER, labels), -P.log().gather(-1, labels[..., None])[..., 0])


def test_a_class_without_chance_has_no_entropy():
    assert torch.equal(entropies(torch.tensor([[0.0, -torch.inf]])), torch.zeros(1))


@pytest.mark.parametrize("top", [1, 4, 10, 11, 500])
def test_the_likeliest_classes_and_the_others_as_one(top):
    terms = soft_terms(STUDENT, TEACHER, top=top)
    wanted = torch.zeros(3, 7)
    for place in [(i, j) for i in range(3) for j in range(7)]:
        order = TEACHER[place].argsort(descending=True)
        p, q = (torch.softmax(logits[place], -1)[order] for logits in (TEACHER, STUDENT))
        if top < 11:
            p, q = (torch.cat([each[:top], each[top:].sum()[None]]) for each in (p, q))
        wanted[place] = -(p * q.log()).sum()
    assert torch.allclose(terms, wanted, atol=1e-5)


@pytest.mark.parametrize("top", [None, 4])
@pytest.mark.parametrize("at_once", [1, 30, 100])
def test_parts_give_the_same_terms_and_gradients(top, at_once):
    whole, parts = (STUDENT.clone().requires_grad_() for _ in range(2))
    weights = torch.rand(3, 7)
    soft = soft_terms(whole, TEACHER, 2.0, top), soft_terms(parts, TEACHER, 2.0, top, at_once=at_once)
    assert torch.allclose(*soft, atol=1e-6)
    for terms in soft:
        (weights * terms).sum().backward()
    assert torch.allclose(whole.grad, parts.grad, atol=1e-6)
    assert torch.allclose(entropies(TEACHER, at_once=at_once), entropies(TEACHER), atol=1e-6)


def test_memory_does_not_grow_with_the_vocabulary():
    """What is kept for the gradient is the logits themselves, which are there anyway."""
    student, teacher = torch.randn(1, 64, 500, requires_grad=True), torch.randn(1, 64, 500)

    def kept(at_once: int) -> int:
        sizes: dict[int, int] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            memory = tensor.untyped_storage()
            if memory.data_ptr() not in (student.data_ptr(), teacher.data_ptr()):
                sizes[memory.data_ptr()] = memory.nbytes()
            return tensor

        with saved_tensors_hooks(pack, lambda tensor: tensor):
            soft_terms(student, teacher, at_once=at_once).sum()
        return sum(sizes.values())

    assert kept(1 << 20) >= student.nbytes
    assert kept(4 * 500) < student.nbytes / 50
