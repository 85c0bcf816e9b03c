"""A network layer by layer: as a tree for a terminal, as CSV, as JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from benchmark.layers import Layer
from reports.tables.shown import show
from reports.tables.table import Cell, Column

if TYPE_CHECKING:
    from rich.tree import Tree

_SIZE = Column("", "", style="size")
_FIELDS = ("path", "kind", "depth", "calls", "params", "macs", "output", "output_bytes")


def layer_tree(name: str, layers: Sequence[Layer], depth: int) -> Tree:
    """The modules down to a depth, each with its parameters, multiply-adds and output.

    Args:
        name: The network's name.
        layers: Its layers, as `benchmark.layers.count_layers` gives them.
        depth: Levels below the network that are shown.
    """
    from rich.markup import escape
    from rich.tree import Tree

    total = layers[0].macs or 1
    nodes: dict[str, Tree] = {}
    for layer in layers:
        head, _, last = layer.path.rpartition(".")
        text = f"{escape(last or name)} [dim]{escape(layer.kind)}[/dim]  {_line(layer, total)}"
        if not layer.path:
            nodes[""] = Tree(text)
        elif layer.depth <= depth:
            nodes[layer.path] = nodes[head].add(text)
    return nodes[""]


def _line(layer: Layer, total: int) -> str:
    parts = [f"{_size(layer.params)} parameters", f"{_size(layer.macs)}MACs"]
    parts[1] += f" ({100 * layer.macs / total:.1f} %)"
    if layer.output:
        parts.append("x".join(map(str, layer.output)))
    if layer.calls > 1:
        parts.append(f"{layer.calls} calls")
    return ", ".join(parts)


def _size(value: int) -> str:
    text = show(Cell(value), _SIZE)
    return text if " " in text else f"{text} "


def layer_csv(layers: Sequence[Layer]) -> str:
    """Every layer as CSV: parameters, multiply-adds and bytes as whole numbers."""
    file = io.StringIO()
    writer = csv.DictWriter(file, _FIELDS, lineterminator="\n")
    writer.writeheader()
    for layer in layers:
        writer.writerow(asdict(layer) | {"output": "x".join(map(str, layer.output))})
    return file.getvalue()


def layer_objects(layers: Sequence[Layer]) -> list[dict[str, Any]]:
    """Every layer as a dictionary, ready for JSON."""
    return [asdict(layer) | {"output": list(layer.output)} for layer in layers]
