"""Strongly connected components, and the order of nodes within one frame.

Nodes that reach one another, over edges of any delay, wait for one another at every frame: they are one loop. The
components themselves form a graph without cycles, so each can run over all frames before the next one starts.
"""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from fewbit.errors import GraphError


def strong_components(sources: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Groups of nodes that reach one another; what a group reads comes before it.

    Args:
        sources: for each node those that it reads.
    """
    import networkx  # comes with torch, and takes a fifth of a second

    drawn = networkx.DiGraph()
    drawn.add_nodes_from(sources)
    drawn.add_edges_from((source, node) for node, read in sources.items() for source in read)
    groups = networkx.condensation(drawn)
    place = {name: i for i, name in enumerate(sources)}
    members = {group: sorted(groups.nodes[group]["members"], key=place.__getitem__) for group in groups}
    ordered = networkx.lexicographical_topological_sort(groups, key=lambda group: place[members[group][0]])
    return [members[group] for group in ordered]


def order_in_frame(nodes: Sequence[str], sources: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The nodes, each after those that it reads in the same frame.

    Args:
        nodes: of one component, as they were drawn.
        sources: for each node those that it reads without delay; others than `nodes` do not count.

    Raises:
        GraphError: nodes wait for one another within a frame; the message names the cycle.
    """
    waiting = {node: [source for source in sources[node] if source in nodes] for node in nodes}
    try:
        return tuple(TopologicalSorter(waiting).static_order())
    except CycleError as error:
        raise GraphError(
            f"the loop {' -> '.join(error.args[1])} has no delay, so none of its nodes can be first in a frame; "
            "give one of its edges delay=1"
        ) from error
