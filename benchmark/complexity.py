"""What a network costs: parameters, multiply-adds, and the memory of its activations.

One multiply-add (MAC) is one multiplication with its addition. What PyTorch's counter calls FLOPs
counts both, so its figure is halved. Counted: convolutions, linear layers, matrix products,
attention. Not counted: normalisation, activations, pooling, interpolation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmark.subject import build_subject
from benchmark.table_rules import table3_operations
from zoo.cards import Card

SIZE = 512
"""Height and width at which multiply-adds are counted, as in both papers."""

FVCORE, FLOP_COUNTER, TABLE3 = "fvcore", "flop_counter_mode", "table3"
"""The counters: fvcore, PyTorch's FlopCounterMode halved, and the rules of MiniSeg's Table III."""

AGREEMENT = 0.001
"""fvcore and FlopCounterMode agree where they differ by no more than this share."""


class Cost(BaseModel):
    """Size of a network, and multiply-adds of one image by the name of the counter.

    Attributes:
        params: Registered parameters.
        params_trainable: Those that a gradient may change.
        params_unused: Those that no output depends on; None where that was not looked at.
        macs: Multiply-adds in evaluation mode, by counter.
        input_size: Channels, height and width for which they were counted.
        uncounted: Operators that fvcore and covbench have no rule for, and their calls.
        forward_bytes: Largest memory of activations in a forward pass without gradients.
        saved_bytes: Memory of what a training pass keeps for its backward pass.
        notes: What could not be counted, and why.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    params: int
    params_trainable: int
    params_unused: int | None = None
    macs: dict[str, int]
    input_size: tuple[int, int, int]
    uncounted: dict[str, int] = {}
    forward_bytes: int | None = None
    saved_bytes: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def headline(self) -> int | None:
        """The one count of multiply-adds that is shown: fvcore's, else FlopCounterMode's.

        What Table III counts are other operations, so they never stand in for it.
        """
        return self.macs.get(FVCORE, self.macs.get(FLOP_COUNTER))


def measure_cost(
    card: Card,
    in_channels: int = 3,
    num_classes: int = 2,
    options: dict[str, Any] | None = None,
    size: int = SIZE,
) -> Cost:
    """Count a network's parameters and multiply-adds without any arithmetic (meta device).

    Args:
        card: The network.
        in_channels: Channels of the input.
        num_classes: Classes of the output.
        options: Options of the network; pretrained weights don't matter here and aren't loaded.
        size: Height and width of the input.

    Returns:
        The counts, multiply-adds by FlopCounterMode alone.
    """
    with torch.device("meta"):
        subject = build_subject(card, options, in_channels=in_channels, num_classes=num_classes)
        image = torch.zeros(1, in_channels, size, size)
    return Cost(
        params=_parameters(subject),
        params_trainable=_parameters(subject, trainable=True),
        macs={FLOP_COUNTER: count_by_dispatch(subject, image)},
        input_size=(in_channels, size, size),
    )


def full_cost(build: Callable[[], nn.Module], in_channels: int = 3, size: int = SIZE) -> Cost:
    """Count a network's cost by all counters, with one real forward pass on the CPU.

    Args:
        build: Gives the network, in evaluation mode, on the default device of the moment.
        in_channels: Channels of the input.
        size: Height and width of the input.

    Returns:
        The counts. A counter that fails on this network is left out and noted.
    """
    from benchmark.activations import forward_bytes, saved_bytes_and_unused
    from benchmark.fvcore_count import fvcore_count

    macs: dict[str, int] = {}
    found: dict[str, Any] = {}
    notes: list[str] = []

    def attempt(what: str, count: Callable[[], None]) -> None:
        try:
            count()
        except Exception as error:  # whatever a user's network raises
            lines = str(error).strip().splitlines() or [""]
            notes.append(f"not counted: {what} ({type(error).__name__}: {lines[0][:120]})")

    real = build()
    image = torch.zeros(1, in_channels, size, size)

    def by_fvcore() -> None:
        counted = fvcore_count(real, image)
        macs[FVCORE] = counted.macs
        found["uncounted"] = counted.uncounted

    attempt(FVCORE, by_fvcore)
    subject, image = _without_arithmetic(build, image) or (real, image)

    def by_dispatch() -> None:
        macs[FLOP_COUNTER] = count_by_dispatch(subject, image)

    def by_table_rules() -> None:
        macs[TABLE3] = table3_operations(subject, image)

    def memory() -> None:
        found["forward_bytes"] = forward_bytes(subject, image)

    def training() -> None:
        # Two images: a batch norm over a single pixel refuses to train on one.
        saved, unused = saved_bytes_and_unused(subject, torch.cat([image, image]))
        found["saved_bytes"] = saved // 2
        sizes = {name: each.numel() for name, each in subject.named_parameters()}
        found["params_unused"] = sum(sizes[name] for name in unused)

    attempt(FLOP_COUNTER, by_dispatch)
    attempt(TABLE3, by_table_rules)
    attempt("memory of a forward pass", memory)
    attempt("memory and gradients of a training pass", training)
    return Cost(
        params=_parameters(real),
        params_trainable=_parameters(real, trainable=True),
        macs=macs,
        input_size=(in_channels, size, size),
        notes=tuple(notes),
        **found,
    )


def _without_arithmetic(
    build: Callable[[], nn.Module], image: Tensor
) -> tuple[nn.Module, Tensor] | None:
    """The network and image on the meta device; None where the network can't run there."""
    try:
        with torch.device("meta"):
            subject = build()
            on_meta = torch.zeros(image.shape)
        with torch.no_grad():
            subject(on_meta)
    except Exception:  # a network that looks at values needs a real image
        return None
    return subject, on_meta


def count_by_dispatch(network: nn.Module, image: Tensor) -> int:
    """Multiply-adds of one forward pass by PyTorch's FlopCounterMode, its FLOPs halved."""
    counter = FlopCounterMode(display=False)
    # As plain products: it has no rule for the fused attention of a CPU.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        network(image)
    return counter.get_total_flops() // 2


def _parameters(network: nn.Module, *, trainable: bool = False) -> int:
    return sum(each.numel() for each in network.parameters() if each.requires_grad or not trainable)
