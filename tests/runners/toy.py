"""A tiny network and tiny images on which whole trainings take a moment."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.bank import ImageBank
from benchmark.protocols import Protocol, load_protocol
from runners.train import InputScale
from zoo.cards import Card


class ToyNet(nn.Module):
    """Has what makes resuming hard: batch norm, dropout, and an auxiliary head."""

    def __init__(self, in_channels: int = 1, num_classes: int = 2) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout2d(0.2)
        )
        self.head = nn.Conv2d(8, num_classes, 1)
        self.aux = nn.Conv2d(8, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        features = self.body(x)
        return (self.head(features), self.aux(features)) if self.training else self.head(features)


CARD = Card(name="toy", builder=ToyNet, min_size=1)
SCALE = InputScale((0.3,), (0.25,))


def toy_bank(count: int = 12, size: int = 32) -> ImageBank:
    """Bright squares on noise; the squares are the foreground."""
    generator = np.random.default_rng(3)
    images = generator.integers(0, 90, (count, size, size), dtype=np.uint8)
    masks = np.zeros_like(images)
    for image, mask in zip(images, masks, strict=True):
        top, left = generator.integers(2, size - 12, 2)
        image[top : top + 9, left : left + 9] += 140
        mask[top : top + 9, left : left + 9] = 1
    return ImageBank(images, masks)


def toy_protocol(*changes: str) -> Protocol:
    return load_protocol("smoke", ["size=32", "max_steps=30", "lr=0.03", *changes])


def toy_model(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return ToyNet()
