"""A trace's spans as the tree that they form, whatever is missing or wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def tree(spans: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Nest spans (``span_id``, ``parent_span_id``, in order of time) under their parents, as ``children``.

    A span whose parent did not arrive stands at the top, marked ``orphan``; so does one span of a ring of parents.
    Each span stands exactly once.
    """
    nodes = [{**span, "children": [], "orphan": False} for span in spans]
    by_id = {node["span_id"]: node for node in reversed(nodes)}
    top = []
    cut: set[str] = set()  # where a ring of parents was opened
    for node in nodes:
        parent = by_id.get(node["parent_span_id"]) if node["parent_span_id"] else None
        if parent is not None and not _leads_to(node["span_id"], parent, by_id, cut):
            parent["children"].append(node)
            continue
        node["orphan"] = bool(node["parent_span_id"])
        cut.add(node["span_id"])
        top.append(node)
    return top


def _leads_to(span_id: str, start: Mapping[str, Any], by_id: Mapping[str, Mapping[str, Any]], cut: set[str]) -> bool:
    """Whether following parents from ``start`` comes to ``span_id``, or never ends."""
    seen: set[str] = set()
    at: Mapping[str, Any] | None = start
    while at is not None and at["span_id"] not in seen:
        if at["span_id"] == span_id:
            return True
        seen.add(at["span_id"])
        at = None if at["span_id"] in cut else by_id.get(at["parent_span_id"])
    return at is not None
