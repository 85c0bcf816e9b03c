"""Spectral pooling by two real matrices, `y = R_H x R_W^T`.

Spectral pooling (Rippel et al., "Spectral Representations for Convolutional Neural Networks",
arXiv 1506.03767; the pooling of CHS-Net, arXiv 2012.07079, section 3) keeps the low frequencies
of a map's discrete Fourier transform and transforms them back on a smaller grid. Each axis is a
linear map of its own, so that no transform is needed. Where the smaller size is even, its Nyquist
bin is the mean of the two bins that fall on it, which keeps the output real. The scale keeps the
mean of the map.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoo.precision import no_autocast

_weights: dict[tuple[int, int, torch.device, torch.dtype], Tensor] = {}


def pooling_matrix(size: int, pooled: int) -> npt.NDArray[np.float64]:
    """The matrix that pools one axis.

    Args:
        size: Samples in.
        pooled: Samples out, 1 to `size`.

    Returns:
        `(pooled, size)`, every row summing to 1; the identity where both sizes are equal.

    Raises:
        ValueError: `pooled` is outside 1 to `size`.
    """
    if not 1 <= pooled <= size:
        raise ValueError(f"spectral pooling can't make {pooled} samples out of {size}")
    if pooled == size:
        return np.eye(size)
    out, into = np.arange(pooled)[:, None], np.arange(size)[None, :]
    kept = np.arange(1, (pooled + 1) // 2)[:, None, None]
    matrix = 1 + 2 * np.cos(2 * np.pi * kept * (out / pooled - into / size)).sum(axis=0)
    if pooled % 2 == 0:
        matrix += np.cos(np.pi * out) * np.cos(np.pi * pooled * into / size)
    return np.asarray(matrix / size, dtype=np.float64)


def spectral_pool(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Feature maps on a smaller grid, without what that grid can't hold.

    Computed in float32 at least, also under autocast: bfloat16 would lose the low bits that the
    long sums need.

    Args:
        x: `(..., H, W)`.
        size: Height and width wanted, each 1 to the present one.

    Returns:
        `(..., *size)` in the type of `x`; `x` itself where the size is the present one.

    Raises:
        ValueError: A size is outside that range.
    """
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    with no_autocast(x.device.type):
        wide = x if x.dtype == torch.float64 else x.float()
        rows = _pool_rows(wide, size[0])
        return _pool_rows(rows.mT, size[1]).mT.to(x.dtype)


def _pool_rows(x: Tensor, pooled: int) -> Tensor:
    """Pool `(..., H, W)` to `(..., pooled, W)`."""
    size = int(x.shape[-2])  # torch.jit.trace makes tensors of sizes
    if size == pooled:
        return x
    cacheable = type(x) is Tensor
    weights = _get_weights(size, pooled, x.device, x.dtype, cacheable)
    if size != 2 * pooled:
        return weights @ x
    # Halving is a half-band filter: the even samples only take the factor 1/2, at half the cost.
    even, odd = x.unflatten(-2, (pooled, 2)).unbind(-2)
    return 0.5 * even + weights @ odd


def _get_weights(
    size: int, pooled: int, device: torch.device, dtype: torch.dtype, cacheable: bool
) -> Tensor:
    """The pooling matrix as a tensor; for a halving only the columns of the odd samples.

    Tensors of a tracer (fake, functional) are neither taken from the cache nor put there.
    """
    key = (size, pooled, device, dtype)
    if cacheable and key in _weights:
        return _weights[key]
    matrix = pooling_matrix(size, pooled)
    if size == 2 * pooled:
        matrix = matrix[:, 1::2]
    with torch.inference_mode(False):
        weights = torch.from_numpy(np.ascontiguousarray(matrix)).to(device, dtype)
    if cacheable and type(weights) is Tensor:
        _weights[key] = weights
    return weights


# What torch.compiler.assume_constant_result does, without importing the compiler (2 s) for it.
_get_weights._dynamo_marked_constant = True  # type: ignore[attr-defined]
