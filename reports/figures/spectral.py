"""Max pooling beside spectral pooling of one image, at several factors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from reports.figures.drawing import PAGE, Drawn, figure_writer, new_figure
from zoo.errors import CovbenchError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.axes import Axes

    Picture = npt.NDArray[np.generic]
    Floats = npt.NDArray[np.float64]

FACTORS = (2, 8, 16, 64)
"""By what each side is divided, as in CHS-Net's figure."""


def draw(image: Picture | None = None, factors: Sequence[int] = FACTORS) -> Drawn:
    """An image pooled by both ways, shown at the size of the original.

    Args:
        image: Grey values, (H, W); by default a slice of the phantom. Rows and columns beyond the
            last multiple of the largest factor are left out.
        factors: By what each side is divided.

    Returns:
        The figure; under each picture stands the mean absolute error of what is shown.

    Raises:
        CovbenchError: The image is no single grey picture, or smaller than the largest factor.
    """
    whole = _cut(phantom_slice() if image is None else image, factors)
    columns = len(factors) + 1
    side = PAGE / columns
    shape = whole.shape[0] / whole.shape[1]
    figure = new_figure(PAGE, 2 * (side * shape + 0.12) + 0.2)
    axes = figure.subplots(2, columns)
    ends = float(whole.min()), float(whole.max())
    for axis in axes[:, 0]:
        axis.set_visible(False)
    original = figure.add_subplot(axes[0, 0].get_gridspec()[:, 0])
    _show(original, whole, ends, f"{whole.shape[1]} × {whole.shape[0]}")
    original.set_title("original", fontsize=8, pad=3)
    for row, (name, pool) in enumerate((("max", max_pooled), ("spectral", spectral_pooled))):
        for column, factor in enumerate(factors, 1):
            axis = axes[row, column]
            shown = enlarged(pool(whole, factor), factor)
            _show(axis, shown, ends, f"error {mean_error(shown, whole):.1f}")
            if row == 0:
                axis.set_title(f"1/{factor}", fontsize=8, pad=3)
            if column == 1:
                axis.set_ylabel(name, fontsize=8, labelpad=2)
    return figure_writer(figure)


def caption(
    image: Picture | None = None, factors: Sequence[int] = FACTORS, name: str = "An image"
) -> str:
    """What the figure shows, in sentences; `name` is what an image of one's own is called."""
    whole = _cut(phantom_slice() if image is None else image, factors)
    what = "A slice of the phantom" if image is None else name
    listed = ", ".join(map(str, factors[:-1]))
    listed = f"{listed} and {factors[-1]}" if listed else str(factors[-1])
    return (
        f"{what} of {whole.shape[1]} × {whole.shape[0]} pixels after max pooling (above) and "
        f"spectral pooling (below), each side divided by {listed}, shown at the original size by "
        "repeating each value. Spectral pooling keeps the low frequencies of the Fourier transform "
        "and the mean. Error: mean absolute difference between what is shown and the original, in "
        "grey values of the image, taken before values outside its range are clipped for display."
    )


@cache
def phantom_slice() -> Picture:
    """The middle of the first patient of a phantom with one slice a patient; (256, 256) uint8."""
    from benchmark.datasets.phantom import RECIPE, PhantomOptions

    drawn = RECIPE.find(None, PhantomOptions(slices=1)).decode()
    (middle,) = next(drawn.steps)
    return middle.image


def max_pooled(image: Floats, factor: int) -> Floats:
    """The largest value of each square of `factor` pixels a side, (H / factor, W / factor)."""
    height, width = image.shape
    blocks = image.reshape(height // factor, factor, width // factor, factor)
    return blocks.max(axis=(1, 3))


def spectral_pooled(image: Floats, factor: int) -> Floats:
    """The image's low frequencies on a grid of (H / factor, W / factor)."""
    from zoo.spectral import pooling_matrix

    height, width = image.shape
    rows, columns = (pooling_matrix(size, size // factor) for size in (height, width))
    return rows @ image @ columns.T


def enlarged(pooled: Floats, factor: int) -> Floats:
    """Each value as a square of `factor` pixels a side."""
    return pooled.repeat(factor, axis=0).repeat(factor, axis=1)


def mean_error(shown: Floats, whole: Floats) -> float:
    """Mean absolute difference, in grey values."""
    return float(abs(shown - whole).mean())


def _cut(image: Picture, factors: Sequence[int]) -> Floats:
    """The image as numbers, its sides multiples of every factor."""
    import math

    step = math.lcm(*factors)
    if image.ndim != 2 or min(image.shape) < step:
        raise CovbenchError(
            f"An image of the shape {image.shape} can't be pooled by {step}.",
            f"Give one grey image of {step} × {step} pixels or more.",
        )
    height, width = (size // step * step for size in image.shape)
    return image[:height, :width].astype(float)


def _show(axis: Axes, picture: Floats, ends: tuple[float, float], text: str) -> None:
    low, high = ends
    axis.imshow(picture, cmap="gray", vmin=low, vmax=high, interpolation="antialiased")
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_linewidth(0.4)
    axis.set_xlabel(text, fontsize=7, labelpad=2)
