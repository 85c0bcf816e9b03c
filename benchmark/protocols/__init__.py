"""Protocols: the settings that every network of a comparison shares, as TOML files."""

from benchmark.protocols.load import list_protocols, load_protocol
from benchmark.protocols.schema import Protocol
from benchmark.protocols.sections import (
    AugmentRule,
    InputRule,
    LossRule,
    OptimRule,
    RunRule,
    ScoreRule,
    SplitRule,
    StopRule,
)

__all__ = [
    "AugmentRule",
    "InputRule",
    "LossRule",
    "OptimRule",
    "Protocol",
    "RunRule",
    "ScoreRule",
    "SplitRule",
    "StopRule",
    "list_protocols",
    "load_protocol",
]
