"""Multiply-adds by fvcore, with rules for the operators that it skips or miscounts."""

from __future__ import annotations

import logging
import math
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

COMPUTE = frozenset(
    {"conv", "linear", "addmm", "mm", "bmm", "matmul", "einsum", "attention", "fft"}
)
"""Names, in fvcore's answer, of the operators whose multiply-adds are counted."""

_FREE = """
_upsample_bicubic2d_aa abs adaptive_avg_pool1d adaptive_max_pool2d add add_ alias amax amin argmax
avg_pool1d avg_pool2d broadcast_tensors ceil channel_shuffle clone complex cos cumsum div div_
dropout_ elu elu_ eq erf exp expand_as feature_dropout feature_dropout_ fft_fftshift fft_ifftshift
fill_ flip floor ge gelu gt hardsigmoid hardsigmoid_ hardswish hardswish_ hardtanh hardtanh_ imag
leaky_relu leaky_relu_ lift_fresh linalg_vector_norm log log_softmax lt mT max max_pool2d
max_pool2d_with_indices max_unpool2d mean meshgrid min mish movedim mul mul_
native_channel_shuffle ne neg norm numpy_T pad pixel_shuffle pixel_unshuffle pow prelu real
reciprocal reflection_pad2d relu6 relu6_ repeat replication_pad2d reshape_as rsqrt rsub scatter
scatter_ sigmoid sigmoid_ silu silu_ sin softmax softplus sqrt square std sub sub_ sum tanh tile
topk unflatten upsample_bicubic2d var view_as view_as_complex view_as_real where
"""
FREE = frozenset(f"aten::{name}" for name in _FREE.split())
"""Operators that hold no multiply-add of these kinds: elementwise, sums, pooling, rearranging."""


@dataclass(frozen=True)
class FvcoreCount:
    """What fvcore counted.

    Attributes:
        macs: Multiply-adds of convolutions, linear layers, matrix products, attention and Fourier
            transforms.
        others: What fvcore adds for normalisation, interpolation and adaptive pooling.
        uncounted: Operators that neither fvcore nor this module has a rule for, and their calls.
    """

    macs: int
    others: int
    uncounted: dict[str, int]


def fvcore_count(network: nn.Module, image: Tensor) -> FvcoreCount:
    """Count one forward pass as it is really run.

    Args:
        network: The network, in evaluation mode; not on the meta device, where tracing fails.
        image: Images `(N, C, H, W)`.

    Returns:
        The counts.

    Raises:
        Exception: Whatever PyTorch raises where the network can't be traced.
    """
    with _quiet(), torch.no_grad():
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(network, image).set_op_handle(**_HANDLES)
        counted = analysis.by_operator()
        unknown = analysis.unsupported_ops()
    compute = sum(value for name, value in counted.items() if name in COMPUTE)
    return FvcoreCount(
        macs=round(compute),
        others=round(sum(counted.values()) - compute),
        uncounted={name: calls for name, calls in unknown.items() if name not in FREE},
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep PyTorch's and fvcore's remarks about tracing off the screen."""
    logger = logging.getLogger("fvcore")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


Rule = Callable[[Sequence[Any], Sequence[Any]], Any]
"""From the traced inputs and outputs of an operator to its multiply-adds."""


def _shape(value: Any) -> list[int]:
    return list(value.type().sizes())


def _matmul(inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    """Of any matrix product: fvcore's own rule misses the batch where the second operand has it."""
    return math.prod(_shape(outputs[0])) * _shape(inputs[0])[-1]


def _einsum(inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
    """Of a sum over products: fvcore's own rule reads a text that is rounded to four digits."""
    equation = inputs[0].toIValue().replace(" ", "")
    left, _, result = equation.partition("->")
    operands = left.split(",")
    # A product of two whose summed indices stand in both: else the order of the sums matters.
    product = re.fullmatch(r"\w+,\w+->\w+", equation) is not None
    if not product or not set(left) - set(result) - {","} <= set(operands[0]) & set(operands[1]):
        from fvcore.nn.jit_handles import einsum_flop_jit

        return einsum_flop_jit(list(inputs), list(outputs))
    sizes: dict[str, int] = {}
    for letters, value in zip(operands, inputs[1].node().inputs(), strict=True):
        sizes.update(zip(letters, _shape(value), strict=True))
    return math.prod(sizes.values())


def _convolution_mode(inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    """Of a convolution whose padding is a word ("same"), which fvcore skips."""
    return math.prod(_shape(outputs[0])) * math.prod(_shape(inputs[1])[1:])


def _attention(inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    """Of scaled dot-product attention: queries by keys, and weights by values."""
    query, key, value = (_shape(each) for each in inputs[:3])
    return math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _fft(dimensions: int, real: bool) -> Rule:
    """Of a Fourier transform of N points: 2.5 N log2 N multiply-adds, half of it between reals.

    The usual estimate of 5 N log2 N real operations for a complex transform (Cooley and Tukey,
    1965), taken as pairs of a multiplication and an addition.
    """

    def count(inputs: Sequence[Any], outputs: Sequence[Any]) -> float:
        # The real side is the larger one, whichever way the transform goes.
        shape = max(_shape(inputs[0]), _shape(outputs[0]), key=math.prod)
        points = math.prod(shape[-dimensions:])
        return math.prod(shape[:-dimensions]) * 2.5 * points * math.log2(points) / (1 + real)

    return count


def _named(name: str, rule: Rule) -> Rule:
    """A rule whose answer stands under a name of its own in fvcore's table."""
    return lambda inputs, outputs: Counter({name: rule(inputs, outputs)})


_HANDLES: dict[str, Rule] = {
    "aten::matmul": _named("matmul", _matmul),
    "aten::baddbmm": _named("bmm", lambda inputs, outputs: _matmul(inputs[1:], outputs)),
    "aten::einsum": _named("einsum", _einsum),
    "aten::_convolution_mode": _named("conv", _convolution_mode),
    "aten::scaled_dot_product_attention": _named("attention", _attention),
    **{
        f"aten::fft_{inverse}{kind}": _named("fft", _fft(int(kind[-1:] == "2") + 1, kind[0] == "r"))
        for inverse in ("", "i")
        for kind in ("fft", "fft2", "rfft", "rfft2")
    },
}
"""Rules beside fvcore's own; transforms over other axes (`fftn`) stay uncounted, and named."""
