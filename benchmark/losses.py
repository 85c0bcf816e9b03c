"""Training losses: cross-entropy, and the BCE with Dice of CHS-Net; deep supervision over both.

No pixel of label 255 counts in any of them, and a batch of nothing else gives 0 with gradients
of 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.labels import IGNORE
from benchmark.protocols.sections import LossRule
from zoo.errors import CovbenchError

Outputs = Tensor | tuple[Tensor, ...]
Loss = Callable[[Outputs, Tensor], Tensor]

SMOOTH = 1.0
"""Added above and below the fraction of the Dice loss, as in CHS-Net."""


def make_loss(section: LossRule, class_weights: Tensor | None = None) -> Loss:
    """The loss that a protocol asks for.

    Args:
        section: The protocol's section `loss`.
        class_weights: One weight per class, background first (two for a single sigmoid logit),
            where the protocol asks for them.

    Returns:
        A function of a network's output and the target that gives a scalar in float32 or better:
        the main output's loss plus `aux_weight` times the sum of the auxiliary ones'. Outputs are
        logits `(N, K, H, W)`, one tensor or a tuple with the main one first; the target is
        `(N, H, W)`, int64, 255 = ignored.

    Raises:
        CovbenchError: Class weights with a loss that has none.
        ValueError: Class weights are given though the protocol has none, or the other way round.
    """
    if (section.class_weights == "none") != (class_weights is None):
        raise ValueError(f"class weights are {class_weights}, not {section.class_weights}")
    if section.name == "bce-dice" and class_weights is not None:
        raise CovbenchError(
            "The loss bce-dice takes no class weights.",
            'Set loss.class_weights to "none", or loss.name to "cross-entropy".',
        )

    def single(logits: Tensor, target: Tensor) -> Tensor:
        precise = logits.to(torch.promote_types(logits.dtype, torch.float32))
        if section.name == "bce-dice":
            return bce_dice(precise, target, bce=section.bce, dice=section.dice)
        return cross_entropy(precise, target, class_weights)

    def loss(outputs: Outputs, target: Tensor) -> Tensor:
        if isinstance(outputs, Tensor):
            return single(outputs, target)
        main, *others = outputs
        total = single(main, target)
        for other in others:
            total = total + section.aux_weight * single(other, target)
        return total

    return loss


def cross_entropy(logits: Tensor, target: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Cross-entropy, averaged over the pixels that count, each with the weight of its class.

    Args:
        logits: `(N, K, H, W)`; one channel is a sigmoid logit of class 1, several a softmax.
        target: `(N, H, W)`, int64, 255 = ignored.
        class_weights: One weight per class, two where K = 1; None for equal ones.

    Returns:
        A scalar: the sum of the weighted losses over the sum of the weights.
    """
    counts = target != IGNORE
    if logits.shape[1] == 1:
        classes = (target == 1).long()
        losses = F.binary_cross_entropy_with_logits(
            logits[:, 0], classes.to(logits.dtype), reduction="none"
        )
    else:
        classes = target.where(counts, 0)
        # Unreduced: on CUDA the sum and the mean of PyTorch's own are not deterministic.
        losses = F.cross_entropy(logits, target, ignore_index=IGNORE, reduction="none")
    weights = counts.to(logits.dtype)
    if class_weights is not None:
        weights = weights * class_weights.to(logits)[classes]
    return _mean(losses, weights)


def bce_dice(
    logits: Tensor,
    target: Tensor,
    *,
    bce: Literal["mean", "sum"] = "mean",
    dice: Literal["batch", "image"] = "batch",
) -> Tensor:
    """Half binary cross-entropy, half Dice loss, of class 1: equations 13 to 15 of CHS-Net.

    Equation 13 sums over the pixels, but equal halves make sense only for its mean, which is what
    is taken unless asked otherwise; the Dice loss, 1 - (2 sum pg + 1) / (sum pp + sum gg + 1), runs
    over all pixels of the batch, so that a slice without foreground does not weigh as much as one
    with it.

    Args:
        logits: `(N, 1, H, W)`, a sigmoid logit, or `(N, 2, H, W)`, a softmax.
        target: `(N, H, W)`, int64, 255 = ignored.
        bce: "mean" over the pixels that count, or their "sum" in each image, averaged over the
            images.
        dice: One fraction over the "batch", or the mean of each "image"'s own.

    Returns:
        A scalar.

    Raises:
        CovbenchError: The network has more than two classes.
    """
    if logits.shape[1] > 2:
        raise CovbenchError(
            f"The loss bce-dice is for one foreground class, not for {logits.shape[1]} classes.",
            'Set loss.name to "cross-entropy", or train on one foreground class.',
        )
    # The difference of two logits is the sigmoid logit of the softmax's second probability.
    logit = logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]
    counts = (target != IGNORE).to(logit.dtype)
    truth = (target == 1).to(logit.dtype)
    losses = F.binary_cross_entropy_with_logits(logit, truth, reduction="none")
    entropy = _mean(losses, counts) if bce == "mean" else (losses * counts).sum() / len(logits)
    probability = torch.sigmoid(logit) * counts
    pixels = (0, 1, 2) if dice == "batch" else (1, 2)
    overlap = 2 * (probability * truth).sum(pixels) + SMOOTH
    both = probability.square().sum(pixels) + truth.square().sum(pixels) + SMOOTH
    return 0.5 * entropy + 0.5 * (1 - overlap / both).mean()


def class_weights_miniseg(pixel_counts: Tensor | Sequence[int]) -> Tensor:
    """The class weights of MiniSeg's released training, 1 / ln(1.10 + p).

    Args:
        pixel_counts: Pixels of each class in the training fold, background first.

    Returns:
        One float32 weight per class; p is the class's share of all pixels.

    Raises:
        CovbenchError: There is no pixel at all.
    """
    counts = torch.as_tensor(pixel_counts, dtype=torch.float64)
    total = counts.sum()
    if total <= 0:
        raise CovbenchError(
            "The training cases hold no labelled pixel, so classes have no weights.",
            'Check the masks of the dataset, or set loss.class_weights to "none".',
        )
    return (1 / torch.log(1.10 + counts / total)).float()


def _mean(losses: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean; 0 where all weights are 0."""
    total = weights.sum()
    return (losses * weights).sum() / total.where(total > 0, 1)
