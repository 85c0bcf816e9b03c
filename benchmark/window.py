"""How Hounsfield units become 8-bit grey: a window, and the table that applies it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Window = tuple[float, float]
"""The stored values that become black and white; linear between, clipped beyond."""

LUNG_WINDOW: Window = (-1250.0, 250.0)
"""Hounsfield units shown black and white by default: level -500, width 1500."""


def windowed(values: NDArray[np.int16], window: Window) -> NDArray[np.uint8]:
    """16-bit values as grey: `window` becomes 0..255, clipped, rounded half to even.

    Args:
        values: int16, any shape.
        window: See `Window`.

    Returns:
        uint8 of that shape, read from a table of all 65,536 values.
    """
    import numpy as np

    # Every index is within the table; "wrap" only spares the check that "raise" makes.
    return np.take(_table(window), np.asarray(values).view(np.uint16), mode="wrap")


@lru_cache(maxsize=8)
def _table(window: Window) -> NDArray[np.uint8]:
    """Grey by the 16 bits of a value, read as an unsigned number."""
    import numpy as np

    low, high = window
    signed = np.arange(2**16, dtype=np.uint16).view(np.int16).astype(np.float64)
    return np.rint(np.clip((signed - low) * (255 / (high - low)), 0, 255)).astype(np.uint8)
