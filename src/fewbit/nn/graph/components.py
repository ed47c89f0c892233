"""Strongly connected components, and the order of nodes within one frame.

Nodes that reach one another, over edges of any delay, wait for one another at every frame: they are one loop. The
components themselves form a graph without circles, so each can run over all frames before the next one starts.

References:
    Tarjan 1972, "Depth-first search and linear graph algorithms"; here without recursion, for deep graphs.
"""

from collections.abc import Iterator, Mapping, Sequence

from fewbit.errors import GraphError


def strong_components(sources: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Groups of nodes that reach one another; what a group reads comes before it.

    Args:
        sources: for each node those that it reads.
    """
    found: list[list[str]] = []
    number: dict[str, int] = {}  # in the order of the first visit
    lowest: dict[str, int] = {}  # the earliest open node that can be reached
    opened: list[str] = []
    is_open: set[str] = set()
    for root in sources:
        if root in number:
            continue
        path: list[tuple[str, Iterator[str]]] = []
        entering: str | None = root
        while entering is not None or path:
            if entering is not None:
                number[entering] = lowest[entering] = len(number)
                opened.append(entering)
                is_open.add(entering)
                path.append((entering, iter(sources[entering])))
                entering = None
            node, rest = path[-1]
            for source in rest:
                if source not in number:
                    entering = source
                    break
                if source in is_open:
                    lowest[node] = min(lowest[node], number[source])
            if entering is not None:
                continue
            path.pop()
            if path:
                parent = path[-1][0]
                lowest[parent] = min(lowest[parent], lowest[node])
            if lowest[node] == number[node]:
                place = opened.index(node)
                found.append(opened[place:])
                is_open.difference_update(opened[place:])
                del opened[place:]
    return found


def order_in_frame(nodes: Sequence[str], sources: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The nodes, each after those that it reads in the same frame.

    Args:
        nodes: of one component, as they were drawn.
        sources: for each node those that it reads without delay; others than `nodes` do not count.

    Raises:
        GraphError: nodes wait for one another within a frame; the message names the circle.
    """
    waiting = {node: {source for source in sources[node] if source in nodes} for node in nodes}
    order: list[str] = []
    while waiting:
        ready = [node for node in waiting if not waiting[node]]
        if not ready:
            raise GraphError(
                f"the loop {' -> '.join(_circle(waiting))} has no delay, so none of its nodes can be first in a frame; "
                "give one of its edges delay=1"
            )
        order += ready
        for node in ready:
            del waiting[node]
        for left in waiting.values():
            left.difference_update(ready)
    return tuple(order)


def _circle(waiting: Mapping[str, set[str]]) -> list[str]:
    """A circle among nodes that all wait, in the direction of the edges, its first node again at the end."""
    walk = [next(iter(waiting))]
    while walk[-1] not in walk[:-1]:
        walk.append(min(waiting[walk[-1]]))
    return walk[walk.index(walk[-1]) :][::-1]
