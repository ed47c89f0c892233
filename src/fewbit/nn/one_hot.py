"""Symbols as one-hot vectors, for networks without an embedding table."""

from torch import Tensor, nn
from torch.nn import functional


class OneHot(nn.Module):
    """Class numbers ``(...)`` to features ``(..., classes)``, 1 at the class and 0 elsewhere.

    A Program takes such vectors as its input; `fewbit.decode.NetworkScorer` makes them.

    Args:
        classes: of the symbols.

    Examples:
        >>> from torch import tensor
        >>> OneHot(3)(tensor([[2, 0]]))
        tensor([[[0., 0., 1.],
                 [1., 0., 0.]]])
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, x: Tensor) -> Tensor:
        return functional.one_hot(x, self.classes).float()

    def extra_repr(self) -> str:
        return f"{self.classes}"
