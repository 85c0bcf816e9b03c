"""What tests of whole runs share: a data folder of their own, and files of small networks."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

_number = itertools.count()

TINY = """
import os, signal
import torch
from torch import nn
from covbench import register_model


class Tiny(nn.Sequential):
    def __init__(self, in_channels, num_classes, width=4):
        super().__init__(
            nn.Conv2d(in_channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Dropout2d(0.1), nn.Conv2d(width, num_classes, 1),
        )
"""

MISBEHAVING = """

class Misbehaving(Tiny):
    def __init__(self, in_channels, num_classes, act):
        super().__init__(in_channels, num_classes)
        self.act = act

    def forward(self, x):
        if self.training and x.device.type != "meta":
            self.act()
        return super().forward(x)


def fail():
    raise RuntimeError("this network is broken\\non purpose")


def overflow():
    raise MemoryError("no room")


def misbehave(name, act):
    def build(in_channels, num_classes):
        return Misbehaving(in_channels, num_classes, act)

    register_model(name)(build)


@register_model("good")
def good(in_channels, num_classes):
    return Tiny(in_channels, num_classes)


@register_model("unbounded")
def unbounded(in_channels, num_classes):
    class Unbounded(Tiny):
        def forward(self, x):
            return super().forward(x) * float("inf")
    return Unbounded(in_channels, num_classes)


misbehave("raises", fail)
misbehave("exits", lambda: os._exit(7))
misbehave("is-killed", lambda: os.kill(os.getpid(), signal.SIGKILL))
misbehave("overflows", overflow)
"""

MANY = """

def register(width):
    @register_model(f"{NAME}{width:02}")
    def tiny(in_channels, num_classes):
        return Tiny(in_channels, num_classes, width)


for width in range(1, COUNT + 1):
    register(width)
"""


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder for the whole session, where COVBENCH_DATA points; the phantom lies there."""
    from benchmark.datasets import open_dataset

    root = tmp_path_factory.mktemp("data")
    before = os.environ.get("COVBENCH_DATA")
    os.environ["COVBENCH_DATA"] = str(root)
    open_dataset("phantom", root)
    yield root
    if before is None:
        del os.environ["COVBENCH_DATA"]
    else:
        os.environ["COVBENCH_DATA"] = before


@pytest.fixture
def misbehaving(tmp_path: Path) -> Iterator[Path]:
    """A file with a good network and five that fail, each in its own way."""
    from zoo.registry import cards, forget

    path = tmp_path / "misbehaving_nets.py"
    path.write_text(TINY + MISBEHAVING)
    yield path
    # The same names are another file's in the next test.
    for module in {card.module for card in cards().values() if card.name == "good"}:
        forget(module)


@pytest.fixture
def ten(tmp_path: Path) -> Path:
    """A file with ten small networks."""
    path = tmp_path / "ten_nets.py"
    path.write_text(TINY + 'NAME, COUNT = "tiny", 10\n' + MANY)
    return path


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """A file with two small networks, pair01 and pair02."""
    path = tmp_path / "pair_nets.py"
    # Names are taken once a process, so every test has its own.
    path.write_text(TINY + f'NAME, COUNT = "pair{next(_number)}-", 2\n' + MANY)
    return path
