"""A look at the figures that a report draws."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib.figure
import pytest


@contextmanager
def kept_figures() -> Iterator[list[matplotlib.figure.Figure]]:
    """Keep the figures that are made inside the block."""
    figures: list[matplotlib.figure.Figure] = []
    make = matplotlib.figure.Figure

    class Kept(make):  # type: ignore[misc, valid-type]
        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, **options)
            figures.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matplotlib.figure, "Figure", Kept)
        yield figures
