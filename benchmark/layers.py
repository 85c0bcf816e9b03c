"""A network layer by layer: parameters, multiply-adds, and the size of what each layer gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmark.tensors import tensors_in


@dataclass(frozen=True)
class Layer:
    """One module of a network, with everything inside it.

    Attributes:
        path: Its name within the network; empty for the network itself.
        kind: Its class.
        depth: Modules around it.
        calls: How often it ran in one forward pass.
        params: Its parameters.
        macs: Multiply-adds of all its calls, by FlopCounterMode.
        output: Shape of its last output `(N, C, H, W)`; empty where it never ran by itself.
        output_bytes: Memory of the outputs of all its calls.

    A list of modules, which never runs itself, has no calls and the sums of what it holds.
    """

    path: str
    kind: str
    depth: int
    calls: int
    params: int
    macs: int
    output: tuple[int, ...]
    output_bytes: int


def count_layers(network: nn.Module, image: Tensor) -> list[Layer]:
    """Count a forward pass module by module.

    Args:
        network: The network, in the mode that is to be counted. On the meta device nothing is
            computed.
        image: Images `(N, C, H, W)` on the same device.

    Returns:
        The modules in the order of their definition, the network itself first. What a module
        computes outside of the modules inside it is part of its own count, so the counts of its
        children may add up to less.
    """
    modules = dict(network.named_modules())
    seen: dict[str, list[Tensor]] = {path: [] for path in modules}
    calls = dict.fromkeys(modules, 0)

    def note(path: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            calls[path] += 1
            seen[path] += list(tensors_in(output))

        return hook

    handles = [module.register_forward_hook(note(path)) for path, module in modules.items()]
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), counter:
            network(image)
    finally:
        for handle in handles:
            handle.remove()
    macs = _by_path(counter, type(network).__name__)
    sizes = {
        path: sum(each.numel() * each.element_size() for each in outputs)
        for path, outputs in seen.items()
    }
    for path in reversed(modules):
        if not calls[path]:  # a list of modules, which never runs itself
            children = [f"{path}.{name}".lstrip(".") for name, _ in modules[path].named_children()]
            macs[path] = sum(macs.get(each, 0) for each in children)
            sizes[path] = sum(sizes.get(each, 0) for each in children)
    return [
        Layer(
            path=path,
            kind=type(module).__name__,
            depth=path.count(".") + 1 if path else 0,
            calls=calls[path],
            params=sum(each.numel() for each in module.parameters()),
            macs=macs.get(path, 0),
            output=tuple(seen[path][-1].shape) if seen[path] else (),
            output_bytes=sizes[path],
        )
        for path, module in modules.items()
    ]


def _by_path(counter: FlopCounterMode, root: str) -> dict[str, int]:
    """Multiply-adds by the module's path; the counter puts the class of the network before it."""
    found = {"": counter.get_total_flops() // 2}
    for name, operators in counter.get_flop_counts().items():
        if name.startswith(f"{root}."):
            found[name.removeprefix(f"{root}.")] = sum(operators.values()) // 2
    return found
