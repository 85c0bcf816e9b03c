"""What is to be profiled, and by which settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from benchmark.speed.clock import FULL, QUICK, Limits
from benchmark.speed.ways import Setting
from benchmark.subject import ENCODER, Subject, build_subject
from runners.trial import try_files
from zoo.errors import CovbenchError
from zoo.plugins import is_file, load
from zoo.registry import get_card
from zoo.selection import Row, select, terms


@dataclass(frozen=True)
class Target:
    """A network to be profiled, or its encoder alone.

    Attributes:
        row: The network with its options.
        encoder: Whether its encoder alone is meant.
        plugin: The user's file or entry point that registers it; empty for others.
    """

    row: Row
    encoder: bool = False
    plugin: str = ""

    @property
    def label(self) -> str:
        """Its name in tables: `unet`, `miniseg[strict=true]`, `shufflenet-miniseg:encoder`."""
        return self.row.label + (ENCODER if self.encoder else "")

    def build(self, in_channels: int = 3) -> Subject:
        """Build it in evaluation mode, in whatever process this is."""
        if self.plugin:
            load(self.plugin)
        options: dict[str, Any] = dict(self.row.options)
        card = get_card(self.row.name)
        return build_subject(card, options, encoder=self.encoder, in_channels=in_channels)


@dataclass(frozen=True)
class Settings:
    """How networks are profiled.

    Attributes:
        device: `cpu`, `cuda` or `cuda:1`.
        size: Height and width of the image.
        speed: `quick` or `full`; None where the cost alone is asked for.
        rounds: Processes in which each network is timed.
        seconds: The longest that one way of a network may take in a round; None for the limit of
            the speed.
        threads: CPU threads of a process.
        setting: Precision, memory format, compilation.
        reference: Label of the network that every round begins and ends with.
        seed: Of the order of the networks in a round.
        peaks: What the device can reach, once that is measured: multiply-adds and bytes a second.
    """

    device: str = "cpu"
    size: int = 512
    speed: str | None = "quick"
    rounds: int = 1
    seconds: float | None = None
    threads: int = 1
    setting: Setting = field(default_factory=Setting)
    reference: str = "miniseg"
    seed: int = 0
    peaks: tuple[float, float] | None = None

    @property
    def limits(self) -> Limits:
        """How long one way of a network is warmed up and measured."""
        limits = QUICK if self.speed == "quick" else FULL
        return limits if self.seconds is None else replace(limits, most_seconds=self.seconds)

    @property
    def on_gpu(self) -> bool:
        """Whether networks run on a GPU."""
        return self.device.startswith("cuda")


def choose_targets(selection: Sequence[str]) -> list[Target]:
    """The networks that the words of a command mean.

    Args:
        selection: Terms as everywhere, and `NAME:encoder` for an encoder alone.

    Returns:
        The targets, each once.

    Raises:
        CovbenchError: A term means nothing, or a card names no encoder.
    """
    words = [term for text in selection for term in terms(text)]
    encoders = [term for term in words if term.endswith(ENCODER) and not is_file(term)]
    whole = [term for term in words if term not in encoders]
    try_files(whole)
    rows = [(row, False) for row in (select(whole) if whole or not words else [])]
    for term in encoders:
        rows += [(row, True) for row in select(term.removesuffix(ENCODER))]
    targets = []
    for row, encoder in dict.fromkeys(rows):
        card = get_card(row.name)
        if encoder and not card.encoder:
            raise CovbenchError(
                f"The card of {row.name} names no encoder.",
                f"Profile the whole network ({row.name}), or one whose card has an encoder.",
            )
        targets.append(Target(row, encoder, card.origin))
    return targets
