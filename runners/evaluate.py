"""Evaluation: predict the test slices at their own size, score each, and sum up."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from benchmark.bank import ImageBank, normalise
from benchmark.datasets import PreparedDataset
from benchmark.labels import IGNORE
from benchmark.metrics import Row, Score, aggregate, score_case
from benchmark.metrics.aggregate import pooled_counts
from benchmark.protocols import Protocol
from results.record import Counts
from runners.train import InputScale, autocast
from zoo.cards import Card
from zoo.padding import forward_padded

Bytes = npt.NDArray[np.uint8]
TARGET = "infection"


@dataclass(frozen=True)
class Prediction:
    """What a network says of one slice.

    Attributes:
        position: Position of the slice in the bank.
        probability: Probability of foreground, (H, W), 255 = certain.
        mask: The decision, (H, W), 0 or 1.
    """

    position: int
    probability: Bytes
    mask: Bytes


@dataclass(frozen=True)
class Evaluation:
    """Scores of a test fold: a row for each image, the summary, and the predictions."""

    rows: list[Row]
    scores: dict[str, Score]
    counts: Counts
    predictions: dict[str, Bytes]


@torch.inference_mode()
def predict(
    model: nn.Module,
    card: Card,
    bank: ImageBank,
    sizes: Sequence[tuple[int, int]],
    protocol: Protocol,
    scale: InputScale,
) -> Iterator[Prediction]:
    """Predict every slice of a bank.

    Args:
        model: The network, on the bank's device.
        card: Its card, for the sizes that it accepts.
        bank: The test slices at the protocol's size.
        sizes: Height and width at which each is scored: logits are resized (bilinear), then
            decided by argmax, or at probability 0.5 for one sigmoid logit.
        protocol: Batch size and precision.
        scale: How the input is normalised.

    Yields:
        One prediction a slice, in the bank's order.
    """
    model.eval()
    batch = protocol.optim.batch
    for start in range(0, len(bank), batch):
        positions = range(start, min(start + batch, len(bank)))
        images, _ = bank.batch(positions)
        x = normalise(images.unsqueeze(1), scale.mean, scale.std, scale.channels)
        with autocast(protocol, bank.device):
            output = forward_padded(model, x, card.divisor, card.min_size)
        assert isinstance(output, torch.Tensor), "a network gives one tensor in evaluation mode"
        logits = output.float()
        if not torch.isfinite(logits).all():
            raise FloatingPointError("The network's output is not finite.")
        for position, one in zip(positions, logits, strict=True):
            resized = one.unsqueeze(0)
            if tuple(one.shape[-2:]) != sizes[position]:
                resized = functional.interpolate(
                    resized, size=sizes[position], mode="bilinear", align_corners=False
                )
            if one.shape[0] == 1:
                probability = resized[0, 0].sigmoid()
                mask = resized[0, 0] > 0
            else:
                probability = 1 - resized.softmax(1)[0, 0]
                mask = resized[0, 1:].amax(0) > resized[0, 0]  # argmax > 0, many times faster
            yield Prediction(
                position=position,
                probability=(probability * 255).round().to(torch.uint8).cpu().numpy(),
                mask=mask.to(torch.uint8).cpu().numpy(),
            )


def evaluate(
    model: nn.Module,
    card: Card,
    dataset: PreparedDataset,
    indices: Sequence[int],
    protocol: Protocol,
    scale: InputScale,
    device: torch.device,
) -> Evaluation:
    """Score a network on some slices of a dataset, by the protocol's rules.

    Args:
        model: The network, on the device.
        card: Its card, for the sizes that it accepts.
        dataset: The prepared slices.
        indices: Which of them.
        protocol: Input size, batch size, precision and rules.
        scale: How the input is normalised.
        device: Where the network is.

    Returns:
        A row for each image, the summary over them, pooled counts, and probabilities by case id.

    Raises:
        FloatingPointError: The network's output is not finite.
    """
    bank = ImageBank.of(dataset, protocol.input.size, indices, device=device)
    size = protocol.score.size
    masks = None if isinstance(size, str) else dataset.at_size(size)[1]
    truths = [dataset.mask(index) if masks is None else masks[index] for index in indices]
    shapes = [(truth.shape[0], truth.shape[1]) for truth in truths]
    rows: list[Row] = []
    predictions: dict[str, Bytes] = {}
    for guess in predict(model, card, bank, shapes, protocol, scale):
        case, truth = dataset.cases[indices[guess.position]], truths[guess.position]
        scores = score_case(
            guess.mask, truth, truth == IGNORE, case.spacing_at(size), protocol.score
        )
        rows.append({"id": case.id, "group": case.group, **scores})
        predictions[case.id] = guess.probability
    groups = [str(row["group"]) for row in rows]
    counts = Counts(**asdict(pooled_counts(rows)))
    return Evaluation(rows, aggregate(rows, groups, protocol.score), counts, predictions)


def cases_csv(rows: Sequence[Row]) -> str:
    """The per-image scores as CSV; an undefined value is an empty field."""
    text = io.StringIO()
    columns = dict.fromkeys(column for row in rows for column in row)  # mm where it is known
    writer = csv.DictWriter(text, fieldnames=list(columns), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: "" if value != value else value for key, value in row.items()})
    return text.getvalue()


def write_predictions(file: BinaryIO, predictions: dict[str, Bytes]) -> None:
    """Foreground probabilities as deflated uint8: `ids`, and `p0`, `p1`, ... in their order."""
    arrays = {f"p{number}": array for number, array in enumerate(predictions.values())}
    np.savez_compressed(file, ids=np.array(list(predictions)), **arrays)  # type: ignore[arg-type]
