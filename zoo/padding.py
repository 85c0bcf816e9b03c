"""Images of any height and width for networks that need multiples of a divisor."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

Output = Tensor | tuple[Tensor, ...]


def pad_to_divisor(
    x: Tensor, divisor: int, min_size: int = 1
) -> tuple[Tensor, Callable[[Output], Output]]:
    """Enlarge images at the bottom and the right until a network accepts them.

    The border pixels are repeated (mode "replicate"), so that no edge appears that the image does
    not have.

    Args:
        x: Images, `(N, C, H, W)`.
        divisor: Height and width become multiples of it.
        min_size: Height and width become at least this, rounded up to the divisor.

    Returns:
        The images, `x` itself where nothing is to be done; and a function that crops an output of
        the padded size, or a tuple of outputs, back to H, W.
    """
    height, width = x.shape[-2:]
    bottom = padded_size(height, divisor, min_size) - height
    right = padded_size(width, divisor, min_size) - width
    if bottom == right == 0:
        return x, lambda output: output

    def crop(output: Output) -> Output:
        if isinstance(output, tuple):
            return tuple(each[..., :height, :width] for each in output)
        return output[..., :height, :width]

    return F.pad(x, (0, right, 0, bottom), mode="replicate"), crop


def padded_size(size: int, divisor: int, min_size: int = 1) -> int:
    """The smallest multiple of `divisor` that is neither under `size` nor under `min_size`."""
    return -(-max(size, min_size) // divisor) * divisor


def forward_padded(model: nn.Module, x: Tensor, divisor: int, min_size: int = 1) -> Output:
    """Run a network on images of any size.

    Args:
        model: The network.
        x: Images, `(N, C, H, W)`.
        divisor: The divisor on its card.
        min_size: The smallest size on its card.

    Returns:
        What the network gives, cropped to H, W: `(N, K, H, W)`, or a tuple of such.
    """
    padded, crop = pad_to_divisor(x, divisor, min_size)
    return crop(model(padded))
