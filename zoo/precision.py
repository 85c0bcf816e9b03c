"""Where a computation keeps float32 although the network around it runs in a lower precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def no_autocast(device: str) -> AbstractContextManager[object]:
    """Autocast off, on devices that know it; the meta device does not.

    Args:
        device: Type of the device: "cpu", "cuda", "meta".

    Returns:
        A context. It changes no tensor: what is not float32 already must be converted inside.
    """
    # Asked by name: torch 2.6 can't compile torch.amp.is_autocast_available into one graph.
    return nullcontext() if device == "meta" else torch.autocast(device, enabled=False)
