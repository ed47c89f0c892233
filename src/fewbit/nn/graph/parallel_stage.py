"""The components of a stage: in sequence on a CPU, in parallel on a GPU.

On a CPU they run in sequence: a frame of a loop is a few small operations, between which threads of Python would wait
for one another. On a GPU each loop beyond the first is launched into its own stream. Launches still come from one
thread, so this gains only where the work of a frame takes longer than its launches.
"""

from itertools import cycle

import torch

from fewbit.nn.graph.execution import Execution
from fewbit.nn.graph.schedule import Component

STREAMS = 4


def run_stage(execution: Execution, stage: tuple[Component, ...]) -> None:
    """Run components that do not depend on one another."""
    loops = [component for component in stage if component.loop]
    if not execution.input.is_cuda or len(loops) < 2:
        for component in stage:
            execution.run(component)
        return
    main = torch.cuda.current_stream(execution.input.device)
    others = [torch.cuda.Stream(execution.input.device) for _ in loops[1:STREAMS]]  # type: ignore[no-untyped-call]
    read = [*execution.rows.values(), *execution.past.values(), *execution.parameters.values()]
    for side in others:
        side.wait_stream(main)
        for tensor in read:  # else the allocator could give their memory away while `side` still reads
            tensor.record_stream(side)
    streams = cycle([main, *others])
    for component in stage:
        with torch.cuda.stream(next(streams) if component.loop else main):
            execution.run(component)
    for side in others:
        main.wait_stream(side)
    for tensor in (*execution.rows.values(), *execution.kept.values()):
        tensor.record_stream(main)
