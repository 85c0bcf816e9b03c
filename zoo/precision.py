"""Where float32 must hold, also under autocast."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def no_autocast(device: str) -> AbstractContextManager[object]:
    """Autocast off, on devices that know it; the meta device does not."""
    # Asked by name: torch 2.6 can't compile torch.amp.is_autocast_available into one graph.
    return nullcontext() if device == "meta" else torch.autocast(device, enabled=False)
