"""torch's compiler, which torchvision and timm import on their way in."""

from __future__ import annotations

import importlib
from functools import cache

import torch


@cache
def import_compiler() -> None:
    """Import it, where that must happen before the meta device is in use.

    Before torch 2.7 its import fails while the meta device is the default, and a second try
    fails too.
    """
    if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 7):
        with torch.device("cpu"):
            importlib.import_module("torch._dynamo")
