"""Early stopping: a part of the training slices is held out and watched after every epoch.

The test fold has no part in it. What was seen so far travels in the checkpoint, so that a training
that was stopped and resumed ends at the same epoch with the same weights.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.bank import ImageBank, plain_batch
from benchmark.datasets import PreparedDataset
from benchmark.datasets.folds import Fold, hold_out
from benchmark.losses import Loss
from benchmark.protocols import Protocol
from runners.train import Diverged, InputScale, autocast
from zoo.cards import Card
from zoo.padding import forward_padded

Indices = tuple[int, ...]


def training_parts(
    dataset: PreparedDataset, fold: Fold, protocol: Protocol
) -> tuple[Indices, Indices]:
    """The slices of a fold that train, and those that are held out of them.

    Returns:
        Indices into the dataset's cases, ascending; none are held out without early stopping.

    Raises:
        CovbenchError: The training part is too small to hold anything out.
    """
    rule = protocol.stop
    if not rule.early:
        return fold.train, ()
    return hold_out(
        dataset.cases,
        fold.train,
        rule.validation,
        by=rule.validation_by,
        seed=protocol.split.seed,
    )


class EarlyStopping:
    """Watches a training on its validation part, and keeps the best weights where they are wanted.

    Attributes:
        curve: The validation loss after each epoch.
        best_epoch: The epoch of the lowest one, from 1; 0 before there is any. An epoch is better
            only where it lies below the best before by more than `stop.min_delta`.
    """

    def __init__(self, bank: ImageBank, card: Card, protocol: Protocol, scale: InputScale) -> None:
        """Watch on a bank.

        Args:
            bank: The validation slices at the protocol's size.
            card: The network's card, for the sizes that it accepts.
            protocol: Its sections `stop`, `run`, `optim` (batch) and `input` are used.
            scale: How the input is normalised; taken from the slices that train.
        """
        self._bank, self._card, self._protocol, self._scale = bank, card, protocol, scale
        self.curve: list[float] = []
        self.best_epoch = 0
        self._weights: dict[str, Tensor] = {}

    @property
    def chosen_epoch(self) -> int | None:
        """The epoch whose weights are scored; None where those of the last step are."""
        return self.best_epoch if self._keeps else None

    @property
    def _keeps(self) -> bool:
        return self._protocol.run.select == "best-on-validation"

    def ends(self, network: nn.Module, loss: Loss) -> bool:
        """Look at the network after an epoch.

        Args:
            network: In training mode, in which it is left.
            loss: The protocol's loss.

        Returns:
            Whether the training is over.

        Raises:
            Diverged: The validation loss is not finite.
        """
        rule = self._protocol.stop
        value = self._measure(network, loss)
        before = self.curve[self.best_epoch - 1] if self.best_epoch else math.inf
        self.curve.append(value)
        if not math.isfinite(value):
            raise Diverged(f"The validation loss is {value} after epoch {len(self.curve)}.")
        if value < before - rule.min_delta:
            self.best_epoch = len(self.curve)
            if self._keeps:
                self._weights = {
                    name: tensor.detach().clone() for name, tensor in network.state_dict().items()
                }
        return len(self.curve) - self.best_epoch >= rule.patience

    def finish(self, network: nn.Module) -> None:
        """Put the best weights back where the protocol scores those."""
        if self._weights:
            network.load_state_dict(self._weights)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: plain values and tensors."""
        return {"curve": self.curve, "best_epoch": self.best_epoch, "weights": self._weights}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.curve = list(state["curve"])
        self.best_epoch = state["best_epoch"]
        self._weights = {
            name: tensor.to(self._bank.device) for name, tensor in state["weights"].items()
        }

    @torch.no_grad()  # not inference mode: what a network caches there can't be trained through
    def _measure(self, network: nn.Module, loss: Loss) -> float:
        """The mean over the slices of the loss of their batch: in order, without augmentation."""
        batch, total = self._protocol.optim.batch, 0.0
        network.eval()
        for start in range(0, len(self._bank), batch):
            rows = range(start, min(start + batch, len(self._bank)))
            scale = self._scale
            x, masks = plain_batch(self._bank, rows, scale.mean, scale.std, scale.channels)
            if self._protocol.run.channels_last:
                x = x.contiguous(memory_format=torch.channels_last)
            with autocast(self._protocol, self._bank.device):
                output = forward_padded(network, x, self._card.divisor, self._card.min_size)
            total += len(rows) * float(loss(output, masks.long()))
        network.train()
        return total / len(self._bank)
