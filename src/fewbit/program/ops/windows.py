"""Windows: over frames that come in chunks, and over the places of a frame."""

from dataclasses import dataclass

import numpy as np

from fewbit.program.limits import MAX_FRAME_SIZE
from fewbit.program.numerics import Integers
from fewbit.program.ops.base import Window, demand

Waiting = tuple[Integers, int]
"""State of a window: the frames that coming windows still need, and how many coming frames none of them reads."""


def start_window(window: Window, size: int, padding: int = 0) -> Waiting:
    """State at the start of a stream: `left` frames of padding."""
    return np.full((window.left, size), padding, np.int64), 0


def take_windows(
    x: Integers, state: Waiting, window: Window, kernel: int, dilation: int, last: bool = False, padding: int = 0
) -> tuple[Integers, Waiting]:
    """Windows ``(windows, kernel, size)`` that are complete, oldest frame first, and the new state."""
    waiting, skip = state
    if last:
        x = np.concatenate([x, np.full((window.right, x.shape[1]), padding, np.int64)])
    waiting = np.concatenate([waiting, x[skip:]])
    skip = max(0, skip - len(x))
    count = max(0, (len(waiting) - window.reach) // window.stride + 1)
    rows = np.arange(count)[:, None] * window.stride + np.arange(kernel) * dilation
    used = count * window.stride
    return waiting[rows], (waiting[used:], skip + max(0, used - len(waiting)))


@dataclass(frozen=True)
class Grid:
    """Windows over the places of a frame, height x width, with the channels of a place side by side.

    Output place ``(i, j)`` reads the places ``(i * stride_height - top + k * dilation_height, ...)``; places outside
    are padding.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> grid = ops.Grid(4, 6, kernel_height=3, kernel_width=3, top=1, bottom=1)
        >>> grid.out_height, grid.out_width, grid.kernel
        (4, 4, 9)
    """

    height: int
    width: int
    kernel_height: int = 1
    kernel_width: int = 1
    stride_height: int = 1
    stride_width: int = 1
    dilation_height: int = 1
    dilation_width: int = 1
    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    @property
    def places(self) -> int:
        """Places of an input frame."""
        return self.height * self.width

    @property
    def kernel(self) -> int:
        """Places of a window."""
        return self.kernel_height * self.kernel_width

    @property
    def out_height(self) -> int:
        """Rows of output places."""
        reach = (self.kernel_height - 1) * self.dilation_height + 1
        return (self.height + self.top + self.bottom - reach) // self.stride_height + 1

    @property
    def out_width(self) -> int:
        """Columns of output places."""
        reach = (self.kernel_width - 1) * self.dilation_width + 1
        return (self.width + self.left + self.right - reach) // self.stride_width + 1

    def check(self) -> None:
        """Raise `LoweringError` unless all sizes are counts and every window meets a place."""
        counts = (self.height, self.width, self.kernel_height, self.kernel_width)
        steps = (self.stride_height, self.stride_width, self.dilation_height, self.dilation_width)
        pads = (self.top, self.bottom, self.left, self.right)
        demand(all(1 <= count <= MAX_FRAME_SIZE for count in (*counts, *steps)), "a size of 'grid' is no count")
        demand(self.places <= MAX_FRAME_SIZE and self.kernel <= MAX_FRAME_SIZE, "'grid' has more than 2**24 places")
        reach = ((self.kernel_height - 1) * self.dilation_height, (self.kernel_width - 1) * self.dilation_width)
        fits = all(0 <= pad <= most for pad, most in zip(pads, (reach[0], reach[0], reach[1], reach[1]), strict=True))
        demand(fits, "the padding of 'grid' is larger than its kernel")
        demand(self.out_height >= 1 and self.out_width >= 1, "the kernel of 'grid' is larger than its frame")
        demand(self.out_height * self.out_width <= MAX_FRAME_SIZE, "'grid' has more than 2**24 windows")

    def index(self) -> Integers:
        """Places ``(output places, kernel)`` that each window reads, row by row; `places` stands for padding."""
        rows = np.arange(self.out_height)[:, None] * self.stride_height - self.top
        rows = rows + np.arange(self.kernel_height) * self.dilation_height
        columns = np.arange(self.out_width)[:, None] * self.stride_width - self.left
        columns = columns + np.arange(self.kernel_width) * self.dilation_width
        inside = ((rows >= 0) & (rows < self.height))[:, None, :, None]
        inside = inside & ((columns >= 0) & (columns < self.width))[None, :, None, :]
        place = rows[:, None, :, None] * self.width + columns[None, :, None, :]
        return np.where(inside, place, self.places).reshape(-1, self.kernel)


ONE_PLACE = Grid(1, 1)
