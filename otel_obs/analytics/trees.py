"""A trace's spans as the tree that they form, whatever is missing or wrong with them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DEEPEST: Final = 100  # levels; a bot that never closes its spans makes thousands, which nobody reads and JSON refuses


def tree(spans: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Nest spans (``span_id``, ``parent_span_id``, in order of time) under their parents, as ``children``.

    A span whose parent did not arrive stands at the top, marked ``orphan``; so does one span of a ring of parents. What
    is below level ``DEEPEST`` stands on that level. Each span stands exactly once.
    """
    nodes = [{**span, "children": [], "orphan": False} for span in spans]
    by_id = {node["span_id"]: node for node in reversed(nodes)}
    below: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    top: list[dict[str, Any]] = []
    for node in nodes:
        has_parent = node["parent_span_id"] and node["parent_span_id"] in by_id
        (below[node["parent_span_id"]] if has_parent else top).append(node)
    placed: set[int] = set()
    for node in top:
        node["orphan"] = bool(node["parent_span_id"])
        _place(node, below, placed)
    for node in _of_rings(nodes, by_id, placed):
        node["orphan"] = True
        top.append(node)
        _place(node, below, placed)
    return top


def _of_rings(
    nodes: Sequence[dict[str, Any]], by_id: Mapping[str, dict[str, Any]], placed: set[int]
) -> Iterator[dict[str, Any]]:
    """One span of each ring, as long as some have found no place: their parents lead round and round."""
    for node in nodes:
        if id(node) not in placed:
            seen, at = set(), node
            while id(at) not in seen:
                seen.add(id(at))
                at = by_id[at["parent_span_id"]]
            yield at


def _place(root: dict[str, Any], below: Mapping[str, Sequence[dict[str, Any]]], placed: set[int]) -> None:
    """Hang everything below ``root`` where it belongs; without recursion, which Python bounds."""
    placed.add(id(root))
    left = [(root, root, 0)]  # a span, the one that takes its children, that one's level
    while left:
        span, taker, level = left.pop()
        for child in below.get(span["span_id"], ()):
            if id(child) not in placed:
                placed.add(id(child))
                taker["children"].append(child)
                left.append((child, child, level + 1) if level + 1 < DEEPEST else (child, taker, level))
