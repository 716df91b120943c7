"""Directed graphs with kinds of edges: strongly connected components and paths."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Node = Any
Graph = dict[Node, dict[Node, set[str]]]


def add_edge(graph: Graph, source: Node, target: Node, kind: str) -> None:
    """Add an edge; one from a node to itself is left out."""
    if source != target:
        graph.setdefault(target, {})
        graph.setdefault(source, {}).setdefault(target, set()).add(kind)


def components(graph: Graph, kinds: frozenset[str]) -> list[set[Node]]:
    """Strongly connected components with more than one node, over edges of these kinds.

    Tarjan's algorithm with an explicit stack; linear in nodes and edges.
    """
    index: dict[Node, int] = {}
    low: dict[Node, int] = {}
    stack: list[Node] = []
    on_stack: set[Node] = set()
    found: list[set[Node]] = []
    for root in graph:
        if root in index:
            continue
        work: list[tuple[Node, Any]] = [(root, None)]
        while work:
            node, edges = work.pop()
            if edges is None:
                index[node] = low[node] = len(index)
                stack.append(node)
                on_stack.add(node)
                edges = iter([t for t, ks in graph[node].items() if ks & kinds])
            for target in edges:
                if target not in index:
                    work += [(node, edges), (target, None)]
                    break
                if target in on_stack:
                    low[node] = min(low[node], index[target])
            else:
                if low[node] == index[node]:
                    _pop_component(node, stack, on_stack, found)
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
    return found


def _pop_component(
    node: Node, stack: list[Node], on_stack: set[Node], found: list[set[Node]]
) -> None:
    component = set()
    while True:
        member = stack.pop()
        on_stack.discard(member)
        component.add(member)
        if member == node:
            break
    if len(component) > 1:
        found.append(component)


def path(
    graph: Graph, source: Node, target: Node, kinds: frozenset[str], within: Iterable[Node]
) -> list[Node] | None:
    """A shortest path over edges of these kinds inside a set of nodes, or None."""
    allowed = set(within)
    came: dict[Node, Node] = {source: source}
    queue = [source]
    for node in queue:
        if node == target:
            steps = [node]
            while node != source:
                node = came[node]
                steps.append(node)
            return steps[::-1]
        for step, ks in graph[node].items():
            if step in allowed and step not in came and ks & kinds:
                came[step] = node
                queue.append(step)
    return None
