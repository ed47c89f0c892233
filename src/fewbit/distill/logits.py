"""Knowledge distillation on outputs: the student learns the softened distribution of a teacher.

    soft = T**2 * mean of  - sum_c softmax(teacher / T)_c * log softmax(student / T)_c
    L    = (1 - a) * hard + a * soft

with a weight ``a`` that may fall during training: soft labels lead, hard labels finish (gradual soft loss reducing,
GSLR). The factor T**2 keeps the size of the gradient, so that ``a`` means the same at every temperature.

References:
    Hinton, Vinyals, Dean 2015; Shin, Boo, Sung 2019, "Knowledge distillation for optimization of quantized deep
    neural networks" (arXiv 1909.01688).
"""

from typing import Annotated, Any

from torch import Tensor, nn

from fewbit.batches import first_tensor
from fewbit.distill.position_terms import soft_terms
from fewbit.errors import ArgumentError
from fewbit.inference import inference_mode
from fewbit.settings import curve, number
from fewbit.train import CrossEntropy, HardLoss, Schedule, constant, outputs_of


class LogitKD:
    """Distillation from `teacher`, mixed with a hard objective.

    For CTC the teacher's posteriors are taken frame by frame, which is right when the student starts as a copy of
    the teacher: both then spike at the same frames.

    Args:
        teacher: a network with the outputs of the student; it runs in eval mode without gradient and stays as it is.
        temperature: T > 0.
        weight: ``a`` in [0, 1], a number or a function of training progress such as ``linear(0.9, 0.0)``.
        hard: objective with a `loss` method; default `CrossEntropy`.

    Examples:
        >>> from torch import nn, zeros
        >>> teacher, student = nn.Linear(4, 3), nn.Linear(4, 3)
        >>> objective = LogitKD(teacher, temperature=2.0, weight=lambda progress: 1 - progress)
        >>> loss = objective(student, (zeros(5, 4), zeros(5).long()), progress=0.5)
        >>> loss.requires_grad, teacher.training  # the teacher is left as it was
        (True, True)
    """

    def __init__(
        self,
        teacher: nn.Module,
        temperature: Annotated[float, number(above=True)] = 4.0,
        weight: Annotated[float | Schedule, curve(0, 1)] = 0.5,
        hard: HardLoss | None = None,
    ) -> None:
        if temperature <= 0:
            raise ArgumentError(f"LogitKD: temperature must be above 0, not {temperature}")
        self.teacher, self.temperature = teacher, temperature
        self.weight: Schedule = weight if callable(weight) else constant(float(weight))
        self.hard = hard or CrossEntropy()
        demand_loss(self.hard, "LogitKD")

    def __call__(self, model: nn.Module, batch: Any, progress: float) -> Tensor:
        student = outputs_of(model, batch)
        return self.compare(student, teacher_scores(self.teacher, batch), batch, progress)

    def compare(self, student: Tensor, teacher: Tensor, batch: Any, progress: float) -> Tensor:
        """Loss of the student's scores against the teacher's and the labels."""
        weight = self.weight(progress)
        if not 0 <= weight <= 1:
            raise ArgumentError(f"LogitKD: weight must lie in 0..1, not {weight} at progress {progress:.3f}")
        demand_same_shape(student, teacher, "LogitKD")
        loss = (1 - weight) * self.hard.loss(student, batch)
        if not weight:
            return loss
        valid = self.hard.valid_mask(student, batch)
        return loss + weight * soft_loss(student[valid], teacher[valid], self.temperature)


def teacher_scores(teacher: nn.Module, batch: Any) -> Tensor:
    """What a teacher gives for a batch, in eval mode and without gradient, on the device of the batch."""
    teacher = teacher.to(first_tensor(batch).device)
    with inference_mode(teacher):
        return outputs_of(teacher, batch)


def demand_loss(hard: object, who: str) -> None:
    """Refuse an objective whose loss cannot be computed from scores, in the name of the one that it is mixed with."""
    if not hasattr(hard, "loss"):
        raise ArgumentError(f"{who}: {type(hard).__name__} has no loss method; use CrossEntropy() or CTC()")


def demand_same_shape(student: Tensor, teacher: Tensor, who: str) -> None:
    """Refuse scores of different shapes, in the name of an objective."""
    if teacher.shape != student.shape:
        raise ArgumentError(
            f"{who}: the teacher gives {tuple(teacher.shape)}, the student {tuple(student.shape)}; "
            "both need the same classes and frames"
        )


def soft_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of ``(..., classes)`` logits at `temperature`, times its square, mean over all positions.

    Examples:
        >>> from torch import tensor
        >>> teacher, close, far = tensor([[2.0, 0.0]]), tensor([[1.5, 0.0]]), tensor([[0.0, 2.0]])
        >>> bool(soft_loss(close, teacher, 2.0) < soft_loss(far, teacher, 2.0))
        True
    """
    return soft_terms(student, teacher, temperature).mean() * temperature**2
