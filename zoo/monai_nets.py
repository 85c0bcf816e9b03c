"""Networks of MONAI, an optional package (Apache-2.0).

It takes seconds to import, hence only inside a function.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch


def from_monai(make: Callable[[Any], Any]) -> Any:
    """Build a network of MONAI.

    Some of its networks read values while they are built, so that they can't be built on the meta
    device: they are built on the CPU and moved there.

    Args:
        make: Builds the network from the module `monai.networks.nets`.

    Returns:
        The network, on the default device of the moment.
    """
    # Asked of a tensor: before torch 2.7 the default device does not know `with torch.device(...)`.
    device = torch.empty(0).device
    with torch.device("cpu"):
        # MONAI and what it imports warn on their way in; it also puts its own printer of warnings
        # into place, which goes again at the end of this block.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from monai.networks import nets
        network = make(nets)
    return network.to(device)
